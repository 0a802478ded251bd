"""When a cancellation may be taken back: after an ignored refusal of our own request alone, and never once told.

A server error in ``ignoredErrors``, with state 4 asked after it, is REFUSED and queues nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import error, meanwhile, without_id
from fakes.reversal_calls import ROADS, Road
from fakes.till import PowerCut
from hookspecs import ReversalStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind, FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld, Sold
    from fakes.paymego import Envelope
    from payme_plugin.ledger.rows import CancellationRow

CANCEL, CHECK = "receipts.cancel", "receipts.check"
REFUSES = CancelPlan(refused_with=-31800)

pytestmark = pytest.mark.parametrize("road", ROADS, ids=str)


def refuse_the_next(world: HookedWorld, sold: Sold) -> None:
    """Let Payme answer again, and refuse to cancel."""
    world.paymego.faults = FaultPlan()
    world.paymego.bank.plan_cancel(sold.receipt_id, REFUSES)


def is_delivered_and_gone(world: HookedWorld) -> bool:
    world.paymego.bank.plan_cancel(str(world.row().receipt_id), CancelPlan())
    world.work(4000)
    return world.paymego.held() == 0 and world.live() == []


@pytest.mark.parametrize("lands", [False, True], ids=["ours never lands", "ours lands later"])
def test_a_refusal_without_our_requests_id_takes_nothing_back(world: HookedWorld, road: Road, lands: bool) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    bank = world.paymego.bank

    def cancel_at_last() -> None:
        bank.call(world.paymego.now_ms, CANCEL, {"id": sold.receipt_id})

    def another_calls_error(answer: Envelope) -> Envelope | bytes:
        if lands:
            bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))
            world.clock.at(
                world.clock.monotonic() + 3,
                cancel_at_last,
            )
        return without_id(error(-31800))(answer)

    bank.plan_cancel(sold.receipt_id, REFUSES)
    world.paymego.change(CANCEL, another_calls_error)

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    assert len(world.live()) == 1
    assert is_delivered_and_gone(world)


def test_told_as_queued_before_a_cancel_left_it_is_not_taken_back(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    assert world.paymego.count(CANCEL) == 0
    refuse_the_next(world, sold)

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    assert is_delivered_and_gone(world)


@pytest.mark.parametrize("by_ms", [-3_600_000, -86_400_000, 3_600_000], ids=["an hour back", "a day back", "forward"])
def test_nor_is_it_where_the_wall_clock_was_set_meanwhile(world: HookedWorld, road: Road, by_ms: int) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    refuse_the_next(world, sold)
    world.clock.set_wall(by_ms)

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED


def test_told_as_queued_although_that_could_not_be_stored_it_is_not_taken_back_once_it_is_due(
    world: HookedWorld, road: Road
) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    world.journal.fail_from(2)
    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    world.journal.recover()
    refuse_the_next(world, sold)
    world.clock.pass_until(world.clock.monotonic() + 60)

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED


def test_after_a_crash_behind_a_cancel_that_left_it_is_not_taken_back(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.befall(FaultKind.SILENT, CANCEL)
    ui = world.cashier()

    def die(_: float) -> None:
        if world.paymego.count(CANCEL):
            raise PowerCut

    ui.hand = die
    with pytest.raises(PowerCut):
        road.give_back(world, sold, ui=ui)
    world.restart()
    refuse_the_next(world, sold)

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED


def test_told_by_a_second_hook_it_is_not_taken_back_by_the_first(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.befall(FaultKind.ANSWER_DELAYED, CANCEL, after_s=2.0)
    world.paymego.bank.plan_cancel(sold.receipt_id, REFUSES)
    told: list[ReversalStatus] = []
    ui = world.cashier()

    def ask_again(_: float) -> None:
        if not told:
            told.append(road.give_back(world, sold).status)

    ui.hand = ask_again
    first = road.give_back(world, sold, ui=ui)

    assert (told, first.status) == ([ReversalStatus.QUEUED], ReversalStatus.QUEUED)
    assert world.row().state is PaymentState.REVERSING
    assert is_delivered_and_gone(world)


def begins_elsewhere(world: HookedWorld) -> Callable[[float], None]:
    """Return what a cashier's screen does: another one's ``receipts.cancel`` for the row leaves meanwhile, once."""
    begun: list[CancellationRow] = []

    def hand(_: float) -> None:
        if world.live() and not begun:
            begun.append(world.live()[0])
            world.background.processor().cancellations.begin(begun[0])

    return hand


def test_one_for_which_another_cancel_leaves_after_ours_is_not_taken_back(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.befall(FaultKind.ANSWER_DELAYED, CANCEL, after_s=2.0)
    world.paymego.bank.plan_cancel(sold.receipt_id, REFUSES)
    ui = world.cashier()
    ui.hand = begins_elsewhere(world)

    assert road.give_back(world, sold, ui=ui).status is ReversalStatus.QUEUED
    assert world.live()[0].attempts == 2
    assert is_delivered_and_gone(world)


def test_one_for_which_another_cancel_left_before_ours_is_not_taken_back(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.journal.cut_at(1)
    with pytest.raises(PowerCut):
        road.give_back(world, sold)
    world.restart()
    refuse_the_next(world, sold)
    world.paymego.befall(FaultKind.ANSWER_DELAYED, CHECK, after_s=2.0)
    ui = world.cashier()
    ui.hand = begins_elsewhere(world)

    assert road.give_back(world, sold, ui=ui).status is ReversalStatus.QUEUED
    assert world.live()[0].attempts == 2
    assert is_delivered_and_gone(world)


def test_told_as_queued_although_that_could_not_be_stored_it_is_not_taken_back_once_the_hosts_queue_has_it(
    world: HookedWorld, road: Road
) -> None:
    world.set(ignoredErrors="-31800")
    world.host.takes_messages = True
    sold = road.sell(world)
    world.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    world.journal.fail_from(2)
    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    world.journal.recover()
    world.work(60)
    (row,) = world.live()
    assert (row.last_error, row.attempts, len(world.host.queue)) == ("", 0, 1)
    refuse_the_next(world, sold)

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    assert is_delivered_and_gone(world)


def test_one_whose_request_could_not_be_noted_is_not_taken_back(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, REFUSES)
    world.journal.fail_from(2)
    world.paymego.change(CANCEL, meanwhile(world.journal.recover))

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    assert is_delivered_and_gone(world)
