"""``host.is_recorded`` is a veto only: it is asked before a ``receipts.cancel`` of cause *unrecorded* leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe_paid
from fakes.paymego import Passage
from fakes.reversal_calls import ROADS, Road
from hookspecs import ReversalStatus
from payme_plugin.delivery.host_queue import message_of
from payme_plugin.ledger.states import End, PaymentState
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox import CancelPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld, Sold

AMOUNT = 1_500_000
CANCEL = "receipts.cancel"


def leave_orphan(world: HookedWorld) -> Sold:
    """Let a paid payment be an orphan: the host has said ``on_ready`` without it."""
    sold = world.sell()
    world.restart()
    world.dispatcher.ready()
    assert world.row().state is PaymentState.REVERSING
    return sold


def answer_with(world: HookedWorld, answer: object) -> list[str]:
    """Let the host answer so, raised if it is an exception; return the payments that it is asked about."""
    asked: list[str] = []

    def is_recorded(payment_id: str) -> object:
        asked.append(payment_id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.host.is_recorded = is_recorded  # type: ignore[method-assign, assignment]
    return asked


def by_worker(world: HookedWorld) -> None:
    world.work(60)


def by_queue(world: HookedWorld) -> None:
    (row,) = world.live()
    assert world.message(message_of(row)) is not None


@pytest.mark.parametrize("who", [by_worker, by_queue])
def test_true_acknowledges_an_orphan_and_ends_its_cancellation(
    world: HookedWorld, who: Callable[[HookedWorld], None]
) -> None:
    leave_orphan(world)
    (row,) = world.live()
    answer_with(world, True)

    who(world)

    ended = world.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, world.live()) == (End.RECORDED, [])
    assert (world.row().state, world.row().acknowledged_at is not None) == (PaymentState.RECORDED, True)
    assert (world.paymego.count(CANCEL), world.paymego.held()) == (0, AMOUNT)


def test_an_acknowledgement_by_veto_is_irrevocable(world: HookedWorld) -> None:
    leave_orphan(world)
    answer_with(world, True)
    world.work(60)

    answer_with(world, False)
    world.work(600)
    world.restart()
    world.dispatcher.ready()
    world.work(600)

    assert (world.row().state, world.paymego.held()) == (PaymentState.RECORDED, AMOUNT)


@pytest.mark.parametrize("road", ROADS, ids=str)
def test_a_wrong_veto_keeps_money_only_until_the_host_returns_it(world: HookedWorld, road: Road) -> None:
    sold = leave_orphan(world)
    answer_with(world, True)
    world.work(60)

    assert road.give_back(world, sold).status is ReversalStatus.REVERSED
    assert world.paymego.held() == 0


@pytest.mark.parametrize("answer", [False, None, 1, "yes", [True], RuntimeError("the till is locked")], ids=repr)
def test_any_other_answer_holds_nothing_up(world: HookedWorld, answer: object) -> None:
    leave_orphan(world)
    asked = answer_with(world, answer)

    world.work(60)

    assert set(asked) == {"p1"}
    assert (world.row().state, world.live(), world.paymego.held()) == (PaymentState.REVERSED, [], 0)


@pytest.mark.parametrize("answer", [False, None])
def test_no_answer_moves_money_where_no_cancellation_is_live(world: HookedWorld, answer: object) -> None:
    world.sell()
    asked = answer_with(world, answer)

    world.work(3600)
    world.pay(world.paymego.code(), payment_id="p2")
    world.background.stop()

    assert (asked, world.row().state, world.live()) == ([], PaymentState.PAID, [])


def test_once_a_cancel_has_left_the_host_is_not_asked_and_keeps_nothing(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(refused_with=-31800))
    asked_at: list[int] = []

    def is_recorded(payment_id: str) -> bool | None:
        asked_at.append(world.paymego.count(CANCEL))
        return world.paymego.count(CANCEL) > 0

    world.host.is_recorded = is_recorded  # type: ignore[method-assign]
    world.work(30)
    assert (set(asked_at), world.paymego.count(CANCEL) > 1) == ({0}, True)

    world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan())
    world.work(600)
    assert (world.live(), world.paymego.held()) == ([], 0)


def test_the_host_is_asked_again_as_long_as_no_cancel_could_leave(world: HookedWorld) -> None:
    leave_orphan(world)
    asked = answer_with(world, None)
    world.paymego.passage = lambda _: Passage(connects=False)
    world.work(30)
    assert len(asked) > 1

    answer_with(world, True)
    world.paymego.passage = lambda _: Passage()
    world.work(60)
    assert (world.row().state, world.paymego.held()) == (PaymentState.RECORDED, AMOUNT)


@pytest.mark.parametrize("road", ROADS, ids=str)
def test_a_return_that_the_host_asked_for_is_under_no_veto(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.passage = lambda _: Passage(connects=False)
    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    world.paymego.passage = lambda _: Passage()
    asked = answer_with(world, True)

    world.work(60)

    assert (asked, world.live(), world.paymego.held()) == ([], [], 0)


def test_an_acknowledgement_while_the_state_is_asked_keeps_the_cancel_from_leaving(world: HookedWorld) -> None:
    sold = leave_orphan(world)

    def passage(method: str) -> Passage:
        if method == "receipts.check":
            world.dispatcher.acknowledge(sold.record)
        return Passage()

    world.paymego.passage = passage
    world.work(60)

    assert (world.row().state, world.live(), world.paymego.count(CANCEL)) == (PaymentState.RECORDED, [], 0)


def test_an_acknowledgement_after_the_cancel_has_left_is_stored_and_shown_and_ends_nothing(world: HookedWorld) -> None:
    sold = leave_orphan(world)
    world.work()
    assert world.paymego.count(CANCEL) == 1

    world.dispatcher.acknowledge(sold.record)
    shown = dict(world.host.notices)
    world.work(60)

    assert set(shown) == {"payme.sale"}
    assert world.row().acknowledged_at is not None
    assert (world.row().state, world.paymego.state(sold.receipt_id)) == (
        PaymentState.REVERSED,
        ReceiptState.CANCELLED,
    )
