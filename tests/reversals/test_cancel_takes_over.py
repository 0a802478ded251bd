"""A cancel takes over a cancellation of cause *unrecorded*, which then can be neither withdrawn nor held."""

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


def orphan(till: HookedWorld) -> Sold:
    sold = till.sell()
    till.restart()
    till.dispatcher.ready()
    assert till.row().state is PaymentState.REVERSING
    return sold


def unknown(till: HookedWorld) -> Sold:
    row = owe_paid(till)
    data = {"v": "1", "plugin": "payme", "receipt_id": row.receipt_id, "posId": row.pos_id}
    record = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=AMOUNT, data=data)
    return Sold(record, open_sale())


def acknowledged(till: HookedWorld) -> Sold:
    sold = unknown(till)
    till.dispatcher.acknowledge(sold.record)
    return sold


def held_as_old(till: HookedWorld) -> Sold:
    sold = till.sell()
    till.clock.suspend(EIGHT_DAYS_S)
    till.restart()
    till.dispatcher.ready()
    till.work(60)
    assert [row.held for row in till.live()] == [Hold.OLD]
    return sold


def held_by_host(till: HookedWorld) -> Sold:
    sold = unknown(till)
    till.host.recorded["p1"] = True
    till.work(1)
    assert [row.held for row in till.live()] == [Hold.HOST]
    return sold


UNDER_WAY = pytest.mark.parametrize("leave", [orphan, unknown, acknowledged, held_as_old, held_by_host])


def without_payme(till: HookedWorld, sold: Sold) -> ReversalStatus:
    till.paymego.passage = lambda _: Passage(connects=False)
    status = till.cancel(sold).status
    till.paymego.passage = lambda _: Passage()
    return status


def without_settings(till: HookedWorld, sold: Sold) -> ReversalStatus:
    till.broken = True
    status = till.cancel(sold).status
    till.broken = False
    return status


HOW = pytest.mark.parametrize("cancel", [without_payme, without_settings])


@HOW
@UNDER_WAY
def test_it_is_queued_as_the_hosts_cancel_which_nothing_holds_or_ends_and_the_worker_returns_the_money(
    till: HookedWorld, leave: Callable[[HookedWorld], Sold], cancel: Callable[[HookedWorld, Sold], ReversalStatus]
) -> None:
    sold = leave(till)
    (before,) = till.live()
    assert before.cause is Cause.UNRECORDED

    assert cancel(till, sold) is ReversalStatus.QUEUED

    (row,) = till.live()
    assert (row.cancellation_id, row.cause, row.held) == (before.cancellation_id, Cause.CANCEL, None)
    assert row.due_at <= till.clock.wall_ms() + 1
    till.dispatcher.acknowledge(sold.record)
    till.host.recorded["p1"] = True
    till.work(3600)
    ended = till.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, till.live(), till.paymego.held()) == (End.CANCELLED, [], 0)
    assert till.row().state is not PaymentState.RECORDED


def test_a_step_that_was_asking_payme_meanwhile_does_not_hold_it(till: HookedWorld) -> None:
    sold = till.sell()
    till.clock.suspend(EIGHT_DAYS_S)
    till.restart()
    till.dispatcher.ready()
    results: list[ReversalStatus] = []

    def passage(method: str) -> Passage:
        if method == "receipts.get" and not results:
            results.append(without_settings(till, sold))
        return Passage()

    till.paymego.passage = passage
    till.work()

    assert (results, [row.held for row in till.live()]) == ([ReversalStatus.QUEUED], [None])
    till.work(3600)
    assert (till.live(), till.paymego.held()) == ([], 0)
