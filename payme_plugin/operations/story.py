"""The story of a payment while it runs: lines that the next commit stores beside its transition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.rows import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.clock import Clock

__all__ = ["Story"]


class Story:
    """Lines not yet stored. A line told again and again, as by polling, becomes one line with a count."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: list[tuple[int, str, int]] = []

    def tell(self, text: str) -> None:
        """Add a line; it must hold no secret."""
        if self._lines and self._lines[-1][1] == text:
            at_ms, _, count = self._lines[-1]
            self._lines[-1] = (at_ms, text, count + 1)
        else:
            self._lines.append((self._clock.wall_ms(), text, 1))

    @property
    def last(self) -> str:
        """The last line that is not yet stored, or an empty text."""
        return self._lines[-1][1] if self._lines else ""

    def take(self) -> Sequence[Note]:
        """Return the lines for a commit and forget them."""
        notes = [
            Note(at_ms=at_ms, text=text if count == 1 else f"{text} ({count} times)")
            for at_ms, text, count in self._lines
        ]
        self._lines.clear()
        return notes
