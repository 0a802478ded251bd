"""Codes already sent to ``receipts.pay``: each is rejected for one hour, whatever the clock shows.

The row of a code has the wall time at which it was sent; it outlives the process. This process also keeps the latest
codes with the time on a clock that nobody sets. Only the wall clock tells how long ago an earlier process sent a code,
and it may have been set since. So such a code is rejected during the first hour of this process. Nothing is lost by
asking for another code, because a buyer's code works once.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import CodeAlreadySent, Damaged

if TYPE_CHECKING:
    import sqlite3

    from payme_plugin.clock import Clock

__all__ = ["CODE_MEMORY_MS", "SentCodes"]

CODE_MEMORY_MS = 3_600_000
"""How long a sent code is rejected: one hour."""

_KEPT = 250
"""How many codes are kept in memory, so that it does not grow with the sales.

A till that takes a payment every 15 s all day sends 240 in an hour. An older code is judged by the wall clock only.
"""


class SentCodes:
    """The sent codes of one connection to the journal.

    Each ``connection`` below is inside the journal's transaction, so one thread at a time is here.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opened_at_s = clock.monotonic()
        self._sent: deque[tuple[str, float]] = deque(maxlen=_KEPT)

    def is_sent(self, connection: sqlite3.Connection, fingerprint: str) -> bool:
        """Return whether a code was sent within the hour.

        Raises:
            Damaged: its row is invalid.
        """
        found = connection.execute("SELECT sent_at FROM code WHERE fingerprint = ?", (fingerprint,)).fetchone()
        if found is None:
            return False
        if not isinstance(found[0], int):
            message = "a code is invalid: its sent_at"
            raise Damaged(message)
        sent_at_s = next((at_s for code, at_s in reversed(self._sent) if code == fingerprint), self._opened_at_s)
        is_fresh = (self._clock.monotonic() - sent_at_s) * 1000 < CODE_MEMORY_MS
        return is_fresh or self._clock.wall_ms() - found[0] < CODE_MEMORY_MS

    def send(self, connection: sqlite3.Connection, fingerprint: str, payment_id: str) -> None:
        """Store that a code is about to be sent.

        Raises:
            CodeAlreadySent: it was sent within the hour.
            Damaged: its row is invalid.
        """
        if self.is_sent(connection, fingerprint):
            message = "the code was sent in a payment within the hour"
            raise CodeAlreadySent(message)
        connection.execute(
            "INSERT OR REPLACE INTO code (fingerprint, payment_id, sent_at) VALUES (?, ?, ?)",
            (fingerprint, payment_id, self._clock.wall_ms()),
        )
        # If the commit fails, or the code is released later, it has no row, and this entry has no effect.
        self._sent.append((fingerprint, self._clock.monotonic()))

    @staticmethod
    def release(connection: sqlite3.Connection, fingerprint: str, payment_id: str) -> None:
        """Delete a code of this payment that was certainly not sent."""
        connection.execute("DELETE FROM code WHERE payment_id = ? AND fingerprint = ?", (payment_id, fingerprint))
