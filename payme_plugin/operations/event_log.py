"""Events of a running payment: what was asked and answered, stored with the next transition.

An event costs no commit of its own. What is added after the last transition is stored with the next commit.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

from payme_plugin.ledger.rows import Event
from payme_plugin.ledger.states import EventKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.clock import Clock


class EventLog:
    """Events that are not stored yet.

    Every request has the event of what came of it; one that equals the event before it, as in polling, only adds to a
    count. A request that creates a receipt or moves money has an event of its own when it begins. If it moves money,
    ``request_event`` returns that event for the commit that precedes the request.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._events: list[Event] = []

    def request_event(self, method: str) -> Event:
        """Return the event of a request that leaves once the commit with this event is durable."""
        return Event(at_ms=self._clock.wall_ms(), kind=EventKind.REQUEST, text=f"request {method}")

    def add_request(self, method: str) -> None:
        """Add the event of a request that begins."""
        self._events.append(self.request_event(method))

    def add_answer(self, text: str) -> None:
        """Add the event of what came of a request; its text must hold no secret."""
        self._events.append(Event(at_ms=self._clock.wall_ms(), kind=EventKind.ANSWER, text=text))

    @property
    def last(self) -> str:
        """The text of the last event that is not stored yet, or an empty text."""
        return self._events[-1].text if self._events else ""

    @property
    def unstored(self) -> Sequence[Event]:
        """The events for a commit."""
        runs = [list(run) for _, run in groupby(self._events, lambda event: event.text)]
        return [
            first if not same else first._replace(text=f"{first.text} ({len(same) + 1} times)") for first, *same in runs
        ]

    def take(self) -> Sequence[Event]:
        """Return the events for a commit and forget them."""
        unstored = self.unstored
        self._events.clear()
        return unstored
