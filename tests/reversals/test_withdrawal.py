"""A cancellation is withdrawn only after an ignored refusal of our only request, and never after QUEUED.

A server error in ``ignoredErrors``, with state 4 asked after it, is REFUSED and leaves no cancellation.
"""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import error, meanwhile, without_id
from fakes.till import PowerCut
from hookspecs import ReversalStatus
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from fakes.hooked_world import HookedWorld, Sold
    from fakes.paymego import Envelope
    from fakes.reversal_calls import Reversal
    from fakes.till import ScriptedUi

CANCEL, CHECK = "receipts.cancel", "receipts.check"
IGNORED = -31800


@contextmanager
def failing_worker(till: HookedWorld, first: int) -> Iterator[None]:
    """Let the worker's commits fail from this one on."""
    journal = till.background.processor().journal
    journal.fail_from(first)  # type: ignore[attr-defined]
    yield
    journal.recover()  # type: ignore[attr-defined]


# The host may have got QUEUED before.


def before_a_cancel_left(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    assert till.paymego.count(CANCEL) == 0


def after_a_cancel_left(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    till.paymego.inject_fault(FaultKind.ERROR, CANCEL, error_code=-31007)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED


def before_the_clock_was_set_back(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    before_a_cancel_left(till, reversal, sold)
    till.clock.set_wall(-86_400_000)


def without_being_stored(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    till.journal.fail_from(2)
    before_a_cancel_left(till, reversal, sold)
    till.journal.recover()
    till.clock.pass_until(till.clock.monotonic() + 60)


def in_the_hosts_queue(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    without_being_stored(till, reversal, sold)
    till.host.takes_messages = True
    till.work(60)
    (row,) = till.live()
    assert (row.last_error, row.attempts, len(till.host.queue)) == ("", 0, 1)


def without_the_key(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    before_it_left_and_the_power_failed(till, reversal, sold)
    till.set(posId="0" * 24)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED


def without_settings(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    till.broken = True
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    till.broken = False


def because_of_a_lease(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    before_it_left_and_the_power_failed(till, reversal, sold)
    with Leases(till.host.folder).try_acquire(till.live()[0].cancellation_id):
        assert reversal.run(till, sold).status is ReversalStatus.QUEUED


def before_it_left_and_the_power_failed(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    till.journal.cut_at(1)
    with pytest.raises(PowerCut):
        reversal.run(till, sold)
    till.restart()


def after_it_left_and_the_power_failed(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    till.paymego.inject_fault(FaultKind.SILENT, CANCEL)
    with pytest.raises(PowerCut):
        reversal.run(till, sold, ui=till.meanwhile(lambda: PowerCut() if till.paymego.count(CANCEL) else None))
    till.restart()


@pytest.mark.parametrize(
    "earlier",
    [
        before_a_cancel_left, after_a_cancel_left, before_the_clock_was_set_back, without_being_stored,
        in_the_hosts_queue, without_the_key, without_settings, because_of_a_lease,
        before_it_left_and_the_power_failed, after_it_left_and_the_power_failed,
    ],
)  # fmt: skip
def test_an_earlier_row_is_not_withdrawn(
    till: HookedWorld, reversal: Reversal, earlier: Callable[[HookedWorld, Reversal, Sold], None]
) -> None:
    sold = reversal.sell(till)
    earlier(till, reversal, sold)
    till.paymego.faults.clear()
    till.set(ignoredErrors=IGNORED)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=IGNORED))

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    is_delivered(till, sold)


def is_delivered(till: HookedWorld, sold: Sold) -> None:
    assert (len(till.live()), till.row().state) == (1, PaymentState.REVERSING)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan())
    till.work(4000)
    assert (till.paymego.held(), till.live(), till.row().state) == (0, [], PaymentState.REVERSED)


# The row is this hook's own, but another request may have left for it, or ours was not the one that was refused.


def another_calls_error(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    till.paymego.change(CANCEL, without_id(error(IGNORED)))


def another_calls_error_and_ours_lands_later(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    bank = till.paymego.bank

    def land() -> None:
        bank.call(till.paymego.now_ms, CANCEL, {"id": sold.receipt_id})

    def change(answer: Envelope) -> Envelope | bytes:
        bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))
        till.clock.at(till.clock.monotonic() + 3, land)
        return without_id(error(IGNORED))(answer)

    till.paymego.change(CANCEL, change)


def a_second_hook(till: HookedWorld, reversal: Reversal, sold: Sold) -> ScriptedUi:
    till.paymego.inject_fault(FaultKind.ANSWER_DELAYED, CANCEL, after_s=2.0)

    def ask_again() -> None:
        assert reversal.run(till, sold).status is ReversalStatus.QUEUED

    return till.meanwhile(ask_again, once=True)


def another_cancel_after_ours(till: HookedWorld, reversal: Reversal, sold: Sold) -> ScriptedUi:
    till.paymego.inject_fault(FaultKind.ANSWER_DELAYED, CANCEL, after_s=2.0)
    return till.meanwhile(lambda: till.background.processor().cancellations.begin(till.live()[0]), once=True)


def our_request_could_not_be_stored(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    till.journal.fail_from(2)
    till.paymego.change(CANCEL, meanwhile(till.journal.recover))


def a_worker_was_first(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    till.after_next_commit(till.step)


def a_worker_was_first_and_its_request_is_late(till: HookedWorld, reversal: Reversal, sold: Sold) -> None:
    """The worker stored only that it begins, and the hook can't store anything."""

    def fail(_: int) -> None:
        till.journal.recover()
        raise sqlite3.OperationalError("database or disk is full")

    def step_first() -> None:
        till.paymego.inject_fault(FaultKind.REQUEST_DELAYED, CANCEL, after_s=30)
        with failing_worker(till, 2):
            assert till.step() is None
        assert [(row.attempts, row.last_error) for row in till.live()] == [(1, "")]
        till.journal.before = fail

    till.after_next_commit(step_first)


@pytest.mark.parametrize(
    "meantime",
    [
        another_calls_error, another_calls_error_and_ours_lands_later, a_second_hook, another_cancel_after_ours,
        our_request_could_not_be_stored, a_worker_was_first, a_worker_was_first_and_its_request_is_late,
    ],
)  # fmt: skip
def test_a_row_for_which_another_request_may_have_left_is_not_withdrawn(
    till: HookedWorld, reversal: Reversal, meantime: Callable[[HookedWorld, Reversal, Sold], ScriptedUi | None]
) -> None:
    till.set(ignoredErrors=IGNORED)
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=IGNORED))
    ui = meantime(till, reversal, sold)

    assert reversal.run(till, sold, ui=ui).status is ReversalStatus.QUEUED
    is_delivered(till, sold)


def test_a_worker_that_was_first_and_could_store_nothing_has_sent_nothing(
    till: HookedWorld, reversal: Reversal
) -> None:
    till.set(ignoredErrors=IGNORED)
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=IGNORED))

    def step_first() -> None:
        with failing_worker(till, 1):
            assert till.step() is None
        assert till.paymego.count(CANCEL) == 0

    till.after_next_commit(step_first)

    assert (reversal.run(till, sold).status, till.live()) == (ReversalStatus.REFUSED, [])


# While the cashier waits, the hook holds the lease of the cancellation: nobody else works on that row.


def test_only_the_hook_steps_the_row_until_it_has_returned(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3600))
    others: list[tuple[bool, object]] = []

    def try_others() -> None:
        if till.live():
            # As `payme queue close` and every other process do.
            with Leases(till.host.folder).try_acquire(till.live()[0].cancellation_id) as is_ours:
                others.append((is_ours, till.step()))
            till.work()

    result = reversal.run(till, sold, ui=till.meanwhile(try_others))

    assert (len(others) > 10, set(others)) == (True, {(False, None)})
    assert (result.status, till.paymego.count(CANCEL)) == (ReversalStatus.QUEUED, 1)
    till.paymego.bank.put_state(till.paymego.now_ms, sold.receipt_id, 50)
    till.background.wake(retry=True)
    till.work()
    assert (till.row().state, till.live()) == (PaymentState.REVERSED, [])


def test_a_hook_that_finds_the_lease_of_an_earlier_row_taken_is_queued_and_sends_nothing(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    before_it_left_and_the_power_failed(till, reversal, sold)
    sent, began = len(till.paymego.sent), till.clock.monotonic()

    with Leases(till.host.folder).try_acquire(till.live()[0].cancellation_id) as is_ours:
        result = reversal.run(till, sold)

    assert is_ours
    assert (result.status, result.receipt_id) == (ReversalStatus.QUEUED, sold.receipt_id)
    assert (result.cancellation_queued, result.slips) == (True, ())
    assert (len(till.paymego.sent), till.clock.monotonic()) == (sent, began)


def taken(till: HookedWorld) -> None:
    another = ExitStack()
    assert another.enter_context(Leases(till.host.folder).try_acquire(till.live()[0].cancellation_id))
    till.clock.at(till.clock.monotonic() + 5, another.close)


def not_a_file(till: HookedWorld) -> None:
    (till.host.folder / "leases").unlink(missing_ok=True)
    (till.host.folder / "leases").mkdir()
    till.clock.at(till.clock.monotonic() + 5, (till.host.folder / "leases").rmdir)


@pytest.mark.parametrize("lease", [taken, not_a_file])
def test_a_hook_that_can_not_get_the_lease_of_its_new_row_is_queued_and_sends_no_cancel(
    till: HookedWorld, reversal: Reversal, lease: Callable[[HookedWorld], None]
) -> None:
    sold = reversal.sell(till)
    till.after_next_commit(lambda: lease(till))
    result = reversal.run(till, sold)

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert (till.paymego.count(CANCEL), len(till.live())) == (0, 1)
    till.work(120)
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


@pytest.mark.parametrize("when", ["before it is read", "before its lease is taken"])
def test_a_row_that_a_worker_has_ended_first_is_reversed_with_its_slip_and_one_cancel(
    till: HookedWorld, reversal: Reversal, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))
    acquire = Leases.try_acquire

    def step_first() -> None:
        while till.live():
            till.step()

    def acquire_late(leases: Leases, number: int) -> AbstractContextManager[bool]:
        monkeypatch.setattr(Leases, "try_acquire", acquire)
        step_first()
        return leases.try_acquire(number)

    if when == "before it is read":
        till.after_next_commit(step_first)
    else:
        monkeypatch.setattr(Leases, "try_acquire", acquire_late)
    result = reversal.run(till, sold)

    assert (result.status, len(result.slips), till.paymego.count(CANCEL)) == (ReversalStatus.REVERSED, 1, 1)
