"""The same ``payment_id`` again: it never charges and never scans; the journal and Payme decide its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fakes.answer_changes import body, error, with_receipt, without_id
from fakes.journal_rows import UNRECORDED, contents
from fakes.paymego import Passage
from fakes.till import PowerCut, open_sale
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.paymego import Change
    from fakes.world import World
    from hookspecs import PaymentResult

CREATE, PAY, CHECK, GET = "receipts.create", "receipts.pay", "receipts.check", "receipts.get"
STALE = "11112222333344445555"


def _cut_before_the_receipt(world: World, code: str) -> None:
    with pytest.raises(PowerCut):
        world.pay(PowerCut())


def _cut_between_two_codes(world: World, code: str) -> None:
    with pytest.raises(PowerCut):
        world.pay(STALE, PowerCut())


def _cut_after_the_pay(world: World, code: str) -> None:
    world.paymego.befall(FaultKind.SILENT_AFTER_EFFECT, PAY)
    ui = world.cashier(code)
    ui.hand = ui.cut_while_waiting
    with pytest.raises(PowerCut):
        world.pay(ui=ui)


def _cut_before_the_pay_arrived(world: World, code: str) -> None:
    world.paymego.befall(FaultKind.REQUEST_LOST, PAY)
    world.paymego.befall(FaultKind.SILENT, CHECK)
    ui = world.cashier(code)
    ui.hand = ui.cut_while_waiting
    with pytest.raises(PowerCut):
        world.pay(ui=ui)


def _same(first: PaymentResult, again: PaymentResult) -> bool:
    names = ("status", "receipt_id", "amount", "message", "error_code", "payment", "cancellation_queued")
    return [getattr(first, name) for name in names] == [getattr(again, name) for name in names]


def _put_state(world: World, state: int) -> None:
    world.paymego.bank.put_state(world.paymego.now_ms, str(world.row().receipt_id), state)


# ---------------------------------------------------------------------------------------------------------------------
# No code was sent: intent, created
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", [False, True], ids=["same-process", "after-a-restart"])
@pytest.mark.parametrize("cut", [_cut_before_the_receipt, _cut_between_two_codes], ids=["intent", "created"])
def test_a_payment_that_no_code_was_sent_for_is_refused_without_a_request_and_without_a_scan(
    world: World, cut: Callable[[World, str], None], restarts: bool
) -> None:
    cut(world, "")
    state, receipt_id = world.row().state, world.row().receipt_id
    if restarts:
        world.restart()
    sent, ui = len(world.paymego.sent), world.cashier(world.paymego.code())

    again = world.pay(ui=ui)

    assert state in {PaymentState.INTENT, PaymentState.CREATED}
    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_NOT_SENT))
    assert (ui.prompts, len(world.paymego.sent)) == ([], sent)
    assert (world.row().state, world.row().owner) == (PaymentState.REFUSED, world.owner)
    # The receipt of a created payment is open at Payme.
    assert [row.receipt_id for row in world.live()] == ([] if receipt_id is None else [receipt_id])
    assert again.cancellation_queued == (receipt_id is not None)


def test_its_refusal_is_stored_and_told_again(world: World) -> None:
    _cut_between_two_codes(world, "")
    first = world.pay()
    held = contents(world.journal)

    assert _same(first, world.pay())
    assert contents(world.journal) == held


@pytest.mark.parametrize("repeated", [False, True])
def test_a_payment_that_the_journal_knows_is_repeated_even_without_the_flag(world: World, repeated: bool) -> None:
    _cut_before_the_receipt(world, "")
    ui = world.cashier(world.paymego.code())

    assert world.pay(ui=ui, repeated=repeated).status is PaymentStatus.REFUSED
    assert (ui.prompts, world.paymego.count(PAY)) == ([], 0)


def test_one_that_the_journal_never_had_is_refused_because_nothing_was_sent(world: World) -> None:
    world.journal.mark_ready()
    ui = world.cashier(world.paymego.code())

    again = world.pay(ui=ui, repeated=True)

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_NOT_SENT))
    assert (ui.prompts, world.paymego.sent, world.journal.payments()) == ([], [], [])


# ---------------------------------------------------------------------------------------------------------------------
# A code may have been sent: paying
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", [False, True], ids=["same-process", "after-a-restart"])
def test_a_code_that_arrived_is_asked_after_and_paid_without_a_scan(world: World, restarts: bool) -> None:
    _cut_after_the_pay(world, world.paymego.code())
    if restarts:
        world.restart()
    sent, ui = len(world.paymego.sent), world.cashier(world.paymego.code())

    again = world.pay(ui=ui)

    assert again.status is PaymentStatus.PAID
    assert [one.method for one in world.paymego.sent[sent:]] == [CHECK, GET]
    assert (ui.prompts, world.row().owner) == ([], world.owner)
    assert (world.row().state, world.live()) == (PaymentState.PAID, [])


@pytest.mark.parametrize(
    ("state", "status", "is_cancelled"),
    [(4, PaymentStatus.PAID, False), (50, PaymentStatus.REFUSED, True), (21, PaymentStatus.REFUSED, True)],
)
def test_a_final_state_of_payme_decides_at_once(
    world: World, state: int, status: PaymentStatus, is_cancelled: bool
) -> None:
    _cut_after_the_pay(world, world.paymego.code())
    world.restart()
    _put_state(world, state)
    began = world.clock.monotonic()

    again = world.pay()

    assert again.status is status
    assert len(world.live()) == int(is_cancelled)
    assert world.clock.monotonic() - began < 1


def test_one_whose_receipt_stays_in_state_0_for_one_timeout_is_unknown(world: World) -> None:
    _cut_before_the_pay_arrived(world, world.paymego.code())
    world.restart()
    began = world.clock.monotonic()

    again = world.pay(world.paymego.code())

    assert (again.status, again.message) == (PaymentStatus.UNKNOWN, world.text(Text.PAYMENT_UNKNOWN))
    assert world.clock.monotonic() - began == pytest.approx(5.02, abs=0.05)
    assert (world.paymego.count(PAY), len(world.live())) == (1, 1)


def test_a_code_that_arrives_within_that_timeout_is_paid(world: World) -> None:
    world.paymego.befall(FaultKind.REQUEST_DELAYED, PAY, after_s=3)
    ui = world.cashier(world.paymego.code())
    ui.hand = ui.cut_while_waiting
    with pytest.raises(PowerCut):
        world.pay(ui=ui)
    world.restart()

    assert world.pay().status is PaymentStatus.PAID


@pytest.mark.parametrize("state", [1, 2, 3, 5, 6, 20, 30])
def test_any_other_state_is_polled_for_the_whole_pay_duration(world: World, state: int) -> None:
    _cut_after_the_pay(world, world.paymego.code())
    world.restart()
    world.paymego.change(CHECK, lambda answer: {**answer, "result": {"state": state}}, times=99)
    began = world.clock.monotonic()

    again = world.pay()

    assert again.status is PaymentStatus.UNKNOWN
    assert world.clock.monotonic() - began == pytest.approx(20.02, abs=0.05)
    assert len(world.live()) == 1


def test_a_stop_of_the_cashier_is_followed_by_one_check_and_aborts(world: World) -> None:
    _cut_before_the_pay_arrived(world, world.paymego.code())
    world.restart()
    checks = world.paymego.count(CHECK)

    again = world.pay(ui=world.cashier(stops_at=world.clock.monotonic() + 1))

    assert (again.status, again.message) == (PaymentStatus.ABORTED, world.text(Text.PAYMENT_ABORTED))
    assert (world.paymego.count(CHECK) - checks, len(world.live())) == (2, 1)


@pytest.mark.parametrize("kind", [FaultKind.SILENT, FaultKind.HTML, FaultKind.ERROR])
def test_while_payme_can_not_be_asked_it_is_unknown_with_a_cancellation(world: World, kind: FaultKind) -> None:
    _cut_after_the_pay(world, world.paymego.code())
    world.restart()
    world.paymego.befall(kind, times=None)

    again = world.pay()

    assert (again.status, again.cancellation_queued) == (PaymentStatus.UNKNOWN, True)
    assert len(world.live()) == 1


@pytest.mark.parametrize(
    ("cut", "status", "has_row"),
    [
        (_cut_before_the_receipt, PaymentStatus.REFUSED, False),
        (_cut_between_two_codes, PaymentStatus.REFUSED, True),
        (_cut_after_the_pay, PaymentStatus.UNKNOWN, True),
    ],
    ids=["intent", "created", "paying"],
)
def test_about_another_accounts_payment_no_request_leaves(
    world: World, cut: Callable[[World, str], None], status: PaymentStatus, has_row: bool
) -> None:
    cut(world, world.paymego.code())
    world.restart()
    world.set(posId="another")
    sent = len(world.paymego.sent)

    again = world.pay(world.paymego.code())

    assert again.status is status
    assert (len(world.paymego.sent), len(world.live())) == (sent, int(has_row))


# ---------------------------------------------------------------------------------------------------------------------
# Paid, and recorded in an open sale
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", [False, True], ids=["same-process", "after-a-restart"])
@pytest.mark.parametrize("is_recorded", [False, True], ids=["paid", "recorded"])
def test_paid_is_told_again_after_one_question_and_nothing_is_charged(
    world: World, is_recorded: bool, restarts: bool
) -> None:
    first = world.pay(world.paymego.code())
    if is_recorded:
        world.acknowledge(first.payment)
    if restarts:
        world.restart()
    held, sent = contents(world.journal), len(world.paymego.sent)
    ui = world.cashier(world.paymego.code())

    again = world.pay(ui=ui)

    assert _same(first, again)
    assert (again.receipt_attributes, again.slips) == (first.receipt_attributes, first.slips)
    if restarts and not is_recorded:  # this process has told it, so it is no orphan of an earlier one
        assert (world.row().state, world.row().owner) == (PaymentState.PAID, world.owner)
    else:
        assert contents(world.journal) == held
    assert world.decide_orphans() == 0
    assert [one.method for one in world.paymego.sent[sent:]] == [GET]
    assert ui.prompts == []


_NOT_BOUND: dict[str, Change] = {
    "page": body(b"<html>"),
    "an error": error(-31602),
    "another receipt": with_receipt(_id="another", state=50),
    "another amount without our id": without_id(with_receipt(amount=1)),
}


@pytest.mark.parametrize("is_recorded", [False, True], ids=["paid", "recorded"])
@pytest.mark.parametrize("answer", ["none", *_NOT_BOUND])
def test_without_a_bound_answer_paid_is_told_again_within_one_timeout(
    world: World, is_recorded: bool, answer: str
) -> None:
    first = world.pay(world.paymego.code())
    if is_recorded:
        world.acknowledge(first.payment)
    world.restart()
    if answer == "none":
        world.paymego.befall(FaultKind.SILENT, times=None)
    else:
        world.paymego.change(GET, _NOT_BOUND[answer], times=99)
    began = world.clock.monotonic()

    again = world.pay()

    assert _same(first, again)
    assert len(again.slips) == 1
    assert world.clock.monotonic() - began <= 5.01


_CONTRADICTIONS: dict[str, Change] = {
    "50": with_receipt(state=50),
    "21": with_receipt(state=21),
    "another amount": with_receipt(amount=1),
}


@pytest.mark.parametrize("restarts", [False, True], ids=["same-process", "after-a-restart"])
@pytest.mark.parametrize("change", _CONTRADICTIONS.values(), ids=list(_CONTRADICTIONS))
def test_paid_that_payme_contradicts_is_refused_with_a_cancellation(
    world: World, change: Change, restarts: bool
) -> None:
    first = world.pay(world.paymego.code())
    if restarts:
        world.restart()
    world.paymego.change(GET, change)

    again = world.pay()

    assert (again.status, again.receipt_id) == (PaymentStatus.REFUSED, first.receipt_id)
    assert again.message == world.text(Text.PAYMENT_ALREADY_REVERSED)
    (row,) = world.live()
    assert (row.cause, again.cancellation_queued) == (Cause.UNRECORDED, True)
    assert world.row().state is PaymentState.REVERSING
    assert "payme.sale" not in world.host.notices


@pytest.mark.parametrize("change", _CONTRADICTIONS.values(), ids=list(_CONTRADICTIONS))
def test_recorded_that_payme_contradicts_is_refused_with_a_notice_and_no_cancellation(
    world: World, change: Change
) -> None:
    world.acknowledge(world.pay(world.paymego.code()).payment)
    world.restart()
    world.paymego.change(GET, change)
    held = contents(world.journal)

    again = world.pay()

    assert (again.status, again.cancellation_queued) == (PaymentStatus.REFUSED, False)
    assert again.message == world.text(Text.PAYMENT_ALREADY_REVERSED)
    assert contents(world.journal) == held
    assert world.host.notices["payme.sale"] == world.text(Text.NOTICE_SALE_UNPAID, number=1)


@pytest.mark.parametrize("state", [0, 1, 5, 20, 30])
def test_recorded_that_payme_neither_has_as_paid_nor_as_returned_is_pending(world: World, state: int) -> None:
    world.acknowledge(world.pay(world.paymego.code()).payment)
    world.restart()
    world.paymego.change(GET, with_receipt(state=state))
    held = contents(world.journal)

    again = world.pay()

    assert (again.status, again.message) == (PaymentStatus.PENDING, world.text(Text.PAYMENT_PENDING))
    assert contents(world.journal) == held
    assert "payme.sale" not in world.host.notices
    assert world.pay().status is PaymentStatus.PAID


def test_recorded_in_a_closed_sale_is_refused_as_reuse(world: World) -> None:
    first = world.pay(world.paymego.code())
    world.acknowledge(first.payment, open_sale(closed_at=5))
    sent = len(world.paymego.sent)

    again = world.pay()

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ID_REUSED))
    assert (len(world.paymego.sent), world.live()) == (sent, [])


def test_recorded_and_asked_with_a_closed_receipt_is_refused_as_reuse(world: World) -> None:
    world.acknowledge(world.pay(world.paymego.code()).payment)

    again = world.pay(receipt=open_sale(closed_at=5))

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ID_REUSED))
    assert world.live() == []


def test_about_another_accounts_paid_payment_no_request_leaves_and_it_stays_paid(world: World) -> None:
    first = world.pay(world.paymego.code())
    world.set(posId="another")
    sent = len(world.paymego.sent)

    again = world.pay()

    assert _same(first, again)
    assert (len(again.slips), len(world.paymego.sent)) == (1, sent)


# ---------------------------------------------------------------------------------------------------------------------
# Any other result
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "scans",
    [
        lambda world: [world.paymego.code(BuyerAction.LACKS_FUNDS)],
        lambda world: [world.paymego.code(BuyerAction.DECLINES)],
        lambda world: [world.paymego.code(BuyerAction.NEVER_ANSWERS)],
        lambda world: [None],
        lambda world: ["1", "2", "3", "4"],
    ],
    ids=["refused", "declined", "unknown", "aborted", "no-code"],
)
def test_a_result_other_than_paid_is_told_again_unchanged(world: World, scans: Callable[[World], list[object]]) -> None:
    first = world.pay(*scans(world))
    world.restart()
    held, sent = contents(world.journal), len(world.paymego.sent)

    again = world.pay(world.paymego.code())

    assert _same(first, again)
    assert (contents(world.journal), len(world.paymego.sent)) == (held, sent)


@pytest.mark.parametrize("state", [PaymentState.REVERSING, PaymentState.REVERSED], ids=lambda state: state.value)
def test_a_payment_that_is_being_returned_is_refused(world: World, state: PaymentState) -> None:
    world.pay(world.paymego.code())
    row = world.journal.move(world.row(), PaymentState.REVERSING, "the sale is annulled", cancellation=UNRECORDED)
    if state is PaymentState.REVERSED:
        world.journal.move(row, PaymentState.REVERSED, "50")
    sent = len(world.paymego.sent)

    again = world.pay(world.paymego.code())

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ALREADY_REVERSED))
    assert len(world.paymego.sent) == sent


@pytest.mark.parametrize(
    "asked",
    [
        {"amount": 1_400_000},
        {"receipt": open_sale(2)},
        {"receipt": open_sale(shift=4)},
        {"receipt": open_sale(till="till-2")},
    ],
    ids=["amount", "number", "shift", "till"],
)
@pytest.mark.parametrize(
    "before", [_cut_before_the_receipt, _cut_after_the_pay, None], ids=["intent", "paying", "paid"]
)
def test_another_amount_or_sale_under_the_same_id_is_refused_as_reuse(
    world: World, before: Callable[[World, str], None] | None, asked: dict[str, Any]
) -> None:
    if before is None:
        world.pay(world.paymego.code())
    else:
        before(world, world.paymego.code())
    world.restart()
    held, sent = contents(world.journal), len(world.paymego.sent)

    again = world.pay(world.paymego.code(), **asked)

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ID_REUSED))
    assert (contents(world.journal), len(world.paymego.sent)) == (held, sent)


# ---------------------------------------------------------------------------------------------------------------------
# Another process or thread changes it meanwhile
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_repeated", [False, True], ids=["new", "repeated"])
def test_a_payment_that_is_ended_meanwhile_is_obeyed(world: World, is_repeated: bool) -> None:
    def end_it() -> None:
        world.journal.move(world.row(), PaymentState.UNKNOWN, "another process decides", cancellation=UNRECORDED)

    code = world.paymego.code(BuyerAction.CONFIRMS, after_s=9)
    if is_repeated:
        _cut_after_the_pay(world, code)
        world.restart()
    world.clock.at(world.clock.monotonic() + 5, end_it)

    result = world.pay(code)

    assert result.status is PaymentStatus.UNKNOWN
    assert (world.path_of()[-1], len(world.live())) == ("unknown", 1)


@pytest.mark.parametrize("is_repeated", [False, True], ids=["new", "repeated"])
def test_a_payment_that_another_process_takes_over_meanwhile_is_pending(world: World, is_repeated: bool) -> None:
    def take_it() -> None:
        world.journal.take_over(world.row(), "another process", "the host asks again")

    code = world.paymego.code(BuyerAction.CONFIRMS, after_s=9)
    if is_repeated:
        _cut_after_the_pay(world, code)
        world.restart()
    world.clock.at(world.clock.monotonic() + 5, take_it)

    result = world.pay(code)

    assert result.status is PaymentStatus.PENDING
    assert (world.row().state, world.row().owner) == (PaymentState.PAYING, "another process")


def test_progress_is_shown_while_payme_is_asked(world: World) -> None:
    _cut_after_the_pay(world, world.paymego.code())
    world.restart()
    world.paymego.passage = lambda method: Passage(back_s=3 if method == CHECK else 0.01)
    ui = world.cashier()

    world.pay(ui=ui)

    assert len(ui.shown) >= 6
