"""The same cancel or refund asked for twice at once joins the running call and gets its result.

On real threads: the first call waits in its progress, before anything is stored, until the test lets it go on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import Sold
from fakes.joined_calls import running_call
from fakes.paymego import Passage
from fakes.reversal_calls import CANCEL, REFUND, ROADS, Road
from fakes.till import TENDER, open_sale, scan_after
from hookspecs import PaymentRecord, PaymentStatus, ReversalStatus
from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import CancelPlan
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from hookspecs import PaymentResult, ReversalResult

ON_EACH_ROAD = pytest.mark.parametrize("road", ROADS, ids=str)


def _returning(world: HookedWorld, road: Road, sold: Sold) -> Callable[[Callable[[], None]], ReversalResult]:
    # Slow enough to show progress before anything is stored.
    world.paymego.passage = lambda method: Passage(back_s=1 if method == "receipts.check" else 0.01)

    def call(wait: Callable[[], None]) -> ReversalResult:
        ui, waited = world.cashier(), list[None]()

        def hand(_: float) -> None:
            if not waited:
                waited.append(None)
                wait()

        ui.hand = hand
        return road.give_back(world, sold, ui=ui)

    return call


@ON_EACH_ROAD
def test_the_same_reversal_joins_and_gets_the_same_result_of_one_cancel(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3))
    with running_call(world, _returning(world, road, sold)) as running:
        joined = [running.join(lambda: road.give_back(world, sold)) for _ in range(3)]
        assert not any(each.done() for each in joined)
        running.go_on()
        first = running.result.result()

    assert first.status is ReversalStatus.REVERSED
    assert all(each.result() == first for each in joined)
    assert (world.paymego.count("receipts.cancel"), world.row().state) == (1, PaymentState.REVERSED)


@ON_EACH_ROAD
def test_a_final_refusal_is_told_to_both_and_nobody_waits_for_money(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    state = world.row().state
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    with running_call(world, _returning(world, road, sold)) as running:
        joined = running.join(lambda: road.give_back(world, sold))
        running.go_on()
        first = running.result.result()

    assert (first.status, joined.result()) == (ReversalStatus.REFUSED, first)
    assert (world.live(), world.paymego.held()) == ([], sold.record.amount)
    assert world.row().state in {state, PaymentState.RECORDED}


@ON_EACH_ROAD
def test_a_call_that_could_store_nothing_fails_for_both(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    with running_call(world, _returning(world, road, sold)) as running:
        joined = running.join(lambda: road.give_back(world, sold))
        world.journal.fail_from(1)
        running.go_on()
        for each in (running.result, joined):
            with pytest.raises(JournalError):
                each.result()
    world.journal.recover()

    assert (world.live(), world.paymego.count("receipts.cancel")) == ([], 0)
    assert road.give_back(world, sold).status is ReversalStatus.REVERSED


@ON_EACH_ROAD
def test_a_call_joins_also_after_the_stop_has_begun(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    with running_call(world, _returning(world, road, sold)) as running:
        stopping = running.beside(world.dispatcher.stop)
        while world.dispatcher.is_running():
            pass
        joined = running.join(lambda: road.give_back(world, sold))
        running.go_on()
        first = running.result.result()
        stopping.result()

    # The stop acts as the cashier's.
    assert (first.status, joined.result()) == (ReversalStatus.QUEUED, first)
    assert len(world.live()) == 1


def test_another_refund_of_the_same_payment_does_not_join(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    with running_call(world, _returning(world, REFUND, sold)) as running:
        other = world.refund(sold, "f2")
        running.go_on()

    assert (other.status, other.message) == (ReversalStatus.REFUSED, world.text(Text.REVERSAL_BUSY))
    assert running.result.result().status is ReversalStatus.REVERSED


def _paying(world: HookedWorld) -> Callable[[Callable[[], None]], PaymentResult]:
    return lambda wait: world.ask(scan_after(wait, world.paymego.code()), payment_id="p3", receipt=open_sale(3))


def test_a_cancel_beside_its_own_payments_refund_is_answered_by_the_journal(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    with running_call(world, _returning(world, REFUND, sold)) as running:
        busy = world.cancel(sold)
        running.go_on()

    assert (busy.status, busy.message) == (ReversalStatus.REFUSED, world.text(Text.REVERSAL_BUSY))
    assert running.result.result().status is ReversalStatus.REVERSED
    assert world.paymego.count("receipts.cancel") == 1


def test_a_cancel_beside_its_own_payment_is_answered_by_the_journal(world: HookedWorld) -> None:
    record = PaymentRecord(payment_id="p3", payment_type=TENDER, amount=1_500_000, data={})
    with running_call(world, _paying(world)) as running:
        busy = world.cancel(Sold(record, open_sale(3)))
        running.go_on()

    assert (busy.status, busy.message) == (ReversalStatus.REFUSED, world.text(Text.REVERSAL_BUSY))
    assert running.result.result().status is PaymentStatus.PAID
    assert (world.row("p3").state, world.live("p3")) == (PaymentState.PAID, [])


@pytest.mark.parametrize("other", ["cancel", "payment"])
@ON_EACH_ROAD
def test_beside_another_payments_hook_it_is_durable_and_queued(world: HookedWorld, road: Road, other: str) -> None:
    sold, first = road.sell(world, "p2", 2), world.sell("p1", 1)
    call: Callable[[Callable[[], None]], object] = (
        _returning(world, CANCEL, first) if other == "cancel" else _paying(world)
    )
    with running_call(world, call) as running:
        asked = len(world.paymego.sent)
        beside = road.give_back(world, sold)
        durable = [(row.cause, row.is_queued) for row in world.live("p2")]
        about = {sent.receipt_id for sent in world.paymego.sent[asked:]}
        running.go_on()

    assert (beside.status, beside.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert (durable, about) == ([(road.cause, True)], set())
    world.work(3600)
    assert (world.live("p2"), world.paymego.held(sold.receipt_id)) == ([], 0)


@pytest.mark.parametrize("payment_id", ["p1", "\ud800"], ids=["of another receipt", "not storable"])
def test_beside_another_payments_hook_a_record_that_can_not_be_ours_is_refused(
    world: HookedWorld, payment_id: str
) -> None:
    first, sold = world.sell("p1", 1), world.sell("p2", 2)
    with running_call(world, _paying(world)) as running:
        beside = world.cancel(sold, record=replace(sold.record, payment_id=payment_id))
        running.go_on()

    assert beside.status is ReversalStatus.REFUSED
    assert (world.live("p1"), world.live("p2"), world.paymego.held(first.receipt_id)) == ([], [], 1_500_000)
