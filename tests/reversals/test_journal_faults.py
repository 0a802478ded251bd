"""A journal that can't be written during a cancel or a refund: nothing leaves before it, nothing is untrue after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.reversal_calls import ROADS, Road
from faults.full_disk import free_disk, full_disk
from hookspecs import ReversalStatus
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fakes.hooked_world import HookedWorld

CANCEL = "receipts.cancel"
JOURNAL_NOTICE = "payme.journal"

pytestmark = pytest.mark.parametrize("road", ROADS, ids=str)


@pytest.fixture(autouse=True)
def _room_again() -> Iterator[None]:
    yield
    free_disk()


@pytest.mark.parametrize("has_settings", [True, False])
def test_a_cancellation_that_can_not_be_stored_raises_and_no_cancel_leaves(
    world: HookedWorld, road: Road, has_settings: bool
) -> None:
    sold = road.sell(world)
    state = world.row().state
    world.broken = not has_settings

    with full_disk(), pytest.raises(Unavailable):
        road.give_back(world, sold)
    world.broken = False

    assert (world.paymego.count(CANCEL), world.live(), world.row().state) == (0, [], state)
    assert JOURNAL_NOTICE in world.host.notices
    world.work(4000)
    assert world.paymego.held() == sold.record.amount
    assert road.give_back(world, sold).status is ReversalStatus.REVERSED


def test_50_that_can_not_be_stored_is_reversed_all_the_same(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.journal.fail_from(3)

    result = road.give_back(world, sold)
    world.journal.recover()

    assert (result.status, len(result.slips)) == (ReversalStatus.REVERSED, 1)
    assert world.row().state is PaymentState.REVERSING
    world.work(60)
    assert (world.row().state, world.live()) == (PaymentState.REVERSED, [])


@pytest.mark.parametrize("failing", ["cancel", "left"])
def test_queued_that_can_not_be_left_to_the_worker_comes_due_by_itself(
    world: HookedWorld, road: Road, failing: str
) -> None:
    sold = road.sell(world)
    world.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)
    world.journal.fail_from(2 if failing == "cancel" else 3)

    result = road.give_back(world, sold)
    world.journal.recover()

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert len(world.live()) == 1
    world.work(60)
    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


def test_a_refusal_that_can_not_be_stored_is_queued_for_its_row_stays(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.befall(FaultKind.ERROR, CANCEL, error_code=-31800)
    world.journal.fail_from(2)

    result = road.give_back(world, sold)
    world.journal.recover()

    assert (result.status, result.message) == (ReversalStatus.QUEUED, world.text(Text.REVERSAL_QUEUED))
    assert len(world.live()) == 1
    world.work(60)
    assert world.paymego.held() == 0


def test_a_journal_that_fails_right_after_the_row_is_durable_is_queued(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)

    def fail(_: int) -> None:
        world.journal.recover()
        raise Unavailable("disk I/O error")

    world.journal.after = fail
    result = road.give_back(world, sold)

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert len(world.live()) == 1
    world.work(60)
    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)
