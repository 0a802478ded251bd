"""A return that a person closed: asked again, the host is told so, and nothing moves any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe_paid, owe_refund
from fakes.reversal_calls import ROADS, Road
from fakes.till import open_sale, request_for
from hookspecs import CancelRequest, PaymentRecord, ReversalResult, ReversalStatus
from payme_plugin.ledger.states import End, PaymentState
from payme_plugin.operations.results import record_of
from payme_plugin.sandbox import CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld, Sold

CANCEL, CHECK = "receipts.cancel", "receipts.check"
REASON = "Anna paid the cash out"


def close(world: HookedWorld, ended_as: End = End.CLOSED, *, reason: str = REASON) -> None:
    """End the one live cancellation as ``payme queue close`` does."""
    (row,) = world.journal.live_cancellations()
    world.background.processor().cancellations.end(row, ended_as, "paid (4)", closed_reason=reason)


def queued_cancel(world: HookedWorld) -> Sold:
    sold = world.sell()
    world.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)
    assert world.cancel(sold).status is ReversalStatus.QUEUED
    return sold


@pytest.mark.parametrize("restarts", [False, True])
def test_the_same_cancel_again_is_refused_with_the_persons_reason(world: HookedWorld, restarts: bool) -> None:
    sold = queued_cancel(world)
    close(world)
    if restarts:
        world.restart()
    sent = len(world.paymego.sent)

    for _ in range(2):
        result = world.cancel(sold)

        assert result.status is ReversalStatus.REFUSED
        assert result.message == world.texts(Text.REVERSAL_CLOSED_BY_HAND, text=REASON)
        assert (result.receipt_id, result.cancellation_queued) == (sold.receipt_id, False)
    assert (len(world.paymego.sent), world.live()) == (sent, [])


def test_the_same_refund_again_is_refused_with_the_persons_reason(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    world.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)
    assert world.refund(sold).status is ReversalStatus.QUEUED
    close(world)

    result = world.refund(sold)

    assert (result.status, result.message) == (
        ReversalStatus.REFUSED,
        world.texts(Text.REVERSAL_CLOSED_BY_HAND, text=REASON),
    )


def test_it_is_told_without_the_key_of_the_kassa_too(world: HookedWorld) -> None:
    sold = queued_cancel(world)
    close(world)
    world.set(posId="0" * 24)

    assert world.cancel(sold).message == world.texts(Text.REVERSAL_CLOSED_BY_HAND, text=REASON)


def test_the_payment_itself_asked_again_is_refused(world: HookedWorld) -> None:
    queued_cancel(world)
    close(world)

    result = world.dispatcher.pay(request_for(), world.cashier(world.paymego.code()))

    assert result is not None
    assert result.message == world.text(Text.PAYMENT_ALREADY_REVERSED)


def test_one_whose_money_was_back_by_the_last_check_is_reversed_as_ever(world: HookedWorld) -> None:
    sold = queued_cancel(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))
    world.paymego.bank.put_state(world.paymego.now_ms, sold.receipt_id, 50)
    close(world, End.CANCELLED)

    assert world.row().state is PaymentState.REVERSED
    assert world.cancel(sold).status is ReversalStatus.REVERSED


def test_a_payment_that_the_till_was_told_it_does_not_have_is_not_called_returned(world: HookedWorld) -> None:
    owe_paid(world)
    record: PaymentRecord = record_of(world.row())
    close(world)

    result: ReversalResult | None = world.dispatcher.cancel(
        CancelRequest(payment=record, receipt=open_sale(payments=(record,))), world.cashier()
    )

    assert result is not None
    assert result.status is ReversalStatus.REFUSED
    assert result.message == world.texts(Text.REVERSAL_CLOSED_BY_HAND, text=REASON)


def test_a_number_in_the_reason_is_masked_on_the_cashiers_screen(world: HookedWorld) -> None:
    sold = queued_cancel(world)
    close(world, reason="back to card 8600123412341234")

    assert "86001234" not in world.cancel(sold).message


@pytest.mark.parametrize("reason", ["a", "given; last check: nobody knows", "closed by hand: twice", "; last check: "])
def test_the_reason_is_read_as_it_was_written(world: HookedWorld, reason: str) -> None:
    row = owe_refund(world)
    close(world, reason=reason)

    ended = world.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert ended.closed_reason == reason


def test_an_end_by_payme_is_no_closing(world: HookedWorld) -> None:
    row = owe_refund(world)
    world.work(900)

    ended = world.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, ended.closed_reason) == (End.CANCELLED, None)


@pytest.mark.parametrize("road", ROADS, ids=str)
def test_closed_before_the_host_asks_again_no_cancel_leaves(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    close(world)

    result = road.give_back(world, sold)

    assert result.status is ReversalStatus.REFUSED
    assert world.paymego.count(CANCEL) == 0
