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
def test_a_payment_that_payme_gives_back_already_is_refused_without_a_cancel(world: HookedWorld, state: int) -> None:
    sold = world.sell_and_close()
    world.paymego.bank.put_state(world.paymego.now_ms, sold.receipt_id, state)

    result = world.refund(sold)

    assert (result.status, result.message) == (ReversalStatus.REFUSED, world.text(Text.REVERSAL_ALREADY_REVERSED))
    assert (result.slips, result.cancellation_queued, world.paymego.count(CANCEL)) == ((), False, 0)
    assert (world.live(), world.row().state) == ([], PaymentState.RECORDED)


def test_a_refund_that_was_done_is_told_again_to_the_same_refund(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    assert world.refund(sold, "f1").status is ReversalStatus.REVERSED

    again = world.refund(sold, "f1")

    assert (again.status, len(again.slips), world.paymego.count(CANCEL)) == (ReversalStatus.REVERSED, 1, 1)
    assert world.violations(sold, "f1") == []


def test_a_second_refund_of_the_same_payment_is_refused_from_the_journal_without_a_request(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    world.refund(sold, "f1")
    sent = len(world.paymego.sent)

    result = world.refund(sold, "f2")

    assert result.status is ReversalStatus.REFUSED
    assert result.message == world.text(Text.REFUND_ALREADY_REVERSED)
    assert [violation.rule for violation in world.violations(sold, "f2")] == ["already-reversed"]
    assert len(world.paymego.sent) == sent


def test_a_second_refund_is_refused_while_the_first_is_under_way(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    world.paymego.befall(FaultKind.ANSWER_LOST, CANCEL)
    assert world.refund(sold, "f1").status is ReversalStatus.QUEUED

    assert world.refund(sold, "f2").status is ReversalStatus.REFUSED
    assert world.refund(sold, "f1").status is ReversalStatus.REVERSED


def test_a_second_refund_is_refused_from_paymes_state_where_the_journal_is_gone(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    world.refund(sold, "f1")
    world.journal.forget()
    cancels = world.paymego.count(CANCEL)

    result = world.refund(sold, "f2")

    assert (result.status, result.message) == (ReversalStatus.REFUSED, world.text(Text.REVERSAL_ALREADY_REVERSED))
    assert world.paymego.count(CANCEL) == cancels
    assert world.live() == []
    # Recovery asks the host about payments of open sales alone, and this sale is closed.
    assert world.row().closed_at is not None


def test_a_sale_that_was_annulled_can_not_be_refunded(world: HookedWorld) -> None:
    sold = world.sell()
    world.cancel(sold)

    assert world.refund(sold).status is ReversalStatus.REFUSED
    assert [violation.rule for violation in world.violations(sold)] == ["already-reversed"]


def test_a_payment_that_the_journal_lost_is_refunded_by_the_tills_record(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    world.journal.forget()

    result = world.refund(sold)

    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
    assert world.path_of() == ["recorded", "reversing", "reversed"]
    assert world.paymego.held() == 0


@pytest.mark.parametrize("kept", ["nothing", "no data"])
def test_a_payment_that_the_till_lost_is_found_in_the_journal_by_its_sale(world: HookedWorld, kept: str) -> None:
    sold = world.sell_and_close()
    record = None if kept == "nothing" else replace(sold.record, data={})

    assert world.violations(sold, payment=record) == []
    result = world.refund(sold, payment=record)

    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
    assert world.paymego.held() == 0


def test_which_of_two_payments_in_a_sale_the_till_lost_is_not_guessed(world: HookedWorld) -> None:
    first = world.sell_and_close("p1", 1)
    world.sell_and_close("p2", 1)
    sent = len(world.paymego.sent)

    assert [each.rule for each in world.violations(first, payment=None)] == ["foreign-payment"]
    assert world.refund(first, payment=None).status is ReversalStatus.REFUSED
    assert len(world.paymego.sent) == sent
    by_id = replace(first.record, data={})
    assert world.refund(first, payment=by_id).receipt_id == first.receipt_id


def test_one_payment_of_a_sale_is_refunded_and_the_other_stands(world: HookedWorld) -> None:
    first, second = world.sell_and_close("p1", 1), world.sell_and_close("p2", 1)

    assert world.refund(first, "f1").status is ReversalStatus.REVERSED
    assert (world.paymego.held(first.receipt_id), world.paymego.held(second.receipt_id)) == (0, 1_500_000)
    assert world.refund(second, "f1").status is ReversalStatus.REVERSED
    assert world.paymego.held() == 0


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
    world: HookedWorld, changes: dict[str, Any], rule: str
) -> None:
    sold = world.sell_and_close()
    sent = len(world.paymego.sent)

    found = world.violations(sold, **changes)
    result = world.refund(sold, **changes)

    assert rule in [violation.rule for violation in found]
    assert (result.status, result.message) == (ReversalStatus.REFUSED, "\n".join(each.message for each in found))
    assert (result.slips, result.cancellation_queued, result.error_code) == ((), False, None)
    assert (len(world.paymego.sent), world.live(), world.row().state) == (sent, [], PaymentState.RECORDED)


def test_a_refund_with_a_line_missing_is_refused_and_leaves_no_request(world: HookedWorld) -> None:
    bread = Item(name="Хлеб", quantity=Decimal(1), price=500_000, amount=500_000)
    sold = world.sell_and_close(items=(bread, replace(bread, name="Молоко")))
    sent = len(world.paymego.sent)
    refund = replace(world.refund_of(sold).refund, items=(bread,))

    result = world.refund(sold, refund=refund)

    assert result.message == world.text(Text.REFUND_PARTIAL_LINES, missing="Молоко")
    assert (result.status, len(world.paymego.sent)) == (ReversalStatus.REFUSED, sent)


def test_a_refund_of_marked_goods_is_refused_and_then_allowed_by_hand(world: HookedWorld) -> None:
    vodka = Item(name="Водка", quantity=Decimal(1), price=500_000, amount=500_000, goods=GoodsKind.ALCOHOL)
    sold = world.sell_and_close(items=(vodka,))
    sent = len(world.paymego.sent)

    refused = world.refund(sold, currency_selection=True)

    rules = (Text.REFUND_MANUAL_SELECTION_REQUIRED, Text.REFUND_CURRENCY_SELECTION_FORBIDDEN)
    assert refused.message == "\n".join(map(world.text, rules))
    assert len(world.paymego.sent) == sent
    assert world.refund(sold, manual_selection=True).status is ReversalStatus.REVERSED


def test_the_amount_is_measured_against_the_journal_and_not_against_a_record_that_says_less(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    record = replace(sold.record, amount=5)

    assert [each.rule for each in world.violations(sold, payment=record, amount=5)] == ["partial-refund"]
    assert world.refund(sold, payment=record, amount=5).status is ReversalStatus.REFUSED
    assert world.paymego.count(CANCEL) == 0


def test_a_record_that_contradicts_the_journal_is_a_foreign_payment(world: HookedWorld) -> None:
    first, second = world.sell_and_close("p1", 1), world.sell_and_close("p2", 2)
    record = replace(first.record, data=second.record.data)

    assert [each.rule for each in world.violations(first, payment=record)] == ["foreign-payment"]
    assert world.refund(first, payment=record).status is ReversalStatus.REFUSED
    assert world.paymego.held() == 3_000_000


def test_a_refund_of_another_tender_is_none_of_ours(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    cash = PaymentRecord(payment_id="cash", payment_type=1, amount=1)
    for payment in (None, cash, replace(cash, data={"plugin": "other"})):
        request = world.refund_of(sold, payment=payment, payment_type=1, amount=1)
        assert world.dispatcher.violations(request) == []
        assert world.dispatcher.refund(request, world.cashier()) is None


def test_an_unpaid_payment_in_the_journal_is_no_payment_of_the_sale(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    world.pay(None, payment_id="p2", receipt=sold.receipt)

    assert world.refund(sold, payment=None).receipt_id == sold.receipt_id


def test_whether_it_may_be_refunded_is_said_without_any_request(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    sent = len(world.paymego.sent)

    assert world.violations(sold) == []
    assert len(world.paymego.sent) == sent


def test_a_refund_that_payme_refuses_may_be_made_by_another_one_later(world: HookedWorld) -> None:
    world.set(ignoredErrors="-31800")
    sold = world.sell_and_close()
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    assert world.refund(sold, "f1").status is ReversalStatus.REFUSED
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan())

    assert world.violations(sold, "f2") == []
    assert world.refund(sold, "f2").status is ReversalStatus.REVERSED
    assert world.paymego.held() == 0
