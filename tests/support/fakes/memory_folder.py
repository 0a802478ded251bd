"""A folder in memory, for work whose disk is not what is measured."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_MEMORY = Path("/dev/shm")  # noqa: S108 - memory is what is wanted
_ROOM_BYTES = 1_000_000_000


@contextmanager
def folder_in_memory() -> Iterator[Path]:
    """Yield a folder in memory, or on the disk where memory has no room."""
    is_roomy = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ROOM_BYTES
    with TemporaryDirectory(dir=_MEMORY if is_roomy else None) as folder:
        yield Path(folder)
