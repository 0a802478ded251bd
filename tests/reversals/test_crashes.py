"""The power fails at any commit of a cancel or a refund: the host asks again, and the money goes back once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import HookedWorld
from fakes.reversal_calls import CANCEL, REFUND, Reversal
from fakes.till import PowerCut
from hookspecs import ReversalStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import BuyerAction, CancelPlan, FaultKind

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.hooked_world import Sold

MOST_BOUNDARIES = 8
GIVEN_BACK = {ReversalStatus.REVERSED, ReversalStatus.QUEUED}

# How Payme behaves while the first call is cut off, and what it makes of the second.
WEATHERS = ["done at once", "settles in 7 s", "answer lost", "refused", "turns back"]


def cut_off(till: HookedWorld, reversal: Reversal, sold: Sold, boundary: int) -> bool:
    """Let the power fail at a boundary of the first call, and restart; return whether it came to that boundary."""
    till.journal.cut_at(boundary)
    try:
        reversal.run(till, sold)
    except PowerCut:
        till.restart()
        return True
    till.journal.recover()
    return False


def prepare(till: HookedWorld, sold: Sold, weather: str) -> None:
    plans = {
        "done at once": CancelPlan(settle_s=0),
        "settles in 7 s": CancelPlan(settle_s=7),
        "turns back": CancelPlan(turns_back_after_s=5),
    }
    if weather in plans:
        till.paymego.bank.plan_cancel(sold.receipt_id, plans[weather])
    else:
        kind = FaultKind.ANSWER_LOST if weather == "answer lost" else FaultKind.ERROR
        till.paymego.befall(kind, "receipts.cancel")


@pytest.mark.parametrize("weather", WEATHERS)
@pytest.mark.parametrize("pause_s", [0, 100], ids=["at once", "after a while"])
def test_asked_again_after_any_crash_the_money_goes_back_once(
    tmp_path: Path, reversal: Reversal, weather: str, pause_s: int
) -> None:
    reached = 0
    for boundary in range(MOST_BOUNDARIES):
        till = HookedWorld(tmp_path / str(boundary))
        sold = reversal.sell(till)
        till.host.recorded["p1"] = True
        prepare(till, sold, weather)
        was_cut = cut_off(till, reversal, sold, boundary)
        reached += was_cut
        till.work(pause_s)

        again = reversal.run(till, sold)

        assert again.status in GIVEN_BACK
        assert len(till.live()) == (again.status is ReversalStatus.QUEUED)
        till.work(4 * 3600)
        assert (till.row().state, till.live()) == (PaymentState.REVERSED, [])
        assert (till.paymego.state(sold.receipt_id), till.paymego.held()) == (50, 0)
        went_back = [move for move in till.paymego.bank.movements(till.paymego.now_ms) if move.amount < 0]
        assert len(went_back) == 1
        till.close()
        if not was_cut:
            break
    assert reached >= 3


@pytest.mark.parametrize("boundary", range(MOST_BOUNDARIES))
def test_asked_again_for_another_refund_after_a_crash_the_first_one_counts(till: HookedWorld, boundary: int) -> None:
    sold = till.sell_and_close()
    cut_off(till, REFUND, sold, boundary)
    has_begun = till.row().state is not PaymentState.RECORDED

    another = till.refund(sold, "f2")

    assert another.status is (ReversalStatus.REFUSED if has_begun else ReversalStatus.REVERSED)
    till.work(3600)
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


@pytest.mark.parametrize("boundary", range(MOST_BOUNDARIES))
def test_never_asked_again_a_reversal_that_had_begun_is_carried_out_by_the_worker(
    till: HookedWorld, reversal: Reversal, boundary: int
) -> None:
    sold = reversal.sell(till)
    till.host.recorded["p1"] = True
    cut_off(till, reversal, sold, boundary)
    has_begun = till.row().state not in {PaymentState.PAID, PaymentState.RECORDED}

    till.work(3600)

    assert till.paymego.held() == (0 if has_begun else 1_500_000)
    assert till.live() == []


def test_a_cancel_that_was_cut_off_before_it_left_is_sent_at_once_when_the_host_asks_again(till: HookedWorld) -> None:
    sold = till.sell()
    cut_off(till, CANCEL, sold, 1)
    assert (till.row().state, till.paymego.count("receipts.cancel")) == (PaymentState.REVERSING, 0)
    began = till.clock.monotonic()

    assert till.cancel(sold).status is ReversalStatus.REVERSED
    assert till.clock.monotonic() - began < 5


def test_a_refusal_that_was_cut_off_is_queued_when_the_host_asks_again(till: HookedWorld) -> None:
    # Only the run that wrote the row knows that the host was not told QUEUED: that answer may not have been stored.
    till.set(ignoredErrors="-31800")
    sold = till.sell()
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    cut_off(till, CANCEL, sold, 2)
    assert till.row().state is PaymentState.REVERSING

    assert till.cancel(sold).status is ReversalStatus.QUEUED
    assert (len(till.live()), till.row().state) == (1, PaymentState.REVERSING)


def test_a_payment_that_a_crash_cut_off_is_asked_about_before_it_is_given_back(till: HookedWorld) -> None:
    # The host has no record of it, so it can only ask on_payment again; what it gets then it may annul.
    till.journal.cut_at(5)
    with pytest.raises(PowerCut):
        till.sell()
    till.restart()

    again = till.pay(till.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert again.payment is not None
    sold = till.sell("p2", 2)
    assert till.cancel(sold, record=again.payment).status is ReversalStatus.REVERSED
    assert till.paymego.held() == sold.record.amount
