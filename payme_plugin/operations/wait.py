"""A wait in front of the cashier: in slices, with progress at least twice a second, until time is over or a stop.

A watch starts when the first request that can move money leaves; every limit of the operation is measured from there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.clock import Clock
    from payme_plugin.operations.host_guard import GuardedUi
    from payme_plugin.paymego.protocols import Pending

__all__ = ["CashierWait", "Limits"]

_SLICE_S = 0.4


@dataclass(frozen=True, slots=True)
class Limits:
    """The times of one operation, in seconds, from the settings.

    Attributes:
        timeout_s: one request (``timeout``).
        duration_s: the whole wait for the buyer (``payDuration``).
        frequency_s: from one question for the state to the next (``frequency``).
    """

    timeout_s: float
    duration_s: float
    frequency_s: float


class CashierWait:
    """The clock of one operation and the cashier's hand on it; without a ``ui`` nobody watches and nobody stops."""

    def __init__(self, clock: Clock, ui: GuardedUi | None, limits: Limits) -> None:
        self._clock = clock
        self._ui = ui
        self._limits = limits
        self._started: float | None = None
        self._shown_at: float | None = None
        self._acknowledged = False
        self._stopped = False

    @property
    def now(self) -> float:
        """The monotonic time."""
        return self._clock.monotonic()

    @property
    def ends(self) -> float:
        """When ``payDuration`` is over."""
        return (self.now if self._started is None else self._started) + self._limits.duration_s

    @property
    def left_s(self) -> float:
        """How much of ``payDuration`` is left, never below zero."""
        return max(0.0, self.ends - self.now)

    def start(self) -> None:
        """Start the clock; a second start changes nothing."""
        if self._started is None:
            self._started = self.now

    def has_stopped(self) -> bool:
        """Say whether the cashier has stopped the wait."""
        return self._stopped

    def acknowledge_stop(self) -> None:
        """Take note of the stop: what is still asked after it is waited for to its end."""
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
            text: what the cashier reads, from the seconds left.

        Returns:
            True when it is over; False when the cashier stopped first.
        """
        while not pending.wait(self._next_show()):
            if self._show(text):
                return False
        return True

    def pause_until(self, until: float, text: Callable[[float], str]) -> bool:
        """Wait until ``until``; return False when the cashier stopped first."""
        while self.now < until:
            self._clock.sleep(min(self._next_show(), until) - self.now)
            if self._show(text):
                return False
        return True

    def _next_show(self) -> float:
        # Counted from the last show, not from the beginning of this wait: many short waits are one long one.
        if self._shown_at is None:
            self._shown_at = self.now
        return max(self._shown_at + _SLICE_S, self.now)

    def _hard_deadline(self) -> float:
        started = self.now if self._started is None else self._started
        return started + max(self._limits.duration_s, self._limits.timeout_s)

    def _show(self, text: Callable[[float], str]) -> bool:
        self._shown_at = self.now
        if self._ui is None:
            return False
        elapsed_s = 0.0 if self._started is None else self.now - self._started
        if self._ui.progress(min(elapsed_s, self._limits.duration_s), self._limits.duration_s, text(self.left_s)):
            self._stopped = True
        return self._stopped and not self._acknowledged
