"""Two tills of one name on one folder, by mistake: only the first, the leader, begins charges and decides orphans."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import contents, walk
from fakes.owed_money import owe_paid, owe_refund
from fakes.reversal_calls import Reversal
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


def begin_second_till(till: HookedWorld) -> None:
    """Let another till come while the first one leads; the till's dispatcher is the second one's from here on."""
    till.background.is_recorded("-")  # only the leader's host is asked
    till.restart(dead=False)


def end_first_till(till: HookedWorld) -> None:
    till._processes[-2].end()


def pay(till: HookedWorld, payment_id: str, number: int = 2, *, repeated: bool = False) -> PaymentResult:
    ui = till.cashier(till.paymego.code())
    request = request_for(payment_id, receipt=open_sale(number), repeated=repeated)
    result = till.dispatcher.pay(request, ui)
    assert result is not None
    return result


def test_the_second_till_takes_no_payment_and_shows_why(till: HookedWorld) -> None:
    begin_second_till(till)
    sent = len(till.paymego.sent)

    result = pay(till, "p2")

    assert (result.status, result.message) == (PaymentStatus.REFUSED, till.text(Text.PAYMENT_ANOTHER_TILL))
    assert len(till.paymego.sent) == sent
    assert till.journal.find("p2") is None
    assert till.host.notices[NOTICE] == till.text(Text.NOTICE_ANOTHER_TILL, process=os.getpid())


@pytest.mark.parametrize("state", PaymentState, ids=lambda state: state.value)
def test_a_payment_that_the_journal_knows_is_pending_at_the_second_till(till: HookedWorld, state: PaymentState) -> None:
    walk(till.journal, state)
    begin_second_till(till)
    before = contents(till.journal)

    result = pay(till, "p1", 1)

    assert (result.status, result.message) == (PaymentStatus.PENDING, till.text(Text.PAYMENT_PENDING))
    assert (contents(till.journal), till.paymego.sent) == (before, [])


def test_a_repeated_payment_that_the_journal_does_not_know_is_pending_at_the_second_till(till: HookedWorld) -> None:
    begin_second_till(till)

    result = pay(till, "p1", 1, repeated=True)

    assert (result.status, till.paymego.sent) == (PaymentStatus.PENDING, [])


def test_the_second_till_returns_money_because_its_host_asks_for_it(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    begin_second_till(till)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


def test_the_second_till_tells_of_a_return_that_is_durable(till: HookedWorld) -> None:
    sold = till.sell()
    till.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)
    assert till.cancel(sold).status is ReversalStatus.QUEUED
    begin_second_till(till)
    till.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)

    assert till.cancel(sold).status is ReversalStatus.QUEUED


def test_the_second_till_acknowledges_what_its_host_has(till: HookedWorld) -> None:
    sold = till.sell()
    begin_second_till(till)

    till.dispatcher.acknowledge(sold.record)

    assert till.row().state is PaymentState.RECORDED


def test_the_first_till_goes_on_selling(till: HookedWorld) -> None:
    first = till.dispatcher
    begin_second_till(till)
    assert pay(till, "p2").status is PaymentStatus.REFUSED

    result = first.pay(request_for("p3", receipt=open_sale(3)), till.cashier(till.paymego.code()))

    assert result is not None
    assert result.status is PaymentStatus.PAID


def test_the_notice_goes_and_the_till_sells_when_the_other_one_has_ended(till: HookedWorld) -> None:
    begin_second_till(till)
    pay(till, "p2")
    end_first_till(till)

    result = pay(till, "p2")

    assert result.status is PaymentStatus.PAID
    assert NOTICE not in till.host.notices


def test_on_ready_shows_and_withdraws_the_notice(till: HookedWorld) -> None:
    begin_second_till(till)
    with pytest.raises(AnotherTill):
        till.dispatcher.ready()
    assert till.host.notices[NOTICE] == till.text(Text.NOTICE_ANOTHER_TILL, process=os.getpid())

    end_first_till(till)
    till.dispatcher.ready()
    assert NOTICE not in till.host.notices


def test_a_till_that_starts_again_after_a_crash_sells_at_once(till: HookedWorld) -> None:
    till.sell()
    till.restart()

    assert pay(till, "p2").status is PaymentStatus.PAID
    assert NOTICE not in [key for key, _ in till.host.notice_log]


def test_where_nobody_can_tell_nothing_is_charged(till: HookedWorld) -> None:
    till.restart()
    lock = till.host.folder / "leases"
    lock.unlink(missing_ok=True)
    lock.mkdir()

    result = pay(till, "p2")

    assert (result.status, result.message) == (PaymentStatus.REFUSED, till.text(Text.PAYMENT_JOURNAL_UNWRITABLE))
    assert till.paymego.sent == []


# ---------------------------------------------------------------------------------------------------------------------
# Whose word counts
# ---------------------------------------------------------------------------------------------------------------------


def test_the_second_tills_host_is_not_asked_about_the_first_ones_payments(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.host.recorded["p1"] = True
    till.work(1)
    begin_second_till(till)
    till.host.recorded["p1"] = False

    assert till.message(message_of(row)) is QueueVerdict.RETRY
    till.work(600)
    assert (till.paymego.count(CANCEL), till.paymego.held()) == (0, 1_500_000)


def test_the_second_till_delivers_what_is_owed_without_its_hosts_queue(till: HookedWorld) -> None:
    owe_refund(till)
    begin_second_till(till)
    till.host.takes_messages = True

    till.work(30)

    assert (till.live(), till.host.queue) == ([], [])


def test_once_the_first_till_has_ended_its_payments_are_orphans_of_this_one(till: HookedWorld) -> None:
    till.sell()
    begin_second_till(till)
    pay(till, "p2")
    end_first_till(till)

    till.dispatcher.ready()
    till.work(60)

    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


# ---------------------------------------------------------------------------------------------------------------------
# Those that decide nothing do not count
# ---------------------------------------------------------------------------------------------------------------------


def test_a_till_that_has_stopped_leaves_the_folder_to_the_next(till: HookedWorld) -> None:
    till.dispatcher.ready()
    till.background.stop()

    with till.background._storage.opened.leases.try_acquire(LEADER) as is_free:
        assert is_free
    till.restart()
    assert pay(till, "p1").status is PaymentStatus.PAID


def test_a_process_that_only_delivers_is_no_till(till: HookedWorld) -> None:
    row = owe_refund(till)
    till.restart()
    merchant = till.background.merchants()
    assert merchant is not None
    till.background.processor().step(row, merchant, is_recorded=None)
    till.restart(dead=False)

    assert pay(till, "p2").status is PaymentStatus.PAID
