"""``host.is_recorded`` is a veto only: it is asked before a ``receipts.cancel`` of cause *unrecorded* leaves.

Whoever steps the row and has no till to ask (``payme worker`` at a host's journal) goes by the till's last answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import result
from fakes.owed_money import owe_paid
from fakes.paymego import Passage
from hookspecs import BaseHost, QueueVerdict, ReversalStatus
from payme_plugin.delivery.host_queue import message_of
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, End, Hold, PaymentState
from payme_plugin.operations.cancellation import StepOutcome
from payme_plugin.sandbox import CancelPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld, Sold
    from fakes.reversal_calls import Reversal

AMOUNT = 1_500_000
CANCEL, CHECK = "receipts.cancel", "receipts.check"


def leave_orphan(till: HookedWorld) -> Sold:
    """Let a paid payment be an orphan: the host has said ``on_ready`` without it."""
    sold = till.sell()
    till.restart()
    till.dispatcher.ready()
    assert till.row().state is PaymentState.REVERSING
    return sold


def answer_with(till: HookedWorld, answer: object) -> list[str]:
    """Let the host answer so, raised if it is an exception; return the payments that it is asked about."""
    asked: list[str] = []

    def is_recorded(payment_id: str) -> object:
        asked.append(payment_id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    till.host.is_recorded = is_recorded  # type: ignore[method-assign, assignment]
    return asked


def by_worker(till: HookedWorld) -> None:
    till.work(60)


def by_queue(till: HookedWorld) -> None:
    (row,) = till.live()
    assert till.message(message_of(row)) is not None


@pytest.mark.parametrize("who", [by_worker, by_queue])
def test_true_acknowledges_an_orphan_for_ever_and_ends_its_cancellation(
    till: HookedWorld, who: Callable[[HookedWorld], None]
) -> None:
    leave_orphan(till)
    (row,) = till.live()
    answer_with(till, True)

    who(till)

    ended = till.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, till.live(), till.paymego.count(CANCEL)) == (End.RECORDED, [], 0)
    answer_with(till, False)
    till.work(600)
    till.restart()
    till.dispatcher.ready()
    till.work(600)
    assert (till.row().state, till.row().acknowledged_at is not None) == (PaymentState.RECORDED, True)
    assert till.paymego.held() == AMOUNT


def test_a_wrong_veto_keeps_money_only_until_the_host_returns_it(till: HookedWorld, reversal: Reversal) -> None:
    sold = leave_orphan(till)
    answer_with(till, True)
    till.work(60)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    assert till.paymego.held() == 0


@pytest.mark.parametrize("answer", [False, None, 1, "yes", [True], RuntimeError("the till is locked")], ids=repr)
def test_any_other_answer_holds_nothing_up(till: HookedWorld, answer: object) -> None:
    leave_orphan(till)
    asked = answer_with(till, answer)

    till.work(60)

    assert set(asked) == {"p1"}
    assert (till.row().state, till.live(), till.paymego.held()) == (PaymentState.REVERSED, [], 0)


def test_once_a_cancel_has_left_the_host_is_not_asked_and_keeps_nothing(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(refused_with=-31800))
    asked_at: list[int] = []

    def is_recorded(payment_id: str) -> bool | None:
        asked_at.append(till.paymego.count(CANCEL))
        return till.paymego.count(CANCEL) > 0

    till.host.is_recorded = is_recorded  # type: ignore[method-assign]
    till.work(30)
    assert (set(asked_at), till.paymego.count(CANCEL) > 1) == ({0}, True)

    till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan())
    till.work(600)
    assert (till.live(), till.paymego.held()) == ([], 0)


def test_the_host_is_asked_again_as_long_as_no_cancel_could_leave(till: HookedWorld) -> None:
    leave_orphan(till)
    asked = answer_with(till, None)
    till.paymego.passage = lambda _: Passage(connects=False)
    till.work(30)
    assert len(asked) > 1

    answer_with(till, True)
    till.paymego.passage = lambda _: Passage()
    till.work(60)
    assert (till.row().state, till.paymego.held()) == (PaymentState.RECORDED, AMOUNT)


def test_while_the_settings_are_broken_the_host_is_not_asked_for_a_veto_that_nobody_would_store(
    till: HookedWorld,
) -> None:
    leave_orphan(till)
    asked = answer_with(till, True)
    till.broken = True

    till.work(60)

    assert (asked, till.row().state) == ([], PaymentState.REVERSING)


def test_a_return_that_the_host_asked_for_is_under_no_veto(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.passage = lambda _: Passage(connects=False)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    till.paymego.passage = lambda _: Passage()
    asked = answer_with(till, True)

    till.work(60)

    assert (asked, till.live(), till.paymego.held()) == ([], [], 0)


# An acknowledgement beside the worker.


def test_an_acknowledgement_while_the_state_is_asked_keeps_the_cancel_from_leaving(till: HookedWorld) -> None:
    sold = leave_orphan(till)

    def passage(method: str) -> Passage:
        if method == CHECK:
            till.dispatcher.acknowledge(sold.record)
        return Passage()

    till.paymego.passage = passage
    till.work(60)

    assert (till.row().state, till.live(), till.paymego.count(CANCEL)) == (PaymentState.RECORDED, [], 0)


def test_an_acknowledgement_after_the_cancel_has_left_is_stored_and_shown_and_ends_nothing(till: HookedWorld) -> None:
    sold = leave_orphan(till)
    till.work()
    assert till.paymego.count(CANCEL) == 1

    till.dispatcher.acknowledge(sold.record)
    shown = dict(till.host.notices)
    till.work(60)

    assert (set(shown), till.row().acknowledged_at is not None) == ({"payme.sale"}, True)
    assert (till.row().state, till.paymego.state(sold.receipt_id)) == (PaymentState.REVERSED, 50)


def reopened(till: HookedWorld) -> None:
    """Let Payme say cancelled (50), the host acknowledge the payment, and Payme say paid (4) again."""
    sold = leave_orphan(till)
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
def test_the_row_of_an_acknowledged_payment_ends_without_a_cancel_and_without_a_busy_loop(
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
    assert (till.paymego.count(CHECK) - asked <= 2, idle_s > 0) == (True, True)


def test_when_payme_takes_its_cancelled_back_the_host_is_asked_before_the_cancel_leaves(till: HookedWorld) -> None:
    leave_orphan(till)
    till.paymego.change(CHECK, result({"state": 50}))
    till.work()
    assert till.row().state is PaymentState.REVERSED
    till.clock.sleep(700)
    asked = answer_with(till, True)

    till.work(60)

    assert (asked, till.paymego.count(CANCEL), till.paymego.held()) == (["p1"], 0, AMOUNT)
    assert (till.row().state, till.live()) == (PaymentState.RECORDED, [])


def test_a_copy_from_before_another_process_reopened_the_row_cancels_nothing(till: HookedWorld) -> None:
    leave_orphan(till)
    till.paymego.change(CHECK, result({"state": 50}))
    till.work()
    till.clock.sleep(700)
    (copy,) = till.journal.confirming_cancellations()
    assert till.step(copy) is StepOutcome.REOPENED

    assert till.step(copy) is StepOutcome.DONE

    assert (till.paymego.count(CANCEL), [row.due_at for row in till.live()]) == (0, [till.clock.wall_ms()])


# Who can't ask the till goes by its last answer.


def by_another_worker(till: HookedWorld) -> None:
    assert till.step() is StepOutcome.HELD


def by_another_process(till: HookedWorld) -> None:
    till.restart()
    assert till.step() is StepOutcome.HELD


def by_the_hosts_queue(till: HookedWorld) -> None:
    assert till.message(message_of(till.live()[0])) is QueueVerdict.RETRY


def by_command(till: HookedWorld) -> None:
    """Deliver as a command at another host's journal does: with nobody to ask, and no queue."""
    journal = till.background.processor().journal
    processor = CancellationProcessor(journal, Leases(till.host.folder), BaseHost(), till.clock)
    began = till.clock.monotonic()
    assert not processor.deliver_until_empty(till.merchants, 20.0)
    assert till.clock.monotonic() - began < 1
    till.clock.sleep(3600)
    processor.deliver_due(till.merchants)


@pytest.mark.parametrize("who", [by_another_worker, by_another_process, by_the_hosts_queue, by_command])
def test_a_vetoed_row_stays_held_until_the_host_says_that_it_no_longer_has_the_payment(
    till: HookedWorld, who: Callable[[HookedWorld], None]
) -> None:
    row = owe_paid(till)
    assert till.step(is_recorded=True) is StepOutcome.HELD
    assert till.step(row) is StepOutcome.HELD

    for _ in range(3):
        who(till)

    assert (till.paymego.count(CANCEL), till.paymego.held()) == (0, AMOUNT)
    assert (till.live()[0].held, till.live()[0].last_error) == (Hold.HOST, "the till says that it has this payment")
    assert till.step(is_recorded=False) is StepOutcome.ACCEPTED
    till.clock.sleep(2)
    assert till.step() is StepOutcome.DONE
    assert till.paymego.held() == 0
