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


def reopened(till: HookedWorld) -> None:
    """Let Payme say cancelled (50), the host acknowledge the payment, and Payme say paid (4) again."""
    sold = till.sell()
    till.restart()
    till.dispatcher.ready()
    till.paymego.change(CHECK, result({"state": 50}))
    till.work()
    assert till.row().state is PaymentState.REVERSED
    till.dispatcher.acknowledge(sold.record)
    till.clock.sleep(700)


def acknowledged_before(till: HookedWorld) -> None:
    """Let a payment be acknowledged before its cancellation was written."""
    till.dispatcher.acknowledge(till.sell().record)
    cancellation = NewCancellation(cause=Cause.UNRECORDED)
    till.journal.move(till.row(), PaymentState.REVERSING, "a result that was kept", cancellation=cancellation)
    with pytest.raises(Conflict):
        Cancellations(till.journal).begin(till.live()[0])


@pytest.mark.parametrize("leave", [reopened, acknowledged_before])
def test_it_ends_recorded_without_a_cancel_and_without_a_busy_loop(
    till: HookedWorld, leave: Callable[[HookedWorld], None]
) -> None:
    leave(till)
    (row,) = till.journal.live_cancellations() or till.journal.confirming_cancellations()
    asked = till.paymego.count(CHECK)

    for _ in range(20):
        idle_s = till.background._worker._run_once()

    ended = till.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, till.row().state, till.live()) == (End.RECORDED, PaymentState.RECORDED, [])
    assert (till.paymego.count(CANCEL), till.paymego.held()) == (0, AMOUNT)
    assert till.paymego.count(CHECK) - asked <= MOST_QUESTIONS
    assert idle_s > 0
