"""Rows in a journal: store a payment in any state, read all rows, corrupt one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from payme_plugin.ledger.journal import add_events
from payme_plugin.ledger.rows import Intent, NewCancellation
from payme_plugin.ledger.states import Cause, PaymentState

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.reader import JournalReader
    from payme_plugin.ledger.rows import Event, PaymentRow

UNRECORDED = NewCancellation(cause=Cause.UNRECORDED)

_TO_PAID = (PaymentState.CREATED, PaymentState.PAYING, PaymentState.PAID)
_PATH_TO: dict[PaymentState, tuple[PaymentState, ...]] = {
    PaymentState.INTENT: (),
    **{state: _TO_PAID[: number + 1] for number, state in enumerate(_TO_PAID)},
    PaymentState.RECORDED: (*_TO_PAID, PaymentState.RECORDED),
    PaymentState.REFUSED: (*_TO_PAID[:2], PaymentState.REFUSED),
    PaymentState.ABORTED: (*_TO_PAID[:2], PaymentState.ABORTED),
    PaymentState.UNKNOWN: (*_TO_PAID[:2], PaymentState.UNKNOWN),
    PaymentState.REVERSING: (*_TO_PAID, PaymentState.REVERSING),
    PaymentState.REVERSED: (*_TO_PAID, PaymentState.REVERSING, PaymentState.REVERSED),
}
"""The transitions from intent to each state."""

_WITH_CANCELLATION = frozenset(
    {PaymentState.REFUSED, PaymentState.ABORTED, PaymentState.UNKNOWN, PaymentState.REVERSING}
)


def intent_of(payment_id: str = "p1", *, amount: int = 1_500_000, number: int = 1, owner: str = "process-1") -> Intent:
    """Return an intent of a till."""
    return Intent(
        payment_id=payment_id,
        payment_type=7,
        amount=amount,
        till="till-1",
        shift=3,
        number=number,
        pos_id="account-1",
        url="http://localhost/api",
        owner=owner,
    )


def note_now(journal: Journal, payment_id: str, events: Sequence[Event]) -> None:
    """Add events to a payment in a commit of their own."""
    with journal.writing() as connection:
        add_events(connection, payment_id, events)


def walk(journal: Journal, state: PaymentState, payment_id: str = "p1") -> PaymentRow:
    """Store a new payment and bring it into ``state``."""
    row = journal.add_intent(intent_of(payment_id), "a tender was picked")
    for after in _PATH_TO[state]:
        row = journal.move(
            row,
            after,
            f"on to {after.value}",
            receipt_id=f"receipt-of-{payment_id}" if after is PaymentState.CREATED else None,
            fingerprint=journal.fingerprint(f"code-of-{payment_id}") if after is PaymentState.PAYING else None,
            cancellation=UNRECORDED if after in _WITH_CANCELLATION else None,
        )
    return row


def contents(journal: JournalReader) -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table."""
    with journal.reading() as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: [tuple(row) for row in connection.execute(f'SELECT * FROM "{name}"')] for name in names}  # noqa: S608


def corrupt(path: Path, table: str, column: str, value: str | bytes, where: str = "1") -> None:
    """Write an invalid value into a journal's file, as a flipped bit does."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE {where}", (value,))  # noqa: S608 - our own names
