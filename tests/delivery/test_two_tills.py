"""Two tills of one name on one folder, by mistake: the second is refused, so that nobody decides about its payments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hookspecs import CancelRequest, PaymentResult, PaymentStatus, QueueVerdict, ReversalStatus
from owed_money import owe_paid, owe_refund
from payme_plugin.delivery.host_queue import message_of
from payme_plugin.ledger.locks import LEADER
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import FaultKind
from payme_plugin.texts import Text
from virtual_till import PowerCut, open_sale, request_for

if TYPE_CHECKING:
    from hooked_world import HookedWorld

NOTICE = "payme.another_till"
CANCEL = "receipts.cancel"


def begin_second_till(world: HookedWorld) -> None:
    """Let another till come while the first one decides; the world's dispatcher is the second one's from here on."""
    world.background.recover(include_own=False)
    world.restart(dead=False)


def end_first_till(world: HookedWorld) -> None:
    world._processes[-2].end()


def pay(world: HookedWorld, payment_id: str, number: int = 2) -> PaymentResult:
    ui = world.cashier(world.paymego.code())
    result = world.dispatcher.pay(request_for(payment_id, receipt=open_sale(number)), ui)
    assert result is not None
    return result


def test_the_second_till_takes_no_payment_and_shows_why(world: HookedWorld) -> None:
    begin_second_till(world)
    sent = len(world.paymego.sent)

    result = pay(world, "p2")

    assert (result.status, result.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ANOTHER_TILL))
    assert len(world.paymego.sent) == sent
    assert world.journal.find("p2") is None
    assert world.host.notices[NOTICE] == world.text(Text.NOTICE_ANOTHER_TILL)


@pytest.mark.parametrize("state", [PaymentState.PAYING, PaymentState.PAID, PaymentState.RECORDED])
def test_a_payment_that_may_be_charged_is_not_called_uncharged_by_the_second_till(
    world: HookedWorld, state: PaymentState
) -> None:
    if state is PaymentState.PAYING:
        world.journal.fail_from(4)  # the commit of the verdict
    world.sell()
    world.journal.recover()
    if state is PaymentState.RECORDED:
        world.journal.move(world.row(), state, "a sale that is still open has it")
    assert world.row().state is state
    begin_second_till(world)

    result = pay(world, "p1", 1)

    assert (result.status, result.message) == (PaymentStatus.UNKNOWN, world.text(Text.PAYMENT_CHARGE_MAY_HANG))
    assert world.paymego.held() == 1_500_000


@pytest.mark.parametrize("state", [PaymentState.RECORDED, PaymentState.REVERSED])
def test_a_payment_that_is_settled_is_told_as_such_by_the_second_till(world: HookedWorld, state: PaymentState) -> None:
    sold = world.sell()
    if state is PaymentState.RECORDED:
        world.close_sale(sold)
    else:
        world.cancel(sold)
    assert world.row().state is state
    begin_second_till(world)

    result = pay(world, "p1", 1)

    told = Text.PAYMENT_ID_REUSED if state is PaymentState.RECORDED else Text.PAYMENT_ALREADY_REVERSED
    assert (result.status, result.message) == (PaymentStatus.REFUSED, world.text(told))


def test_the_second_till_tells_nothing_of_another_sales_payment_under_that_id(world: HookedWorld) -> None:
    world.pay("1", None)
    begin_second_till(world)

    result = pay(world, "p1", 2)

    assert (result.status, result.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ID_REUSED))


@pytest.mark.parametrize(("cut", "state"), [(2, PaymentState.INTENT), (3, PaymentState.CREATED)])
def test_the_second_till_refuses_a_payment_of_which_no_code_has_left(
    world: HookedWorld, cut: int, state: PaymentState
) -> None:
    world.journal.cut_at(cut)
    with pytest.raises(PowerCut):
        world.sell()
    world.restart()
    assert world.row().state is state
    begin_second_till(world)

    result = pay(world, "p1", 1)

    assert (result.status, result.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ANOTHER_TILL))


def test_the_second_till_tells_a_verdict_of_not_paid_again(world: HookedWorld) -> None:
    told = world.pay("1", None)
    begin_second_till(world)

    assert pay(world, "p1", 1) == told


def test_the_second_till_gives_nothing_back(world: HookedWorld) -> None:
    sold = world.sell()
    begin_second_till(world)
    sent = len(world.paymego.sent)

    for result in (world.cancel(sold), world.refund(sold)):
        assert (result.status, result.message) == (ReversalStatus.REFUSED, world.text(Text.REVERSAL_ANOTHER_TILL))
    assert (len(world.paymego.sent), world.row().state) == (sent, PaymentState.PAID)


def test_the_second_till_tells_of_a_return_that_is_durable(world: HookedWorld) -> None:
    sold = world.sell()
    world.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)
    assert world.cancel(sold).status is ReversalStatus.QUEUED
    begin_second_till(world)

    result = world.dispatcher.cancel(CancelRequest(payment=sold.record, receipt=sold.receipt), world.cashier())

    assert result is not None
    assert result.status is ReversalStatus.QUEUED


def test_the_first_till_goes_on_selling(world: HookedWorld) -> None:
    first = world.dispatcher
    begin_second_till(world)
    assert pay(world, "p2").status is PaymentStatus.REFUSED

    result = first.pay(request_for("p3", receipt=open_sale(3)), world.cashier(world.paymego.code()))

    assert result is not None
    assert result.status is PaymentStatus.PAID


def test_the_notice_goes_and_the_till_sells_when_the_other_one_has_ended(world: HookedWorld) -> None:
    begin_second_till(world)
    pay(world, "p2")
    end_first_till(world)

    result = pay(world, "p2")

    assert result.status is PaymentStatus.PAID
    assert NOTICE not in world.host.notices


def test_the_worker_shows_and_withdraws_the_notice_without_any_sale(world: HookedWorld) -> None:
    begin_second_till(world)
    world.work(1)
    assert NOTICE in world.host.notices

    end_first_till(world)
    world.work(30)
    assert NOTICE not in world.host.notices


def test_a_till_that_starts_again_after_a_crash_sells_at_once(world: HookedWorld) -> None:
    world.sell()
    world.restart()

    assert pay(world, "p2").status is PaymentStatus.PAID
    assert NOTICE not in [key for key, _ in world.host.notice_log]


def test_where_nobody_can_tell_nothing_is_charged(world: HookedWorld) -> None:
    world.restart()
    lock = world.host.folder / "leases"
    lock.unlink(missing_ok=True)
    lock.mkdir()

    result = pay(world, "p2")

    assert (result.status, result.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_JOURNAL_UNWRITABLE))
    assert world.paymego.sent == []


# ---------------------------------------------------------------------------------------------------------------------
# Whose word counts
# ---------------------------------------------------------------------------------------------------------------------


def test_the_second_tills_host_is_not_asked_about_the_first_ones_payments(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.host.recorded["p1"] = True
    world.work(1)
    begin_second_till(world)
    world.host.recorded["p1"] = False

    assert world.message(message_of(row)) is QueueVerdict.RETRY
    world.work(600)
    assert (world.paymego.count(CANCEL), world.paymego.held()) == (0, 1_500_000)


def test_the_second_till_delivers_what_is_owed_without_its_hosts_queue(world: HookedWorld) -> None:
    owe_refund(world)
    begin_second_till(world)
    world.host.takes_messages = True

    world.work(30)

    assert (world.live(), world.host.queue) == ([], [])


def test_its_own_payments_are_decided_by_its_hosts_word_all_the_same(world: HookedWorld) -> None:
    begin_second_till(world)
    pay(world, "p2")
    end_first_till(world)
    assert pay(world, "p2").status is PaymentStatus.PAID
    world.host.recorded["p2"] = False

    pay(world, "p3", 3)

    assert world.row("p2").state is PaymentState.REVERSING


def test_once_the_first_till_has_ended_this_ones_host_decides_about_its_payments(world: HookedWorld) -> None:
    world.sell()
    begin_second_till(world)
    pay(world, "p2")
    end_first_till(world)
    world.host.recorded["p1"] = False

    world.work(60)

    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Those that decide nothing do not count
# ---------------------------------------------------------------------------------------------------------------------


def test_a_till_that_has_stopped_leaves_the_folder_to_the_next(world: HookedWorld) -> None:
    world.background.recover(include_own=False)
    world.background.stop()

    with world.background._storage.opened.leases.try_acquire(LEADER) as is_free:
        assert is_free
    world.restart()
    assert pay(world, "p1").status is PaymentStatus.PAID


def test_a_process_that_only_delivers_is_no_till(world: HookedWorld) -> None:
    row = owe_refund(world)
    world.restart()
    merchant = world.background.merchants()
    assert merchant is not None
    world.background.processor().step(row, merchant, is_recorded=None)
    world.restart(dead=False)

    assert pay(world, "p2").status is PaymentStatus.PAID
