"""The till's log: one event is one line, ``2026-01-31 12:34:56,789 INFO  payme  - text``.

The layout is that of the Artix till's main log, which is made by a library of the log4j family: the level in five
columns by that family's names, the logger, two spaces and a hyphen. Source: what the till's log is known to look like.
"""

from __future__ import annotations

import logging
import os
import re
import stat
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin import PLUGIN_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["TerminalLogFormatter", "stderr_log", "terminal_log"]

_LOGGERS = (PLUGIN_NAME, "pos")
_FILE_MODE = 0o640
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_LEVEL_NAMES = {"WARNING": "WARN", "CRITICAL": "FATAL"}


class TerminalLogFormatter(logging.Formatter):
    """Lays an event out as one line; a line break inside it, in a traceback too, is written as an escape."""

    default_time_format = "%Y-%m-%d %H:%M:%S"
    default_msec_format = "%s,%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)-5s %(name)s  - %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return ``record`` as one line without control characters."""
        record.level = _LEVEL_NAMES.get(record.levelname, record.levelname)
        return _CONTROL.sub(_escaped, super().format(record))


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


class _LogFiles(logging.Handler):
    """Appends to the host's main log where it is there, else to a file of our own; a log that fails stops no sale.

    A file is opened for each event: a till moves its main log away when a shift ends, and begins another.

    Args:
        own: our own file; made where it is missing, not for others to read.
        main: the host's main log, which only the host makes; None: there is none.
    """

    def __init__(self, own: Path, main: Path | None) -> None:
        super().__init__()
        self._own = own
        self._main = main
        self.setFormatter(TerminalLogFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record``; drop it where neither file takes it."""
        try:
            line = self.format(record).encode("utf-8", "backslashreplace") + b"\n"
        except Exception:  # noqa: BLE001 - an event whose arguments do not fit its text
            return
        if self._main is None or not _is_appended(self._main, line, makes_it=False):
            _is_appended(self._own, line, makes_it=True)


def _is_appended(path: Path, line: bytes, *, makes_it: bool) -> bool:
    """Append a line in one write, so that the lines of several processes do not mix; return whether it is there."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | (os.O_CREAT if makes_it else os.O_NONBLOCK)
    try:
        descriptor = os.open(path, flags, _FILE_MODE)
    except (OSError, ValueError):
        return False
    try:
        if not makes_it and not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        return os.write(descriptor, line) == len(line)
    except OSError:
        return False
    finally:
        os.close(descriptor)


@contextmanager
def terminal_log(own: Path, main: Path | None = None) -> Iterator[None]:
    """Write what the plugins and the till log into a file while the context lasts; the file is appended to.

    Args:
        own: the file; it is made where it is missing.
        main: the host's main log: it is taken in the place of ``own`` as long as it is there.
    """
    with _logging_to(_LogFiles(own, main)):
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
