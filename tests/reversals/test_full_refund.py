"""A closed sale is refunded as a whole, once, and only by the rules."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

from fakes.till import TENDER
from hookspecs import GoodsKind, Item, PaymentRecord, ReversalStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

CANCEL, CHECK = "receipts.cancel", "receipts.check"


@pytest.mark.parametrize("state", [21, 50])
def test_a_payment_that_payme_gives_back_already_is_refused_without_a_cancel(till: HookedWorld, state: int) -> None:
    sold = till.sell_and_close()
    till.paymego.bank.put_state(till.paymego.now_ms, sold.receipt_id, state)

    result = till.refund(sold)

    assert (result.status, result.message) == (ReversalStatus.REFUSED, till.text(Text.REVERSAL_ALREADY_REVERSED))
    assert (result.slips, result.cancellation_queued, till.paymego.count(CANCEL)) == ((), False, 0)
    assert (till.live(), till.row().state) == ([], PaymentState.RECORDED)


def test_a_refund_that_was_done_is_told_again_to_the_same_refund(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    assert till.refund(sold, "f1").status is ReversalStatus.REVERSED

    again = till.refund(sold, "f1")

    assert (again.status, len(again.slips), till.paymego.count(CANCEL)) == (ReversalStatus.REVERSED, 1, 1)
    assert till.violations(sold, "f1") == []


def test_a_second_refund_of_the_same_payment_is_refused_from_the_journal_without_a_request(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    till.refund(sold, "f1")
    sent = len(till.paymego.sent)

    result = till.refund(sold, "f2")

    assert result.status is ReversalStatus.REFUSED
    assert result.message == till.text(Text.REFUND_ALREADY_REVERSED)
    assert [violation.rule for violation in till.violations(sold, "f2")] == ["already-reversed"]
    assert len(till.paymego.sent) == sent


def test_a_second_refund_is_refused_while_the_first_is_under_way(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    till.paymego.befall(FaultKind.ANSWER_LOST, CANCEL)
    assert till.refund(sold, "f1").status is ReversalStatus.QUEUED

    assert till.refund(sold, "f2").status is ReversalStatus.REFUSED
    assert till.refund(sold, "f1").status is ReversalStatus.REVERSED


def test_a_second_refund_is_refused_from_paymes_state_where_the_journal_is_gone(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    till.refund(sold, "f1")
    till.journal.forget()
    cancels = till.paymego.count(CANCEL)

    result = till.refund(sold, "f2")

    assert (result.status, result.message) == (ReversalStatus.REFUSED, till.text(Text.REVERSAL_ALREADY_REVERSED))
    assert till.paymego.count(CANCEL) == cancels
    assert till.live() == []
    # Recovery asks the host about payments of open sales alone, and this sale is closed.
    assert till.row().closed_at is not None


def test_a_sale_that_was_annulled_can_not_be_refunded(till: HookedWorld) -> None:
    sold = till.sell()
    till.cancel(sold)

    assert till.refund(sold).status is ReversalStatus.REFUSED
    assert [violation.rule for violation in till.violations(sold)] == ["already-reversed"]


def test_a_payment_that_the_journal_lost_is_refunded_by_the_tills_record(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    till.journal.forget()

    result = till.refund(sold)

    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
    assert till.path_of() == ["recorded", "reversing", "reversed"]
    assert till.paymego.held() == 0


@pytest.mark.parametrize("kept", ["nothing", "no data"])
def test_a_payment_that_the_till_lost_is_found_in_the_journal_by_its_sale(till: HookedWorld, kept: str) -> None:
    sold = till.sell_and_close()
    record = None if kept == "nothing" else replace(sold.record, data={})

    assert till.violations(sold, payment=record) == []
    result = till.refund(sold, payment=record)

    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
    assert till.paymego.held() == 0


def test_which_of_two_payments_in_a_sale_the_till_lost_is_not_guessed(till: HookedWorld) -> None:
    first = till.sell_and_close("p1", 1)
    till.sell_and_close("p2", 1)
    sent = len(till.paymego.sent)

    assert [each.rule for each in till.violations(first, payment=None)] == ["foreign-payment"]
    assert till.refund(first, payment=None).status is ReversalStatus.REFUSED
    assert len(till.paymego.sent) == sent
    by_id = replace(first.record, data={})
    assert till.refund(first, payment=by_id).receipt_id == first.receipt_id


def test_one_payment_of_a_sale_is_refunded_and_the_other_stands(till: HookedWorld) -> None:
    first, second = till.sell_and_close("p1", 1), till.sell_and_close("p2", 1)

    assert till.refund(first, "f1").status is ReversalStatus.REVERSED
    assert (till.paymego.held(first.receipt_id), till.paymego.held(second.receipt_id)) == (0, 1_500_000)
    assert till.refund(second, "f1").status is ReversalStatus.REVERSED
    assert till.paymego.held() == 0


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"amount": 5}, "partial-refund"),
        ({"amount": 1_499_999}, "partial-refund"),
        ({"sale": None}, "no-sale-receipt"),
        ({"payment": PaymentRecord(payment_id="p9", payment_type=TENDER, amount=1_500_000)}, "foreign-payment"),
        (
            {
                "payment": PaymentRecord(
                    payment_id="p1", payment_type=TENDER, amount=1_500_000, data={"plugin": "other"}
                )
            },
            "foreign-payment",
        ),
    ],
    ids=["a little", "nearly all", "no sale", "no data", "another plugin's data"],
)
def test_a_host_that_never_asked_gets_no_forbidden_refund_out(
    till: HookedWorld, changes: dict[str, Any], rule: str
) -> None:
    sold = till.sell_and_close()
    sent = len(till.paymego.sent)

    found = till.violations(sold, **changes)
    result = till.refund(sold, **changes)

    assert rule in [violation.rule for violation in found]
    assert (result.status, result.message) == (ReversalStatus.REFUSED, "\n".join(each.message for each in found))
    assert (result.slips, result.cancellation_queued, result.error_code) == ((), False, None)
    assert (len(till.paymego.sent), till.live(), till.row().state) == (sent, [], PaymentState.RECORDED)


def test_a_refund_with_a_line_missing_is_refused_and_leaves_no_request(till: HookedWorld) -> None:
    bread = Item(name="Хлеб", quantity=Decimal(1), price=500_000, amount=500_000)
    sold = till.sell_and_close(items=(bread, replace(bread, name="Молоко")))
    sent = len(till.paymego.sent)
    refund = replace(till.refund_of(sold).refund, items=(bread,))

    result = till.refund(sold, refund=refund)

    assert result.message == till.text(Text.REFUND_PARTIAL_LINES, missing="Молоко")
    assert (result.status, len(till.paymego.sent)) == (ReversalStatus.REFUSED, sent)


def test_a_refund_of_marked_goods_is_refused_and_then_allowed_by_hand(till: HookedWorld) -> None:
    vodka = Item(name="Водка", quantity=Decimal(1), price=500_000, amount=500_000, goods=GoodsKind.ALCOHOL)
    sold = till.sell_and_close(items=(vodka,))
    sent = len(till.paymego.sent)

    refused = till.refund(sold, currency_selection=True)

    rules = (Text.REFUND_MANUAL_SELECTION_REQUIRED, Text.REFUND_CURRENCY_SELECTION_FORBIDDEN)
    assert refused.message == "\n".join(map(till.text, rules))
    assert len(till.paymego.sent) == sent
    assert till.refund(sold, manual_selection=True).status is ReversalStatus.REVERSED


def test_the_amount_is_measured_against_the_journal_and_not_against_a_record_that_says_less(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    record = replace(sold.record, amount=5)

    assert [each.rule for each in till.violations(sold, payment=record, amount=5)] == ["partial-refund"]
    assert till.refund(sold, payment=record, amount=5).status is ReversalStatus.REFUSED
    assert till.paymego.count(CANCEL) == 0


def test_a_record_that_contradicts_the_journal_is_a_foreign_payment(till: HookedWorld) -> None:
    first, second = till.sell_and_close("p1", 1), till.sell_and_close("p2", 2)
    record = replace(first.record, data=second.record.data)

    assert [each.rule for each in till.violations(first, payment=record)] == ["foreign-payment"]
    assert till.refund(first, payment=record).status is ReversalStatus.REFUSED
    assert till.paymego.held() == 3_000_000


def test_a_refund_of_another_tender_is_none_of_ours(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    cash = PaymentRecord(payment_id="cash", payment_type=1, amount=1)
    for payment in (None, cash, replace(cash, data={"plugin": "other"})):
        request = till.refund_of(sold, payment=payment, payment_type=1, amount=1)
        assert till.dispatcher.violations(request) == []
        assert till.dispatcher.refund(request, till.cashier()) is None


def test_an_unpaid_payment_in_the_journal_is_no_payment_of_the_sale(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    till.pay(None, payment_id="p2", receipt=sold.receipt)

    assert till.refund(sold, payment=None).receipt_id == sold.receipt_id


def test_whether_it_may_be_refunded_is_said_without_any_request(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    sent = len(till.paymego.sent)

    assert till.violations(sold) == []
    assert len(till.paymego.sent) == sent


def test_a_refund_that_payme_refuses_may_be_made_by_another_one_later(till: HookedWorld) -> None:
    till.set(ignoredErrors="-31800")
    sold = till.sell_and_close()
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    assert till.refund(sold, "f1").status is ReversalStatus.REFUSED
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan())

    assert till.violations(sold, "f2") == []
    assert till.refund(sold, "f2").status is ReversalStatus.REVERSED
    assert till.paymego.held() == 0
