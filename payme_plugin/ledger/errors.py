"""What can go wrong with the journal, by what the caller must do about it.

JournalError
├── Unwritable      nothing was stored: charge nothing
├── Damaged         the file can't be read: charge nothing until ``payme journal repair``
├── TooNew          a newer version of the plugin wrote it: charge nothing, install that version
├── StateMoved      the payment is no longer in the state that the caller saw: read again and obey
└── CodeAlreadySent the buyer's code left in a ``pay`` within the hour: ask for another one
"""

from __future__ import annotations

__all__ = ["CodeAlreadySent", "Damaged", "ForeignJournal", "JournalError", "StateMoved", "TooNew", "Unwritable"]


class JournalError(Exception):
    """The journal did not do what it was asked to; nothing was stored."""


class Unwritable(JournalError):
    """A full, read-only, locked or missing disk, or a value that can't be stored."""


class Damaged(JournalError):
    """The file is no journal, or no longer one."""


class TooNew(JournalError):
    """The file's schema is newer than this program."""


class ForeignJournal(JournalError):
    """The file belongs to another till: it was copied, or two tills share a folder."""


class StateMoved(JournalError):
    """The payment's state was changed by another process or thread, or the transition isn't in the table."""


class CodeAlreadySent(JournalError):
    """The code's fingerprint is in the journal, younger than an hour."""
