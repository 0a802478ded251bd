"""Which process decides about the payments of a folder: the one that holds the journal's owner lock."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.locks import LEADER

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.clock import Clock
    from payme_plugin.ledger.locks import Leases

__all__ = ["LeaderLock"]

_FORMER_PROCESS_S = 120.0
"""A process of this till that is being stopped lives on for less than this; one that lives longer is another till."""


class LeaderLock:
    """This process as the one that may decide. Any thread may use it.

    Args:
        leases: gives the locks of the journal; raises ``Unavailable`` where it is not open.
        clock: time.
    """

    def __init__(self, leases: Callable[[], Leases], clock: Clock) -> None:
        self._leases = leases
        self._clock = clock
        self._lock = threading.Lock()
        self._held = contextlib.ExitStack()
        self._is_decider = False
        self._is_released = False
        self._met_another_at: float | None = None
        self._lived_beside_another = False

    @property
    def is_decider(self) -> bool:
        """Say whether it decides already."""
        return self._is_decider

    @property
    def lived_beside_another(self) -> bool:
        """Say whether another till decided here while this process lived.

        Then the folder may hold payments of that till, and this one's host can't know of them.
        """
        return self._lived_beside_another

    def decides(self) -> bool:
        """Become the one that decides, if no other process is; it stays so until ``release``.

        Raises:
            Unavailable: the folder can't be written, or this process has stopped.
        """
        with self._lock:
            if self._is_released:
                message = "the till has stopped"
                raise Unavailable(message)
            if not self._is_decider:
                self._is_decider = self._held.enter_context(self._leases().try_acquire(LEADER))
                self._note_whom_it_met()
            return self._is_decider

    def release(self) -> None:
        """Let another process decide, for good."""
        with self._lock:
            self._is_released = True
            self._is_decider = False
            self._held.close()

    def _note_whom_it_met(self) -> None:
        now = self._clock.monotonic()
        if self._is_decider:
            met_at = self._met_another_at
            self._lived_beside_another = met_at is not None and now - met_at >= _FORMER_PROCESS_S
            return
        self._held.close()
        if self._met_another_at is None:
            self._met_another_at = now
