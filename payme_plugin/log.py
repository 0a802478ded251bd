"""The plugin's log: an exception of a handler never becomes the result of a hook.

The standard handlers swallow most of their own errors, but not all: one that reopens its file for each line raises if
the folder is gone.
"""

from __future__ import annotations

import contextlib
import logging

from payme_plugin import PLUGIN_NAME

LOGGER_NAME = PLUGIN_NAME

_CALLERS_FRAME = 3
"""``stacklevel`` that skips ``_write`` and the method of the level."""


class Log:
    """Write to a logger, by default the plugin's, and ignore what its handlers raise."""

    def __init__(self, logger: logging.Logger | None = None) -> None:
        self._logger = logger or logging.getLogger(LOGGER_NAME)

    def info(self, form: str, *details: object) -> None:
        """Log something expected."""
        self._write(logging.INFO, form, details)

    def warning(self, form: str, *details: object) -> None:
        """Log something that may need attention."""
        self._write(logging.WARNING, form, details)

    def error(self, form: str, *details: object) -> None:
        """Log something that needs attention."""
        self._write(logging.ERROR, form, details)

    def _write(self, level: int, form: str, details: tuple[object, ...]) -> None:
        with contextlib.suppress(Exception):
            self._logger.log(level, form, *details, stacklevel=_CALLERS_FRAME)
