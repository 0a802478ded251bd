"""How old a payment is, where the clock on the wall may have been wrong when it was made.

The journal's lines are in the order in which they were written, whatever the clock showed. So a payment is no older
than any line before it, than its row says that it was paid, which is Payme's word wherever Payme said it, or than the
connection that wrote it, by the time that nobody can set; and none is older than this software.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow

__all__ = ["age_ms"]

_FIRST_PAYMENT_MS = 1_735_689_600_000
"""2025-01-01, UTC: before any payment of this software. A clock without its battery starts years before that."""

_LINES_BEFORE = 1000

_FIRST_LINE = "SELECT min(event_id) FROM event WHERE payment_id = ?"

_LATEST_BEFORE = """
SELECT max(at_ms) FROM (
    SELECT at_ms FROM event WHERE event_id < ? ORDER BY event_id DESC LIMIT ?
) WHERE at_ms <= ?
"""


def age_ms(journal: Journal, row: PaymentRow) -> int | None:
    """Return how long ago a payment was made, at most, in milliseconds; None where nothing tells.

    Raises:
        JournalError: the journal can't be read.
    """
    now = journal.now_ms()
    with journal.reading() as connection:
        (first,) = connection.execute(_FIRST_LINE, (row.payment_id,)).fetchone()
        (before,) = connection.execute(_LATEST_BEFORE, (first, _LINES_BEFORE, now)).fetchone()
    paid_at = row.paid_at if row.paid_at is not None and row.paid_at <= now else 0
    made_at = max(row.created_at, int(before or 0), paid_at)
    if made_at < _FIRST_PAYMENT_MS:
        return None
    lived_ms = None if first is None else journal.lived_ms_since(first)
    return now - made_at if lived_ms is None else min(now - made_at, lived_ms)
