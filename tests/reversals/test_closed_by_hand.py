"""A return that a person closed: asked again, the host is told so, and nothing moves any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe_paid, owe_refund
from fakes.reversal_calls import Reversal
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


def close(till: HookedWorld, ended_as: End = End.CLOSED, *, reason: str = REASON) -> None:
    """End the one live cancellation as ``payme queue close`` does."""
    (row,) = till.journal.live_cancellations()
    till.background.processor().cancellations.end(row, ended_as, "paid (4)", closed_reason=reason)


def queued_cancel(till: HookedWorld) -> Sold:
    sold = till.sell()
    till.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)
    assert till.cancel(sold).status is ReversalStatus.QUEUED
    return sold


@pytest.mark.parametrize("restarts", [False, True])
def test_the_same_cancel_again_is_refused_with_the_persons_reason(till: HookedWorld, restarts: bool) -> None:
    sold = queued_cancel(till)
    close(till)
    if restarts:
        till.restart()
    sent = len(till.paymego.sent)

    for _ in range(2):
        result = till.cancel(sold)

        assert result.status is ReversalStatus.REFUSED
        assert result.message == till.texts(Text.REVERSAL_CLOSED_BY_HAND, text=REASON)
        assert (result.receipt_id, result.cancellation_queued) == (sold.receipt_id, False)
    assert (len(till.paymego.sent), till.live()) == (sent, [])


def test_the_same_refund_again_is_refused_with_the_persons_reason(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    till.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)
    assert till.refund(sold).status is ReversalStatus.QUEUED
    close(till)

    result = till.refund(sold)

    assert (result.status, result.message) == (
        ReversalStatus.REFUSED,
        till.texts(Text.REVERSAL_CLOSED_BY_HAND, text=REASON),
    )


def test_it_is_told_without_the_key_of_the_kassa_too(till: HookedWorld) -> None:
    sold = queued_cancel(till)
    close(till)
    till.set(posId="0" * 24)

    assert till.cancel(sold).message == till.texts(Text.REVERSAL_CLOSED_BY_HAND, text=REASON)


def test_the_payment_itself_asked_again_is_refused(till: HookedWorld) -> None:
    queued_cancel(till)
    close(till)

    result = till.dispatcher.pay(request_for(), till.cashier(till.paymego.code()))

    assert result is not None
    assert result.message == till.text(Text.PAYMENT_ALREADY_REVERSED)


def test_one_whose_money_was_back_by_the_last_check_is_reversed_as_ever(till: HookedWorld) -> None:
    sold = queued_cancel(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))
    till.paymego.bank.put_state(till.paymego.now_ms, sold.receipt_id, 50)
    close(till, End.CANCELLED)

    assert till.row().state is PaymentState.REVERSED
    assert till.cancel(sold).status is ReversalStatus.REVERSED


def test_a_payment_that_the_till_was_told_it_does_not_have_is_not_called_returned(till: HookedWorld) -> None:
    owe_paid(till)
    record: PaymentRecord = record_of(till.row())
    close(till)

    result: ReversalResult | None = till.dispatcher.cancel(
        CancelRequest(payment=record, receipt=open_sale(payments=(record,))), till.cashier()
    )

    assert result is not None
    assert result.status is ReversalStatus.REFUSED
    assert result.message == till.texts(Text.REVERSAL_CLOSED_BY_HAND, text=REASON)


def test_a_number_in_the_reason_is_masked_on_the_cashiers_screen(till: HookedWorld) -> None:
    sold = queued_cancel(till)
    close(till, reason="back to card 8600123412341234")

    assert "86001234" not in till.cancel(sold).message


@pytest.mark.parametrize("reason", ["a", "given; last check: nobody knows", "closed by hand: twice", "; last check: "])
def test_the_reason_is_read_as_it_was_written(till: HookedWorld, reason: str) -> None:
    row = owe_refund(till)
    close(till, reason=reason)

    ended = till.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert ended.closed_reason == reason


def test_an_end_by_payme_is_no_closing(till: HookedWorld) -> None:
    row = owe_refund(till)
    till.work(900)

    ended = till.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, ended.closed_reason) == (End.CANCELLED, None)


def test_closed_before_the_host_asks_again_no_cancel_leaves(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    close(till)

    result = reversal.run(till, sold)

    assert result.status is ReversalStatus.REFUSED
    assert till.paymego.count(CANCEL) == 0
