"""The deletion of finished payments after ``keepDays``.

The wall clock may be wrong, e.g. after an empty battery. With a wrong year every payment would be old at once, and the
host may still repeat the request for a payment of an open sale. So the age is also limited by the newest payment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from payme_plugin.ledger.journal import Journal

_DAY_MS = 24 * 3_600_000

_FINISHED = """
SELECT payment_id FROM payment
WHERE created_at < ? AND updated_at < ?
AND (state IN ('refused', 'aborted', 'unknown', 'reversed') OR state = 'recorded' AND closed_at IS NOT NULL)
AND NOT EXISTS (SELECT 1 FROM cancellation AS c WHERE c.payment_id = payment.payment_id AND c.ended_at IS NULL)
AND NOT EXISTS (SELECT 1 FROM fiscal_link AS f WHERE f.payment_id = payment.payment_id AND f.ended_at IS NULL)
ORDER BY created_at LIMIT ?
"""

_TABLES = ("event", "code", "cancellation", "fiscal_link", "payment")  # a payment after the rows that refer to it


def forget_finished(journal: Journal, keep_days: int, most: int) -> int:
    """Delete finished payments, with all their rows, that did not change for ``keep_days`` days.

    Args:
        journal: the journal.
        keep_days: how many days a finished payment is kept.
        most: how many to delete at most, so that a sale does not wait long.

    Returns:
        How many were deleted.

    Raises:
        Damaged: a payment is invalid. Nothing is deleted, because the rest may help to repair it.
        Unavailable: nothing was deleted.

    A payment that was deleted can still be refunded from the host's record.
    """
    with journal.reading() as connection:
        # No other query finds a payment with an unknown state.
        states = {state.value for state in PaymentState}
        for name, state in connection.execute("SELECT min(payment_id), state FROM payment GROUP BY state"):
            if state not in states:
                message = f"the payment {name!r} is invalid: its state"
                raise Damaged(message)
    with journal.writing() as connection:
        (newest,) = connection.execute("SELECT max(created_at) FROM payment").fetchone()
        if newest is None:
            return 0
        limit = min(journal.now_ms(), newest) - keep_days * _DAY_MS
        found = [(row["payment_id"],) for row in connection.execute(_FINISHED, (limit, limit, most))]
        for table in _TABLES:
            connection.executemany(f"DELETE FROM {table} WHERE payment_id = ?", found)  # noqa: S608 - our own names
    return len(found)
