"""What a whole process says while cells are played in it: its log, the client's errors, what a thread dies of."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faults.canaries import CARD, KEY, PHONE, Witness, words_of_record
from payme_plugin.paymego.call import Call
from payme_plugin.paymego.errors import CallFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from payme_plugin.paymego.protocols import Answer


class Ear(logging.Handler):
    """Hears everything from the making of it on; several cells may listen at once, and all hear the same.

    Attributes:
        complaints: what the plugin logged of faults of its own.
        codes: the buyers' codes, which must not be heard either.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.complaints: list[str] = []
        self.codes: list[str] = []
        self._witness = Witness(folder)

    def emit(self, record: logging.LogRecord) -> None:
        """Hear a log record."""
        self._witness.seen.extend((f"the log {record.name}", words) for words in words_of_record(record))
        if record.name.startswith("payme") and (record.exc_info or "fault of the plugin" in record.getMessage()):
            self.complaints.append(record.getMessage())

    def hear(self, where: str, error: BaseException | None) -> None:
        """Hear an exception."""
        self._witness.note_error(where, error)

    def leaks(self) -> list[tuple[str, str]]:
        """Return which secrets were heard where.

        Search once for a whole batch of cells: all of them hear the same, and the search takes most of their time.
        """
        self._witness.seen = list(dict.fromkeys(self._witness.seen))
        return sorted(set(self._witness.leaks(KEY, CARD, PHONE, *self.codes)))


@contextmanager
def listening(folder: Path) -> Iterator[Ear]:
    """Listen for the time of a block, to a log that is as talkative as it can be."""
    ear, root, former = Ear(folder), logging.getLogger(), logging.getLogger().level
    answer, in_thread, unraisable = Call.answer, threading.excepthook, sys.unraisablehook

    def answered(call: Call) -> Answer:
        try:
            return answer(call)
        except CallFailed as failure:
            ear.hear("an error of the client", failure)
            raise

    def died(told: threading.ExceptHookArgs) -> None:
        ear.complaints.append(f"a thread died of {told.exc_type.__name__}")
        ear.hear("what a thread died of", told.exc_value)

    def lost(told: sys.UnraisableHookArgs) -> None:
        ear.hear("what could not be raised", told.exc_value)

    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    Call.answer = answered  # type: ignore[assignment, method-assign]
    threading.excepthook, sys.unraisablehook = died, lost
    try:
        yield ear
    finally:
        Call.answer = answer  # type: ignore[method-assign]
        threading.excepthook, sys.unraisablehook = in_thread, unraisable
        root.setLevel(former)
        root.removeHandler(ear)
