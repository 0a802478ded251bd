"""When the host is ready, the payments of earlier processes that it did not acknowledge are cancelled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import contents, walk
from faults.full_disk import full_disk
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.world import World

UNACKNOWLEDGED = {
    PaymentState.INTENT: PaymentState.REFUSED,
    PaymentState.CREATED: PaymentState.REFUSED,
    PaymentState.PAYING: PaymentState.UNKNOWN,
    PaymentState.PAID: PaymentState.REVERSING,
    PaymentState.RECORDED: PaymentState.REVERSING,  # a cancel that Payme refused; the host acknowledged nothing
}
FINISHED = [state for state in PaymentState if state not in UNACKNOWLEDGED or state is PaymentState.RECORDED]


@pytest.mark.parametrize("state", UNACKNOWLEDGED, ids=lambda state: state.value)
def test_an_orphan_is_ended_with_a_cancellation_if_it_has_a_receipt(world: World, state: PaymentState) -> None:
    walk(world.journal, state)
    world.restart()

    assert world.decide_orphans() == 1

    row, live = world.row(), world.live()
    assert row.state is UNACKNOWLEDGED[state]
    assert [each.cause for each in live] == ([] if state is PaymentState.INTENT else [Cause.UNRECORDED])
    told = {PaymentState.REFUSED: Text.PAYMENT_NOT_SENT, PaymentState.UNKNOWN: Text.PAYMENT_UNKNOWN}
    if row.state in told:
        assert row.message == world.text(told[row.state])


@pytest.mark.parametrize("state", FINISHED, ids=lambda state: state.value)
def test_a_payment_that_has_ended_or_is_in_a_sale_is_left_alone(world: World, state: PaymentState) -> None:
    row = walk(world.journal, state)
    if state is PaymentState.RECORDED:
        world.journal.acknowledge(row)
    world.restart()
    held = contents(world.journal)

    assert world.decide_orphans() == 0
    assert contents(world.journal) == held


@pytest.mark.parametrize("state", UNACKNOWLEDGED, ids=lambda state: state.value)
def test_an_acknowledged_payment_is_no_orphan(world: World, state: PaymentState) -> None:
    world.journal.acknowledge(walk(world.journal, state))
    world.restart()

    assert world.decide_orphans() == 0
    assert world.live() == []


@pytest.mark.parametrize("state", UNACKNOWLEDGED, ids=lambda state: state.value)
def test_a_payment_of_this_process_is_no_orphan(world: World, state: PaymentState) -> None:
    walk(world.journal, state)

    assert world.decide_orphans() == 0
    assert (world.row().state, world.live()) == (state, [])


def test_a_payment_that_was_answered_pending_waits_for_the_next_request(world: World) -> None:
    walk(world.journal, PaymentState.PAYING, "p1")
    walk(world.journal, PaymentState.PAYING, "p2")
    world.restart()

    assert world.decide_orphans(pending=["p1"]) == 1
    assert (world.row("p1").state, world.row("p2").state) == (PaymentState.PAYING, PaymentState.UNKNOWN)


def test_every_orphan_is_decided_in_one_call_however_many(world: World) -> None:
    for number in range(1200):
        walk(world.journal, PaymentState.PAID, f"p{number}")
    world.restart()

    assert world.decide_orphans() == 1200
    assert len(world.journal.live_cancellations()) == 1200
    assert world.decide_orphans() == 0


def test_what_can_not_be_committed_is_told_and_decided_by_the_next_call(world: World) -> None:
    walk(world.journal, PaymentState.PAID)
    world.restart()

    with full_disk(), pytest.raises(Unavailable):
        world.decide_orphans()

    assert (world.row().state, world.live()) == (PaymentState.PAID, [])
    assert world.decide_orphans() == 1
