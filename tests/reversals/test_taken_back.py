"""When a cancellation may be taken back: after an ignored refusal of our own request alone, and never once told.

A server error in ``ignoredErrors``, with state 4 asked after it, is REFUSED and queues nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import error, meanwhile, without_id
from fakes.reversal_calls import Reversal
from fakes.till import PowerCut
from hookspecs import ReversalStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind, FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld, Sold
    from fakes.paymego import Envelope
    from payme_plugin.ledger.rows import CancellationRow

CANCEL, CHECK = "receipts.cancel", "receipts.check"
REFUSES = CancelPlan(refused_with=-31800)


def refuse_the_next(till: HookedWorld, sold: Sold) -> None:
    """Let Payme answer again, and refuse to cancel."""
    till.paymego.faults = FaultPlan()
    till.paymego.bank.plan_cancel(sold.receipt_id, REFUSES)


def is_delivered_and_gone(till: HookedWorld) -> bool:
    till.paymego.bank.plan_cancel(str(till.row().receipt_id), CancelPlan())
    till.work(4000)
    return till.paymego.held() == 0 and till.live() == []


@pytest.mark.parametrize("lands", [False, True], ids=["ours never lands", "ours lands later"])
def test_a_refusal_without_our_requests_id_takes_nothing_back(
    till: HookedWorld, reversal: Reversal, lands: bool
) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    bank = till.paymego.bank

    def cancel_at_last() -> None:
        bank.call(till.paymego.now_ms, CANCEL, {"id": sold.receipt_id})

    def another_calls_error(answer: Envelope) -> Envelope | bytes:
        if lands:
            bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))
            till.clock.at(
                till.clock.monotonic() + 3,
                cancel_at_last,
            )
        return without_id(error(-31800))(answer)

    bank.plan_cancel(sold.receipt_id, REFUSES)
    till.paymego.change(CANCEL, another_calls_error)

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    assert len(till.live()) == 1
    assert is_delivered_and_gone(till)


def test_told_as_queued_before_a_cancel_left_it_is_not_taken_back(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    assert till.paymego.count(CANCEL) == 0
    refuse_the_next(till, sold)

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    assert is_delivered_and_gone(till)


@pytest.mark.parametrize("by_ms", [-3_600_000, -86_400_000, 3_600_000], ids=["an hour back", "a day back", "forward"])
def test_nor_is_it_where_the_wall_clock_was_set_meanwhile(till: HookedWorld, reversal: Reversal, by_ms: int) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    refuse_the_next(till, sold)
    till.clock.set_wall(by_ms)

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED


def test_told_as_queued_although_that_could_not_be_stored_it_is_not_taken_back_once_it_is_due(
    till: HookedWorld, reversal: Reversal
) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    till.journal.fail_from(2)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    till.journal.recover()
    refuse_the_next(till, sold)
    till.clock.pass_until(till.clock.monotonic() + 60)

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED


def test_after_a_crash_behind_a_cancel_that_left_it_is_not_taken_back(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.SILENT, CANCEL)
    ui = till.cashier()

    def die(_: float) -> None:
        if till.paymego.count(CANCEL):
            raise PowerCut

    ui.hand = die
    with pytest.raises(PowerCut):
        reversal.run(till, sold, ui=ui)
    till.restart()
    refuse_the_next(till, sold)

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED


def test_told_by_a_second_hook_it_is_not_taken_back_by_the_first(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.ANSWER_DELAYED, CANCEL, after_s=2.0)
    till.paymego.bank.plan_cancel(sold.receipt_id, REFUSES)
    told: list[ReversalStatus] = []
    ui = till.cashier()

    def ask_again(_: float) -> None:
        if not told:
            told.append(reversal.run(till, sold).status)

    ui.hand = ask_again
    first = reversal.run(till, sold, ui=ui)

    assert (told, first.status) == ([ReversalStatus.QUEUED], ReversalStatus.QUEUED)
    assert till.row().state is PaymentState.REVERSING
    assert is_delivered_and_gone(till)


def begins_elsewhere(till: HookedWorld) -> Callable[[float], None]:
    """Return what a cashier's screen does: another one's ``receipts.cancel`` for the row leaves meanwhile, once."""
    begun: list[CancellationRow] = []

    def hand(_: float) -> None:
        if till.live() and not begun:
            begun.append(till.live()[0])
            till.background.processor().cancellations.begin(begun[0])

    return hand


def test_one_for_which_another_cancel_leaves_after_ours_is_not_taken_back(
    till: HookedWorld, reversal: Reversal
) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.ANSWER_DELAYED, CANCEL, after_s=2.0)
    till.paymego.bank.plan_cancel(sold.receipt_id, REFUSES)
    ui = till.cashier()
    ui.hand = begins_elsewhere(till)

    assert reversal.run(till, sold, ui=ui).status is ReversalStatus.QUEUED
    assert till.live()[0].attempts == 2
    assert is_delivered_and_gone(till)


def test_one_for_which_another_cancel_left_before_ours_is_not_taken_back(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.journal.cut_at(1)
    with pytest.raises(PowerCut):
        reversal.run(till, sold)
    till.restart()
    refuse_the_next(till, sold)
    till.paymego.befall(FaultKind.ANSWER_DELAYED, CHECK, after_s=2.0)
    ui = till.cashier()
    ui.hand = begins_elsewhere(till)

    assert reversal.run(till, sold, ui=ui).status is ReversalStatus.QUEUED
    assert till.live()[0].attempts == 2
    assert is_delivered_and_gone(till)


def test_told_as_queued_although_that_could_not_be_stored_it_is_not_taken_back_once_the_hosts_queue_has_it(
    till: HookedWorld, reversal: Reversal
) -> None:
    till.set(ignoredErrors="-31800")
    till.host.takes_messages = True
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    till.journal.fail_from(2)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    till.journal.recover()
    till.work(60)
    (row,) = till.live()
    assert (row.last_error, row.attempts, len(till.host.queue)) == ("", 0, 1)
    refuse_the_next(till, sold)

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    assert is_delivered_and_gone(till)


def test_one_whose_request_could_not_be_noted_is_not_taken_back(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, REFUSES)
    till.journal.fail_from(2)
    till.paymego.change(CANCEL, meanwhile(till.journal.recover))

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    assert is_delivered_and_gone(till)
