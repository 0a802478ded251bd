"""An acknowledged payment whose money has not begun to go back is recorded, and its cancellation ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import result
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, End, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld

AMOUNT = 1_500_000
CANCEL, CHECK = "receipts.cancel", "receipts.check"
MOST_QUESTIONS = 2


def reopened(world: HookedWorld) -> None:
    """Let Payme say cancelled (50), the host acknowledge the payment, and Payme say paid (4) again."""
    sold = world.sell()
    world.restart()
    world.dispatcher.ready()
    world.paymego.change(CHECK, result({"state": 50}))
    world.work()
    assert world.row().state is PaymentState.REVERSED
    world.dispatcher.acknowledge(sold.record)
    world.clock.sleep(700)


def acknowledged_before(world: HookedWorld) -> None:
    """Let a payment be acknowledged before its cancellation was written."""
    world.dispatcher.acknowledge(world.sell().record)
    cancellation = NewCancellation(cause=Cause.UNRECORDED)
    world.journal.move(world.row(), PaymentState.REVERSING, "a result that was kept", cancellation=cancellation)
    with pytest.raises(Conflict):
        Cancellations(world.journal).begin(world.live()[0])


@pytest.mark.parametrize("leave", [reopened, acknowledged_before])
def test_it_ends_recorded_without_a_cancel_and_without_a_busy_loop(
    world: HookedWorld, leave: Callable[[HookedWorld], None]
) -> None:
    leave(world)
    (row,) = world.journal.live_cancellations() or world.journal.confirming_cancellations()
    asked = world.paymego.count(CHECK)

    for _ in range(20):
        idle_s = world.background._worker._run_once()

    ended = world.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, world.row().state, world.live()) == (End.RECORDED, PaymentState.RECORDED, [])
    assert (world.paymego.count(CANCEL), world.paymego.held()) == (0, AMOUNT)
    assert world.paymego.count(CHECK) - asked <= MOST_QUESTIONS
    assert idle_s > 0
