"""The same cancel or refund asked for twice at once joins the running call and gets its result.

On real threads: the first call waits in its progress, before anything is stored, until the test lets it go on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import Sold
from fakes.joined_calls import running_call
from fakes.paymego import Passage
from fakes.reversal_calls import CANCEL, REFUND, Reversal
from fakes.till import TENDER, open_sale, scan_after
from hookspecs import PaymentRecord, PaymentStatus, ReversalStatus
from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import CancelPlan
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from hookspecs import PaymentResult, ReversalResult


def _returning(till: HookedWorld, reversal: Reversal, sold: Sold) -> Callable[[Callable[[], None]], ReversalResult]:
    # Slow enough to show progress before anything is stored.
    till.paymego.passage = lambda method: Passage(back_s=1 if method == "receipts.check" else 0.01)

    def call(wait: Callable[[], None]) -> ReversalResult:
        return reversal.run(till, sold, ui=till.meanwhile(wait, once=True))

    return call


def test_the_same_reversal_joins_and_gets_the_same_result_of_one_cancel(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3))
    with running_call(till, _returning(till, reversal, sold)) as running:
        joined = [running.join(lambda: reversal.run(till, sold)) for _ in range(3)]
        assert not any(each.done() for each in joined)
        running.go_on()
        first = running.result.result()

    assert first.status is ReversalStatus.REVERSED
    assert all(each.result() == first for each in joined)
    assert (till.paymego.count("receipts.cancel"), till.row().state) == (1, PaymentState.REVERSED)


def test_a_call_that_could_store_nothing_fails_for_both(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    with running_call(till, _returning(till, reversal, sold)) as running:
        joined = running.join(lambda: reversal.run(till, sold))
        till.journal.fail_from(1)
        running.go_on()
        for each in (running.result, joined):
            with pytest.raises(JournalError):
                each.result()
    till.journal.recover()

    assert (till.live(), till.paymego.count("receipts.cancel")) == ([], 0)
    assert reversal.run(till, sold).status is ReversalStatus.REVERSED


def _paying(till: HookedWorld) -> Callable[[Callable[[], None]], PaymentResult]:
    return lambda wait: till.ask(scan_after(wait, till.paymego.code()), payment_id="p3", receipt=open_sale(3))


@pytest.mark.parametrize("other", ["another refund", "its cancel"])
def test_another_reversal_of_the_same_payment_does_not_join(till: HookedWorld, other: str) -> None:
    sold = till.sell_and_close()
    with running_call(till, _returning(till, REFUND, sold)) as running:
        busy = till.cancel(sold) if other == "its cancel" else till.refund(sold, "f2")
        running.go_on()

    assert (busy.status, busy.message) == (ReversalStatus.REFUSED, till.text(Text.REVERSAL_BUSY))
    assert running.result.result().status is ReversalStatus.REVERSED
    assert till.paymego.count("receipts.cancel") == 1


def test_a_cancel_beside_its_own_payment_is_answered_by_the_journal(till: HookedWorld) -> None:
    record = PaymentRecord(payment_id="p3", payment_type=TENDER, amount=1_500_000, data={})
    with running_call(till, _paying(till)) as running:
        busy = till.cancel(Sold(record, open_sale(3)))
        running.go_on()

    assert (busy.status, busy.message) == (ReversalStatus.REFUSED, till.text(Text.REVERSAL_BUSY))
    assert running.result.result().status is PaymentStatus.PAID
    assert (till.row("p3").state, till.live("p3")) == (PaymentState.PAID, [])


@pytest.mark.parametrize("other", ["cancel", "payment"])
def test_beside_another_payments_hook_it_is_durable_and_queued(
    till: HookedWorld, reversal: Reversal, other: str
) -> None:
    sold, first = reversal.sell(till, "p2", 2), till.sell("p1", 1)
    call: Callable[[Callable[[], None]], object] = (
        _returning(till, CANCEL, first) if other == "cancel" else _paying(till)
    )
    with running_call(till, call) as running:
        asked = len(till.paymego.sent)
        beside = reversal.run(till, sold)
        durable = [(row.cause, row.is_queued) for row in till.live("p2")]
        about = {sent.receipt_id for sent in till.paymego.sent[asked:]}
        running.go_on()

    assert (beside.status, beside.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert (durable, about) == ([(reversal.cause, True)], set())
    till.work(3600)
    assert (till.live("p2"), till.paymego.held(sold.receipt_id)) == ([], 0)


@pytest.mark.parametrize("payment_id", ["p1", "\ud800"], ids=["of another receipt", "not storable"])
def test_while_another_hook_runs_a_record_that_can_not_be_ours_is_refused(till: HookedWorld, payment_id: str) -> None:
    first, sold = till.sell("p1", 1), till.sell("p2", 2)
    with running_call(till, _paying(till)) as running:
        beside = till.cancel(sold, record=replace(sold.record, payment_id=payment_id))
        running.go_on()

    assert beside.status is ReversalStatus.REFUSED
    assert (till.live("p1"), till.live("p2"), till.paymego.held(first.receipt_id)) == ([], [], 1_500_000)
