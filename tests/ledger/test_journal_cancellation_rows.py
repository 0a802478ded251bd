"""The money that must go back: a row in the same commit as the verdict, one at a time for a payment."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from journal_walks import UNRECORDED, contents, intent_of, walk
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import JournalError, Unwritable
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, PaymentState

if TYPE_CHECKING:
    from payme_plugin.ledger.journal import Journal
    from virtual_clock import VirtualClock

pytestmark = pytest.mark.floor


@pytest.mark.parametrize("verdict", [PaymentState.REFUSED, PaymentState.ABORTED, PaymentState.UNKNOWN])
def test_a_verdict_and_its_cancellation_are_one_commit(
    journal: Journal, clock: VirtualClock, verdict: PaymentState
) -> None:
    paying = walk(journal, PaymentState.PAYING)

    row = journal.move(paying, verdict, "not paid", cancellation=UNRECORDED)

    (cancellation,) = journal.live_cancellations()
    assert row.cancellation_queued
    assert (cancellation.payment_id, cancellation.receipt_id, cancellation.amount) == ("p1", row.receipt_id, row.amount)
    assert (cancellation.pos_id, cancellation.url) == (row.pos_id, row.url)
    assert (cancellation.cause, cancellation.created_at, cancellation.due_at) == (
        Cause.UNRECORDED,
        clock.wall_ms(),
        clock.wall_ms(),
    )
    assert (cancellation.attempts, cancellation.last_error, cancellation.ended_at) == (0, "", None)
    assert journal.cancellation(cancellation.cancellation_id) == cancellation


def test_a_verdict_without_money_behind_it_has_none(journal: Journal) -> None:
    row = journal.move(walk(journal, PaymentState.INTENT), PaymentState.REFUSED, "no receipt")

    assert not row.cancellation_queued
    assert journal.live_cancellations() == []


def test_a_cancellation_that_can_not_be_stored_takes_its_verdict_with_it(journal: Journal) -> None:
    # Without a receipt there is nothing that could be cancelled.
    row = walk(journal, PaymentState.INTENT)
    held = contents(journal)

    with pytest.raises(Unwritable):
        journal.move(row, PaymentState.REFUSED, "no", cancellation=UNRECORDED)

    assert contents(journal) == held


def test_a_payment_has_one_live_cancellation(journal: Journal) -> None:
    reversing = walk(journal, PaymentState.REVERSING)
    recorded = journal.move(reversing, PaymentState.RECORDED, "an ignored refusal and state 4")
    held = contents(journal)

    with pytest.raises(JournalError):
        journal.move(recorded, PaymentState.REVERSING, "again", cancellation=NewCancellation(cause=Cause.CANCEL))

    assert contents(journal) == held


def test_once_it_has_ended_a_payment_may_have_another(journal: Journal) -> None:
    reversing = walk(journal, PaymentState.REVERSING)
    (first,) = journal.live_cancellations()
    rows = Cancellations(journal)
    rows.end(first, "closed by a person", reversed_at_payme=False)
    recorded = journal.move(reversing, PaymentState.RECORDED, "the payment stands")

    journal.move(
        recorded, PaymentState.REVERSING, "refund", cancellation=NewCancellation(cause=Cause.REFUND, request_id="f-1")
    )

    (live,) = journal.live_cancellations()
    assert (live.cause, live.request_id) == (Cause.REFUND, "f-1")
    ended = journal.cancellation(first.cancellation_id)
    assert ended is not None
    assert ended.outcome == "closed by a person"
    assert ended.ended_at is not None


def test_live_cancellations_of_all_payments_are_listed_oldest_first(journal: Journal, clock: VirtualClock) -> None:
    for index in range(5):
        walk(journal, PaymentState.UNKNOWN, f"p{index}")
        clock.set_wall(-60_000)

    assert [row.payment_id for row in journal.live_cancellations()] == [f"p{index}" for index in range(5)]


def test_a_payment_that_does_not_exist_has_none(journal: Journal) -> None:
    journal.add_intent(intent_of(), "only an intent")

    with pytest.raises(Unwritable), journal.writing() as connection:
        connection.execute(
            "INSERT INTO cancellation (payment_id, receipt_id, amount, pos_id, url, cause, created_at, due_at)"
            " VALUES ('nobody', 'r', 1, 'k', 'u', 'unrecorded', 0, 0)"
        )
