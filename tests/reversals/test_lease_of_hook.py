"""While the cashier waits, the hook holds the lease of the cancellation: nobody else works on that row."""

from __future__ import annotations

import sqlite3
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from fakes.reversal_calls import ROADS, Road
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

pytestmark = pytest.mark.parametrize("road", ROADS, ids=str)


def merchants(world: HookedWorld) -> Mapping[str, MerchantClient]:
    found = world.background.merchants()
    assert found is not None
    return found


def while_waiting(
    world: HookedWorld, road: Road, sold: Sold, action: Callable[[], object]
) -> tuple[ReversalResult, int]:
    """Reverse a payment that stays at 21, and act at every progress while its row is live; return how often."""
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3600))
    done: list[object] = []
    ui = world.cashier()

    def hand(_: float) -> None:
        if world.live():
            done.append(action())

    ui.hand = hand
    return road.give_back(world, sold, ui=ui), len(done)


def test_a_worker_does_not_step_the_row(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    processor, steps = world.background.processor(), list[object]()

    result, times = while_waiting(
        world,
        road,
        sold,
        lambda: steps.append(processor.step(world.live()[0], merchants(world), is_recorded=None)),
    )

    assert (times > 10, set(steps)) == (True, {None})
    assert (result.status, world.paymego.count(CANCEL)) == (ReversalStatus.QUEUED, 1)


def test_a_worker_that_found_the_row_leased_steps_it_as_soon_as_the_hook_has_returned(
    world: HookedWorld, road: Road
) -> None:
    sold = road.sell(world)
    result, _ = while_waiting(world, road, sold, world.work)
    assert result.status is ReversalStatus.QUEUED
    assert world.paymego.count(CANCEL) == 1
    world.paymego.bank.put_state(world.paymego.now_ms, sold.receipt_id, 50)

    world.background.wake(retry=True)
    world.work()

    assert (world.row().state, world.live()) == (PaymentState.REVERSED, [])


def test_no_other_handle_gets_the_lease_until_the_hook_has_returned(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    got: list[bool] = []

    def take() -> None:
        # As `payme queue close` and every other process do.
        with Leases(world.host.folder).try_acquire(world.live()[0].cancellation_id) as is_ours:
            got.append(is_ours)

    while_waiting(world, road, sold, take)
    assert set(got) == {False}
    take()

    assert got[-1]


def test_after_a_kill_the_row_is_due_at_once_and_its_lease_is_free(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.journal.cut_at(1)
    with pytest.raises(PowerCut):
        road.give_back(world, sold)
    world.restart()
    processor = world.background.processor()
    (row,) = processor.cancellations.due(9)

    steps: list[StepOutcome | None] = [processor.step(row, merchants(world), is_recorded=None)]

    assert None not in steps
    assert world.paymego.count(CANCEL) == 1


def test_after_a_kill_during_the_wait_the_worker_returns_the_money_at_once(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.host.recorded["p1"] = True
    world.paymego.befall(FaultKind.SILENT, CANCEL)
    ui = world.cashier()

    def die(_: float) -> None:
        if world.live():
            raise PowerCut

    ui.hand = die
    with pytest.raises(PowerCut):
        road.give_back(world, sold, ui=ui)
    world.restart()
    world.paymego.faults = FaultPlan()

    world.work(5)

    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


def test_a_hook_that_finds_the_lease_of_an_earlier_row_taken_is_queued_and_sends_nothing(
    world: HookedWorld, road: Road
) -> None:
    sold = road.sell(world)
    world.journal.cut_at(1)
    with pytest.raises(PowerCut):
        road.give_back(world, sold)
    world.restart()
    sent, began = len(world.paymego.sent), world.clock.monotonic()

    with Leases(world.host.folder).try_acquire(world.live()[0].cancellation_id) as is_ours:
        result = road.give_back(world, sold)

    assert is_ours
    assert (result.status, result.message) == (ReversalStatus.QUEUED, world.text(Text.REVERSAL_QUEUED))
    assert (result.receipt_id, result.cancellation_queued, result.slips) == (sold.receipt_id, True, ())
    assert (len(world.paymego.sent), world.clock.monotonic()) == (sent, began)


def test_a_hook_that_finds_the_lease_of_its_new_row_taken_is_queued_and_sends_no_cancel(
    world: HookedWorld, road: Road
) -> None:
    sold = road.sell(world)
    with ExitStack() as another:

        def take_first(_: int) -> None:
            world.journal.recover()
            lease = Leases(world.host.folder).try_acquire(world.live()[0].cancellation_id)
            assert another.enter_context(lease)

        world.journal.after = take_first
        result = road.give_back(world, sold)

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert (world.paymego.count(CANCEL), len(world.live())) == (0, 1)
    world.work(60)
    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


def test_told_queued_because_of_a_lease_it_is_not_withdrawn_when_the_host_asks_again(
    world: HookedWorld, road: Road
) -> None:
    world.set(ignoredErrors=str(IGNORED))
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=IGNORED))
    with ExitStack() as another:

        def take_first(_: int) -> None:
            world.journal.recover()
            another.enter_context(Leases(world.host.folder).try_acquire(world.live()[0].cancellation_id))

        world.journal.after = take_first
        assert road.give_back(world, sold).status is ReversalStatus.QUEUED

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED


def test_a_worker_that_was_first_and_could_note_nothing_has_sent_nothing_that_the_hook_would_not_know_of(
    world: HookedWorld, road: Road
) -> None:
    world.set(ignoredErrors=str(IGNORED))
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=IGNORED))
    processor = world.background.processor()

    def step_first(_: int) -> None:
        world.journal.recover()
        processor.journal.fail_from(1)  # type: ignore[attr-defined]
        assert processor.step(world.live()[0], merchants(world), is_recorded=None) is None
        processor.journal.recover()  # type: ignore[attr-defined]
        assert world.paymego.count(CANCEL) == 0

    world.journal.after = step_first
    result = road.give_back(world, sold)

    assert (result.status, world.live()) == (ReversalStatus.REFUSED, [])


def test_a_row_that_a_worker_has_stepped_first_is_not_withdrawn(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors=str(IGNORED))
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=IGNORED))

    def step_first(_: int) -> None:
        world.journal.recover()
        world.background.processor().step(world.live()[0], merchants(world), is_recorded=None)

    world.journal.after = step_first

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    assert len(world.live()) == 1


def test_a_row_whose_stored_attempt_may_be_a_workers_is_not_withdrawn(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors=str(IGNORED))
    sold = road.sell(world)
    processor = world.background.processor()

    def fail(_: int) -> None:
        world.journal.recover()
        raise sqlite3.OperationalError("database or disk is full")

    def step_first(_: int) -> None:
        world.journal.recover()
        world.paymego.befall(FaultKind.REQUEST_DELAYED, CANCEL, after_s=30)
        processor.journal.fail_from(2)  # type: ignore[attr-defined]
        assert processor.step(world.live()[0], merchants(world), is_recorded=None) is None
        processor.journal.recover()  # type: ignore[attr-defined]
        assert [(row.attempts, row.last_error) for row in world.live()] == [(1, "")]
        world.paymego.befall(FaultKind.ERROR, CANCEL, error_code=IGNORED)
        world.journal.before = fail

    world.journal.after = step_first
    result = road.give_back(world, sold)
    world.work(3600)

    assert result.status is ReversalStatus.QUEUED
    assert (world.paymego.held(sold.receipt_id), world.row().state) == (0, PaymentState.REVERSED)


def test_a_row_that_a_worker_has_ended_first_is_reversed_with_its_slip(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))

    def step_first(_: int) -> None:
        world.journal.recover()
        processor = world.background.processor()
        while world.live():
            processor.step(world.live()[0], merchants(world), is_recorded=None)

    world.journal.after = step_first
    result = road.give_back(world, sold)

    assert (result.status, len(result.slips)) == (ReversalStatus.REVERSED, 1)
    assert world.paymego.count(CANCEL) == 1


def test_a_lease_file_that_can_not_be_opened_leaves_a_durable_row_queued(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)

    def unusable(_: int) -> None:
        world.journal.recover()
        (world.host.folder / "leases").unlink(missing_ok=True)
        (world.host.folder / "leases").mkdir()

    world.journal.after = unusable
    result = road.give_back(world, sold)

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert (world.paymego.count(CANCEL), len(world.live())) == (0, 1)
