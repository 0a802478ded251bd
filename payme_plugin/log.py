"""The plugin's log: what a handler of the host's raises never becomes the outcome of a hook.

The standard handlers swallow their own faults, but not all of them all: one that opens its file anew for each line
raises where the file's folder is gone.
"""

from __future__ import annotations

import contextlib
import logging

__all__ = ["LOGGER_NAME", "Log"]

LOGGER_NAME = "payme"

_CALLERS_FRAME = 3
"""From the logger up: ``_write``, the method of the level, and the line that a record is said to come from."""


class Log:
    """Writes to a logger, ``payme`` unless another is given; what its handlers raise is ignored."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger(LOGGER_NAME)

    def is_enabled_for(self, level: int) -> bool:
        """Return whether a line of ``level`` would be written."""
        return self._logger.isEnabledFor(level)

    def info(self, form: str, *details: object) -> None:
        """Write what happened as it should."""
        self._write(logging.INFO, form, details)

    def warning(self, form: str, *details: object) -> None:
        """Write what a person should look at some time."""
        self._write(logging.WARNING, form, details)

    def error(self, form: str, *details: object) -> None:
        """Write what a person must look at."""
        self._write(logging.ERROR, form, details)

    def _write(self, level: int, form: str, details: tuple[object, ...]) -> None:
        with contextlib.suppress(Exception):
            self._logger.log(level, form, *details, stacklevel=_CALLERS_FRAME)
