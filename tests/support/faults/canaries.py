"""Secrets that are planted, and a search for them in everything that a till shows, stores or says."""

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
    from collections.abc import Iterable
    from pathlib import Path

    from hookspecs import PaymentResult, ReversalResult

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
# Three kinds of long numbers are not looked at: moments in Unix milliseconds, times measured in floating point, what
# logging adds to every record. There are so many that now and then one would have as many digits of a code by chance.
_LONG_NUMBER = re.compile(rf"(?<!\d)(?!1[789]\d{{11}}(?!\d))\d{{{_PART},}}")
_MEASURED = re.compile(r"\b\d{1,4}\.\d{9,}\b")
_ADDED_BY_LOGGING = frozenset({"created", "msecs", "relativeCreated", "thread", "process"})


def grouped(number: str, by: str = " ", size: int = 4) -> str:
    """Return a number as people write it: in groups."""
    return by.join(number[start : start + size] for start in range(0, len(number), size))


WORDS = f"{KEY} {CODE} {grouped(CODE)} {CARD} {grouped(CARD)} {grouped(CARD, '-')} +{PHONE} +998 (90) 111-22-33"
"""All of them, in every spelling."""


@dataclass
class LeakSearch:
    """Everything that was seen, by where it was seen.

    Attributes:
        folder: the till's data folder: the raw bytes of its files are read, the journal's write-ahead log among them,
            and every column of every table.
        seen: the texts.
    """

    folder: Path
    seen: list[tuple[str, str]] = field(default_factory=list)

    def add(self, where: str, *values: object) -> None:
        """Add what a value shows of itself."""
        for value in values:
            self.seen += [(where, repr(value)), (where, str(value))]

    def add_result(self, result: PaymentResult | ReversalResult) -> None:
        """Add a result and its slips, but for the attributes of the fiscal receipt, which have the phone."""
        self.add("a result", result, result.message)
        for slip in result.slips:  # as XML, and as it is printed: what was wrapped is read on in the next line
            self.seen += [("a slip", text) for text in (slip.xml, "\n".join(slip.lines), "".join(slip.lines))]
        if payment := getattr(result, "payment", None):
            self.add("a stored payment", payment, payment.data)
        if attributes := getattr(result, "receipt_attributes", None):
            self.add("the receipt's attributes", str(attributes).replace(PHONE, ""))

    def add_error(self, where: str, error: BaseException) -> None:
        """Add an exception, and those that led to it, with the values in their tracebacks."""
        self.add(where, error.args, vars(error), _traceback_with_values(error))

    def add_log(self, records: Iterable[logging.LogRecord]) -> None:
        """Add log records as the most curious handler shows them: with arguments, and values in tracebacks."""
        for record in records:
            members = {name: value for name, value in vars(record).items() if name not in _ADDED_BY_LOGGING}
            self.add(f"the log {record.name}", record.getMessage(), members)
            if record.exc_info and record.exc_info[1]:
                self.add_error("the log's tracebacks", record.exc_info[1])

    def add_files(self) -> None:
        """Add every file in the folder as it is on the disk now, and the rows of the journal."""
        for path in self.folder.rglob("*"):
            with contextlib.suppress(FileNotFoundError, IsADirectoryError):  # a till at work makes files and ends them
                self.seen.append((path.name, path.read_bytes().decode("latin-1")))
        journal = self.folder / FILE_NAME
        if not journal.exists():
            return
        with contextlib.closing(sqlite3.connect(f"{journal.as_uri()}?mode=ro", uri=True)) as database:
            names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names:
                rows = database.execute(f'SELECT * FROM "{name}"').fetchall()  # noqa: S608 - the journal's own names
                self.seen += [(f"the table {name}", str(value)) for row in rows for value in row]

    def leaks(self, *secrets: str) -> list[tuple[str, str]]:
        """Return of which secrets ten characters on end or more were seen where.

        XML's own spelling, line ends and groups of digits hide none.
        """
        parts = {secret: _parts_of(_plain(secret)) for secret in secrets}
        found = {
            (secret, where)
            for where, text in dict.fromkeys(self.seen)
            for spelled in {text, html.unescape(text)}
            for secret in _shown(parts, _plain(spelled))
        }
        return sorted(found)


_Parts = tuple["tuple[str, ...]", "tuple[str, ...]"]
"""Every piece of a secret that is a leak, and shorter ones, end to end: each leak holds one of them whole."""


def _parts_of(secret: str) -> _Parts:
    half = _PART // 2
    leaks = tuple(secret[start : start + _PART] for start in range(max(1, len(secret) - _PART + 1)))
    return leaks, tuple(secret[start : start + half] for start in range(0, max(1, len(secret) - half + 1), half))


def _shown(parts: dict[str, _Parts], text: str) -> list[str]:
    """Return the secrets of which a text has a part."""
    hinted = {secret: leaks for secret, (leaks, hints) in parts.items() if any(hint in text for hint in hints)}
    numbers = " ".join(_LONG_NUMBER.findall(text)) if hinted else ""
    return [
        secret
        for secret, leaks in hinted.items()
        if any(part in (numbers if part.isdigit() and len(part) == _PART else text) for part in leaks)
    ]


def _plain(text: str) -> str:
    """Return a text without what people and printers put between the parts of a number or a word."""
    return _GROUPING.sub("", _MEASURED.sub(";", text))


def _traceback_with_values(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
