"""Where the command logs: into the main log of an Artix till where that is there, else into the data folder's."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from payme_plugin.till import terminal_log

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

__all__ = ["MAIN_LOG", "command_log", "has_log", "log_path"]

MAIN_LOG = Path("/linuxcash/logs/current/terminal.log")
"""The main log of an Artix till; the till makes it, nobody else."""

_NAME = "terminal.log"


def command_log(folder: Path) -> AbstractContextManager[None]:
    """Return what logs into the main log or, while that is not there, into the one of ``folder``, which is made."""
    return terminal_log(folder / _NAME, main=MAIN_LOG)


def log_path(folder: Path) -> Path:
    """Return the file that ``command_log`` writes to now."""
    return MAIN_LOG if MAIN_LOG.is_file() and os.access(MAIN_LOG, os.W_OK) else folder / _NAME


def has_log(folder: Path) -> bool:
    """Say whether there is a log already that ``command_log`` writes to."""
    return log_path(folder).exists()
