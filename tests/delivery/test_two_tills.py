"""Two tills of one name on one folder, by mistake: only the first, the leader, begins charges and decides orphans."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import contents, walk
from fakes.owed_money import owe_paid, owe_refund
from fakes.reversal_calls import ROADS, Road
from fakes.till import open_sale, request_for
from hookspecs import PaymentResult, PaymentStatus, QueueVerdict, ReversalStatus
from payme_plugin.delivery.host_queue import message_of
from payme_plugin.ledger.errors import AnotherTill
from payme_plugin.ledger.locks import LEADER
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

NOTICE = "payme.another_till"
CANCEL = "receipts.cancel"


def begin_second_till(world: HookedWorld) -> None:
    """Let another till come while the first one leads; the world's dispatcher is the second one's from here on."""
    world.background.is_recorded("-")  # only the leader's host is asked
    world.restart(dead=False)


def end_first_till(world: HookedWorld) -> None:
    world._processes[-2].end()


def pay(world: HookedWorld, payment_id: str, number: int = 2, *, repeated: bool = False) -> PaymentResult:
    ui = world.cashier(world.paymego.code())
    request = request_for(payment_id, receipt=open_sale(number), repeated=repeated)
    result = world.dispatcher.pay(request, ui)
    assert result is not None
    return result


def test_the_second_till_takes_no_payment_and_shows_why(world: HookedWorld) -> None:
    begin_second_till(world)
    sent = len(world.paymego.sent)

    result = pay(world, "p2")

    assert (result.status, result.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ANOTHER_TILL))
    assert len(world.paymego.sent) == sent
    assert world.journal.find("p2") is None
    assert world.host.notices[NOTICE] == world.text(Text.NOTICE_ANOTHER_TILL, process=os.getpid())


@pytest.mark.parametrize("state", PaymentState, ids=lambda state: state.value)
def test_a_payment_that_the_journal_knows_is_pending_at_the_second_till(
    world: HookedWorld, state: PaymentState
) -> None:
    walk(world.journal, state)
    begin_second_till(world)
    before = contents(world.journal)

    result = pay(world, "p1", 1)

    assert (result.status, result.message) == (PaymentStatus.PENDING, world.text(Text.PAYMENT_PENDING))
    assert (contents(world.journal), world.paymego.sent) == (before, [])


def test_a_repeated_payment_that_the_journal_does_not_know_is_pending_at_the_second_till(world: HookedWorld) -> None:
    begin_second_till(world)

    result = pay(world, "p1", 1, repeated=True)

    assert (result.status, world.paymego.sent) == (PaymentStatus.PENDING, [])


@pytest.mark.parametrize("road", ROADS, ids=str)
def test_the_second_till_returns_money_because_its_host_asks_for_it(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    begin_second_till(world)

    assert road.give_back(world, sold).status is ReversalStatus.REVERSED
    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


def test_the_second_till_tells_of_a_return_that_is_durable(world: HookedWorld) -> None:
    sold = world.sell()
    world.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)
    assert world.cancel(sold).status is ReversalStatus.QUEUED
    begin_second_till(world)
    world.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)

    assert world.cancel(sold).status is ReversalStatus.QUEUED


def test_the_second_till_acknowledges_what_its_host_has(world: HookedWorld) -> None:
    sold = world.sell()
    begin_second_till(world)

    world.dispatcher.acknowledge(sold.record)

    assert world.row().state is PaymentState.RECORDED


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


def test_on_ready_shows_and_withdraws_the_notice(world: HookedWorld) -> None:
    begin_second_till(world)
    with pytest.raises(AnotherTill):
        world.dispatcher.ready()
    assert world.host.notices[NOTICE] == world.text(Text.NOTICE_ANOTHER_TILL, process=os.getpid())

    end_first_till(world)
    world.dispatcher.ready()
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


def test_once_the_first_till_has_ended_its_payments_are_orphans_of_this_one(world: HookedWorld) -> None:
    world.sell()
    begin_second_till(world)
    pay(world, "p2")
    end_first_till(world)

    world.dispatcher.ready()
    world.work(60)

    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Those that decide nothing do not count
# ---------------------------------------------------------------------------------------------------------------------


def test_a_till_that_has_stopped_leaves_the_folder_to_the_next(world: HookedWorld) -> None:
    world.dispatcher.ready()
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
