"""The cancel of a payment in an open sale."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import result
from fakes.till import TENDER, PowerCut, open_sale
from hookspecs import CancelRequest, PaymentStatus, ReversalStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import BuyerAction, CancelPlan
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

CANCEL = "receipts.cancel"


@pytest.mark.parametrize("settles_s", [0, 5], ids=["50", "21"])
def test_a_receipt_that_payme_cancelled_already_is_followed_to_50_without_another_cancel(
    till: HookedWorld, settles_s: int
) -> None:
    sold = till.sell()
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=settles_s))
    till.paymego.bank.call(till.paymego.now_ms, CANCEL, {"id": sold.receipt_id})

    result = till.cancel(sold)

    assert (result.status, len(result.slips)) == (ReversalStatus.REVERSED, 1)
    assert (till.paymego.count(CANCEL), till.live(), till.row().state) == (0, [], PaymentState.REVERSED)


@pytest.mark.parametrize("state", [2, 5, 77])
def test_any_other_state_is_cancelled(till: HookedWorld, state: int) -> None:
    sold = till.sell()
    till.paymego.change("receipts.check", result({"state": state}))

    assert till.cancel(sold).status is ReversalStatus.REVERSED
    assert till.paymego.count(CANCEL) == 1


def test_a_payment_that_the_journal_knows_only_by_its_receipt_id_is_found(till: HookedWorld) -> None:
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
def test_an_incomplete_record_is_refused_and_nothing_is_stored(
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


@pytest.mark.parametrize("paid_at", ["", "soon", "9" * 5000, "٣"])
def test_a_record_with_an_invalid_time_is_reversed(till: HookedWorld, paid_at: str) -> None:
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


def test_a_paid_payment_that_the_host_never_stored_is_returned(till: HookedWorld) -> None:
    assert till.cancel(till.sell()).status is ReversalStatus.REVERSED
    assert till.row().acknowledged_at is None


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


# The host lost what it stored with the payment.


def test_a_cancel_whose_record_lost_its_data_is_found_by_its_id_under_the_tender_that_took_it(
    till: HookedWorld,
) -> None:
    sold = till.sell()
    till.set(paymentType=TENDER + 1)

    result = till.cancel(sold, record=replace(sold.record, data={}))

    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
    assert till.paymego.held() == 0


@pytest.mark.parametrize(
    "changes",
    [{"payment_type": TENDER + 1}, {"payment_id": "unknown"}, {"data": {"plugin": "other"}}, {"data": {"v": "1"}}],
    ids=["another tender", "another id", "another plugin's data", "data of nobody"],
)
def test_a_cancel_whose_record_differs_from_the_journal_is_not_ours(
    till: HookedWorld, changes: dict[str, object]
) -> None:
    sold = till.sell()
    sent = len(till.paymego.sent)
    record = replace(sold.record, **{"data": {}, **changes})  # type: ignore[arg-type]

    assert till.dispatcher.cancel(CancelRequest(payment=record, receipt=sold.receipt), till.cashier()) is None
    assert (len(till.paymego.sent), till.paymego.held()) == (sent, 1_500_000)


def test_the_payment_that_a_cancel_is_about_is_not_sent_back_by_recovery_meanwhile(till: HookedWorld) -> None:
    sold = till.sell()
    till.host.recorded["p1"] = False

    result = till.cancel(sold, record=replace(sold.record, payment_id="renamed"))

    assert (result.status, till.row().state) == (ReversalStatus.REVERSED, PaymentState.REVERSED)
    assert [event.text for event in till.events() if "cause" in event.text] == ["cancellation: queued, cause cancel"]
