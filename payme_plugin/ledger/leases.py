"""Locks of the operating system: one per row that is being worked on, and one for the process that decides.

They die with whoever holds them, whatever kills it, and no clock is asked. A lease is a lock on one byte of one file,
bound to the open file (an *open file description lock*), so that threads and processes exclude each other alike.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin.ledger.locks import lock_bytes
from payme_plugin.ledger.sqlite_errors import translated

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["DECIDER", "FILE_NAME", "Leases"]

FILE_NAME = "leases"

DECIDER = 0
"""The byte of the owner lock: who holds it decides about unfinished payments. Rows have the bytes from 1 on."""

_FILE_MODE = 0o600


class Leases:
    """The locks of one journal."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / FILE_NAME

    @contextmanager
    def hold(self, number: int) -> Iterator[bool]:
        """Yield whether the lease of this number was free and is held now, until the end of the block.

        Raises:
            Unwritable: the folder can't be written.
        """
        with translated():
            file = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, _FILE_MODE)
        try:
            with translated():
                is_ours = lock_bytes(file, number)
            yield is_ours
        finally:
            os.close(file)
