"""The codes that left in a ``pay``: each is refused for an hour, whatever is done to the clock on the wall.

The row of a code has the time on the wall, which outlives the process; this process keeps beside it when it sent one
on a clock that nobody sets. How long ago an earlier process sent a code, the wall alone can say, and it may have been
set meanwhile: such a code is kept for an hour of this one. A buyer's code works once, so nothing is lost by asking for
another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from payme_plugin.ledger.errors import CodeAlreadySent, Damaged

if TYPE_CHECKING:
    import sqlite3

__all__ = ["CODE_MEMORY_MS", "LedgerClock", "SentCodes"]

CODE_MEMORY_MS = 3_600_000
"""How long a sent code is refused: one hour."""


class LedgerClock(Protocol):
    """The times that the journal needs: that of its rows, and one that nobody can set."""

    def wall_ms(self) -> int:
        """Return the time on the wall, Unix milliseconds."""
        ...

    def monotonic(self) -> float:
        """Return seconds from an arbitrary beginning."""
        ...


class SentCodes:
    """The sent codes of one connection to the journal; every ``connection`` below is inside its transaction."""

    def __init__(self, clock: LedgerClock) -> None:
        self._clock = clock
        self._opened_at_s = clock.monotonic()
        self._sent_at_s: dict[str, float] = {}

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
        sent_at_s = self._sent_at_s.get(fingerprint, self._opened_at_s)
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
        now = self._clock.monotonic()
        self._sent_at_s = {code: at for code, at in self._sent_at_s.items() if (now - at) * 1000 < CODE_MEMORY_MS}
        if freed is not None:
            self._sent_at_s.pop(freed, None)
        if sent is not None:
            self._sent_at_s[sent] = now
