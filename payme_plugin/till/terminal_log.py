"""The till's log: one event is one line, ``2026-01-31 12:34:56,789 INFO payme  - text``."""

from __future__ import annotations

import logging
import os
import re
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import TextIOWrapper
    from pathlib import Path

__all__ = ["TerminalLogFormatter", "stderr_log", "terminal_log"]

_LOGGERS = ("payme", "pos")
_FILE_MODE = 0o640
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class TerminalLogFormatter(logging.Formatter):
    """Lays an event out as one line; a line break inside it, in a traceback too, is written as an escape."""

    default_time_format = "%Y-%m-%d %H:%M:%S"
    default_msec_format = "%s,%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s  - %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return ``record`` as one line without control characters."""
        return _CONTROL.sub(_escaped, super().format(record))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class _LogFile(logging.FileHandler):
    """Appends to a file that others can't read; a log that can't be written stops no sale."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, encoding="utf-8", errors="backslashreplace", delay=True)
        self.setFormatter(TerminalLogFormatter())

    def _open(self) -> TextIOWrapper:
        return open(
            self.baseFilename,
            "a",
            encoding=self.encoding,
            errors=self.errors,
            opener=lambda path, flags: os.open(path, flags | os.O_CLOEXEC, _FILE_MODE),
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``."""
        try:
            super().emit(record)
        except OSError:
            self.handleError(record)

    def close(self) -> None:
        """Close the file."""
        with suppress(OSError):
            super().close()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Drop the event."""


@contextmanager
def terminal_log(path: Path) -> Iterator[None]:
    """Write what the plugins and the till log into ``path`` while the context lasts; the file is appended to."""
    with _logging_to(_LogFile(path)):
        yield


@contextmanager
def stderr_log() -> Iterator[None]:
    """Write the same lines to stderr while the context lasts."""
    handler = logging.StreamHandler()
    handler.setFormatter(TerminalLogFormatter())
    with _logging_to(handler):
        yield


@contextmanager
def _logging_to(handler: logging.Handler) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        handler.close()
