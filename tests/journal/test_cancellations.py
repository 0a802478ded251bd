"""The rows of cancellations: which are due, and how each is begun, postponed, withdrawn or ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import UNRECORDED, contents, intent_of, walk
from payme_plugin.ledger.cancellations import FARTHEST_DUE_MS, Cancellations
from payme_plugin.ledger.errors import JournalError, Unavailable
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, End, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.clock import VirtualClock
    from payme_plugin.ledger.journal import Journal

    Rows = Cancellations | FiscalLinks
    Wait = Callable[[str, int], Rows]

pytestmark = pytest.mark.floor

# ---------------------------------------------------------------------------------------------------------------------
# The money that must go back: a row in the same commit as the verdict, one at a time for a payment.
# ---------------------------------------------------------------------------------------------------------------------


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

    with pytest.raises(Unavailable):
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
    rows.end(first, End.CLOSED, "paid (4)", closed_reason="by a person")
    recorded = journal.move(reversing, PaymentState.RECORDED, "the payment stands")

    journal.move(
        recorded, PaymentState.REVERSING, "refund", cancellation=NewCancellation(cause=Cause.REFUND, request_id="f-1")
    )

    (live,) = journal.live_cancellations()
    assert (live.cause, live.request_id) == (Cause.REFUND, "f-1")
    ended = journal.cancellation(first.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, ended.closed_reason) == (End.CLOSED, "by a person")
    assert ended.ended_at is not None


def test_live_cancellations_of_all_payments_are_listed_oldest_first(journal: Journal, clock: VirtualClock) -> None:
    for index in range(5):
        walk(journal, PaymentState.UNKNOWN, f"p{index}")
        clock.set_wall(-60_000)

    assert [row.payment_id for row in journal.live_cancellations()] == [f"p{index}" for index in range(5)]


def test_a_payment_that_does_not_exist_has_none(journal: Journal) -> None:
    journal.add_intent(intent_of(), "only an intent")

    with pytest.raises(Unavailable), journal.writing() as connection:
        connection.execute(
            "INSERT INTO cancellation (payment_id, receipt_id, amount, pos_id, url, cause, created_at, due_at)"
            " VALUES ('nobody', 'r', 1, 'k', 'u', 'unrecorded', 0, 0)"
        )


# ---------------------------------------------------------------------------------------------------------------------
# When a row is due: at its moment, and at once where the clock on the wall has jumped since.
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=[Cancellations, FiscalLinks])
def wait(request: pytest.FixtureRequest, journal: Journal) -> Wait:
    """Add a row that is due in so many milliseconds, and return its queue."""

    def add(payment_id: str, pause_ms: int) -> Rows:
        if request.param is Cancellations:
            rows = Cancellations(journal)
            walk(journal, PaymentState.UNKNOWN, payment_id)
            rows.postpone(rows.live_of(payment_id), pause_ms, "no answer")
            return rows
        links = FiscalLinks(journal)
        links.add(walk(journal, PaymentState.RECORDED, payment_id), "https://ofd.soliq.uz/check?t=1")
        links.postpone(links.live()[-1], pause_ms, "no answer")
        return links

    return add


def due(rows: Rows) -> list[str]:
    return [row.payment_id for row in rows.due(9)]


def test_a_row_is_due_at_its_moment_the_longest_due_first(wait: Wait, clock: VirtualClock) -> None:
    wait("p1", 9000)
    rows = wait("p2", 5000)

    assert (rows.next_due_in_ms(), due(rows)) == (5000, [])
    clock.sleep(5)
    assert (rows.next_due_in_ms(), due(rows)) == (0, ["p2"])
    clock.sleep(5)
    assert (rows.next_due_in_ms(), due(rows)) == (0, ["p2", "p1"])


def test_a_clock_set_back_by_less_than_the_longest_pause_is_waited_for(wait: Wait, clock: VirtualClock) -> None:
    rows = wait("p1", 5000)
    clock.set_wall(5000 - FARTHEST_DUE_MS)

    assert (rows.next_due_in_ms(), due(rows)) == (FARTHEST_DUE_MS, [])


def test_a_clock_set_back_by_more_makes_a_row_due_at_once(wait: Wait, clock: VirtualClock) -> None:
    wait("p1", 5000)
    clock.set_wall(4999 - FARTHEST_DUE_MS)
    rows = wait("p2", 5000)

    assert (rows.next_due_in_ms(), due(rows)) == (0, ["p1"])


def test_a_clock_set_forward_makes_a_row_due_at_once(wait: Wait, clock: VirtualClock) -> None:
    rows = wait("p1", 5000)
    clock.set_wall(86_400_000)

    assert (rows.next_due_in_ms(), due(rows)) == (0, ["p1"])


def test_where_no_row_is_live_none_is_due(journal: Journal) -> None:
    for rows in (Cancellations(journal), FiscalLinks(journal)):
        assert (rows.next_due_in_ms(), rows.due(9)) == (None, [])
