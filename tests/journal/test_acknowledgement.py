"""An acknowledgement in the journal: irrevocable, one commit, and what it does to a cancellation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import UNRECORDED, contents, walk
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, End, PaymentState

if TYPE_CHECKING:
    from fakes.clock import VirtualClock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import CancellationRow, PaymentRow


def reversing(journal: Journal, cause: Cause) -> tuple[PaymentRow, CancellationRow]:
    paid = walk(journal, PaymentState.PAID)
    row = journal.move(paid, PaymentState.REVERSING, "it goes back", cancellation=NewCancellation(cause=cause))
    return row, Cancellations(journal).live_of("p1")


def test_a_paid_payment_becomes_recorded_with_the_time(journal: Journal, clock: VirtualClock) -> None:
    paid = walk(journal, PaymentState.PAID)
    clock.sleep(1)

    row = journal.acknowledge(paid)

    assert (row.state, row.acknowledged_at, row.closed_at) == (PaymentState.RECORDED, clock.wall_ms(), None)


def test_the_first_time_stays_and_a_close_is_added_once(journal: Journal, clock: VirtualClock) -> None:
    first = journal.acknowledge(walk(journal, PaymentState.PAID))
    clock.sleep(1)
    row = journal.acknowledge(first, closed_at=7)
    before = contents(journal)

    journal.acknowledge(row, closed_at=8)

    assert (row.acknowledged_at, row.closed_at) == (first.acknowledged_at, 7)
    assert contents(journal) == before


@pytest.mark.parametrize("state", [PaymentState.INTENT, PaymentState.CREATED, PaymentState.PAYING])
def test_of_a_payment_without_a_result_only_the_acknowledgement_is_stored(
    journal: Journal, state: PaymentState
) -> None:
    row = journal.acknowledge(walk(journal, state))

    assert (row.state, row.acknowledged_at is not None) == (state, True)


def test_it_ends_an_unrecorded_cancellation_that_has_not_begun(journal: Journal) -> None:
    row, cancellation = reversing(journal, Cause.UNRECORDED)

    row = journal.acknowledge(row)

    ended = journal.cancellation(cancellation.cancellation_id)
    assert ended is not None
    assert (row.state, ended.ended_as) == (PaymentState.RECORDED, End.RECORDED)
    with pytest.raises(Conflict):
        Cancellations(journal).begin(cancellation)


@pytest.mark.parametrize("cause", [Cause.CANCEL, Cause.REFUND])
def test_a_cancellation_that_the_host_asked_for_goes_on(journal: Journal, cause: Cause) -> None:
    row, cancellation = reversing(journal, cause)

    row = journal.acknowledge(row)
    Cancellations(journal).begin(cancellation)

    assert (row.state, row.acknowledged_at is not None) == (PaymentState.REVERSING, True)
    assert Cancellations(journal).still_live(cancellation).begun_at is not None


def test_a_cancellation_that_has_begun_goes_on(journal: Journal) -> None:
    row, cancellation = reversing(journal, Cause.UNRECORDED)
    Cancellations(journal).begin(cancellation)

    row = journal.acknowledge(row)

    assert row.state is PaymentState.REVERSING
    Cancellations(journal).begin(Cancellations(journal).still_live(cancellation))


def test_of_a_payment_that_ended_unpaid_the_cancellation_goes_on(journal: Journal) -> None:
    row = walk(journal, PaymentState.UNKNOWN)
    cancellation = Cancellations(journal).live_of("p1")

    row = journal.acknowledge(row)
    Cancellations(journal).begin(cancellation)

    assert (row.state, row.acknowledged_at is not None) == (PaymentState.UNKNOWN, True)
    assert Cancellations(journal).still_live(cancellation).begun_at is not None


def test_no_unrecorded_cancellation_begins_for_a_payment_that_was_acknowledged_before(journal: Journal) -> None:
    recorded = journal.acknowledge(walk(journal, PaymentState.PAID))
    journal.move(recorded, PaymentState.REVERSING, "a guess", cancellation=UNRECORDED)

    with pytest.raises(Conflict):
        Cancellations(journal).begin(Cancellations(journal).live_of("p1"))


def test_a_cancel_that_is_refused_before_any_queued_is_withdrawn_only_if_it_was_the_first(journal: Journal) -> None:
    _, cancellation = reversing(journal, Cause.CANCEL)
    rows = Cancellations(journal)
    rows.begin(cancellation)
    rows.begin(cancellation)

    with pytest.raises(Conflict):
        rows.withdraw(cancellation, "refused")


def test_one_that_a_hook_left_to_the_worker_is_not_withdrawn(journal: Journal) -> None:
    _, cancellation = reversing(journal, Cause.CANCEL)
    rows = Cancellations(journal)
    rows.begin(cancellation)
    rows.leave(cancellation, "")

    with pytest.raises(Conflict):
        rows.withdraw(cancellation, "refused")
