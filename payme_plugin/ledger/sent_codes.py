"""Which buyers' codes were sent in the last hour."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import CodeAlreadySent, Damaged

if TYPE_CHECKING:
    import sqlite3

    from payme_plugin.clock import Clock

CODE_MEMORY_MS = 3_600_000
"""How long a sent code is rejected: one hour."""

_MAX_REMEMBERED = 250
"""How many codes are kept in memory, so that it does not grow with the number of sales.

A till that takes a payment every 15 s all day sends 240 in an hour. For an older code only the wall clock counts.
"""


class SentCodes:
    """Codes sent to ``receipts.pay``: each is rejected for one hour, even if the clock is set.

    The row of a code has the wall time at which it was sent. This process also keeps the monotonic time of the latest
    codes. For a code of an earlier process only the wall time is known, and the clock may have been set since. So such
    a code is rejected during the first hour of this process too. That does no harm, because a buyer's code works once.

    Each ``connection`` is in a transaction of the journal, so only one thread at a time calls these methods.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opened_at_s = clock.monotonic()
        self._sent: deque[tuple[str, float]] = deque(maxlen=_MAX_REMEMBERED)

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
