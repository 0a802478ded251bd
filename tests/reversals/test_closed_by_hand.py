"""A cancellation that an operator closed: a repeated reversal is refused with the reason and sends nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import Sold
from fakes.owed_money import owe_paid
from fakes.till import open_sale, request_for
from hookspecs import ReversalStatus
from payme_plugin.ledger.states import End, PaymentState
from payme_plugin.operations.results import record_of
from payme_plugin.sandbox import FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld
    from fakes.reversal_calls import Reversal

CHECK = "receipts.check"
REASON = "Anna paid the cash out"


def close(till: HookedWorld, ended_as: End = End.CLOSED, *, reason: str = REASON) -> None:
    """End the one live cancellation as ``payme queue close`` does."""
    (row,) = till.journal.live_cancellations()
    till.background.processor().cancellations.end(row, ended_as, "paid (4)", closed_reason=reason)


def queued(till: HookedWorld, reversal: Reversal) -> Sold:
    sold = reversal.sell(till)
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    till.paymego.faults.clear()
    return sold


@pytest.mark.parametrize("since", ["nothing", "restart", "without the key"])
def test_asked_again_it_is_refused_with_the_persons_reason(till: HookedWorld, reversal: Reversal, since: str) -> None:
    sold = queued(till, reversal)
    close(till)
    if since == "restart":
        till.restart()
    if since == "without the key":
        till.set(posId="0" * 24)
    sent = len(till.paymego.sent)

    for _ in range(2):
        result = reversal.run(till, sold)

        assert result.status is ReversalStatus.REFUSED
        assert result.message == till.texts(Text.REVERSAL_CLOSED_BY_HAND, text=REASON)
        assert (result.receipt_id, result.cancellation_queued) == (sold.receipt_id, False)
    assert (len(till.paymego.sent), till.live()) == (sent, [])
    till.set()
    paid_again = till.dispatcher.pay(request_for(), till.cashier(till.paymego.code()))
    assert paid_again is not None
    assert paid_again.message == till.text(Text.PAYMENT_ALREADY_REVERSED)


def test_one_whose_money_was_back_by_the_last_check_is_reversed_as_ever(till: HookedWorld, reversal: Reversal) -> None:
    sold = queued(till, reversal)
    till.paymego.bank.put_state(till.paymego.now_ms, sold.receipt_id, 50)
    close(till, End.CANCELLED)

    assert till.row().state is PaymentState.REVERSED
    assert reversal.run(till, sold).status is ReversalStatus.REVERSED


def test_a_payment_that_ended_as_unknown_is_not_reported_as_reversed(till: HookedWorld) -> None:
    owe_paid(till)
    record = record_of(till.row())
    close(till)

    result = till.cancel(Sold(record, open_sale(payments=(record,))))

    assert result.status is ReversalStatus.REFUSED
    assert result.message == till.texts(Text.REVERSAL_CLOSED_BY_HAND, text=REASON)


def test_a_number_in_the_reason_is_masked_on_the_cashiers_screen(till: HookedWorld, reversal: Reversal) -> None:
    sold = queued(till, reversal)
    close(till, reason="back to card 8600123412341234")

    assert "86001234" not in reversal.run(till, sold).message
