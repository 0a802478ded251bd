"""Time that a test owns: it passes only where somebody waits, and what is due meanwhile happens at its moment."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

BEGINNING_MS = 1_767_225_600_000
"""Unix milliseconds at second zero: the first of January 2026, UTC."""


class VirtualClock:
    """A ``payme_plugin.clock.Clock`` on virtual time, and the calendar of whatever happens on it.

    The monotonic second is the one true time. The till's wall clock follows it and may be set; Payme's may not.
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        self._slept_s = 0.0
        self._wall_offset_ms = BEGINNING_MS
        self._calendar: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()

    def monotonic(self) -> float:
        """Return the virtual second."""
        return self._now_s

    def wall_ms(self) -> int:
        """Return what the till's clock on the wall shows, Unix milliseconds."""
        return self._wall_offset_ms + round((self._now_s + self._slept_s) * 1000)

    def true_ms(self) -> int:
        """Return what a clock that nobody ever set would show, Unix milliseconds."""
        return BEGINNING_MS + round((self._now_s + self._slept_s) * 1000)

    def suspend(self, duration_s: float) -> None:
        """Let the machine sleep, and nothing happen meanwhile."""
        self._slept_s += duration_s

    def set_wall(self, by_ms: int) -> None:
        """Set the till's clock on the wall forward, or back below zero."""
        self._wall_offset_ms += by_ms

    def sleep(self, duration_s: float) -> None:
        """Let ``duration_s`` pass."""
        self.pass_until(self._now_s + max(0.0, duration_s))

    def at(self, second: float, action: Callable[[], None]) -> None:
        """Have ``action`` happen at a second, or as soon as time passes where that is over."""
        heapq.heappush(self._calendar, (second, next(self._order), action))

    def pass_until(self, second: float) -> None:
        """Let time pass until ``second``, and everything happen that is due by then."""
        while self._calendar and self._calendar[0][0] <= second:
            self._happen()
        self._now_s = max(self._now_s, second)

    def pass_to_next(self, limit: float) -> None:
        """Let time pass until the next thing has happened, at most until ``limit``."""
        if self._calendar and self._calendar[0][0] <= limit:
            self._happen()
        else:
            self._now_s = max(self._now_s, limit)

    def _happen(self) -> None:
        second, _, action = heapq.heappop(self._calendar)
        self._now_s = max(self._now_s, second)
        action()
