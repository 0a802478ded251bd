"""A wait in front of the cashier: in slices, with progress at least twice a second, until time is over or a stop.

The clock starts when the first request that can move money leaves. Every limit of the operation counts from there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.clock import Clock
    from payme_plugin.operations.context import Limits
    from payme_plugin.operations.host_guard import GuardedUi
    from payme_plugin.paymego.protocols import Pending

__all__ = ["CashierWait"]

_SLICE_S = 0.4


class CashierWait:
    """Deadline and cashier's stop of one operation. Without a ``ui`` there is no progress and no stop."""

    def __init__(self, clock: Clock, ui: GuardedUi | None, limits: Limits) -> None:
        self._clock = clock
        self._ui = ui
        self._limits = limits
        self._started_at: float | None = None
        self._reported_at: float | None = None
        self._stopped = False
        self._acknowledged = False

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
        """How much of ``payDuration`` is left, never below zero."""
        return max(0.0, self.ends - self.now)

    def start(self) -> None:
        """Start the clock; a second start changes nothing."""
        if self._started_at is None:
            self._started_at = self.now

    def has_stopped(self) -> bool:
        """Return whether the cashier has stopped the wait."""
        return self._stopped

    def acknowledge_stop(self) -> None:
        """Let the requests after the stop run to their end."""
        self._acknowledged = True

    def request_limit(self) -> float:
        """Return when a request that begins now must be over, so that one question for the state still fits after it.

        It is ``timeout`` from now, but not beyond max(``payDuration``, ``timeout``) from the start.
        """
        return min(self.now + self._limits.timeout_s, self._hard_deadline())

    def question_limit(self) -> float:
        """Return when the last question for the state must be over: one ``timeout`` beyond the limit of requests."""
        return min(self.now + self._limits.timeout_s, self._hard_deadline() + self._limits.timeout_s)

    def wait_for(self, pending: Pending, text: Callable[[float], str]) -> bool:
        """Wait for a request.

        Args:
            pending: the request.
            text: returns what the cashier reads, from the seconds left.

        Returns:
            True when it is over; False if the cashier stopped first.
        """
        while not pending.wait(self._next_report()):
            if self._report_progress(text):
                return False
        return True

    def pause_until(self, until: float, text: Callable[[float], str]) -> bool:
        """Wait until ``until``; return False if the cashier stopped first."""
        while self.now < until:
            self._clock.sleep(min(self._next_report(), until) - self.now)
            if self._report_progress(text):
                return False
        return True

    @property
    def _start(self) -> float:
        return self.now if self._started_at is None else self._started_at

    def _hard_deadline(self) -> float:
        return self._start + max(self._limits.duration_s, self._limits.timeout_s)

    def _next_report(self) -> float:
        # Counted from the last report, not from the beginning of this wait: many short waits are one long wait.
        if self._reported_at is None:
            self._reported_at = self.now
        return max(self._reported_at + _SLICE_S, self.now)

    def _report_progress(self, text: Callable[[float], str]) -> bool:
        """Show the progress; return whether the wait is over because the cashier stopped it."""
        self._reported_at = self.now
        if self._ui is None:
            return False
        total_s = self._limits.duration_s
        elapsed_s = 0.0 if self._started_at is None else self.now - self._started_at
        if self._ui.progress(min(elapsed_s, total_s), total_s, text(self.left_s)):
            self._stopped = True
        return self._stopped and not self._acknowledged
