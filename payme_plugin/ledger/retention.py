"""Finished payments are forgotten after ``keepDays``; what is unfinished or still owes something never is.

A payment grows old by the sales that come after it, not by the clock alone: one that comes back from an empty battery
in another year would make everything old at once, and the till may ask again for a payment of a sale that is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from payme_plugin.ledger.journal import Journal

__all__ = ["forget_finished"]

_DAY_MS = 24 * 3_600_000

_NEWEST = "SELECT max(created_at) FROM payment"

_FINISHED = """
SELECT payment_id FROM payment
WHERE created_at < ? AND updated_at < ?
AND (state IN ('refused', 'aborted', 'unknown', 'reversed') OR state = 'recorded' AND closed_at IS NOT NULL)
AND NOT EXISTS (SELECT 1 FROM cancellation AS c WHERE c.payment_id = payment.payment_id AND c.ended_at IS NULL)
AND NOT EXISTS (SELECT 1 FROM fiscal_link AS f WHERE f.payment_id = payment.payment_id AND f.ended_at IS NULL)
ORDER BY created_at LIMIT ?
"""

_NONSENSE = f"SELECT payment_id FROM payment WHERE state NOT IN ({', '.join('?' * len(PaymentState))}) LIMIT 1"  # noqa: S608
_STATES = tuple(state.value for state in PaymentState)

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
        Damaged: a payment makes no sense, and so nothing is deleted: what is left may help to repair it.
        Unwritable: nothing was deleted.

    Money effect: none; a payment that is forgotten here can still be refunded from the host's record.
    """
    _require_sense(journal)
    with journal.writing() as connection:
        (newest,) = connection.execute(_NEWEST).fetchone()
        if newest is None:
            return 0
        limit = min(journal.now_ms(), newest) - keep_days * _DAY_MS
        found = [(row["payment_id"],) for row in connection.execute(_FINISHED, (limit, limit, most))]
        for statement in _FORGET:
            connection.executemany(statement, found)
    return len(found)


def _require_sense(journal: Journal) -> None:
    """A state that nobody wrote is in no list of what is to be done: without this look nobody would ever meet it."""
    with journal.reading() as connection:
        found = connection.execute(_NONSENSE, _STATES).fetchone()
        if found is not None:
            message = f"the payment {found[0]!r} makes no sense: its state"
            raise Damaged(message)
