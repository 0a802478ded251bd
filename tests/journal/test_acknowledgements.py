"""Acknowledgements, and the cancellations that they end or don't; a cancellation ends when it is confirmed twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import UNRECORDED, contents, walk
from payme_plugin.ledger.cancellations import CONFIRMING_MS, Cancellations
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, End, PaymentState

if TYPE_CHECKING:
    from fakes.clock import VirtualClock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import CancellationRow

CLOSED_AT = 1_767_225_700_000
OF_HOST = NewCancellation(cause=Cause.CANCEL)


def _reversing(journal: Journal, new: NewCancellation = UNRECORDED) -> CancellationRow:
    journal.move(walk(journal, PaymentState.PAID), PaymentState.REVERSING, "it goes back", cancellation=new)
    (row,) = journal.live_cancellations()
    return row


def _row(journal: Journal) -> CancellationRow:
    row = Cancellations(journal).latest_of("p1")
    assert row is not None
    return row


def test_a_paid_payment_becomes_recorded(journal: Journal, clock: VirtualClock) -> None:
    row = journal.acknowledge(walk(journal, PaymentState.PAID))

    assert row.state is PaymentState.RECORDED
    assert row.acknowledged_at == clock.wall_ms()
    assert journal.events("p1")[-1].after is PaymentState.RECORDED


def test_a_second_acknowledgement_changes_nothing(journal: Journal, clock: VirtualClock) -> None:
    row = journal.acknowledge(walk(journal, PaymentState.PAID))
    held = contents(journal)
    clock.sleep(1)

    assert journal.acknowledge(row) == row
    assert contents(journal) == held


def test_a_closed_receipt_keeps_its_first_time(journal: Journal, clock: VirtualClock) -> None:
    row = journal.acknowledge(walk(journal, PaymentState.PAID))
    clock.sleep(1)

    closed = journal.acknowledge(row, closed_at=CLOSED_AT)
    again = journal.acknowledge(closed, closed_at=CLOSED_AT + 1)

    assert again == closed
    assert (closed.closed_at, closed.acknowledged_at) == (CLOSED_AT, row.acknowledged_at)


def test_an_unrecorded_cancellation_that_has_not_begun_ends(journal: Journal) -> None:
    _reversing(journal)

    row = journal.acknowledge(journal.payment("p1"))

    assert row.state is PaymentState.RECORDED
    assert _row(journal).ended_as is End.RECORDED
    assert [event.ended_as for event in journal.events("p1")][-2:] == [End.RECORDED, None]


@pytest.mark.parametrize("new", [UNRECORDED, OF_HOST])
def test_a_cancellation_that_has_begun_or_is_the_hosts_goes_on(journal: Journal, new: NewCancellation) -> None:
    cancellation = _reversing(journal, new)
    if new is UNRECORDED:
        Cancellations(journal).begin(cancellation)

    row = journal.acknowledge(journal.payment("p1"))

    assert row.state is PaymentState.REVERSING
    assert row.acknowledged_at is not None
    assert _row(journal).ended_at is None


def test_a_payment_without_a_result_keeps_its_state(journal: Journal) -> None:
    row = journal.acknowledge(walk(journal, PaymentState.PAYING))

    assert row.state is PaymentState.PAYING
    assert row.acknowledged_at is not None


def test_no_cancel_begins_for_a_row_that_an_acknowledgement_has_ended(journal: Journal) -> None:
    cancellation = _reversing(journal)
    journal.acknowledge(journal.payment("p1"))

    with pytest.raises(Conflict):
        Cancellations(journal).begin(cancellation)

    assert _row(journal).begun_at is None


def test_the_first_time_that_a_cancel_begins_is_kept(journal: Journal, clock: VirtualClock) -> None:
    cancellation = _reversing(journal)
    Cancellations(journal).begin(cancellation)
    began_at = clock.wall_ms()
    clock.sleep(1)
    Cancellations(journal).begin(_row(journal))

    assert (_row(journal).begun_at, _row(journal).attempts) == (began_at, 2)


def test_the_host_may_veto_an_orphan_until_its_cancel_begins_or_payme_has_cancelled(journal: Journal) -> None:
    cancellation = _reversing(journal)
    assert cancellation.may_be_vetoed

    Cancellations(journal).confirm(cancellation, "50")
    assert not _row(journal).may_be_vetoed

    Cancellations(journal).reopen(_row(journal), "4")
    assert _row(journal).may_be_vetoed

    Cancellations(journal).begin(_row(journal))
    assert not _row(journal).may_be_vetoed


def test_the_host_has_no_say_in_its_own_cancel(journal: Journal) -> None:
    assert not _reversing(journal, OF_HOST).may_be_vetoed


def test_a_row_ends_when_it_is_confirmed_again_ten_minutes_later(journal: Journal, clock: VirtualClock) -> None:
    rows, cancellation = Cancellations(journal), _reversing(journal)
    rows.confirm(cancellation, "50")
    first = clock.wall_ms()

    assert journal.payment("p1").state is PaymentState.REVERSED
    assert (_row(journal).confirmed_at, _row(journal).due_at) == (first, first + CONFIRMING_MS)
    clock.sleep(CONFIRMING_MS / 1000 - 0.001)
    rows.confirm(_row(journal), "50")
    assert (_row(journal).ended_at, _row(journal).confirmed_at) == (None, first)

    clock.sleep(0.001)
    rows.confirm(_row(journal), "50")
    assert _row(journal).ended_as is End.CANCELLED


def test_a_confirmation_from_before_the_clock_was_set_back_counts_from_now(
    journal: Journal, clock: VirtualClock
) -> None:
    rows = Cancellations(journal)
    rows.confirm(_reversing(journal), "50")
    clock.set_wall(-3_600_000)

    rows.confirm(_row(journal), "50")

    assert (_row(journal).ended_at, _row(journal).confirmed_at) == (None, clock.wall_ms())


def test_a_reopened_row_needs_two_new_confirmations_even_in_the_same_step(
    journal: Journal, clock: VirtualClock
) -> None:
    rows = Cancellations(journal)
    rows.confirm(_reversing(journal), "50")
    read = _row(journal)
    clock.sleep(CONFIRMING_MS / 1000)
    rows.reopen(read, "4 after 50")
    assert journal.payment("p1").state is PaymentState.REVERSING

    rows.confirm(read, "50")

    assert (_row(journal).ended_at, _row(journal).confirmed_at) == (None, clock.wall_ms())
    assert journal.payment("p1").state is PaymentState.REVERSED


def test_an_ended_row_is_not_confirmed(journal: Journal) -> None:
    rows, cancellation = Cancellations(journal), _reversing(journal)
    rows.end(cancellation, End.CLOSED, "4", closed_reason="paid in cash")

    with pytest.raises(Conflict):
        rows.confirm(cancellation, "50")
