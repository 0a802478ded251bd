"""Secrets that are planted, and a witness who reads everything that a till shows, stores or says, to find them."""

from __future__ import annotations

import contextlib
import html
import re
import sqlite3
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.sandbox.receipt import Buyer

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from hookspecs import PaymentResult, ReversalResult, Slip

KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
CODE = "88776655443322110099"
CARD = "8600061234566311"
MASKED_CARD = "860006******6311"
PHONE = "998901112233"
BUYER = Buyer(phone=PHONE, card=CARD)
"""A buyer whose card the server does not mask, as one sample of ``receipts.get_all`` shows it."""

_GROUPING = re.compile(r"[\s().\-\u00a0\u2011]+")
_PART = 10
"""So many characters of a secret on end are a leak. A masked card shows six and four, a masked number its last four."""
_HINT = _PART // 2
# Three kinds of long numbers are not looked at: moments in Unix milliseconds, times measured in floating point, what
# logging adds to every record. There are so many that now and then one would have as many digits of a code by chance.
_LONG_NUMBER = re.compile(rf"(?<!\d)(?!1[789]\d{{11}}(?!\d))\d{{{_PART},}}")
_MEASURED = re.compile(r"\b\d{1,4}\.\d{9,}\b")
_LOGGING_S_OWN = frozenset({"created", "msecs", "relativeCreated", "thread", "process"})


def grouped(number: str, by: str = " ", size: int = 4) -> str:
    """Return a number as people write it: in groups."""
    return by.join(number[start : start + size] for start in range(0, len(number), size))


def words_of_record(record: logging.LogRecord) -> list[str]:
    """Return what the most curious handler makes of a log record: with arguments, and with the values in tracebacks."""
    told = {name: value for name, value in vars(record).items() if name not in _LOGGING_S_OWN}
    words = [record.getMessage(), repr(told)]
    error = record.exc_info[1] if record.exc_info else None
    return words if error is None else [*words, _traceback_with_values(error)]


@dataclass
class Witness:
    """Everything that was seen, by where it was seen.

    Attributes:
        folder: the till's data folder: the raw bytes of its files are read, the journal's write-ahead log among them,
            and every column of every table.
        seen: the texts.
        stored: the bytes of files.
    """

    folder: Path
    seen: list[tuple[str, str]] = field(default_factory=list)
    stored: list[tuple[str, bytes]] = field(default_factory=list)

    def note(self, where: str, *things: object) -> None:
        """Note what a thing says of itself, whoever asks."""
        for thing in things:
            self.seen.extend([(where, repr(thing)), (where, str(thing))])

    def note_slip(self, where: str, slip: Slip) -> None:
        """Note a slip as XML, and as it is printed: what was wrapped is read on in the next line."""
        self.note(where, slip)
        self.seen += [(where, slip.xml), (where, "\n".join(slip.lines)), (where, "".join(slip.lines))]

    def note_result(self, where: str, result: PaymentResult | ReversalResult) -> None:
        """Note a verdict and its slips, but for the attributes of the fiscal receipt."""
        self.note(where, result, result.message)
        for slip in result.slips:
            self.note_slip(f"{where}, on a slip", slip)
        payment = getattr(result, "payment", None)
        if payment is not None:
            self.note(f"{where}, to be kept", payment, payment.data)

    def note_error(self, where: str, error: BaseException | None) -> None:
        """Note an exception, and those that led to it, with the values in their tracebacks."""
        if error is not None:
            self.note(where, error, error.args, vars(error))
            self.seen.append((f"{where}, in a traceback", _traceback_with_values(error)))

    def note_log(self, records: Iterable[logging.LogRecord]) -> None:
        """Note log records."""
        for record in records:
            self.seen += [("log", words) for words in words_of_record(record)]

    def note_files(self) -> None:
        """Note every file in the folder as it is on the disk now, and the rows of the journal."""
        for path in self.folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # a till at work makes files and ends them
                self.stored.append((path.name, path.read_bytes()))
        if (self.folder / FILE_NAME).exists():
            self._note_rows()

    def leaks(self, *secrets: str) -> list[tuple[str, str]]:
        """Return of which secrets ten characters on end or more were seen where, and once for each time.

        XML's own spelling, line ends and groups of digits hide none.
        """
        stored = {secret: _parts_of(secret) for secret in secrets}
        found = [(secret, where) for where, data in self.stored for secret in _told(stored, data.decode("latin-1"))]
        seen = {secret: _parts_of(_plain(secret)) for secret in secrets}
        for where, text in self.seen:
            told = _told(seen, _plain(text))
            if "&" in text:
                told |= _told(seen, _plain(html.unescape(text)))
            found += [(secret, where) for secret in sorted(told)]
        return found

    def _note_rows(self) -> None:
        with contextlib.closing(sqlite3.connect(f"{(self.folder / FILE_NAME).as_uri()}?mode=ro", uri=True)) as journal:
            names = [name for (name,) in journal.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                rows = journal.execute(f'SELECT * FROM "{name}"').fetchall()  # noqa: S608 - the journal's own names
                self.seen += [(f"the table {name}", str(value)) for row in rows for value in row if value is not None]


@dataclass(frozen=True)
class _Parts:
    """The pieces of a secret.

    Attributes:
        leaks: every piece that is long enough to be a leak; a short secret whole.
        hints: shorter ones, end to end: each leak holds one of them whole.
    """

    leaks: tuple[str, ...]
    hints: tuple[str, ...]


def _parts_of(secret: str) -> _Parts:
    leaks = (secret[start : start + _PART] for start in range(max(1, len(secret) - _PART + 1)))
    hints = (secret[start : start + _HINT] for start in range(0, max(1, len(secret) - _HINT + 1), _HINT))
    return _Parts(tuple(leaks), tuple(hints))


def _told(parts: Mapping[str, _Parts], text: str) -> set[str]:
    """Return the secrets of which a text has a part."""
    hinted = {secret: own for secret, own in parts.items() if any(hint in text for hint in own.hints)}
    if not hinted:
        return set()
    numbers = " ".join(_LONG_NUMBER.findall(text))
    return {
        secret
        for secret, own in hinted.items()
        if any(part in (numbers if part.isdigit() and len(part) == _PART else text) for part in own.leaks)
    }


def _plain(text: str) -> str:
    """Return a text without what people and printers put between the parts of a number or a word."""
    return _GROUPING.sub("", _MEASURED.sub(";", text))


def _traceback_with_values(error: BaseException) -> str:
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(told.format())
