"""Wait for a request or a pause, with progress at least twice a second, until the deadline or a stop.

The clock starts when the first request that can move money is sent. All limits of the operation count from then.
"""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.clock import Clock
    from payme_plugin.operations.context import Limits
    from payme_plugin.operations.host_guard import GuardedUi
    from payme_plugin.paymego.protocols import Pending

_SLICE_S = 0.4
_EARLY_S = (0.5, 1.5, 3.5, 7.5)
"""Since the first poll: after pauses of 0.5, 1, 2 and 4 s."""


def next_poll(begun_at: float, polled_at: float, now: float, limits: Limits) -> float:
    """Return when to poll next: at the next multiple of ``frequency`` since the first poll.

    With early polling there are up to four polls more before the first multiple. If an early answer came only after it,
    that one is made late, and not skipped.

    Args:
        begun_at: the monotonic time of the first poll.
        polled_at: that of the last poll.
        now: the monotonic time.
        limits: the times of the operation.
    """
    frequency_s = limits.frequency_s
    first = begun_at + frequency_s
    if limits.early_polling and polled_at < first:
        early = (begun_at + early_s for early_s in _EARLY_S if early_s < frequency_s)
        return next((at for at in early if at > now), first)
    # Answers slower than the frequency skip their turns instead of piling up.
    turns = count(max(1, int((now - begun_at) / frequency_s)))
    return next(at for at in (begun_at + turn * frequency_s for turn in turns) if at > now)


class CashierWait:
    """The deadline, progress and stop of one operation; without ``ui`` there is only the deadline."""

    def __init__(self, clock: Clock, ui: GuardedUi | None, limits: Limits) -> None:
        self._clock = clock
        self._ui = ui
        self._limits = limits
        self._started_at: float | None = None
        self._reported_at: float | None = None
        self._stopped = False
        self._stop_ignored = False

    @property
    def now(self) -> float:
        """The monotonic time."""
        return self._clock.monotonic()

    @property
    def ends(self) -> float:
        """When ``payDuration`` is over."""
        return self._start + self._limits.duration_s

    @property
    def left_s(self) -> float:
        """The seconds of ``payDuration`` that are left, at least 0."""
        return max(0.0, self.ends - self.now)

    def start(self) -> None:
        """Start the clock unless it has started."""
        if self._started_at is None:
            self._started_at = self.now

    def has_stopped(self) -> bool:
        """Return whether the cashier has stopped the wait."""
        return self._stopped

    def ignore_stop(self) -> None:
        """Let no later wait end because of this stop."""
        self._stop_ignored = True

    def request_limit(self) -> float:
        """Return the deadline of a request that begins now; one query fits after it.

        The deadline is ``timeout`` from now, but not beyond max(``payDuration``, ``timeout``) from the start.
        """
        return min(self.now + self._limits.timeout_s, self._hard_deadline())

    def query_limit(self) -> float:
        """Return the deadline of a query that begins now: up to one ``timeout`` after that of requests."""
        return min(self.now + self._limits.timeout_s, self._hard_deadline() + self._limits.timeout_s)

    def wait_for(self, pending: Pending, text: Callable[[float], str]) -> bool:
        """Wait for a request.

        Args:
            pending: the request.
            text: returns the progress text for the seconds left.

        Returns:
            True if the request ended; False if the cashier stopped first.
        """
        while not pending.wait(self._next_report()):
            if self.report(text):
                return False
        return True

    def pause_until(self, until: float, text: Callable[[float], str]) -> bool:
        """Wait until the monotonic time ``until``; return False if the cashier stopped first."""
        while self.now < until:
            self._clock.sleep(min(self._next_report(), until) - self.now)
            if self.report(text):
                return False
        return True

    def report(self, text: Callable[[float], str]) -> bool:
        """Show the progress; return whether the cashier has stopped the wait."""
        self._reported_at = self.now
        if self._ui is None:
            return False
        total_s = self._limits.duration_s
        elapsed_s = 0.0 if self._started_at is None else self.now - self._started_at
        if self._ui.progress(min(elapsed_s, total_s), total_s, text(self.left_s)):
            self._stopped = True
        return self._stopped and not self._stop_ignored

    @property
    def _start(self) -> float:
        return self.now if self._started_at is None else self._started_at

    def _hard_deadline(self) -> float:
        return self._start + max(self._limits.duration_s, self._limits.timeout_s)

    def _next_report(self) -> float:
        # Counted from the last report, not from the start of this wait, because many short waits follow each other.
        if self._reported_at is None:
            self._reported_at = self.now
        return max(self._reported_at + _SLICE_S, self.now)
