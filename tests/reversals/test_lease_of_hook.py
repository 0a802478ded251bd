"""While the cashier waits, the hook holds the lease of the cancellation: nobody else works on that row."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from fakes.reversal_calls import Reversal
from fakes.till import PowerCut
from hookspecs import ReversalResult, ReversalStatus
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind, FaultPlan
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fakes.hooked_world import HookedWorld, Sold
    from payme_plugin.operations.cancellation import MerchantClient, StepOutcome

CANCEL, CHECK = "receipts.cancel", "receipts.check"
IGNORED = -31800


def merchants(till: HookedWorld) -> Mapping[str, MerchantClient]:
    found = till.background.merchants()
    assert found is not None
    return found


def while_waiting(
    till: HookedWorld, reversal: Reversal, sold: Sold, action: Callable[[], object]
) -> tuple[ReversalResult, int]:
    """Reverse a payment that stays at 21, and act at every progress while its row is live; return how often."""
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3600))
    done: list[object] = []
    ui = till.cashier()

    def hand(_: float) -> None:
        if till.live():
            done.append(action())

    ui.hand = hand
    return reversal.run(till, sold, ui=ui), len(done)


def test_a_worker_does_not_step_the_row(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    processor, steps = till.background.processor(), list[object]()

    result, times = while_waiting(
        till,
        reversal,
        sold,
        lambda: steps.append(processor.step(till.live()[0], merchants(till), is_recorded=None)),
    )

    assert (times > 10, set(steps)) == (True, {None})
    assert (result.status, till.paymego.count(CANCEL)) == (ReversalStatus.QUEUED, 1)


def test_a_worker_that_found_the_row_leased_steps_it_as_soon_as_the_hook_has_returned(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    result, _ = while_waiting(till, reversal, sold, till.work)
    assert result.status is ReversalStatus.QUEUED
    assert till.paymego.count(CANCEL) == 1
    till.paymego.bank.put_state(till.paymego.now_ms, sold.receipt_id, 50)

    till.background.wake(retry=True)
    till.work()

    assert (till.row().state, till.live()) == (PaymentState.REVERSED, [])


def test_no_other_handle_gets_the_lease_until_the_hook_has_returned(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    got: list[bool] = []

    def take() -> None:
        # As `payme queue close` and every other process do.
        with Leases(till.host.folder).try_acquire(till.live()[0].cancellation_id) as is_ours:
            got.append(is_ours)

    while_waiting(till, reversal, sold, take)
    assert set(got) == {False}
    take()

    assert got[-1]


def test_after_a_kill_the_row_is_due_at_once_and_its_lease_is_free(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.journal.cut_at(1)
    with pytest.raises(PowerCut):
        reversal.run(till, sold)
    till.restart()
    processor = till.background.processor()
    (row,) = processor.cancellations.due(9)

    steps: list[StepOutcome | None] = [processor.step(row, merchants(till), is_recorded=None)]

    assert None not in steps
    assert till.paymego.count(CANCEL) == 1


def test_after_a_kill_during_the_wait_the_worker_returns_the_money_at_once(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    till.host.recorded["p1"] = True
    till.paymego.befall(FaultKind.SILENT, CANCEL)
    ui = till.cashier()

    def die(_: float) -> None:
        if till.live():
            raise PowerCut

    ui.hand = die
    with pytest.raises(PowerCut):
        reversal.run(till, sold, ui=ui)
    till.restart()
    till.paymego.faults = FaultPlan()

    till.work(5)

    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


def test_a_hook_that_finds_the_lease_of_an_earlier_row_taken_is_queued_and_sends_nothing(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    till.journal.cut_at(1)
    with pytest.raises(PowerCut):
        reversal.run(till, sold)
    till.restart()
    sent, began = len(till.paymego.sent), till.clock.monotonic()

    with Leases(till.host.folder).try_acquire(till.live()[0].cancellation_id) as is_ours:
        result = reversal.run(till, sold)

    assert is_ours
    assert (result.status, result.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
    assert (result.receipt_id, result.cancellation_queued, result.slips) == (sold.receipt_id, True, ())
    assert (len(till.paymego.sent), till.clock.monotonic()) == (sent, began)


def test_a_hook_that_finds_the_lease_of_its_new_row_taken_is_queued_and_sends_no_cancel(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    with ExitStack() as another:

        def take_first(_: int) -> None:
            till.journal.recover()
            lease = Leases(till.host.folder).try_acquire(till.live()[0].cancellation_id)
            assert another.enter_context(lease)

        till.journal.after = take_first
        result = reversal.run(till, sold)

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert (till.paymego.count(CANCEL), len(till.live())) == (0, 1)
    till.work(60)
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


def test_told_queued_because_of_a_lease_it_is_not_withdrawn_when_the_host_asks_again(
    till: HookedWorld, reversal: Reversal
) -> None:
    till.set(ignoredErrors=str(IGNORED))
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=IGNORED))
    with ExitStack() as another:

        def take_first(_: int) -> None:
            till.journal.recover()
            another.enter_context(Leases(till.host.folder).try_acquire(till.live()[0].cancellation_id))

        till.journal.after = take_first
        assert reversal.run(till, sold).status is ReversalStatus.QUEUED

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED


def test_a_worker_that_was_first_and_could_note_nothing_has_sent_nothing_that_the_hook_would_not_know_of(
    till: HookedWorld, reversal: Reversal
) -> None:
    till.set(ignoredErrors=str(IGNORED))
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=IGNORED))
    processor = till.background.processor()

    def step_first(_: int) -> None:
        till.journal.recover()
        processor.journal.fail_from(1)  # type: ignore[attr-defined]
        assert processor.step(till.live()[0], merchants(till), is_recorded=None) is None
        processor.journal.recover()  # type: ignore[attr-defined]
        assert till.paymego.count(CANCEL) == 0

    till.journal.after = step_first
    result = reversal.run(till, sold)

    assert (result.status, till.live()) == (ReversalStatus.REFUSED, [])


def test_a_row_that_a_worker_has_stepped_first_is_not_withdrawn(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors=str(IGNORED))
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=IGNORED))

    def step_first(_: int) -> None:
        till.journal.recover()
        till.background.processor().step(till.live()[0], merchants(till), is_recorded=None)

    till.journal.after = step_first

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    assert len(till.live()) == 1


def test_a_row_whose_stored_attempt_may_be_a_workers_is_not_withdrawn(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors=str(IGNORED))
    sold = reversal.sell(till)
    processor = till.background.processor()

    def fail(_: int) -> None:
        till.journal.recover()
        raise sqlite3.OperationalError("database or disk is full")

    def step_first(_: int) -> None:
        till.journal.recover()
        till.paymego.befall(FaultKind.REQUEST_DELAYED, CANCEL, after_s=30)
        processor.journal.fail_from(2)  # type: ignore[attr-defined]
        assert processor.step(till.live()[0], merchants(till), is_recorded=None) is None
        processor.journal.recover()  # type: ignore[attr-defined]
        assert [(row.attempts, row.last_error) for row in till.live()] == [(1, "")]
        till.paymego.befall(FaultKind.ERROR, CANCEL, error_code=IGNORED)
        till.journal.before = fail

    till.journal.after = step_first
    result = reversal.run(till, sold)
    till.work(3600)

    assert result.status is ReversalStatus.QUEUED
    assert (till.paymego.held(sold.receipt_id), till.row().state) == (0, PaymentState.REVERSED)


def test_a_row_that_a_worker_has_ended_first_is_reversed_with_its_slip(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))

    def step_first(_: int) -> None:
        till.journal.recover()
        processor = till.background.processor()
        while till.live():
            processor.step(till.live()[0], merchants(till), is_recorded=None)

    till.journal.after = step_first
    result = reversal.run(till, sold)

    assert (result.status, len(result.slips)) == (ReversalStatus.REVERSED, 1)
    assert till.paymego.count(CANCEL) == 1


def test_a_lease_file_that_can_not_be_opened_leaves_a_durable_row_queued(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)

    def unusable(_: int) -> None:
        till.journal.recover()
        (till.host.folder / "leases").unlink(missing_ok=True)
        (till.host.folder / "leases").mkdir()

    till.journal.after = unusable
    result = reversal.run(till, sold)

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert (till.paymego.count(CANCEL), len(till.live())) == (0, 1)
