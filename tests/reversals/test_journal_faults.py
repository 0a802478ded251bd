"""A journal that can't be written during a cancel or a refund: nothing leaves before it, nothing is untrue after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.reversal_calls import Reversal
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


@pytest.fixture(autouse=True)
def _room_again() -> Iterator[None]:
    yield
    free_disk()


@pytest.mark.parametrize("has_settings", [True, False])
def test_a_cancellation_that_can_not_be_stored_raises_and_no_cancel_leaves(
    till: HookedWorld, reversal: Reversal, has_settings: bool
) -> None:
    sold = reversal.sell(till)
    state = till.row().state
    till.broken = not has_settings

    with full_disk(), pytest.raises(Unavailable):
        reversal.run(till, sold)
    till.broken = False

    assert (till.paymego.count(CANCEL), till.live(), till.row().state) == (0, [], state)
    assert JOURNAL_NOTICE in till.host.notices
    till.work(4000)
    assert till.paymego.held() == sold.record.amount
    assert reversal.run(till, sold).status is ReversalStatus.REVERSED


def test_50_that_can_not_be_stored_is_reversed_all_the_same(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.journal.fail_from(3)

    result = reversal.run(till, sold)
    till.journal.recover()

    assert (result.status, len(result.slips)) == (ReversalStatus.REVERSED, 1)
    assert till.row().state is PaymentState.REVERSING
    till.work(60)
    assert (till.row().state, till.live()) == (PaymentState.REVERSED, [])


@pytest.mark.parametrize("failing", ["cancel", "left"])
def test_queued_that_can_not_be_left_to_the_worker_comes_due_by_itself(
    till: HookedWorld, reversal: Reversal, failing: str
) -> None:
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)
    till.journal.fail_from(2 if failing == "cancel" else 3)

    result = reversal.run(till, sold)
    till.journal.recover()

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert len(till.live()) == 1
    till.work(60)
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


def test_a_refusal_that_can_not_be_stored_is_queued_for_its_row_stays(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.ERROR, CANCEL, error_code=-31800)
    till.journal.fail_from(2)

    result = reversal.run(till, sold)
    till.journal.recover()

    assert (result.status, result.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
    assert len(till.live()) == 1
    till.work(60)
    assert till.paymego.held() == 0


def test_a_journal_that_fails_right_after_the_row_is_durable_is_queued(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)

    def fail(_: int) -> None:
        till.journal.recover()
        raise Unavailable("disk I/O error")

    till.journal.after = fail
    result = reversal.run(till, sold)

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert len(till.live()) == 1
    till.work(60)
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)
