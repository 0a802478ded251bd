"""Whether an open journal is still where it was opened: who deletes or moves its files stops no process that has them.

A file that has no name any more takes every commit and loses it with the process. The files are only looked at, never
opened: to close one again would take away every lock that SQLite holds on it for this process
(https://sqlite.org/howtocorrupt.html, section 2.2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Moved
from payme_plugin.ledger.sqlite_errors import translated

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Place"]

_PARTS = ("", "-wal", "-shm")
_ADVICE = "while it was open; put it back or restart the till"


class Place:
    """The files of a journal that was just opened and read: the database, its log and the log's index."""

    def __init__(self, path: Path) -> None:
        """Remember which files have the names now.

        Raises:
            Unwritable: they can't be looked at.
        """
        with translated():
            files = [path.with_name(path.name + part) for part in _PARTS]
            self._opened = {file: found for file in files if (found := _found_at(file)) is not None}

    def require(self) -> None:
        """Make sure that the same files have the names still.

        Raises:
            Moved: one of them was deleted, moved or replaced.
            Unwritable: they can't be looked at.
        """
        for file, opened in self._opened.items():
            with translated():
                found = _found_at(file)
            if found != opened:
                what = "deleted or moved" if found is None else "replaced"
                message = f"{file} was {what} {_ADVICE}"
                raise Moved(message, is_replaced=found is not None)


def _found_at(file: Path) -> tuple[int, int] | None:
    """Return which file has a name: its disk and its number there; None: there is none."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino
