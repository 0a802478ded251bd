"""The till's log: each event is one line, ``2026-01-31 12:34:56,789 INFO  payme  - text``.

The layout is that of the Artix till's main log, which a library of the log4j family writes: the level in five columns
with that family's names, the logger, two spaces and a hyphen. Source: log files of Artix tills.
"""

from __future__ import annotations

import logging
import os
from contextlib import contextmanager, suppress
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING

from payme_plugin import PLUGIN_NAME
from payme_plugin.locale import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from io import TextIOWrapper
    from pathlib import Path

_LOGGERS = (PLUGIN_NAME, "pos")
_FILE_MODE = 0o640
_LEVEL_NAMES = {"WARNING": "WARN", "CRITICAL": "FATAL"}


class TerminalLogFormatter(logging.Formatter):
    """Format an event as one line; line breaks, control characters and bidirectional marks in it are escaped."""

    default_time_format = "%Y-%m-%d %H:%M:%S"
    default_msec_format = "%s,%03d"

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(level)-5s %(name)s  - %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return ``record`` as one line."""
        record.level = _LEVEL_NAMES.get(record.levelname, record.levelname)
        return escaped(super().format(record))


class _TerminalLog(WatchedFileHandler):
    """Append to the host's main log while it exists, else to our own file. A log that fails never stops a sale.

    Args:
        own: our own file, made with the first event, not readable for others.
        main: the host's main log, which only the host makes; None: there is none.
    """

    def __init__(self, own: Path, main: Path | None) -> None:
        super().__init__(own, encoding="utf-8", errors="backslashreplace", delay=True)
        self._own = self.baseFilename
        self._main = main
        self.setFormatter(TerminalLogFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Write ``record`` into the first of the two files that can be opened; drop it if neither can."""
        # Path.is_file raises where the folder may not be entered.
        has_main = self._main is not None and os.path.isfile(self._main)  # noqa: PTH113
        for path in ([str(self._main)] if has_main else []) + [self._own]:
            self.baseFilename = path
            with suppress(OSError):
                super().emit(record)
                break

    def _open(self) -> TextIOWrapper:
        makes_it = os.O_CREAT if self.baseFilename == self._own else 0
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | makes_it, _FILE_MODE)
        return os.fdopen(descriptor, "a", encoding=self.encoding, errors=self.errors)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Drop an event that can't be formatted or written."""


def terminal_log(own: Path, main: Path | None = None) -> AbstractContextManager[None]:
    """Log what the plugins and the till log into a file while the context lasts.

    Args:
        own: the file; it is appended to, and made if it is missing.
        main: the host's main log, which is used instead while it exists.
    """
    return _logging_to(_TerminalLog(own, main))


def stderr_log() -> AbstractContextManager[None]:
    """Write the same lines to stderr while the context lasts."""
    handler = logging.StreamHandler()
    handler.setFormatter(TerminalLogFormatter())
    return _logging_to(handler)


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
        with suppress(OSError):
            handler.close()
