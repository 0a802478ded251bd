"""A repeated request that can't be decided now is PENDING, never REFUSED: the host asks again.

Every state of the journal is combined with every fault but an answer of the journal or Payme about the payment.
Another leader is tested in ``tests/delivery/test_two_tills.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from fakes.answer_changes import meanwhile
from fakes.journal_rows import contents, walk
from fakes.till import open_sale, request_for
from faults.full_disk import full_disk
from hookspecs import PaymentStatus
from payme_plugin.ledger.errors import Damaged, Unavailable
from payme_plugin.ledger.states import PaymentState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from hookspecs import PaymentResult

PAY = "receipts.pay"


DECIDED = {
    **dict.fromkeys(PaymentState, PaymentStatus.REFUSED),
    PaymentState.PAYING: PaymentStatus.UNKNOWN,
    PaymentState.PAID: PaymentStatus.PAID,
    PaymentState.RECORDED: PaymentStatus.PAID,
    PaymentState.ABORTED: PaymentStatus.ABORTED,
    PaymentState.UNKNOWN: PaymentStatus.UNKNOWN,
}
"""The result by the journal without a fault. The payment is another account's, so that Payme is not asked."""

EVERY_STATE = pytest.mark.parametrize("state", DECIDED, ids=lambda state: state.value)


def _leave_in(till: HookedWorld, state: PaymentState) -> None:
    row = walk(till.journal, state)
    if state is PaymentState.RECORDED:
        till.journal.acknowledge(row)
    till.restart()


def _ask_again(till: HookedWorld, **asked: object) -> PaymentResult:
    """Ask again; make sure that no scan, no ``create`` and no ``pay`` comes of it."""
    ui, before = till.cashier(till.paymego.code()), (till.paymego.count(PAY), till.paymego.count("receipts.create"))
    again = till.ask(ui=ui, repeated=True, **asked)
    assert (ui.prompts, till.paymego.count(PAY), till.paymego.count("receipts.create")) == ([], *before)
    return again


# ---------------------------------------------------------------------------------------------------------------------
# Faults
# ---------------------------------------------------------------------------------------------------------------------


def _raise(error: Exception) -> Callable[..., NoReturn]:
    def fault(*_: object) -> NoReturn:
        raise error

    return fault


FAULTS: dict[str, Callable[[HookedWorld], tuple[object, str, Any]]] = {
    "settings": lambda till: (till, "broken", True),
    "journal": lambda till: (till.journal, "one", _raise(Damaged("the file is not a journal any more"))),
    "plugin": lambda till: (till, "context", _raise(RuntimeError("a fault of ours"))),
}


@pytest.mark.parametrize("what", FAULTS)
@EVERY_STATE
def test_it_is_pending_and_not_an_orphan_and_is_decided_once_the_fault_is_over(
    till: HookedWorld, state: PaymentState, what: str
) -> None:
    _leave_in(till, state)
    held, sent = contents(till.journal), len(till.paymego.sent)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*FAULTS[what](till))
        pending = _ask_again(till)
        if what != "journal":  # which knows the payment, so that the host need not say that it is repeated
            assert till.ask().status is PaymentStatus.PENDING

    assert (pending.status, pending.message) == (PaymentStatus.PENDING, till.text(Text.PAYMENT_PENDING))
    assert (pending.payment, pending.slips, pending.cancellation_queued) == (None, (), False)
    assert (contents(till.journal), len(till.paymego.sent)) == (held, sent)
    assert list(till.background.pending) == ["p1"]

    till.dispatcher.ready()
    assert till.row().state is state
    assert (_ask_again(till).status, till.background.pending) == (DECIDED[state], {})


@EVERY_STATE
def test_after_the_stop_it_is_pending(till: HookedWorld, state: PaymentState) -> None:
    _leave_in(till, state)
    till.dispatcher.stop()

    assert _ask_again(till).status is PaymentStatus.PENDING


@EVERY_STATE
def test_with_a_journal_that_can_not_be_written_only_what_needs_no_write_is_decided(
    till: HookedWorld, state: PaymentState
) -> None:
    _leave_in(till, state)
    with full_disk():
        again = _ask_again(till)

    # A paid one that is not acknowledged becomes this process's before PAID is reported.
    is_pending = state in {PaymentState.INTENT, PaymentState.CREATED, PaymentState.PAYING, PaymentState.PAID}
    assert again.status is (PaymentStatus.PENDING if is_pending else DECIDED[state])
    assert _ask_again(till).status is DECIDED[state]


@pytest.mark.parametrize("payment_type", [7, 8], ids=["our tender", "another number since"])
def test_the_number_of_the_tender_may_have_changed_since(till: HookedWorld, payment_type: int) -> None:
    till.cut_after_pay(till.paymego.code())
    till.set(paymentType=8)

    assert till.ask(payment_type=payment_type).status is PaymentStatus.PAID


@pytest.mark.parametrize("what", FAULTS)
def test_one_that_the_journal_never_had_is_pending_if_the_host_says_repeated_and_refused_if_it_is_new(
    till: HookedWorld, what: str
) -> None:
    texts = {"journal": Text.PAYMENT_JOURNAL_UNWRITABLE, "plugin": Text.PAYMENT_TILL_FAULT}
    ui = till.cashier(till.paymego.code())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(*FAULTS[what](till))
        new = till.ask(ui=ui)
        assert (ui.prompts, till.paymego.sent, till.background.pending) == ([], [], {})
        repeated = _ask_again(till, payment_id="p2")

    assert (new.status, repeated.status) == (PaymentStatus.REFUSED, PaymentStatus.PENDING)
    assert what not in texts or new.message == till.text(texts[what])


def test_a_foreign_tender_that_the_journal_does_not_know_is_not_ours(till: HookedWorld) -> None:
    till.broken = True

    assert till.dispatcher.pay(request_for(payment_type=8, repeated=True), till.cashier()) is None
    assert till.background.pending == {}


# ---------------------------------------------------------------------------------------------------------------------
# A result that could not be stored
# ---------------------------------------------------------------------------------------------------------------------


def test_while_an_earlier_result_can_not_be_stored_it_is_pending_and_then_that_result(till: HookedWorld) -> None:
    till.paymego.change(PAY, meanwhile(lambda: till.journal.fail_from(1)))
    assert till.ask(till.paymego.code()).status is PaymentStatus.UNKNOWN
    sent = len(till.paymego.sent)

    pending = _ask_again(till)
    till.journal.recover()
    again = _ask_again(till)

    assert (pending.status, again.status) == (PaymentStatus.PENDING, PaymentStatus.UNKNOWN)
    assert (len(till.live()), len(till.paymego.sent)) == (1, sent)


def test_a_stored_paid_that_was_reported_as_unknown_is_never_reported_as_paid(till: HookedWorld) -> None:
    """The commit of PAID succeeded, and the journal said that it had failed."""
    third = till.journal.commits + 3

    def fail(number: int) -> None:
        if number == third:
            raise Unavailable("disk I/O error")

    till.journal.after = fail
    first = till.ask(till.paymego.code())
    assert (first.status, till.row().state) == (PaymentStatus.UNKNOWN, PaymentState.PAID)
    till.journal.fail_from(1)

    pending = _ask_again(till)
    till.journal.recover()
    again = _ask_again(till)

    assert (pending.status, again.status) == (PaymentStatus.PENDING, PaymentStatus.REFUSED)
    assert (till.row().state, len(till.live())) == (PaymentState.REVERSING, 1)


@pytest.mark.parametrize("way", ["worker", "next payment", "stop"])
def test_it_is_stored_with_its_cancellation_by_whoever_writes_first(till: HookedWorld, way: str) -> None:
    till.paymego.change(PAY, meanwhile(lambda: till.journal.fail_from(1)))
    till.ask(till.paymego.code())
    till.journal.recover()

    if way == "next payment":
        till.ask(till.paymego.code(), payment_id="p2", receipt=open_sale(2))
    elif way == "stop":
        till.background.stop()
        till.restart()
    if way != "worker":
        assert till.row().state is PaymentState.UNKNOWN
    till.work(60)

    assert (till.row().state, till.paymego.state(str(till.row().receipt_id))) == (PaymentState.UNKNOWN, 50)
