"""A reversal while something else happens to the same payment: a second hook, a person, too little time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.reversal_calls import Reversal
from hookspecs import ReversalResult, ReversalStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from fakes.till import ScriptedUi

CANCEL, CHECK = "receipts.cancel", "receipts.check"


def once(till: HookedWorld, action: Callable[[], object]) -> ScriptedUi:
    """Return a cashier beside whom something happens once, at the first progress."""
    ui = till.cashier()
    done: list[bool] = []

    def hand(_: float) -> None:
        if not done:
            done.append(True)
            action()

    ui.hand = hand
    return ui


def test_a_second_hook_for_the_same_payment_is_told_what_is_durable(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3))
    told: list[ReversalResult] = []

    first = reversal.run(till, sold, ui=once(till, lambda: told.append(reversal.run(till, sold))))

    (second,) = told
    assert (second.status, second.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
    assert second.cancellation_queued
    assert first.status is ReversalStatus.REVERSED
    assert (till.row().state, till.live()) == (PaymentState.REVERSED, [])


def test_a_second_hook_is_told_to_wait_while_nothing_is_durable(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.SILENT, CHECK)
    told: list[ReversalResult] = []

    first = reversal.run(till, sold, ui=once(till, lambda: told.append(reversal.run(till, sold))))

    (second,) = told
    assert (second.status, second.message) == (ReversalStatus.REFUSED, till.text(Text.REVERSAL_BUSY))
    assert first.status is ReversalStatus.REVERSED


def test_a_second_hook_for_another_payment_leaves_it_to_the_worker(till: HookedWorld, reversal: Reversal) -> None:
    sold, other = reversal.sell(till, "p1", 1), reversal.sell(till, "p2", 2)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3))
    told: list[ReversalResult] = []

    reversal.run(till, sold, ui=once(till, lambda: told.append(reversal.run(till, other))))

    assert [each.status for each in told] == [ReversalStatus.QUEUED]
    assert till.row("p2").state is PaymentState.REVERSING


def test_the_last_question_comes_at_pay_duration_and_counts(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.set(frequency=15_000)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=17))

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED


@pytest.mark.parametrize("duration_ms", [1, 10, 19])
def test_a_pay_duration_below_one_round_trip_lets_a_cancel_leave_all_the_same(
    till: HookedWorld, reversal: Reversal, duration_ms: int
) -> None:
    sold = reversal.sell(till)
    till.set(payDuration=duration_ms)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    assert till.paymego.count(CANCEL) == 1
