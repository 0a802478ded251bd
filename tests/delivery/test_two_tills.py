"""Two tills of one name on one folder, by mistake: only the first, the leader, begins charges and decides orphans."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import contents, walk
from fakes.owed_money import owe_paid, owe_refund
from fakes.till import open_sale, request_for
from hookspecs import PaymentResult, PaymentStatus, QueueVerdict, ReversalStatus
from payme_plugin.delivery.host_queue import message_of
from payme_plugin.ledger.errors import AnotherTill
from payme_plugin.ledger.locks import LEADER
from payme_plugin.ledger.states import PaymentState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld
    from fakes.reversal_calls import Reversal

NOTICE = "payme.another_till"
CANCEL = "receipts.cancel"


def begin_second_till(till: HookedWorld) -> None:
    """Let another till come while the first one leads; the till's dispatcher is the second one's from here on."""
    till.background.is_recorded("-")  # only the leader's host is asked
    till.restart(dead=False)


def pay(till: HookedWorld, payment_id: str, number: int = 2, *, repeated: bool = False) -> PaymentResult:
    ui = till.cashier(till.paymego.code())
    request = request_for(payment_id, receipt=open_sale(number), repeated=repeated)
    result = till.dispatcher.pay(request, ui)
    assert result is not None
    return result


def test_the_second_till_takes_no_payment_and_shows_why_until_the_first_has_ended(till: HookedWorld) -> None:
    first, sold = till.dispatcher, till.sell()
    begin_second_till(till)
    sent = len(till.paymego.sent)

    result = pay(till, "p2")

    assert (result.status, result.message) == (PaymentStatus.REFUSED, till.text(Text.PAYMENT_ANOTHER_TILL))
    assert pay(till, "p2", repeated=True).status is PaymentStatus.PENDING
    with pytest.raises(AnotherTill):
        till.dispatcher.ready()
    assert (len(till.paymego.sent), till.journal.find("p2")) == (sent, None)
    assert till.host.notices[NOTICE] == till.text(Text.NOTICE_ANOTHER_TILL, process=os.getpid())
    by_first = first.pay(request_for("p3", receipt=open_sale(3)), till.cashier(till.paymego.code()))
    assert by_first is not None
    assert by_first.status is PaymentStatus.PAID

    till._processes[-2].end()
    till.dispatcher.ready()
    assert NOTICE not in till.host.notices
    assert pay(till, "p2").status is PaymentStatus.PAID
    till.work(60)
    assert (till.row().state, till.paymego.held(sold.receipt_id)) == (PaymentState.REVERSED, 0)


@pytest.mark.parametrize("state", PaymentState, ids=lambda state: state.value)
def test_a_payment_that_the_journal_knows_is_pending_at_the_second_till(till: HookedWorld, state: PaymentState) -> None:
    walk(till.journal, state)
    begin_second_till(till)
    before = contents(till.journal)

    result = pay(till, "p1", 1)

    assert (result.status, result.message) == (PaymentStatus.PENDING, till.text(Text.PAYMENT_PENDING))
    assert (contents(till.journal), till.paymego.sent) == (before, [])


def test_the_second_till_returns_money_because_its_host_asks_for_it(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    begin_second_till(till)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


def test_the_second_till_acknowledges_what_its_host_has(till: HookedWorld) -> None:
    sold = till.sell()
    begin_second_till(till)

    till.dispatcher.acknowledge(sold.record)

    assert till.row().state is PaymentState.RECORDED


def test_nothing_is_charged_if_the_leader_is_unknown(till: HookedWorld) -> None:
    till.restart()
    lock = till.host.folder / "leases"
    lock.unlink(missing_ok=True)
    lock.mkdir()

    result = pay(till, "p2")

    assert (result.status, result.message) == (PaymentStatus.REFUSED, till.text(Text.PAYMENT_JOURNAL_UNWRITABLE))
    assert till.paymego.sent == []


# Whose answer counts.


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


# Those that decide nothing do not count.


def test_a_till_that_has_stopped_leaves_the_folder_to_the_next(till: HookedWorld) -> None:
    till.dispatcher.ready()
    till.background.stop()

    with till.background._storage.opened.leases.try_acquire(LEADER) as is_free:
        assert is_free
    till.restart()
    assert pay(till, "p1").status is PaymentStatus.PAID


def test_a_process_that_only_delivers_is_not_a_till(till: HookedWorld) -> None:
    row = owe_refund(till)
    till.restart()
    till.step(row)
    till.restart(dead=False)

    assert pay(till, "p2").status is PaymentStatus.PAID
