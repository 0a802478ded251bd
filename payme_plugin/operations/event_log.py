"""Events of a running payment: what was asked and answered, stored with the next transition.

An event costs no commit of its own. What is added after the last transition is stored with the next commit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.ledger.rows import Event
from payme_plugin.ledger.states import EventKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.clock import Clock

__all__ = ["EventLog"]


@dataclass(slots=True)
class _Event:
    at_ms: int
    kind: EventKind
    text: str
    count: int = 1


class EventLog:
    """Events that are not stored yet.

    A request that gets the same answer again, as in polling, only adds to a count.

    The event of a request that moves money is stored before the request leaves: ``request_event`` returns it for that
    commit, ``mark_request_stored`` says that the commit was made.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: list[_Event] = []
        self._stored_request: str | None = None

    def add_request(self, method: str) -> None:
        """Add the event of a request that begins, unless it is stored already."""
        stored, self._stored_request = self._stored_request, None
        if stored != method:
            self._add(EventKind.REQUEST, f"request {method}")

    def request_event(self, method: str) -> Event:
        """Return the event of a request that leaves once the commit with this event is durable."""
        return Event(at_ms=self._clock.wall_ms(), kind=EventKind.REQUEST, text=f"request {method}")

    def mark_request_stored(self, method: str) -> None:
        """Forget the events: they are stored, and so is the event of the request that leaves next."""
        self._events.clear()
        self._stored_request = method

    def add_answer(self, text: str) -> None:
        """Add the event of what came of a request; its text must hold no secret."""
        self._add(EventKind.ANSWER, text)

    def _add(self, kind: EventKind, text: str) -> None:
        events = self._events
        if events and events[-1].text == text:
            events[-1].count += 1
            return
        events.append(_Event(self._clock.wall_ms(), kind, text))
        if [event.text for event in events[-4:-2]] == [event.text for event in events[-2:]]:
            del events[-2:]
            events[-1].count += 1

    @property
    def last(self) -> str:
        """The text of the last event that is not stored yet, or an empty text."""
        return self._events[-1].text if self._events else ""

    @property
    def unstored(self) -> Sequence[Event]:
        """The events for a commit."""
        return [
            Event(
                at_ms=event.at_ms,
                kind=event.kind,
                text=event.text if event.count == 1 else f"{event.text} ({event.count} times)",
            )
            for event in self._events
        ]

    def take(self) -> Sequence[Event]:
        """Return the events for a commit and forget them."""
        unstored = self.unstored
        self._events.clear()
        return unstored
