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


def test_50_that_payme_says_already_is_reversed_without_a_cancel(till: HookedWorld) -> None:
    sold = till.sell()
    till.paymego.bank.put_state(till.paymego.now_ms, sold.receipt_id, 50)

    result = till.cancel(sold)

    assert (result.status, len(result.slips)) == (ReversalStatus.REVERSED, 1)
    assert till.paymego.count(CANCEL) == 0
    assert (till.live(), till.row().state) == ([], PaymentState.REVERSED)


def test_21_that_payme_says_already_is_followed_to_50_without_another_cancel(till: HookedWorld) -> None:
    sold = till.sell()
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=5))
    till.paymego.bank.call(till.paymego.now_ms, CANCEL, {"id": sold.receipt_id})

    result = till.cancel(sold)

    assert result.status is ReversalStatus.REVERSED
    assert till.paymego.count(CANCEL) == 0
    assert till.row().state is PaymentState.REVERSED


@pytest.mark.parametrize("state", [4, 5, 30, 20, 2, 77])
def test_any_other_state_is_cancelled(till: HookedWorld, state: int) -> None:
    sold = till.sell()
    bank = till.paymego.bank
    if state in {20, 30, 77}:
        bank.put_state(till.paymego.now_ms, sold.receipt_id, state)
    else:
        till.paymego.change("receipts.check", lambda answer: {**answer, "result": {"state": state}})

    assert till.cancel(sold).status is ReversalStatus.REVERSED
    assert till.paymego.count(CANCEL) == 1


def test_another_plugins_payment_is_not_ours(till: HookedWorld) -> None:
    sold = till.sell()
    sent = len(till.paymego.sent)
    for data in ({"plugin": "other"}, {"v": "1"}):
        record = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=1_500_000, data=data)
        request = CancelRequest(payment=record, receipt=sold.receipt)
        assert till.dispatcher.cancel(request, till.cashier()) is None

    assert len(till.paymego.sent) == sent


def test_told_again_after_it_was_reversed_it_says_the_same_and_asks_for_nothing_that_moves_money(
    till: HookedWorld,
) -> None:
    sold = till.sell()
    first = till.cancel(sold)
    cancels = till.paymego.count(CANCEL)

    again = till.cancel(sold)

    assert (again.status, again.message, again.receipt_id) == (first.status, first.message, first.receipt_id)
    assert len(again.slips) == 1
    assert till.paymego.count(CANCEL) == cancels


def test_asked_again_while_it_is_under_way_there_is_still_one_row(till: HookedWorld) -> None:
    sold = till.sell()
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=25))
    assert till.cancel(sold).status is ReversalStatus.QUEUED

    again = till.cancel(sold)

    assert again.status is ReversalStatus.REVERSED
    assert (till.live(), till.row().state) == ([], PaymentState.REVERSED)
    assert till.paymego.count(CANCEL) == 1


def test_what_was_told_as_queued_is_never_taken_back(till: HookedWorld) -> None:
    sold = till.sell()
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    assert till.cancel(sold).status is ReversalStatus.QUEUED
    till.set(ignoredErrors="-31800")

    again = till.cancel(sold)

    assert (again.status, again.error_code) == (ReversalStatus.QUEUED, -31800)
    assert len(till.live()) == 1


def test_a_payment_that_the_journal_lost_is_given_back_by_the_tills_record(till: HookedWorld) -> None:
    sold = till.sell()
    till.journal.forget()

    result = till.cancel(sold)

    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
    assert (till.row().state, till.row().amount, till.row().number) == (PaymentState.REVERSED, 1_500_000, 1)
    assert till.path_of() == ["recorded", "reversing", "reversed"]
    assert till.paymego.held() == 0


def test_a_payment_that_the_journal_lost_after_it_was_given_back_is_reversed_without_a_cancel(
    till: HookedWorld,
) -> None:
    sold = till.sell()
    till.cancel(sold)
    till.journal.forget()
    cancels = till.paymego.count(CANCEL)

    assert till.cancel(sold).status is ReversalStatus.REVERSED
    assert till.paymego.count(CANCEL) == cancels


def test_a_payment_that_the_journal_knows_under_its_receipt_id_alone_is_found(till: HookedWorld) -> None:
    sold = till.sell()

    result = till.cancel(sold, record=replace(sold.record, payment_id="renamed"))

    assert result.status is ReversalStatus.REVERSED
    assert (till.row("p1").state, till.journal.find("renamed")) == (PaymentState.REVERSED, None)


@pytest.mark.parametrize("receipt_id", ["of another payment", "of none"])
def test_a_record_that_contradicts_the_journal_gives_nothing_back(till: HookedWorld, receipt_id: str) -> None:
    first, second = till.sell("p1", 1), till.sell("p2", 2)
    other = second.receipt_id if receipt_id == "of another payment" else "0" * 24

    result = till.cancel(first, record=replace(first.record, data={**first.record.data, "receipt_id": other}))

    assert (result.status, result.message) == (ReversalStatus.REFUSED, till.text(Text.REVERSAL_UNKNOWN_PAYMENT))
    assert (till.paymego.held(), till.paymego.count(CANCEL)) == (3_000_000, 0)


@pytest.mark.parametrize("missing", ["receipt_id", "posId"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_record_that_says_too_little_is_refused_and_leaves_no_trace(
    till: HookedWorld, missing: str, value: str | None
) -> None:
    sold = till.sell()
    till.journal.forget()
    data = {name: text for name, text in sold.record.data.items() if name != missing}
    record = replace(sold.record, data=data if value is None else {**data, missing: value})
    sent = len(till.paymego.sent)

    result = till.cancel(sold, record=record)

    assert result.status is ReversalStatus.REFUSED
    assert result.message == till.text(Text.REVERSAL_UNKNOWN_PAYMENT)
    assert (len(till.paymego.sent), till.journal.payments(), till.live()) == (sent, [], [])


@pytest.mark.parametrize("paid_at", ["", "soon", "9" * 5000, "-5", "٣"])
def test_a_record_with_a_senseless_time_is_given_back_all_the_same(till: HookedWorld, paid_at: str) -> None:
    sold = till.sell()
    till.journal.forget()

    result = till.cancel(sold, record=replace(sold.record, data={**sold.record.data, "paid_at": paid_at}))

    assert result.status is ReversalStatus.REVERSED
    assert till.row().paid_at is None


@pytest.mark.parametrize("action", [BuyerAction.NEVER_ANSWERS, BuyerAction.LACKS_FUNDS], ids=lambda one: one.value)
def test_a_payment_that_was_never_paid_goes_back_by_its_own_row_and_no_second_one(
    till: HookedWorld, action: BuyerAction
) -> None:
    sold = till.sell("p1")
    unpaid = till.pay(till.paymego.code(action), payment_id="p2", receipt=open_sale(2))
    record = replace(sold.record, payment_id="p2", data={**sold.record.data, "receipt_id": str(unpaid.receipt_id)})
    sent = len(till.paymego.sent)

    result = till.cancel(sold, record=record)

    assert (result.status, result.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
    assert (len(till.live("p2")), len(till.paymego.sent)) == (1, sent)
    till.work(30)
    assert till.cancel(sold, record=record).status is ReversalStatus.REVERSED


def test_a_payment_whose_result_could_not_be_stored_is_returned_by_its_own_row(till: HookedWorld) -> None:
    other = till.sell("p2", 2)
    till.journal.fail_from(3)
    assert till.ask(till.paymego.code()).status is PaymentStatus.UNKNOWN
    till.journal.recover()
    data = {**other.record.data, "receipt_id": str(till.row().receipt_id)}
    record = replace(other.record, payment_id="p1", data=data)

    result = till.cancel(other, record=record)

    assert (result.status, len(till.live("p1"))) == (ReversalStatus.QUEUED, 1)
    assert till.row().state is PaymentState.UNKNOWN
    till.work(60)
    assert till.paymego.held() == other.record.amount


def test_a_payment_that_an_earlier_process_left_without_a_result_is_returned(till: HookedWorld) -> None:
    other = till.sell("p2", 2)
    till.journal.cut_at(4)
    with pytest.raises(PowerCut):
        till.ask(till.paymego.code())
    till.restart()
    assert till.row().state is PaymentState.PAYING
    data = {**other.record.data, "receipt_id": str(till.row().receipt_id)}

    result = till.cancel(other, record=replace(other.record, payment_id="p1", data=data))

    assert result.status is ReversalStatus.REVERSED
    assert till.path_of()[-3:] == ["paid", "reversing", "reversed"]
    assert till.paymego.held() == other.record.amount


def test_a_paid_payment_that_the_host_never_stored_is_returned(till: HookedWorld) -> None:
    sold = till.sell()

    assert till.cancel(sold, record=replace(sold.record)).status is ReversalStatus.REVERSED
    assert till.row().acknowledged_at is None


def test_an_orphan_that_is_being_returned_is_not_returned_twice(till: HookedWorld) -> None:
    sold = till.sell()
    till.restart()
    till.dispatcher.ready()
    (row,) = till.live()
    assert row.cause is Cause.UNRECORDED

    assert till.cancel(sold).status is ReversalStatus.REVERSED
    assert (till.live(), till.paymego.count(CANCEL)) == ([], 1)


def test_a_cancellation_that_a_person_ended_is_refused_and_starts_nothing(till: HookedWorld) -> None:
    sold = till.sell()
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    till.cancel(sold)
    (row,) = till.live()
    till.background.processor().cancellations.end(row, End.CLOSED, "paid (4)", closed_reason="given back in cash")
    sent = len(till.paymego.sent)

    result = till.cancel(sold)

    assert (result.status, till.live()) == (ReversalStatus.REFUSED, [])
    assert len(till.paymego.sent) == sent
