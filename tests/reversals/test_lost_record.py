"""The host lost what it stored with the sale: the payment is found in the journal, and all hooks agree about it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.till import TENDER
from hookspecs import CancelRequest, PaymentRecord, ReversalResult, ReversalStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld, Sold

CANCEL = "receipts.cancel"


def cancelled(till: HookedWorld, sold: Sold, record: PaymentRecord) -> ReversalResult | None:
    return till.dispatcher.cancel(CancelRequest(payment=record, receipt=sold.receipt), till.cashier())


# A refund.


@pytest.mark.parametrize("kept", ["nothing", "no data"])
@pytest.mark.parametrize("tender_now", [TENDER, TENDER + 1])
@pytest.mark.parametrize("amount", [1_500_000, 5])
def test_validate_and_refund_agree_whatever_number_the_tender_has_now(
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


def test_a_record_that_contradicts_the_journal_is_foreign_to_both_whatever_number_the_tender_has_now(
    till: HookedWorld,
) -> None:
    first, second = till.sell_and_close("p1", 1), till.sell_and_close("p2", 2)
    till.set(paymentType=TENDER + 1)
    record = replace(first.record, data=second.record.data)

    assert [each.rule for each in till.violations(first, payment=record)] == ["foreign-payment"]
    assert till.refund(first, payment=record).status is ReversalStatus.REFUSED


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


# A cancel.


def test_a_cancel_whose_record_lost_its_data_is_found_by_its_id_under_the_tender_that_took_it(
    till: HookedWorld,
) -> None:
    sold = till.sell()
    till.set(paymentType=TENDER + 1)

    result = cancelled(till, sold, replace(sold.record, data={}))

    assert result is not None
    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
    assert till.paymego.held() == 0


@pytest.mark.parametrize(
    "changes",
    [{"payment_type": TENDER + 1}, {"payment_id": "unknown"}, {"data": {"plugin": "other"}}, {"data": {"v": "1"}}],
    ids=["another tender", "another id", "another plugin's data", "data of nobody"],
)
def test_a_cancel_of_a_payment_that_the_journal_does_not_have_so_is_none_of_ours(
    till: HookedWorld, changes: dict[str, object]
) -> None:
    sold = till.sell()
    sent = len(till.paymego.sent)

    record = replace(sold.record, **{"data": {}, **changes})  # type: ignore[arg-type]

    assert cancelled(till, sold, record) is None
    assert (len(till.paymego.sent), till.paymego.held()) == (sent, 1_500_000)


def test_the_payment_that_a_cancel_is_about_is_not_sent_back_by_recovery_meanwhile(till: HookedWorld) -> None:
    sold = till.sell()
    till.host.recorded["p1"] = False

    result = cancelled(till, sold, replace(sold.record, payment_id="renamed"))

    assert result is not None
    assert (result.status, till.row().state) == (ReversalStatus.REVERSED, PaymentState.REVERSED)
    assert [event.text for event in till.events() if "cancel" in event.text and "cause" in event.text] == [
        "cancellation: queued, cause cancel"
    ]


def test_a_record_that_contradicts_the_journal_is_not_called_another_kassas(till: HookedWorld) -> None:
    sold = till.sell()
    record = replace(sold.record, data={**sold.record.data, "receipt_id": "0" * 24})

    result = cancelled(till, sold, record)

    assert result is not None
    assert (result.status, result.message) == (ReversalStatus.REFUSED, till.text(Text.REVERSAL_UNKNOWN_PAYMENT))
