"""An acknowledgement in the journal: irrevocable, one commit, and what it does to a cancellation."""

from __future__ import annotations

from dataclasses import replace
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
    from payme_plugin.ledger.rows import CancellationRow


def reversing(journal: Journal, cause: Cause) -> CancellationRow:
    paid = walk(journal, PaymentState.PAID)
    journal.move(paid, PaymentState.REVERSING, "it goes back", cancellation=NewCancellation(cause=cause))
    return Cancellations(journal).live_of("p1")


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
    cancellation = reversing(journal, Cause.UNRECORDED)

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
    rows, cancellation = Cancellations(journal), reversing(journal, cause)
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
    rows, cancellation = Cancellations(journal), reversing(journal, Cause.UNRECORDED)
    assert cancellation.may_be_vetoed
    assert not replace(cancellation, cause=Cause.CANCEL).may_be_vetoed, "the host has no say in its own cancel"

    rows.confirm(cancellation, "50")
    (confirming,) = journal.confirming_cancellations()
    assert not confirming.may_be_vetoed

    rows.reopen(confirming, "4")
    assert rows.live_of("p1").may_be_vetoed

    rows.begin(rows.live_of("p1"))
    assert not rows.live_of("p1").may_be_vetoed
