"""The cashier stops. Before a pay nothing is charged; after it one check decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import result
from fakes.paymego import Passage
from hookspecs import PaymentStatus
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.world import World

CREATE, PAY, CHECK = "receipts.create", "receipts.pay", "receipts.check"


def test_a_stop_at_the_scan_ends_before_any_charge(world: World) -> None:
    outcome = world.pay(None)

    assert outcome.status is PaymentStatus.ABORTED
    assert outcome.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)


def test_a_stop_at_the_scan_while_the_receipt_never_comes_leaves_nothing(world: World) -> None:
    world.paymego.befall(FaultKind.SILENT, CREATE, times=None)

    outcome = world.pay(None)

    assert (outcome.status, outcome.receipt_id, world.live()) == (PaymentStatus.ABORTED, None, [])


def test_a_stop_while_the_receipt_is_made_ends_at_once_without_a_pay(world: World) -> None:
    world.paymego.passage = lambda method: Passage(back_s=4.5)
    ui = world.cashier(world.paymego.code(), stops_at=2)

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.ABORTED
    assert outcome.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    assert world.paymego.methods == ["create"]
    assert world.path_of() == ["intent", "aborted"]
    assert world.clock.monotonic() < 2.5


def test_a_stop_at_whose_moment_the_receipt_came_sends_no_pay(world: World) -> None:
    """The cashier is asked whether to stop and says yes a second later: the answer has come meanwhile."""
    world.paymego.passage = lambda method: Passage(back_s=1)
    ui = world.cashier(world.paymego.code())
    ui.hand = world.says_yes_after(1)
    outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert outcome.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    assert world.paymego.methods == ["create"]
    assert world.path_of() == ["intent", "aborted"]


@pytest.mark.parametrize("scans", [1, 2])
def test_a_stop_between_the_scan_and_pay_sends_no_pay(world: World, scans: int) -> None:
    """The receipt is there and each code at hand, so nothing is waited for; the cashier is asked all the same."""
    codes = ["11112222333344445555", world.paymego.code()][-scans:]
    ui = world.cashier(*codes)
    ui.hand = lambda _: len(ui.prompts) == scans

    outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert outcome.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    assert (len(ui.prompts), world.paymego.count(PAY)) == (scans, scans - 1)
    assert not world.journal.was_sent(world.journal.fingerprint(codes[-1]))


def test_a_stop_while_pay_is_under_way_is_followed_by_one_check_and_4_is_paid(world: World) -> None:
    world.paymego.passage = lambda method: Passage(there_s=1, back_s=3) if method == PAY else Passage()
    ui = world.cashier(world.paymego.code(), stops_at=2)

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.PAID
    assert world.paymego.methods == ["create", "pay", "check", "get"]
    assert world.live() == []


def test_a_stop_before_pay_has_arrived_leaves_a_cancellation_for_the_late_charge(world: World) -> None:
    world.paymego.passage = lambda method: Passage(there_s=3) if method == PAY else Passage()
    ui = world.cashier(world.paymego.code(), stops_at=2)

    outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert outcome.message == world.text(Text.PAYMENT_ABORTED)
    world.clock.sleep(5)
    assert world.paymego.held() == 1_500_000
    assert len(world.live()) == 1


def test_a_stop_before_pay_has_left_is_a_stop_not_a_fault_of_the_network_and_frees_the_code(world: World) -> None:
    code = world.paymego.code()
    world.paymego.passage = lambda method: Passage(connect_s=4 if method == PAY else 0)
    ui = world.cashier(code, stops_at=2)

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.ABORTED
    assert outcome.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    assert outcome.cancellation_queued
    assert world.paymego.count(PAY) == 0
    assert not world.journal.was_sent(world.journal.fingerprint(code))
    world.clock.sleep(10)
    assert world.paymego.count(PAY) == 0


@pytest.mark.parametrize("stops_at", [0.5, 3.3, 7.0, 19.5])
def test_a_stop_while_the_buyer_is_waited_for_is_followed_by_one_check(world: World, stops_at: float) -> None:
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS), stops_at=stops_at)

    outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert outcome.message == world.text(Text.PAYMENT_ABORTED)
    assert stops_at <= world.paymego.times_of(CHECK)[-1] <= stops_at + 0.5
    assert len([at for at in world.paymego.times_of(CHECK) if at >= stops_at]) == 1
    assert len(world.live()) == 1


def test_a_buyer_who_confirmed_just_before_the_stop_has_paid(world: World) -> None:
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3), stops_at=3.5)

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.PAID
    assert world.live() == []


def test_a_stop_while_a_check_is_under_way_ends_that_and_asks_once_more(world: World) -> None:
    world.paymego.befall(FaultKind.SILENT, CHECK)
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS), stops_at=2)

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.ABORTED
    assert world.paymego.count(CHECK) == 2
    assert world.clock.monotonic() < 3


def test_the_check_after_a_stop_is_waited_for_to_its_end(world: World) -> None:
    world.paymego.passage = lambda method: Passage(
        back_s=4 if method == CHECK and world.clock.monotonic() > 2 else 0.01
    )
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3.9), stops_at=4)

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.PAID


@pytest.mark.parametrize("kind", [FaultKind.SILENT, FaultKind.ANSWER_LOST, FaultKind.ERROR, FaultKind.FOREIGN_ID])
def test_a_check_after_a_stop_that_brings_nothing_leaves_a_cancellation(world: World, kind: FaultKind) -> None:
    world.paymego.befall(kind, CHECK, skip=2, times=None)
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3), stops_at=3.5)

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.ABORTED
    assert len(world.live()) == 1


@pytest.mark.parametrize("state", [0, 1, 3, 21, 50, 77])
def test_whatever_else_the_check_says_the_stop_stands_with_a_cancellation(world: World, state: int) -> None:
    world.paymego.change(CHECK, result({"state": state}), skip=1)
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS), stops_at=1)

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.ABORTED
    assert len(world.live()) == 1


def test_a_stop_while_a_stale_code_is_asked_after_sends_no_other(world: World) -> None:
    world.paymego.passage = lambda method: Passage(back_s=4) if method == CHECK else Passage()
    ui = world.cashier("11112222333344445555", world.paymego.code(), stops_at=1)

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.REFUSED
    assert (len(ui.prompts), world.paymego.count(PAY)) == (1, 1)
    assert len(world.live()) == 1


def test_a_stop_while_the_slip_is_completed_takes_nothing_back(world: World) -> None:
    world.paymego.passage = lambda method: Passage(back_s=4) if method == "receipts.get" else Passage()
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=1), stops_at=2.5)

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.PAID
    assert len(outcome.slips) == 1


@pytest.mark.parametrize("answer", [None, False, 0, 1, "yes", "stop", [], object()])
def test_only_true_stops(world: World, answer: object) -> None:
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))
    ui.hand = lambda _: answer

    assert world.pay(ui=ui).status is PaymentStatus.PAID
