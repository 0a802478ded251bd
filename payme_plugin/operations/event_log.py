"""The story of a payment while it runs: lines that the next commit stores beside its transition.

A line costs no commit of its own: what is told after the last one rides on whatever is stored next.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.ledger.rows import Note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.clock import Clock

__all__ = ["EventLog"]


@dataclass(slots=True)
class _Line:
    at_ms: int
    text: str
    count: int = 1


class EventLog:
    """Lines not yet stored. A request with the same answer again and again, as by polling, is told with a count.

    The line of a request that moves money is stored before it leaves: ``request_line`` gives it for that commit,
    ``stored_before`` says that the commit was made.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lines: list[_Line] = []
        self._stored: str | None = None

    def ask(self, method: str) -> None:
        """Add the line of a request that begins, unless it is stored already."""
        stored, self._stored = self._stored, None
        if stored != method:
            self.tell(_request(method))

    def request_line(self, method: str) -> Note:
        """Return the line of a request that leaves when the commit with it is durable."""
        return Note(at_ms=self._clock.wall_ms(), text=_request(method))

    def stored_before(self, method: str) -> None:
        """Forget the lines: they are stored, and so is that of the request, which leaves next."""
        self._lines.clear()
        self._stored = method

    def tell(self, text: str) -> None:
        """Add a line; it must hold no secret."""
        lines = self._lines
        if lines and lines[-1].text == text:
            lines[-1].count += 1
            return
        lines.append(_Line(self._clock.wall_ms(), text))
        if [line.text for line in lines[-4:-2]] == [line.text for line in lines[-2:]]:
            del lines[-2:]
            lines[-1].count += 1

    @property
    def last(self) -> str:
        """The last line that is not yet stored, or an empty text."""
        return self._lines[-1].text if self._lines else ""

    @property
    def notes(self) -> Sequence[Note]:
        """The lines for a commit."""
        return [
            Note(at_ms=line.at_ms, text=line.text if line.count == 1 else f"{line.text} ({line.count} times)")
            for line in self._lines
        ]

    def take(self) -> Sequence[Note]:
        """Return the lines for a commit and forget them."""
        notes = self.notes
        self._lines.clear()
        return notes


def _request(method: str) -> str:
    return f"request {method}"
