"""Secrets that are planted, and a witness who reads everything that a till shows, stores or says, to find them."""

from __future__ import annotations

import re
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payme_plugin.sandbox.receipt import Buyer

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["BUYER", "CARD", "CODE", "KEY", "MASKED_CARD", "PHONE", "Witness", "grouped"]

KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
CODE = "88776655443322110099"
CARD = "8600061234566311"
MASKED_CARD = "860006******6311"
PHONE = "998901112233"
BUYER = Buyer(phone=PHONE, card=CARD)
"""A buyer whose card the server does not mask, as one sample of ``receipts.get_all`` shows it."""

_GROUPING = re.compile(r"[\s().\-\u00a0\u2011]+")


def grouped(number: str, by: str = " ", size: int = 4) -> str:
    """Return a number as people write it: in groups."""
    return by.join(number[start : start + size] for start in range(0, len(number), size))


@dataclass
class Witness:
    """Everything that was seen, by where it was seen.

    Attributes:
        folder: the till's data folder: the raw bytes of its files are read, the journal's write-ahead log among them.
        seen: the texts.
    """

    folder: Path
    seen: list[tuple[str, str]] = field(default_factory=list)

    def note(self, where: str, *things: object) -> None:
        """Note what a thing says of itself, whoever asks."""
        for thing in things:
            self.seen.extend([(where, repr(thing)), (where, str(thing))])

    def note_log(self, records: Iterable[logging.LogRecord]) -> None:
        """Note log records as the most curious handler would: with arguments, and with the values in tracebacks."""
        for record in records:
            self.note("log", record.getMessage(), vars(record))
            error = record.exc_info[1] if record.exc_info else None
            if error is not None:
                told = traceback.TracebackException.from_exception(error, capture_locals=True)
                self.note("traceback in the log", "".join(told.format()))

    def note_files(self) -> None:
        """Note the bytes of every file in the folder, as they are on the disk now."""
        for path in self.folder.rglob("*"):
            if path.is_file():
                self.seen.append((path.name, path.read_bytes().decode("latin-1")))

    def leaks(self, *secrets: str) -> list[tuple[str, str]]:
        """Return which of the secrets were seen where; a number in groups counts as seen."""
        found = []
        for where, text in self.seen:
            whole = _GROUPING.sub("", text)
            found += [(secret, where) for secret in secrets if secret in text or (secret.isdigit() and secret in whole)]
        return found
