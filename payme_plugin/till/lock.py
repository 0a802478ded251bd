"""One till does one thing at a time: a lock on its folder that dies with the process."""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin.till.errors import FolderUnusable, TillBusy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["locked"]

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder`` for this process; it is made where it is missing.

    Raises:
        FolderUnusable: it can't be made or written.
        TillBusy: another process holds it.
    """
    try:
        folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        descriptor = os.open(folder / "till.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"the till's folder can't be used: {folder}: {reason}. Name one that this user may write."
        raise FolderUnusable(message) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            message = f"another command works at the till in {folder}; wait until it has ended."
            raise TillBusy(message) from error
        yield
    finally:
        os.close(descriptor)
