"""Cancel: a sale that holds our payment is annulled before it closes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.till import TENDER, PowerCut, open_sale
from hookspecs import CancelRequest, PaymentRecord, PaymentStatus, ReversalStatus
from payme_plugin.ledger.states import Cause, End, PaymentState
from payme_plugin.sandbox import BuyerAction, CancelPlan
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

CANCEL, PAY = "receipts.cancel", "receipts.pay"


def test_50_that_payme_says_already_is_reversed_without_a_cancel(world: HookedWorld) -> None:
    sold = world.sell()
    world.paymego.bank.put_state(world.paymego.now_ms, sold.receipt_id, 50)

    result = world.cancel(sold)

    assert (result.status, len(result.slips)) == (ReversalStatus.REVERSED, 1)
    assert world.paymego.count(CANCEL) == 0
    assert (world.live(), world.row().state) == ([], PaymentState.REVERSED)


def test_21_that_payme_says_already_is_followed_to_50_without_another_cancel(world: HookedWorld) -> None:
    sold = world.sell()
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=5))
    world.paymego.bank.call(world.paymego.now_ms, CANCEL, {"id": sold.receipt_id})

    result = world.cancel(sold)

    assert result.status is ReversalStatus.REVERSED
    assert world.paymego.count(CANCEL) == 0
    assert world.row().state is PaymentState.REVERSED


@pytest.mark.parametrize("state", [4, 5, 30, 20, 2, 77])
def test_any_other_state_is_cancelled(world: HookedWorld, state: int) -> None:
    sold = world.sell()
    bank = world.paymego.bank
    if state in {20, 30, 77}:
        bank.put_state(world.paymego.now_ms, sold.receipt_id, state)
    else:
        world.paymego.change("receipts.check", lambda answer: {**answer, "result": {"state": state}})

    assert world.cancel(sold).status is ReversalStatus.REVERSED
    assert world.paymego.count(CANCEL) == 1


def test_another_plugins_payment_is_not_ours(world: HookedWorld) -> None:
    sold = world.sell()
    sent = len(world.paymego.sent)
    for data in ({"plugin": "other"}, {"v": "1"}):
        record = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=1_500_000, data=data)
        request = CancelRequest(payment=record, receipt=sold.receipt)
        assert world.dispatcher.cancel(request, world.cashier()) is None

    assert len(world.paymego.sent) == sent


def test_told_again_after_it_was_reversed_it_says_the_same_and_asks_for_nothing_that_moves_money(
    world: HookedWorld,
) -> None:
    sold = world.sell()
    first = world.cancel(sold)
    cancels = world.paymego.count(CANCEL)

    again = world.cancel(sold)

    assert (again.status, again.message, again.receipt_id) == (first.status, first.message, first.receipt_id)
    assert len(again.slips) == 1
    assert world.paymego.count(CANCEL) == cancels


def test_asked_again_while_it_is_under_way_there_is_still_one_row(world: HookedWorld) -> None:
    sold = world.sell()
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=25))
    assert world.cancel(sold).status is ReversalStatus.QUEUED

    again = world.cancel(sold)

    assert again.status is ReversalStatus.REVERSED
    assert (world.live(), world.row().state) == ([], PaymentState.REVERSED)
    assert world.paymego.count(CANCEL) == 1


def test_what_was_told_as_queued_is_never_taken_back(world: HookedWorld) -> None:
    sold = world.sell()
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    assert world.cancel(sold).status is ReversalStatus.QUEUED
    world.set(ignoredErrors="-31800")

    again = world.cancel(sold)

    assert (again.status, again.error_code) == (ReversalStatus.QUEUED, -31800)
    assert len(world.live()) == 1


def test_a_payment_that_the_journal_lost_is_given_back_by_the_tills_record(world: HookedWorld) -> None:
    sold = world.sell()
    world.journal.forget()

    result = world.cancel(sold)

    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
    assert (world.row().state, world.row().amount, world.row().number) == (PaymentState.REVERSED, 1_500_000, 1)
    assert world.path_of() == ["recorded", "reversing", "reversed"]
    assert world.paymego.held() == 0


def test_a_payment_that_the_journal_lost_after_it_was_given_back_is_reversed_without_a_cancel(
    world: HookedWorld,
) -> None:
    sold = world.sell()
    world.cancel(sold)
    world.journal.forget()
    cancels = world.paymego.count(CANCEL)

    assert world.cancel(sold).status is ReversalStatus.REVERSED
    assert world.paymego.count(CANCEL) == cancels


def test_a_payment_that_the_journal_knows_under_its_receipt_id_alone_is_found(world: HookedWorld) -> None:
    sold = world.sell()

    result = world.cancel(sold, record=replace(sold.record, payment_id="renamed"))

    assert result.status is ReversalStatus.REVERSED
    assert (world.row("p1").state, world.journal.find("renamed")) == (PaymentState.REVERSED, None)


@pytest.mark.parametrize("receipt_id", ["of another payment", "of none"])
def test_a_record_that_contradicts_the_journal_gives_nothing_back(world: HookedWorld, receipt_id: str) -> None:
    first, second = world.sell("p1", 1), world.sell("p2", 2)
    other = second.receipt_id if receipt_id == "of another payment" else "0" * 24

    result = world.cancel(first, record=replace(first.record, data={**first.record.data, "receipt_id": other}))

    assert (result.status, result.message) == (ReversalStatus.REFUSED, world.text(Text.REVERSAL_UNKNOWN_PAYMENT))
    assert (world.paymego.held(), world.paymego.count(CANCEL)) == (3_000_000, 0)


@pytest.mark.parametrize("missing", ["receipt_id", "posId"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_record_that_says_too_little_is_refused_and_leaves_no_trace(
    world: HookedWorld, missing: str, value: str | None
) -> None:
    sold = world.sell()
    world.journal.forget()
    data = {name: text for name, text in sold.record.data.items() if name != missing}
    record = replace(sold.record, data=data if value is None else {**data, missing: value})
    sent = len(world.paymego.sent)

    result = world.cancel(sold, record=record)

    assert result.status is ReversalStatus.REFUSED
    assert result.message == world.text(Text.REVERSAL_UNKNOWN_PAYMENT)
    assert (len(world.paymego.sent), world.journal.payments(), world.live()) == (sent, [], [])


@pytest.mark.parametrize("paid_at", ["", "soon", "9" * 5000, "-5", "٣"])
def test_a_record_with_a_senseless_time_is_given_back_all_the_same(world: HookedWorld, paid_at: str) -> None:
    sold = world.sell()
    world.journal.forget()

    result = world.cancel(sold, record=replace(sold.record, data={**sold.record.data, "paid_at": paid_at}))

    assert result.status is ReversalStatus.REVERSED
    assert world.row().paid_at is None


@pytest.mark.parametrize("action", [BuyerAction.NEVER_ANSWERS, BuyerAction.LACKS_FUNDS], ids=lambda one: one.value)
def test_a_payment_that_was_never_paid_goes_back_by_its_own_row_and_no_second_one(
    world: HookedWorld, action: BuyerAction
) -> None:
    sold = world.sell("p1")
    unpaid = world.pay(world.paymego.code(action), payment_id="p2", receipt=open_sale(2))
    record = replace(sold.record, payment_id="p2", data={**sold.record.data, "receipt_id": str(unpaid.receipt_id)})
    sent = len(world.paymego.sent)

    result = world.cancel(sold, record=record)

    assert (result.status, result.message) == (ReversalStatus.QUEUED, world.text(Text.REVERSAL_QUEUED))
    assert (len(world.live("p2")), len(world.paymego.sent)) == (1, sent)
    world.work(30)
    assert world.cancel(sold, record=record).status is ReversalStatus.REVERSED


def test_a_payment_whose_result_could_not_be_stored_is_returned_by_its_own_row(world: HookedWorld) -> None:
    other = world.sell("p2", 2)
    world.journal.fail_from(3)
    assert world.ask(world.paymego.code()).status is PaymentStatus.UNKNOWN
    world.journal.recover()
    data = {**other.record.data, "receipt_id": str(world.row().receipt_id)}
    record = replace(other.record, payment_id="p1", data=data)

    result = world.cancel(other, record=record)

    assert (result.status, len(world.live("p1"))) == (ReversalStatus.QUEUED, 1)
    assert world.row().state is PaymentState.UNKNOWN
    world.work(60)
    assert world.paymego.held() == other.record.amount


def test_a_payment_that_an_earlier_process_left_without_a_result_is_returned(world: HookedWorld) -> None:
    other = world.sell("p2", 2)
    world.journal.cut_at(4)
    with pytest.raises(PowerCut):
        world.ask(world.paymego.code())
    world.restart()
    assert world.row().state is PaymentState.PAYING
    data = {**other.record.data, "receipt_id": str(world.row().receipt_id)}

    result = world.cancel(other, record=replace(other.record, payment_id="p1", data=data))

    assert result.status is ReversalStatus.REVERSED
    assert world.path_of()[-3:] == ["paid", "reversing", "reversed"]
    assert world.paymego.held() == other.record.amount


def test_a_paid_payment_that_the_host_never_stored_is_returned(world: HookedWorld) -> None:
    sold = world.sell()

    assert world.cancel(sold, record=replace(sold.record)).status is ReversalStatus.REVERSED
    assert world.row().acknowledged_at is None


def test_an_orphan_that_is_being_returned_is_not_returned_twice(world: HookedWorld) -> None:
    sold = world.sell()
    world.restart()
    world.dispatcher.ready()
    (row,) = world.live()
    assert row.cause is Cause.UNRECORDED

    assert world.cancel(sold).status is ReversalStatus.REVERSED
    assert (world.live(), world.paymego.count(CANCEL)) == ([], 1)


def test_a_cancellation_that_a_person_ended_is_refused_and_starts_nothing(world: HookedWorld) -> None:
    sold = world.sell()
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    world.cancel(sold)
    (row,) = world.live()
    world.background.processor().cancellations.end(row, End.CLOSED, "paid (4)", closed_reason="given back in cash")
    sent = len(world.paymego.sent)

    result = world.cancel(sold)

    assert (result.status, world.live()) == (ReversalStatus.REFUSED, [])
    assert len(world.paymego.sent) == sent
