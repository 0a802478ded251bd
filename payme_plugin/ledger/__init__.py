"""The journal of payments: it survives a power cut, and it only stores.

journal        every payment, its events and its cancellation: each change is one transaction
reader         what can be read of it, without changing a byte
rows           its rows, as frozen data
states         the states of a payment and the transitions between them
cancellations  the money that must be returned
fiscal_links   the fiscal receipts to be sent to Payme
retention      the age of a payment; finished ones are deleted after ``keepDays``
errors         what can go wrong, by what the caller must do about it
connection     opening the file, transactions, SQLite's errors, identity of the open files
schema         the tables and their version
locks          the leader, rows that are being worked on, processes that work on payments
repair         a damaged journal is set aside, and a new one takes its place
salvage        what can still be read of a damaged journal, and the cancellations that it lost
"""
