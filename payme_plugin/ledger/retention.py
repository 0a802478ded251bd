"""The deletion of finished payments after ``keepDays``.

The wall clock may be wrong, e.g. after an empty battery. With a wrong year every payment would be old at once, and the
host may still repeat the request for a payment of an open sale. So the age is also limited by the newest payment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.schema import LATER_INDEX
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from payme_plugin.ledger.journal import Journal

_DAY_MS = 24 * 3_600_000

_MOST_CHECKED = 10_000
"""Rows whose states are checked at once: that takes some milliseconds."""

_FINISHED = """
SELECT payment_id FROM payment
WHERE created_at < :limit AND updated_at < :limit
AND (state IN ('refused', 'aborted', 'unknown', 'reversed') OR state = 'recorded' AND closed_at IS NOT NULL)
AND NOT EXISTS (SELECT 1 FROM cancellation AS c WHERE c.payment_id = payment.payment_id AND c.ended_at IS NULL)
AND NOT EXISTS (SELECT 1 FROM fiscal_link AS f WHERE f.payment_id = payment.payment_id AND f.ended_at IS NULL)
"""

_TABLES = ("event", "code", "cancellation", "fiscal_link", "payment")  # a payment after the rows that refer to it


def check_states(journal: Journal, after: int, most: int = _MOST_CHECKED) -> int | None:
    """Require that payments have valid states: no other query finds one with an invalid state.

    A long journal is checked in parts, because its rows may have to be read from a slow disk.

    Args:
        journal: the journal.
        after: the number of the last row that was checked, or 0.
        most: how many rows to check at most.

    Returns:
        The number of the last row that is checked now, or None after the last of all.

    Raises:
        Damaged: a payment is invalid.
        Unavailable: they can't be read.
    """
    states = ", ".join(f"'{state.value}'" for state in PaymentState)
    with journal.reading() as connection:
        rows = "SELECT rowid FROM payment WHERE rowid > ? ORDER BY rowid LIMIT ?"
        last, count = connection.execute(f"SELECT max(rowid), count(*) FROM ({rows})", (after, most)).fetchone()  # noqa: S608
        is_invalid = f"(state IN ({states})) IS NOT TRUE"  # also NULL
        query = f"SELECT payment_id FROM payment WHERE rowid > ? AND rowid <= ? AND {is_invalid}"  # noqa: S608
        for (name,) in connection.execute(query, (after, last)):
            message = f"the payment {name!r} is invalid: its state"
            raise Damaged(message)
    return int(last) if count == most else None


def forget_finished(journal: Journal, keep_days: int, most: int) -> int:
    """Delete finished payments, with all their rows, that did not change for ``keep_days`` days.

    Args:
        journal: the journal.
        keep_days: how many days a finished payment is kept.
        most: how many to delete at most, so that a sale does not wait long.

    Returns:
        How many were deleted.

    Raises:
        Unavailable: nothing was deleted.

    A payment that was deleted can still be refunded from the host's record.
    """
    with journal.reading() as connection:
        (newest,) = connection.execute("SELECT max(created_at) FROM payment").fetchone()
        if newest is None:
            return 0
        values = {"limit": min(journal.now_ms(), newest) - keep_days * _DAY_MS, "most": most}
        # Old payments that can't be deleted may be many, so they are passed over here, where no sale has to wait.
        found = [tuple(row) for row in connection.execute(f"{_FINISHED} ORDER BY created_at LIMIT :most", values)]
    if not found:
        return 0
    with journal.writing() as connection:
        connection.execute(LATER_INDEX.replace("INDEX", "INDEX IF NOT EXISTS", 1))
        query = f"{_FINISHED} AND payment_id = :payment_id"  # one may have been refunded meanwhile
        chosen = [each for each in found if connection.execute(query, values | {"payment_id": each[0]}).fetchone()]
        for table in _TABLES:
            connection.executemany(f"DELETE FROM {table} WHERE payment_id = ?", chosen)  # noqa: S608 - our own names
    return len(chosen)
