"""What a whole process says while cells are played in it: its log, the client's errors, what a thread dies of."""

from __future__ import annotations

import logging
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from faults.canaries import CARD, KEY, PHONE, LeakSearch
from payme_plugin.paymego.call import Call
from payme_plugin.paymego.errors import CallFailed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from payme_plugin.paymego.protocols import Answer


class LogCapture(logging.Handler):
    """Keeps every record from its making on; cells that are played at once share it.

    Attributes:
        complaints: what the plugin logged of faults of its own.
        codes: the buyers' codes, which must not be seen either.
        search: everything that was seen.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.complaints: list[str] = []
        self.codes: list[str] = []
        self.search = LeakSearch(folder)

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a log record."""
        self.search.add_log([record])
        if record.name.startswith("payme") and (record.exc_info or "fault of the plugin" in record.getMessage()):
            self.complaints.append(record.getMessage())

    def leaks(self) -> list[tuple[str, str]]:
        """Return which secrets were seen where; once for a whole batch of cells, because it takes long."""
        return self.search.leaks(KEY, CARD, PHONE, *self.codes)


@contextmanager
def capturing(folder: Path) -> Iterator[LogCapture]:
    """Capture for the time of a block, with the log at its most talkative."""
    capture, root, former = LogCapture(folder), logging.getLogger(), logging.getLogger().level
    answer, in_thread, unraisable = Call.answer, threading.excepthook, sys.unraisablehook

    def answered(call: Call) -> Answer:
        try:
            return answer(call)
        except CallFailed as failure:
            capture.search.add_error("an error of the client", failure)
            raise

    def died(args: threading.ExceptHookArgs) -> None:
        capture.complaints.append(f"a thread died of {args.exc_type.__name__}")
        if args.exc_value is not None:
            capture.search.add_error("what a thread died of", args.exc_value)

    def lost(args: sys.UnraisableHookArgs) -> None:
        if args.exc_value is not None:
            capture.search.add_error("what could not be raised", args.exc_value)

    root.addHandler(capture)
    root.setLevel(logging.DEBUG)
    Call.answer = answered  # type: ignore[assignment, method-assign]
    threading.excepthook, sys.unraisablehook = died, lost
    try:
        yield capture
    finally:
        Call.answer = answer  # type: ignore[method-assign]
        threading.excepthook, sys.unraisablehook = in_thread, unraisable
        root.setLevel(former)
        root.removeHandler(capture)
