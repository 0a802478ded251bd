"""Looks at the files that settings come from, and can tell later whether a second look would see the same."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.conf_file import Content, read_bounded

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Looks", "Trouble"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A file that can't be read.

    Attributes:
        missing: there is no such file.
        explanation: why, in the system's words.
    """

    missing: bool
    explanation: str


class Looks:
    """Remembers what each look saw.

    Whole contents are compared: a time stamp and a size can stay the same over a change.
    """

    def __init__(self) -> None:
        self._read: dict[tuple[Path, int], Content | Trouble] = {}
        self._there: dict[Path, bool] = {}

    def read(self, path: Path, limit: int) -> Content | Trouble:
        """Return what a file holds, or why it can't be read; more than ``limit`` bytes can't."""
        return self._read.setdefault((path, limit), _look(path, limit))

    def is_there(self, path: Path) -> bool:
        """Return whether ``path`` names a file."""
        return self._there.setdefault(path, _is_there(path))

    def has_read(self, path: Path) -> bool:
        """Return whether a look could read what ``path`` names."""
        return any(asked == path and isinstance(seen, Content) for (asked, _), seen in self._read.items())

    def would_repeat(self) -> bool:
        """Return whether every look, taken again, would see the same."""
        return all(_look(*asked) == seen for asked, seen in self._read.items()) and all(
            _is_there(path) is seen for path, seen in self._there.items()
        )


def _look(path: Path, limit: int) -> Content | Trouble:
    try:
        return read_bounded(path, limit)
    except (FileNotFoundError, NotADirectoryError) as error:
        return Trouble(missing=True, explanation=str(error.strerror))
    except OSError as error:
        return Trouble(missing=False, explanation=str(error.strerror))


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
