"""Money is returned once if the journal fails or the power is cut during a cancel or a refund."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import HookedWorld, Sold
from fakes.reversal_calls import REFUND
from fakes.till import TENDER, PowerCut, ScriptedUi, open_sale
from faults.full_disk import full_disk
from hookspecs import CancelRequest, HookFailed, ReversalStatus
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.repair import repair
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.reversal_calls import Reversal
    from fakes.served_till import ServedTill
    from payme_plugin.sandbox import Sandbox

CANCEL = "receipts.cancel"


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
    assert "payme.journal" in till.host.notices
    till.work(4000)
    assert till.paymego.held() == sold.record.amount
    assert reversal.run(till, sold).status is ReversalStatus.REVERSED


def test_50_is_reversed_even_if_it_can_not_be_stored(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.journal.fail_from(3)

    result = reversal.run(till, sold)
    till.journal.recover()

    assert (result.status, len(result.slips)) == (ReversalStatus.REVERSED, 1)
    assert till.row().state is PaymentState.REVERSING
    till.work(60)
    assert (till.row().state, till.live()) == (PaymentState.REVERSED, [])


def test_queued_that_can_not_be_left_to_the_worker_comes_due_by_itself(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.inject_fault(FaultKind.REQUEST_LOST, CANCEL)
    till.journal.fail_from(3)

    result = reversal.run(till, sold)
    till.journal.recover()

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert len(till.live()) == 1
    till.work(60)
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


def test_a_refusal_that_can_not_be_stored_is_queued_for_its_row_stays(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.inject_fault(FaultKind.ERROR, CANCEL, error_code=-31800)
    till.journal.fail_from(2)

    result = reversal.run(till, sold)
    till.journal.recover()

    assert (result.status, result.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
    assert len(till.live()) == 1
    till.work(60)
    assert till.paymego.held() == 0


def test_a_journal_that_fails_right_after_the_row_is_durable_is_queued(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)

    def fail() -> None:
        raise Unavailable("disk I/O error")

    till.after_next_commit(fail)
    result = reversal.run(till, sold)

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert len(till.live()) == 1
    till.work(60)
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


# The power fails at any commit: the host asks again, and the money goes back once.

MOST_BOUNDARIES = 8
RETURNED = {ReversalStatus.REVERSED, ReversalStatus.QUEUED}

# How Payme behaves while the first call is cut off.
CONDITIONS = ["done at once", "settles in 7 s", "answer lost", "refused", "turns back"]


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


def prepare(till: HookedWorld, sold: Sold, condition: str) -> None:
    plans = {
        "done at once": CancelPlan(settle_s=0),
        "settles in 7 s": CancelPlan(settle_s=7),
        "turns back": CancelPlan(turns_back_after_s=5),
    }
    if condition in plans:
        till.paymego.bank.plan_cancel(sold.receipt_id, plans[condition])
    else:
        kind = FaultKind.ANSWER_LOST if condition == "answer lost" else FaultKind.ERROR
        till.paymego.inject_fault(kind, "receipts.cancel")


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("pause_s", [0, 100], ids=["at once", "after a while"])
def test_asked_again_after_any_crash_the_money_goes_back_once(
    tmp_path: Path, reversal: Reversal, condition: str, pause_s: int
) -> None:
    reached = 0
    for boundary in range(MOST_BOUNDARIES):
        till = HookedWorld(tmp_path / str(boundary))
        sold = reversal.sell(till)
        till.host.recorded["p1"] = True
        prepare(till, sold, condition)
        was_cut = cut_off(till, reversal, sold, boundary)
        reached += was_cut
        till.work(pause_s)

        again = reversal.run(till, sold)

        assert again.status in RETURNED
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
def test_never_asked_again_a_reversal_that_had_begun_is_carried_out_by_the_worker_at_once(
    till: HookedWorld, reversal: Reversal, boundary: int
) -> None:
    sold = reversal.sell(till)
    till.host.recorded["p1"] = True
    cut_off(till, reversal, sold, boundary)
    has_begun = till.row().state not in {PaymentState.PAID, PaymentState.RECORDED}

    till.work(10)

    assert till.paymego.held() == (0 if has_begun else 1_500_000)
    assert till.live() == []


# The file is damaged: refunds go on after ``payme journal repair``.


def test_nothing_is_cancelled_until_it_is_repaired_and_then_a_refund_goes_on_from_the_tills_record(
    new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    till, ui = new_till(), ScriptedUi(SystemClock())
    record = till.acknowledge(till.pay(till.code()))
    sold = Sold(record, open_sale(payments=(record,), closed_at=1))
    till.plugins.on_receipt_closed(sold.receipt)
    till.plugins.on_stop()
    for name in ("-wal", "-shm"):
        (till.host.folder / (FILE_NAME + name)).unlink(missing_ok=True)
    (till.host.folder / FILE_NAME).write_bytes(b"no journal" * 1000)
    till.plugins.on_start(till.host)
    sent, refund = len(sandbox.requests), HookedWorld.refund_of(sold)
    lost = replace(record, data={})

    assert till.plugins.validate_refund(refund) == [], "violations that only the journal knows are left out"
    assert [each.rule for each in till.plugins.validate_refund(replace(refund, amount=5))] == ["partial-refund"]
    with pytest.raises(HookFailed):
        till.plugins.on_full_refund(refund, ui)
    for payment in (record, lost):
        with pytest.raises(HookFailed):
            till.plugins.on_cancel(CancelRequest(payment=payment, receipt=open_sale()), ui)
    of_another_tender = replace(lost, payment_type=TENDER + 1)
    assert till.plugins.on_cancel(CancelRequest(payment=of_another_tender, receipt=open_sale()), ui) is None
    till.plugins.on_stop()
    assert till.host.notices["payme.journal"] == Texts("ru")(Text.NOTICE_JOURNAL_DAMAGED)
    assert "cancel" not in till.requests_since(sent)

    assert repair(till.host.folder / FILE_NAME, till.host.identity, "1") is not None
    till.plugins.on_start(till.host)
    result = till.plugins.on_full_refund(refund, ui)
    assert result is not None
    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
