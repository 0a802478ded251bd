"""``host.is_recorded`` is a veto only: it is asked before a ``receipts.cancel`` of cause *unrecorded* leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe_paid
from fakes.paymego import Passage
from fakes.reversal_calls import Reversal
from hookspecs import ReversalStatus
from payme_plugin.delivery.host_queue import message_of
from payme_plugin.ledger.states import End, PaymentState
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox import CancelPlan

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld, Sold

AMOUNT = 1_500_000
CANCEL = "receipts.cancel"


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
def test_true_acknowledges_an_orphan_and_ends_its_cancellation(
    till: HookedWorld, who: Callable[[HookedWorld], None]
) -> None:
    leave_orphan(till)
    (row,) = till.live()
    answer_with(till, True)

    who(till)

    ended = till.journal.cancellation(row.cancellation_id)
    assert ended is not None
    assert (ended.ended_as, till.live()) == (End.RECORDED, [])
    assert (till.row().state, till.row().acknowledged_at is not None) == (PaymentState.RECORDED, True)
    assert (till.paymego.count(CANCEL), till.paymego.held()) == (0, AMOUNT)


def test_an_acknowledgement_by_veto_is_irrevocable(till: HookedWorld) -> None:
    leave_orphan(till)
    answer_with(till, True)
    till.work(60)

    answer_with(till, False)
    till.work(600)
    till.restart()
    till.dispatcher.ready()
    till.work(600)

    assert (till.row().state, till.paymego.held()) == (PaymentState.RECORDED, AMOUNT)


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


@pytest.mark.parametrize("answer", [False, None])
def test_no_answer_moves_money_where_no_cancellation_is_live(till: HookedWorld, answer: object) -> None:
    till.sell()
    asked = answer_with(till, answer)

    till.work(3600)
    till.pay(till.paymego.code(), payment_id="p2")
    till.background.stop()

    assert (asked, till.row().state, till.live()) == ([], PaymentState.PAID, [])


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


def test_a_return_that_the_host_asked_for_is_under_no_veto(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.passage = lambda _: Passage(connects=False)
    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    till.paymego.passage = lambda _: Passage()
    asked = answer_with(till, True)

    till.work(60)

    assert (asked, till.live(), till.paymego.held()) == ([], [], 0)


def test_an_acknowledgement_while_the_state_is_asked_keeps_the_cancel_from_leaving(till: HookedWorld) -> None:
    sold = leave_orphan(till)

    def passage(method: str) -> Passage:
        if method == "receipts.check":
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

    assert set(shown) == {"payme.sale"}
    assert till.row().acknowledged_at is not None
    assert (till.row().state, till.paymego.state(sold.receipt_id)) == (
        PaymentState.REVERSED,
        ReceiptState.CANCELLED,
    )
