"""Finished payments are forgotten after ``keepDays``; what is unfinished or still owes something never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payme_plugin.ledger.journal import Journal

__all__ = ["forget_finished"]

_DAY_MS = 24 * 3_600_000

_FINISHED = """
SELECT payment_id FROM payment
WHERE created_at < ? AND updated_at < ? AND state IN ('recorded', 'refused', 'aborted', 'unknown', 'reversed')
AND NOT EXISTS (SELECT 1 FROM cancellation AS c WHERE c.payment_id = payment.payment_id AND c.ended_at IS NULL)
AND NOT EXISTS (SELECT 1 FROM fiscal_link AS f WHERE f.payment_id = payment.payment_id AND f.ended_at IS NULL)
ORDER BY created_at LIMIT ?
"""

_FORGET = (
    "DELETE FROM event WHERE payment_id = ?",
    "DELETE FROM code WHERE payment_id = ?",
    "DELETE FROM cancellation WHERE payment_id = ?",
    "DELETE FROM fiscal_link WHERE payment_id = ?",
    "DELETE FROM payment WHERE payment_id = ?",
)


def forget_finished(journal: Journal, keep_days: int, most: int) -> int:
    """Delete finished payments, with all that belongs to them, that nothing has touched for ``keep_days`` days.

    Args:
        journal: where they are.
        keep_days: days that a finished payment stays.
        most: how many to delete at most, so that a sale never waits for long.

    Returns:
        How many were deleted.

    Raises:
        Unwritable: nothing was deleted.

    Money effect: none; a payment that is forgotten here can still be refunded from the host's record.
    """
    limit = journal.now_ms() - keep_days * _DAY_MS
    with journal.writing() as connection:
        found = [(row["payment_id"],) for row in connection.execute(_FINISHED, (limit, limit, most))]
        for statement in _FORGET:
            connection.executemany(statement, found)
    return len(found)
