"""The rows of cancellations: which are due, how each begins and ends, and what an acknowledgement changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import UNRECORDED, contents, walk
from payme_plugin.ledger.cancellations import CONFIRMING_MS, FARTHEST_DUE_MS, Cancellations
from payme_plugin.ledger.errors import Conflict, JournalError, Unavailable
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, End, Hold, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.clock import VirtualClock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import CancellationRow

    Rows = Cancellations | FiscalLinks
    Wait = Callable[[str, int], Rows]

pytestmark = pytest.mark.floor

# ---------------------------------------------------------------------------------------------------------------------
# The money that must go back: a row in the same commit as the result, one at a time for a payment.
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [PaymentState.REFUSED, PaymentState.ABORTED, PaymentState.UNKNOWN])
def test_a_result_and_its_cancellation_are_one_commit(
    journal: Journal, clock: VirtualClock, state: PaymentState
) -> None:
    paying = walk(journal, PaymentState.PAYING)

    row = journal.move(paying, state, "not paid", cancellation=UNRECORDED)

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


def test_a_cancellation_that_can_not_be_stored_takes_its_result_with_it(journal: Journal) -> None:
    # Without a receipt there is nothing that could be cancelled.
    row = walk(journal, PaymentState.INTENT)
    held = contents(journal)

    with pytest.raises(Unavailable):
        journal.move(row, PaymentState.REFUSED, "no", cancellation=UNRECORDED)

    assert contents(journal) == held


def test_a_payment_has_one_live_cancellation_and_another_only_after_its_end(journal: Journal) -> None:
    reversing = walk(journal, PaymentState.REVERSING)
    (first,) = journal.live_cancellations()
    recorded = journal.move(reversing, PaymentState.RECORDED, "the payment stands")
    refund = NewCancellation(cause=Cause.REFUND, request_id="f-1")
    held = contents(journal)
    with pytest.raises(JournalError):
        journal.move(recorded, PaymentState.REVERSING, "again", cancellation=refund)
    assert contents(journal) == held

    Cancellations(journal).end(first, End.CLOSED, "paid (4)", closed_reason="by a person")
    journal.move(recorded, PaymentState.REVERSING, "refund", cancellation=refund)

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


@pytest.mark.parametrize(("set_ms", "is_due"), [(5000 - FARTHEST_DUE_MS, False), (4999 - FARTHEST_DUE_MS, True)])
def test_a_clock_set_back_by_more_than_the_longest_pause_makes_a_row_due_at_once(
    wait: Wait, clock: VirtualClock, set_ms: int, is_due: bool
) -> None:
    rows = wait("p1", 5000)
    clock.set_wall(set_ms)

    assert (rows.next_due_in_ms(), due(rows)) == ((0, ["p1"]) if is_due else (FARTHEST_DUE_MS, []))
    clock.set_wall(86_400_000)
    assert (rows.next_due_in_ms(), due(rows)) == (0, ["p1"]), "and so does a clock set forward"


def test_without_a_live_row_none_is_due(journal: Journal) -> None:
    for rows in (Cancellations(journal), FiscalLinks(journal)):
        assert (rows.next_due_in_ms(), rows.due(9)) == (None, [])


# ---------------------------------------------------------------------------------------------------------------------
# How it ends: confirmed twice, or withdrawn by the hook that wrote it.
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def reversing(journal: Journal) -> CancellationRow:
    walk(journal, PaymentState.REVERSING)
    return latest(journal)


def latest(journal: Journal) -> CancellationRow:
    row = Cancellations(journal).latest_of("p1")
    assert row is not None
    return row


def test_a_row_ends_when_it_is_confirmed_again_ten_minutes_later(
    journal: Journal, clock: VirtualClock, reversing: CancellationRow
) -> None:
    rows, first = Cancellations(journal), clock.wall_ms()
    rows.confirm(reversing, "50")

    assert journal.payment("p1").state is PaymentState.REVERSED
    assert (latest(journal).confirmed_at, latest(journal).due_at) == (first, first + CONFIRMING_MS)
    clock.sleep(CONFIRMING_MS / 1000 - 0.001)
    rows.confirm(latest(journal), "50")
    assert (latest(journal).ended_at, latest(journal).confirmed_at) == (None, first)

    clock.sleep(0.001)
    rows.confirm(latest(journal), "50")
    assert latest(journal).ended_as is End.CANCELLED


def test_a_confirmation_from_before_the_clock_was_set_back_counts_from_now(
    journal: Journal, clock: VirtualClock, reversing: CancellationRow
) -> None:
    rows = Cancellations(journal)
    rows.confirm(reversing, "50")
    clock.set_wall(-3_600_000)

    rows.confirm(latest(journal), "50")

    assert (latest(journal).ended_at, latest(journal).confirmed_at) == (None, clock.wall_ms())


def test_a_reopened_row_needs_two_new_confirmations_even_in_the_same_step(
    journal: Journal, clock: VirtualClock, reversing: CancellationRow
) -> None:
    rows = Cancellations(journal)
    rows.confirm(reversing, "50")
    read = latest(journal)
    clock.sleep(CONFIRMING_MS / 1000)
    rows.reopen(read, "4 after 50")
    assert journal.payment("p1").state is PaymentState.REVERSING

    rows.confirm(read, "50")

    assert (latest(journal).ended_at, latest(journal).confirmed_at) == (None, clock.wall_ms())
    assert journal.payment("p1").state is PaymentState.REVERSED


def test_an_ended_row_is_not_confirmed(journal: Journal, reversing: CancellationRow) -> None:
    rows = Cancellations(journal)
    rows.end(reversing, End.CLOSED, "4", closed_reason="paid in cash")

    with pytest.raises(Conflict):
        rows.confirm(reversing, "50")


def test_the_first_time_that_a_cancel_begins_is_kept(
    journal: Journal, clock: VirtualClock, reversing: CancellationRow
) -> None:
    rows, began_at = Cancellations(journal), clock.wall_ms()
    rows.begin(reversing)
    clock.sleep(1)
    rows.begin(latest(journal))

    assert (latest(journal).begun_at, latest(journal).attempts) == (began_at, 2)


def test_a_row_that_begins_is_held_no_more(journal: Journal) -> None:
    rows, held = Cancellations(journal), reversing_for(journal, Cause.UNRECORDED)
    rows.postpone(held, 0, "the till has it", held=Hold.HOST)

    rows.begin(rows.live_of("p1"))

    assert rows.live_of("p1").held is None


@pytest.mark.parametrize(
    "then", [lambda rows, row: rows.begin(row), lambda rows, row: rows.leave(row, "")], ids=["sent twice", "queued"]
)
def test_a_cancellation_that_was_sent_twice_or_left_to_the_worker_is_not_withdrawn(
    journal: Journal, reversing: CancellationRow, then: Callable[[Cancellations, CancellationRow], object]
) -> None:
    rows = Cancellations(journal)
    rows.begin(reversing)
    then(rows, reversing)

    with pytest.raises(Conflict):
        rows.withdraw(reversing, "refused")


# ---------------------------------------------------------------------------------------------------------------------
# An acknowledgement is irrevocable and one commit; it ends a cancellation only if that is unrecorded and not begun.
# ---------------------------------------------------------------------------------------------------------------------


def reversing_for(journal: Journal, cause: Cause) -> CancellationRow:
    paid = walk(journal, PaymentState.PAID)
    journal.move(paid, PaymentState.REVERSING, "it goes back", cancellation=NewCancellation(cause=cause))
    return latest(journal)


def test_a_paid_payment_becomes_recorded_the_first_time_stays_and_a_close_is_added_once(
    journal: Journal, clock: VirtualClock
) -> None:
    paid = walk(journal, PaymentState.PAID)
    clock.sleep(1)
    first = journal.acknowledge(paid)
    assert (first.state, first.acknowledged_at, first.closed_at) == (PaymentState.RECORDED, clock.wall_ms(), None)
    assert journal.events("p1")[-1].after is PaymentState.RECORDED

    clock.sleep(1)
    closed = journal.acknowledge(first, closed_at=7)
    assert (closed.acknowledged_at, closed.closed_at) == (first.acknowledged_at, 7)

    before = contents(journal)
    assert journal.acknowledge(closed) == journal.acknowledge(closed, closed_at=8) == closed
    assert contents(journal) == before


@pytest.mark.parametrize("state", [PaymentState.INTENT, PaymentState.CREATED, PaymentState.PAYING])
def test_of_a_payment_without_a_result_only_the_acknowledgement_is_stored(
    journal: Journal, state: PaymentState
) -> None:
    row = journal.acknowledge(walk(journal, state))

    assert (row.state, row.acknowledged_at is not None) == (state, True)


def test_it_ends_an_unrecorded_cancellation_that_has_not_begun(journal: Journal) -> None:
    cancellation = reversing_for(journal, Cause.UNRECORDED)

    row = journal.acknowledge(journal.payment("p1"))

    ended = journal.cancellation(cancellation.cancellation_id)
    assert ended is not None
    assert (row.state, ended.ended_as) == (PaymentState.RECORDED, End.RECORDED)
    assert [event.ended_as for event in journal.events("p1")][-2:] == [End.RECORDED, None]
    with pytest.raises(Conflict):
        Cancellations(journal).begin(cancellation)
    ended = journal.cancellation(cancellation.cancellation_id)
    assert ended is not None
    assert ended.begun_at is None


@pytest.mark.parametrize("cause", Cause)
def test_a_cancellation_that_has_begun_or_that_the_host_asked_for_goes_on(journal: Journal, cause: Cause) -> None:
    rows, cancellation = Cancellations(journal), reversing_for(journal, cause)
    if cause is Cause.UNRECORDED:
        rows.begin(cancellation)

    row = journal.acknowledge(journal.payment("p1"))
    rows.begin(rows.still_live(cancellation))

    assert (row.state, row.acknowledged_at is not None) == (PaymentState.REVERSING, True)


def test_of_a_payment_that_ended_unpaid_the_cancellation_goes_on(journal: Journal) -> None:
    row = walk(journal, PaymentState.UNKNOWN)
    cancellation = Cancellations(journal).live_of("p1")

    row = journal.acknowledge(row)
    Cancellations(journal).begin(cancellation)

    assert (row.state, row.acknowledged_at is not None) == (PaymentState.UNKNOWN, True)


def test_no_unrecorded_cancellation_begins_for_a_payment_that_was_acknowledged_before(journal: Journal) -> None:
    recorded = journal.acknowledge(walk(journal, PaymentState.PAID))
    journal.move(recorded, PaymentState.REVERSING, "a guess", cancellation=UNRECORDED)

    with pytest.raises(Conflict):
        Cancellations(journal).begin(Cancellations(journal).live_of("p1"))


def test_the_host_may_veto_an_orphan_until_its_cancel_begins_or_payme_has_cancelled(journal: Journal) -> None:
    rows, cancellation = Cancellations(journal), reversing_for(journal, Cause.UNRECORDED)
    assert cancellation.may_be_vetoed
    assert not cancellation._replace(cause=Cause.CANCEL).may_be_vetoed, "the host has no say in its own cancel"

    rows.confirm(cancellation, "50")
    (confirming,) = journal.confirming_cancellations()
    assert not confirming.may_be_vetoed

    rows.reopen(confirming, "4")
    assert rows.live_of("p1").may_be_vetoed

    rows.begin(rows.live_of("p1"))
    assert not rows.live_of("p1").may_be_vetoed
