"""A closed sale is refunded as a whole, once, and only by the rules."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fakes.till import TENDER
from hookspecs import PaymentRecord, ReversalStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

CANCEL = "receipts.cancel"
OF_NOBODY = PaymentRecord(payment_id="p9", payment_type=TENDER, amount=1_500_000)


@pytest.mark.parametrize("state", [21, 50])
def test_a_payment_that_payme_gives_back_already_is_refused_without_a_cancel(till: HookedWorld, state: int) -> None:
    sold = till.sell_and_close()
    till.paymego.bank.put_state(till.paymego.now_ms, sold.receipt_id, state)

    result = till.refund(sold)

    assert (result.status, result.message) == (ReversalStatus.REFUSED, till.text(Text.REVERSAL_ALREADY_REVERSED))
    assert (result.slips, result.cancellation_queued, till.paymego.count(CANCEL)) == ((), False, 0)
    assert (till.live(), till.row().state) == ([], PaymentState.RECORDED)


def test_a_second_refund_is_refused_while_the_first_goes_on_and_after_it(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    sent = len(till.paymego.sent)
    assert (till.violations(sold, "f1"), len(till.paymego.sent)) == ([], sent)
    till.paymego.inject_fault(FaultKind.ANSWER_LOST, CANCEL)
    assert till.refund(sold, "f1").status is ReversalStatus.QUEUED

    assert till.refund(sold, "f2").status is ReversalStatus.REFUSED
    assert till.refund(sold, "f1").status is ReversalStatus.REVERSED
    sent = len(till.paymego.sent)
    result = till.refund(sold, "f2")

    assert (result.status, result.message) == (ReversalStatus.REFUSED, till.text(Text.REFUND_ALREADY_REVERSED))
    assert [violation.rule for violation in till.violations(sold, "f2")] == ["already-reversed"]
    assert (till.violations(sold, "f1"), len(till.paymego.sent)) == ([], sent)


def test_a_second_refund_is_refused_from_paymes_state_where_the_journal_is_gone(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    till.refund(sold, "f1")
    till.journal.forget()
    cancels = till.paymego.count(CANCEL)

    result = till.refund(sold, "f2")

    assert (result.status, result.message) == (ReversalStatus.REFUSED, till.text(Text.REVERSAL_ALREADY_REVERSED))
    assert till.paymego.count(CANCEL) == cancels
    assert till.live() == []
    # The host is asked only about recorded payments of open sales, and this sale is closed.
    assert till.row().closed_at is not None


def test_a_sale_that_was_annulled_can_not_be_refunded(till: HookedWorld) -> None:
    sold = till.sell()
    till.cancel(sold)

    assert till.refund(sold).status is ReversalStatus.REFUSED
    assert [violation.rule for violation in till.violations(sold)] == ["already-reversed"]


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
        ({"payment": OF_NOBODY}, "foreign-payment"),
        ({"payment": replace(OF_NOBODY, payment_id="p1", data={"plugin": "other"})}, "foreign-payment"),
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


def test_the_amount_is_compared_with_the_journal_and_not_with_the_record(till: HookedWorld) -> None:
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


def test_a_refund_of_another_tender_is_not_ours(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    cash = PaymentRecord(payment_id="cash", payment_type=1, amount=1)
    for payment in (None, cash, replace(cash, data={"plugin": "other"})):
        request = till.refund_of(sold, payment=payment, payment_type=1, amount=1)
        assert till.dispatcher.violations(request) == []
        assert till.dispatcher.refund(request, till.cashier()) is None


def test_a_refund_without_a_record_ignores_unpaid_payments_of_the_sale(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    till.pay(None, payment_id="p2", receipt=sold.receipt)

    assert till.refund(sold, payment=None).receipt_id == sold.receipt_id


def test_a_refund_that_payme_refuses_may_be_made_by_another_one_later(till: HookedWorld) -> None:
    till.set(ignoredErrors="-31800")
    sold = till.sell_and_close()
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    assert till.refund(sold, "f1").status is ReversalStatus.REFUSED
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan())

    assert till.violations(sold, "f2") == []
    assert till.refund(sold, "f2").status is ReversalStatus.REVERSED
    assert till.paymego.held() == 0


# The host lost what it stored with the sale.


@pytest.mark.parametrize("kept", ["nothing", "no data"])
@pytest.mark.parametrize("tender_now", [TENDER, TENDER + 1])
@pytest.mark.parametrize("amount", [1_500_000, 5])
def test_validate_and_refund_agree_about_a_lost_record_whatever_number_the_tender_has_now(
    till: HookedWorld, kept: str, tender_now: int, amount: int
) -> None:
    sold = till.sell_and_close()
    till.set(paymentType=tender_now)
    record = None if kept == "nothing" else replace(sold.record, data={})

    found = till.violations(sold, payment=record, amount=amount)
    result = till.refund(sold, payment=record, amount=amount)

    is_whole = amount == sold.record.amount
    assert [each.rule for each in found] == ([] if is_whole else ["partial-refund"])
    assert result.status is (ReversalStatus.REVERSED if is_whole else ReversalStatus.REFUSED)
    assert till.paymego.held() == (0 if is_whole else 1_500_000)


@pytest.mark.parametrize("lost", [True, False], ids=["no record", "another id"])
def test_the_payment_that_a_refund_is_about_is_not_sent_back_by_recovery_meanwhile(
    till: HookedWorld, lost: bool
) -> None:
    sold = till.sell()
    till.host.recorded["p1"] = False
    record = None if lost else replace(sold.record, payment_id="renamed")

    result = till.refund(sold, payment=record)

    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
    assert (till.live(), till.row().state, till.paymego.count(CANCEL)) == ([], PaymentState.REVERSED, 1)
