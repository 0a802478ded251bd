"""The codes that left in a ``pay``: each is refused for an hour, whatever is done to the clock on the wall.

The row of a code has the time on the wall, which outlives the process; this process keeps beside it when it sent one
on a clock that nobody sets. How long ago an earlier process sent a code, the wall alone can say, and it may have been
set meanwhile: such a code is kept for an hour of this one. A buyer's code works once, so nothing is lost by asking for
another.
"""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import CodeAlreadySent, Damaged

if TYPE_CHECKING:
    import sqlite3

    from payme_plugin.clock import Clock

__all__ = ["CODE_MEMORY_MS", "FINGERPRINT_BYTES", "SentCodes"]

CODE_MEMORY_MS = 3_600_000
"""How long a sent code is refused: one hour."""

FINGERPRINT_BYTES = 16
"""How long a fingerprint is."""


class SentCodes:
    """The sent codes of one connection to the journal; every ``connection`` below is inside its transaction.

    A fingerprint is 16 bytes in hexadecimal. What is kept of one in memory is those bytes and a time, one after the
    other: a till that sells without a pause keeps an hour of them. Any thread may use it.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._opened_at_s = clock.monotonic()
        # What is remembered is told after the commit, outside the lock of the connection.
        self._lock = threading.Lock()
        self._codes = bytearray()
        self._sent_at_s = array("d")

    def is_sent(self, connection: sqlite3.Connection, fingerprint: str) -> bool:
        """Say whether a code left within the hour.

        Raises:
            Damaged: its row makes no sense.
        """
        found = connection.execute("SELECT sent_at FROM code WHERE fingerprint = ?", (fingerprint,)).fetchone()
        if found is None:
            return False
        if not isinstance(found[0], int):
            message = "a code makes no sense: its sent_at"
            raise Damaged(message)
        with self._lock:
            number = self._number_of(fingerprint)
            sent_at_s = self._opened_at_s if number is None else self._sent_at_s[number]
        is_fresh = (self._clock.monotonic() - sent_at_s) * 1000 < CODE_MEMORY_MS
        return is_fresh or self._clock.wall_ms() - found[0] < CODE_MEMORY_MS

    def send(self, connection: sqlite3.Connection, fingerprint: str, payment_id: str) -> None:
        """Store that a code is about to leave; ``remember`` it once that is durable.

        Raises:
            CodeAlreadySent: it left within the hour.
            Damaged: its row makes no sense.
        """
        if self.is_sent(connection, fingerprint):
            message = "the code left in a payment within the hour"
            raise CodeAlreadySent(message)
        connection.execute(
            "INSERT OR REPLACE INTO code (fingerprint, payment_id, sent_at) VALUES (?, ?, ?)",
            (fingerprint, payment_id, self._clock.wall_ms()),
        )

    @staticmethod
    def free(connection: sqlite3.Connection, fingerprint: str, payment_id: str) -> None:
        """Forget a code of this payment that certainly did not leave."""
        connection.execute("DELETE FROM code WHERE payment_id = ? AND fingerprint = ?", (payment_id, fingerprint))

    def remember(self, *, sent: str | None, freed: str | None) -> None:
        """Keep when a code left on a clock that nobody sets, and forget one that did not leave; both are durable."""
        with self._lock:
            now = self._clock.monotonic()
            self._forget(0, bisect_right(self._sent_at_s, now - CODE_MEMORY_MS / 1000))
            number = None if freed is None else self._number_of(freed)
            if number is not None:
                self._forget(number, number + 1)
            if sent is not None:
                self._codes += bytes.fromhex(sent)
                self._sent_at_s.append(now)

    def _number_of(self, fingerprint: str) -> int | None:
        """Return the number of the latest sending of a code, or None."""
        code = bytes.fromhex(fingerprint)
        at = self._codes.rfind(code)
        while at >= 0 and at % FINGERPRINT_BYTES:
            at = self._codes.rfind(code, 0, at + len(code) - 1)
        return None if at < 0 else at // FINGERPRINT_BYTES

    def _forget(self, first: int, end: int) -> None:
        del self._codes[first * FINGERPRINT_BYTES : end * FINGERPRINT_BYTES]
        del self._sent_at_s[first:end]
