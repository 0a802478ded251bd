"""A repeated request that can't be decided now is PENDING, never REFUSED: the host asks again.

Every state of the journal, with everything in the way that is no answer of the journal or Payme about the payment.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import meanwhile
from fakes.journal_rows import contents
from fakes.till import PowerCut, open_sale, request_for
from faults.full_disk import fill_disk, free_disk, full_disk
from hookspecs import PaymentStatus
from payme_plugin.ledger.errors import Damaged, Unavailable
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, End, PaymentState
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fakes.hooked_world import HookedWorld
    from hookspecs import PaymentResult

PAY = "receipts.pay"


@pytest.fixture(autouse=True)
def _room_again() -> Iterator[None]:
    yield
    free_disk()


# ---------------------------------------------------------------------------------------------------------------------
# How an earlier process left the payment
# ---------------------------------------------------------------------------------------------------------------------


def _cut(till: HookedWorld, *scans: object) -> None:
    with pytest.raises(PowerCut):
        till.ask(*scans, PowerCut())


def _cut_after_pay(till: HookedWorld) -> None:
    till.paymego.befall(FaultKind.SILENT_AFTER_EFFECT, PAY)
    ui = till.cashier(till.paymego.code())
    ui.hand = ui.cut_while_waiting
    with pytest.raises(PowerCut):
        till.ask(ui=ui)


def _pay(till: HookedWorld, action: BuyerAction = BuyerAction.PAYS) -> None:
    till.ask(till.paymego.code(action))


def _acknowledge(till: HookedWorld) -> None:
    record = till.ask(till.paymego.code()).payment
    assert record is not None
    till.dispatcher.acknowledge(record)


def _return_it(till: HookedWorld, *, to_the_end: bool) -> None:
    _pay(till)
    till.journal.move(till.row(), PaymentState.REVERSING, "back", cancellation=NewCancellation(cause=Cause.CANCEL))
    if to_the_end:
        till.background.processor().cancellations.end(till.live()[0], End.CANCELLED, "50")


LEFT: dict[PaymentState, Callable[[HookedWorld], object]] = {
    PaymentState.INTENT: _cut,
    PaymentState.CREATED: lambda till: _cut(till, "11112222333344445555"),
    PaymentState.PAYING: _cut_after_pay,
    PaymentState.PAID: _pay,
    PaymentState.RECORDED: _acknowledge,
    PaymentState.REFUSED: lambda till: _pay(till, BuyerAction.LACKS_FUNDS),
    PaymentState.ABORTED: lambda till: till.ask(None),
    PaymentState.UNKNOWN: lambda till: _pay(till, BuyerAction.NEVER_ANSWERS),
    PaymentState.REVERSING: lambda till: _return_it(till, to_the_end=False),
    PaymentState.REVERSED: lambda till: _return_it(till, to_the_end=True),
}
IN_TIME = {
    PaymentState.PAYING: PaymentStatus.PAID,
    PaymentState.PAID: PaymentStatus.PAID,
    PaymentState.RECORDED: PaymentStatus.PAID,
    PaymentState.ABORTED: PaymentStatus.ABORTED,
    PaymentState.UNKNOWN: PaymentStatus.UNKNOWN,
}
"""What the journal and Payme say once nothing is in the way; REFUSED for any other state."""

EVERY_STATE = pytest.mark.parametrize("state", LEFT, ids=lambda state: state.value)


def _left_in(till: HookedWorld, state: PaymentState, *, leads: bool = False) -> None:
    LEFT[state](till)
    assert till.row().state is state
    till.restart(dead=not leads)


# ---------------------------------------------------------------------------------------------------------------------
# What is in the way
# ---------------------------------------------------------------------------------------------------------------------


def _break_settings(till: HookedWorld, undo: ExitStack) -> None:
    till.broken = True
    undo.callback(setattr, till, "broken", False)


def _break_journal(till: HookedWorld, undo: ExitStack) -> None:
    journal, one = till.journal, till.journal.one

    def damaged(*_: object) -> None:
        raise Damaged("the file is not a journal any more")

    journal.one = damaged  # type: ignore[method-assign, assignment]
    undo.callback(setattr, journal, "one", one)


def _break_plugin(till: HookedWorld, undo: ExitStack) -> None:
    def fault() -> None:
        raise RuntimeError("a fault of ours")

    context = till.context
    till.context = fault  # type: ignore[method-assign, assignment]
    undo.callback(setattr, till, "context", context)


IN_THE_WAY = {"settings": _break_settings, "journal": _break_journal, "plugin": _break_plugin}


def _ask_again(till: HookedWorld, **asked: object) -> PaymentResult:
    """Ask again; make sure that no scan, no ``create`` and no ``pay`` comes of it."""
    ui, before = till.cashier(till.paymego.code()), (till.paymego.count(PAY), till.paymego.count("receipts.create"))
    result = till.ask(ui=ui, repeated=True, **asked)
    assert (ui.prompts, till.paymego.count(PAY), till.paymego.count("receipts.create")) == ([], *before)
    return result


@pytest.mark.parametrize("what", IN_THE_WAY)
@EVERY_STATE
def test_it_is_pending_changes_nothing_and_is_decided_once_nothing_is_in_the_way(
    till: HookedWorld, state: PaymentState, what: str
) -> None:
    _left_in(till, state)
    held, sent = contents(till.journal), len(till.paymego.sent)

    with ExitStack() as undo:
        IN_THE_WAY[what](till, undo)
        pending = _ask_again(till)

    assert (pending.status, pending.message) == (PaymentStatus.PENDING, till.text(Text.PAYMENT_PENDING))
    assert (pending.payment, pending.slips, pending.cancellation_queued) == (None, (), False)
    assert (contents(till.journal), len(till.paymego.sent)) == (held, sent)
    assert list(till.background.pending) == ["p1"]

    assert _ask_again(till).status is IN_TIME.get(state, PaymentStatus.REFUSED)
    assert till.background.pending == {}


@pytest.mark.parametrize("what", ["settings", "plugin"])
@EVERY_STATE
def test_so_is_one_without_the_flag_that_the_journal_knows(till: HookedWorld, state: PaymentState, what: str) -> None:
    _left_in(till, state)

    with ExitStack() as undo:
        IN_THE_WAY[what](till, undo)
        pending = till.ask()

    assert pending.status is PaymentStatus.PENDING


@EVERY_STATE
def test_another_leader_makes_it_pending_whatever_its_state(till: HookedWorld, state: PaymentState) -> None:
    _left_in(till, state, leads=True)
    held = contents(till.journal)

    pending = _ask_again(till)

    assert pending.status is PaymentStatus.PENDING
    assert contents(till.journal) == held
    assert till.host.notices["payme.another_till"] == till.text(Text.NOTICE_ANOTHER_TILL, process=os.getpid())


@EVERY_STATE
def test_after_the_stop_it_is_pending(till: HookedWorld, state: PaymentState) -> None:
    _left_in(till, state)
    till.dispatcher.stop()

    assert _ask_again(till).status is PaymentStatus.PENDING


@EVERY_STATE
def test_with_a_journal_that_can_not_be_written_only_what_needs_no_write_is_decided(
    till: HookedWorld, state: PaymentState
) -> None:
    _left_in(till, state)
    with full_disk():
        result = _ask_again(till)

    # A paid one that is not acknowledged becomes this process's before PAID is told.
    pending = {PaymentState.INTENT, PaymentState.CREATED, PaymentState.PAYING, PaymentState.PAID}
    decided = IN_TIME.get(state, PaymentStatus.REFUSED)
    assert result.status is (PaymentStatus.PENDING if state in pending else decided)
    assert _ask_again(till).status is decided


@pytest.mark.parametrize("payment_type", [7, 8], ids=["our tender", "another number since"])
def test_the_number_of_the_tender_may_have_changed_since(till: HookedWorld, payment_type: int) -> None:
    _left_in(till, PaymentState.PAYING)
    till.set(paymentType=8)

    assert till.ask(payment_type=payment_type).status is PaymentStatus.PAID


@pytest.mark.parametrize("what", IN_THE_WAY)
def test_one_that_the_journal_never_had_is_pending_too_if_the_host_says_repeated(till: HookedWorld, what: str) -> None:
    with ExitStack() as undo:
        IN_THE_WAY[what](till, undo)
        pending = _ask_again(till)

    assert pending.status is PaymentStatus.PENDING


@pytest.mark.parametrize(
    ("what", "text"),
    [("journal", Text.PAYMENT_JOURNAL_UNWRITABLE), ("plugin", Text.PAYMENT_TILL_FAULT)],
)
def test_a_new_one_is_refused_instead(till: HookedWorld, what: str, text: Text) -> None:
    ui = till.cashier(till.paymego.code())
    with ExitStack() as undo:
        IN_THE_WAY[what](till, undo)
        refused = till.ask(ui=ui)

    assert (refused.status, refused.message) == (PaymentStatus.REFUSED, till.text(text))
    assert (ui.prompts, till.paymego.sent, till.background.pending) == ([], [], {})


def test_with_broken_settings_a_new_one_is_refused(till: HookedWorld) -> None:
    till.broken = True

    assert till.ask(till.paymego.code()).status is PaymentStatus.REFUSED
    assert till.paymego.sent == []


def test_a_foreign_tender_that_the_journal_does_not_know_is_not_ours(till: HookedWorld) -> None:
    till.broken = True

    assert till.dispatcher.pay(request_for(payment_type=8, repeated=True), till.cashier()) is None
    assert till.background.pending == {}


# ---------------------------------------------------------------------------------------------------------------------
# A result that could not be stored
# ---------------------------------------------------------------------------------------------------------------------


def test_while_an_earlier_result_can_not_be_stored_it_is_pending_and_then_that_result(till: HookedWorld) -> None:
    till.paymego.change(PAY, meanwhile(fill_disk))
    assert till.ask(till.paymego.code()).status is PaymentStatus.UNKNOWN
    sent = len(till.paymego.sent)

    pending = _ask_again(till)
    free_disk()
    again = _ask_again(till)

    assert (pending.status, again.status) == (PaymentStatus.PENDING, PaymentStatus.UNKNOWN)
    assert (len(till.live()), len(till.paymego.sent)) == (1, sent)


def test_paid_that_was_told_as_unknown_is_never_told_again_as_paid(till: HookedWorld) -> None:
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
    till.paymego.change(PAY, meanwhile(fill_disk))
    receipt_id = till.ask(till.paymego.code()).receipt_id or str(till.row().receipt_id)
    free_disk()

    if way == "worker":
        till.work(60)
        assert till.paymego.state(receipt_id) == 50
    elif way == "next payment":
        till.ask(till.paymego.code(), payment_id="p2", receipt=open_sale(2))
    else:
        till.background.stop()
        till.restart()

    assert till.row().state is PaymentState.UNKNOWN
    till.work(60)
    assert till.paymego.state(receipt_id) == 50


def test_pending_ones_are_no_orphans_until_the_host_has_asked_again(till: HookedWorld) -> None:
    _left_in(till, PaymentState.PAYING)
    till.broken = True
    assert _ask_again(till).status is PaymentStatus.PENDING
    till.broken = False

    till.dispatcher.ready()
    assert (till.row().state, till.live()) == (PaymentState.PAYING, [])

    assert _ask_again(till).status is PaymentStatus.PAID
