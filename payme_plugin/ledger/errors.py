"""The errors of the journal, and what the caller must do about each.

JournalError
├── Unavailable     the journal can't be used, nothing was stored: charge nothing
│   ├── FileMoved   the file was deleted, moved or replaced while open: charge nothing, restart the till
│   └── Unstorable  no row can hold a value of the host's: refuse it, because it fails again
├── Damaged         the file can't be read: charge nothing until ``payme journal repair``
├── TooNew          a newer version of the plugin wrote it: charge nothing, install that version
├── ForeignJournal  the file belongs to another till: charge nothing, give each till a folder of its own
├── AnotherTill     another live till is the leader in this folder: charge nothing, give each till a folder of its own
├── InUse           a live process uses it: repair nothing, stop the till and its workers first
├── Conflict        the payment is no longer in the state that the caller saw: read it again and act on that
└── CodeAlreadySent the buyer's code was sent in a ``pay`` within the hour: ask for another one
"""

from __future__ import annotations


class JournalError(Exception):
    """The journal failed; nothing was stored."""


class Unavailable(JournalError):
    """The disk is full, read-only, locked or missing, or a value can't be stored."""


class Unstorable(Unavailable):
    """A value breaks a rule of the table, is not Unicode text or has more than 64 bits."""


class FileMoved(Unavailable):
    """The file was deleted, moved or replaced while it was open.

    Anything stored from now on is lost when the process ends.

    Attributes:
        is_replaced: another file is in its place; False if there is none.
    """

    def __init__(self, message: str, *, is_replaced: bool) -> None:
        super().__init__(message)
        self.is_replaced = is_replaced


class Damaged(JournalError):
    """The file is not a journal, or can't be read any more."""


class TooNew(JournalError):
    """The file's schema is newer than this program."""


class ForeignJournal(JournalError):
    """The file belongs to another till: it was copied, or two tills share a folder."""


class AnotherTill(JournalError):
    """Another live process is the leader in this folder: two tills share it by mistake."""


class InUse(JournalError):
    """A live process uses the journal: stop the till and its workers first."""


class Conflict(JournalError):
    """Another process or thread changed the payment, or the transition is not in the table."""


class CodeAlreadySent(JournalError):
    """The code was sent less than an hour ago."""
