"""What survives a power cut: the journal of payments. It only stores.

journal        every payment, its story, and the money that must go back: what may change, each in one transaction
reading        what can be read of it, without changing a byte
rows           its rows, as frozen data
states         the states of a payment, and the transitions between them
story          what happened to a payment, line by line
cancellations  the queue of money that must go back
fiscal_links   the fiscal receipts that Payme is to be told of
due            which rows of both are due, where the clock may have been wrong
sent_codes     the buyers' codes that left, each refused for an hour
retention      finished payments, forgotten after ``keepDays``
payment_age    how old a payment is, where the clock may have been wrong
errors         what can go wrong, by what the caller must do about it
opening        how the file is opened
schema         its tables, and their version
place          whether the file is still where it was opened
transaction    whole or not at all, even where a commit failed and the till is killed then
sqlite_errors  what SQLite and the disk raise, as errors of the journal
owners         who works on a payment
leases         who works on a row, and who decides
locks          locks on the bytes of a file, as both are made of
repair         a damaged journal set aside, and a new one put into its place
salvage        what can still be read of a damaged journal
"""
