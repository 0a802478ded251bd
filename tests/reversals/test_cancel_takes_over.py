"""A cancel takes over a return that is under way as *unrecorded*: nothing ends it or holds it any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import Sold
from fakes.owed_money import owe_paid
from fakes.paymego import Passage
from fakes.till import TENDER, open_sale
from hookspecs import PaymentRecord, ReversalStatus
from payme_plugin.ledger.states import Cause, End, Hold, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld

AMOUNT = 1_500_000
EIGHT_DAYS_S = 8 * 24 * 3600


def orphan(world: HookedWorld) -> Sold:
    sold = world.sell()
    world.restart()
    world.dispatcher.ready()
    assert world.row().state is PaymentState.REVERSING
    return sold


def unknown(world: HookedWorld) -> Sold:
    row = owe_paid(world)
    data = {"v": "1", "plugin": "payme", "receipt_id": row.receipt_id, "posId": row.pos_id}
    record = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=AMOUNT, data=data)
    return Sold(record, open_sale())


def acknowledged(world: HookedWorld) -> Sold:
    sold = unknown(world)
    world.dispatcher.acknowledge(sold.record)
    return sold


def held_as_old(world: HookedWorld) -> Sold:
    sold = world.sell()
    world.clock.suspend(EIGHT_DAYS_S)
    world.restart()
    world.dispatcher.ready()
    world.work(60)
    assert [row.held for row in world.live()] == [Hold.OLD]
    return sold


def held_by_host(world: HookedWorld) -> Sold:
    sold = unknown(world)
    world.host.recorded["p1"] = True
    world.work(1)
    assert [row.held for row in world.live()] == [Hold.HOST]
    return sold


UNDER_WAY = pytest.mark.parametrize("leave", [orphan, unknown, acknowledged, held_as_old, held_by_host])


def without_payme(world: HookedWorld, sold: Sold) -> ReversalStatus:
    world.paymego.passage = lambda _: Passage(connects=False)
    status = world.cancel(sold).status
    world.paymego.passage = lambda _: Passage()
    return status


def without_settings(world: HookedWorld, sold: Sold) -> ReversalStatus:
    world.broken = True
    status = world.cancel(sold).status
    world.broken = False
    return status


HOW = pytest.mark.parametrize("cancel", [without_payme, without_settings])


@HOW
@UNDER_WAY
def test_it_is_queued_as_the_hosts_cancel_and_no_longer_held(
    world: HookedWorld, leave: Callable[[HookedWorld], Sold], cancel: Callable[[HookedWorld, Sold], ReversalStatus]
) -> None:
    sold = leave(world)
    (before,) = world.live()
    assert before.cause is Cause.UNRECORDED

    assert cancel(world, sold) is ReversalStatus.QUEUED

    (row,) = world.live()
    assert (row.cancellation_id, row.cause, row.held) == (before.cancellation_id, Cause.CANCEL, None)
    assert row.due_at <= world.clock.wall_ms() + 1


@HOW
@UNDER_WAY
def test_neither_an_acknowledgement_nor_a_veto_ends_it_and_the_worker_returns_the_money(
    world: HookedWorld, leave: Callable[[HookedWorld], Sold], cancel: Callable[[HookedWorld, Sold], ReversalStatus]
) -> None:
    sold = leave(world)
    assert cancel(world, sold) is ReversalStatus.QUEUED
    (row,) = world.live()

    world.dispatcher.acknowledge(sold.record)
    world.host.recorded["p1"] = True
    world.work(3600)

    ended = world.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, world.live(), world.paymego.held()) == (End.CANCELLED, [], 0)
    assert world.row().state is not PaymentState.RECORDED


def test_a_step_that_was_asking_payme_meanwhile_does_not_hold_it(world: HookedWorld) -> None:
    sold = world.sell()
    world.clock.suspend(EIGHT_DAYS_S)
    world.restart()
    world.dispatcher.ready()
    told: list[ReversalStatus] = []

    def passage(method: str) -> Passage:
        if method == "receipts.get" and not told:
            told.append(without_settings(world, sold))
        return Passage()

    world.paymego.passage = passage
    world.work()

    assert (told, [row.held for row in world.live()]) == ([ReversalStatus.QUEUED], [None])
    world.work(3600)
    assert (world.live(), world.paymego.held()) == ([], 0)
