"""A journal by hand: payments brought into any state by the roads of the table, and all that the file holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.journal import add_events
from payme_plugin.ledger.rows import Intent, NewCancellation
from payme_plugin.ledger.states import Cause, PaymentState

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.reader import JournalReader
    from payme_plugin.ledger.rows import Event, PaymentRow

UNRECORDED = NewCancellation(cause=Cause.UNRECORDED)

ROAD_TO: dict[PaymentState, tuple[PaymentState, ...]] = {
    PaymentState.INTENT: (),
    PaymentState.CREATED: (PaymentState.CREATED,),
    PaymentState.PAYING: (PaymentState.CREATED, PaymentState.PAYING),
    PaymentState.PAID: (PaymentState.CREATED, PaymentState.PAYING, PaymentState.PAID),
    PaymentState.RECORDED: (PaymentState.CREATED, PaymentState.PAYING, PaymentState.PAID, PaymentState.RECORDED),
    PaymentState.REFUSED: (PaymentState.CREATED, PaymentState.PAYING, PaymentState.REFUSED),
    PaymentState.ABORTED: (PaymentState.CREATED, PaymentState.PAYING, PaymentState.ABORTED),
    PaymentState.UNKNOWN: (PaymentState.CREATED, PaymentState.PAYING, PaymentState.UNKNOWN),
    PaymentState.REVERSING: (PaymentState.CREATED, PaymentState.PAYING, PaymentState.PAID, PaymentState.REVERSING),
    PaymentState.REVERSED: (
        PaymentState.CREATED,
        PaymentState.PAYING,
        PaymentState.PAID,
        PaymentState.REVERSING,
        PaymentState.REVERSED,
    ),
}
"""From intent to each state by one of its roads."""

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
        pos_id="kassa",
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
    for after in ROAD_TO[state]:
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
