"""Sync a folder, so that its file names survive a power cut."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Sync ``folder``: files that were created, renamed or deleted in it stay so after a power cut.

    Raises:
        OSError: the folder can't be opened for reading, or the disk fails.
    """
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
