"""The same ``payment_id`` again. A verdict is told again; nothing is ever charged twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from hookspecs import PaymentStatus
from journal_walks import UNRECORDED, contents
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text
from virtual_paymego import Passage
from virtual_till import PowerCut, open_sale

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import PaymentResult
    from payme_plugin.ledger.rows import PaymentRow
    from virtual_world import World

CREATE, PAY, CHECK, GET = "receipts.create", "receipts.pay", "receipts.check", "receipts.get"
STALE = "11112222333344445555"


def _cut_before_the_receipt(world: World, code: str) -> None:
    with pytest.raises(PowerCut):
        world.pay(PowerCut())


def _cut_before_the_pay(world: World, code: str) -> None:
    with pytest.raises(PowerCut):
        world.pay(STALE, PowerCut())


def _cut_after_the_pay(world: World, code: str) -> None:
    world.paymego.befall(FaultKind.SILENT_AFTER_EFFECT, PAY)
    ui = world.cashier(code)
    ui.hand = lambda _: PowerCut()
    with pytest.raises(PowerCut):
        world.pay(ui=ui)


def _cut_before_the_pay_arrived(world: World, code: str) -> None:
    world.paymego.befall(FaultKind.REQUEST_LOST, PAY)
    world.paymego.befall(FaultKind.SILENT, CHECK)
    ui = world.cashier(code)
    ui.hand = lambda _: PowerCut()
    with pytest.raises(PowerCut):
        world.pay(ui=ui)


def _same(first: PaymentResult, again: PaymentResult) -> bool:
    return (first.status, first.receipt_id, first.amount, first.message, first.error_code, first.payment) == (
        again.status,
        again.receipt_id,
        again.amount,
        again.message,
        again.error_code,
        again.payment,
    ) and first.cancellation_queued == again.cancellation_queued


@pytest.mark.parametrize("restarts", [False, True], ids=["same-process", "after-a-restart"])
def test_paid_is_told_again_with_its_slips_and_attributes_and_nothing_is_charged(world: World, restarts: bool) -> None:
    first = world.pay(world.paymego.code())
    if restarts:
        world.restart()
    held, sent = contents(world.journal), len(world.paymego.sent)
    ui = world.cashier(world.paymego.code())

    again = world.pay(ui=ui)

    assert _same(first, again)
    assert (again.receipt_attributes, again.slips) == (first.receipt_attributes, first.slips)
    assert contents(world.journal) == held
    assert [one.method for one in world.paymego.sent[sent:]] == [GET]
    assert ui.prompts == []


def test_paid_is_told_again_even_where_payme_can_not_be_asked(world: World) -> None:
    first = world.pay(world.paymego.code())
    world.paymego.befall(FaultKind.SILENT, times=None)

    again = world.pay()

    assert _same(first, again)
    assert len(again.slips) == 1


def test_recorded_in_a_sale_that_is_still_open_is_paid(world: World) -> None:
    first = world.pay(world.paymego.code())
    world.journal.move(world.row(), PaymentState.RECORDED, "is_recorded says True")

    assert _same(first, world.pay())


def test_recorded_in_a_closed_sale_is_refused_as_reuse(world: World) -> None:
    world.pay(world.paymego.code())
    world.journal.move(world.row(), PaymentState.RECORDED, "the receipt is closed", closed_at=5)

    again = world.pay()

    assert again.status is PaymentStatus.REFUSED
    assert again.message == world.text(Text.PAYMENT_ID_REUSED)


def test_recorded_and_asked_with_a_closed_receipt_is_refused_as_reuse(world: World) -> None:
    world.pay(world.paymego.code())
    world.journal.move(world.row(), PaymentState.RECORDED, "is_recorded says True")

    again = world.pay(receipt=open_sale(closed_at=5))

    assert again.message == world.text(Text.PAYMENT_ID_REUSED)


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
def test_a_verdict_other_than_paid_is_told_again_word_for_word_and_never_charges(
    world: World, scans: Callable[[World], list[object]]
) -> None:
    first = world.pay(*scans(world))
    world.restart()
    held, sent = contents(world.journal), len(world.paymego.sent)

    again = world.pay(world.paymego.code())

    assert _same(first, again)
    assert (contents(world.journal), len(world.paymego.sent)) == (held, sent)


@pytest.mark.parametrize("state", [PaymentState.REVERSING, PaymentState.REVERSED], ids=lambda state: state.value)
def test_a_payment_on_its_way_back_is_refused(world: World, state: PaymentState) -> None:
    world.pay(world.paymego.code())
    row = world.journal.move(world.row(), PaymentState.REVERSING, "the sale is annulled", cancellation=UNRECORDED)
    if state is PaymentState.REVERSED:
        world.journal.move(row, PaymentState.REVERSED, "50")
    sent = len(world.paymego.sent)

    again = world.pay(world.paymego.code())

    assert again.status is PaymentStatus.REFUSED
    assert again.message == world.text(Text.PAYMENT_ALREADY_REVERSED)
    assert len(world.paymego.sent) == sent


@pytest.mark.parametrize(
    "asked",
    [
        {"amount": 1_500_001},
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

    assert again.status is PaymentStatus.REFUSED
    assert again.message == world.text(Text.PAYMENT_ID_REUSED)
    assert (contents(world.journal), len(world.paymego.sent)) == (held, sent)


def test_an_intent_of_a_dead_process_begins_anew(world: World) -> None:
    _cut_before_the_receipt(world, "")
    world.restart()

    again = world.pay(world.paymego.code())

    assert again.status is PaymentStatus.PAID
    assert (world.row().owner, world.row().attempt) == (world.owner, 1)
    assert world.paymego.count(PAY) == 1


def test_a_receipt_of_a_dead_process_in_state_0_is_paid_by_a_new_scan(world: World) -> None:
    _cut_before_the_pay(world, "")
    receipt_id = world.row().receipt_id
    world.restart()
    sent = len(world.paymego.sent)

    again = world.pay(world.paymego.code())

    assert (again.status, again.receipt_id) == (PaymentStatus.PAID, receipt_id)
    assert [one.method for one in world.paymego.sent[sent:]] == [CHECK, PAY]


def test_a_stop_at_whose_moment_the_state_came_asks_for_no_scan(world: World) -> None:
    _cut_before_the_pay(world, "")
    world.restart()
    world.paymego.passage = lambda method: Passage(back_s=1)
    ui = world.cashier(world.paymego.code())
    ui.hand = world.says_yes_after(1)
    again = world.pay(ui=ui)

    assert (again.status, again.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert again.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    assert (ui.prompts, world.paymego.count(PAY)) == ([], 1)


@pytest.mark.parametrize("kind", [FaultKind.SILENT, FaultKind.ERROR, FaultKind.FOREIGN_ID])
def test_a_receipt_of_a_dead_process_whose_state_is_not_known_is_refused_with_a_cancellation(
    world: World, kind: FaultKind
) -> None:
    _cut_before_the_pay(world, "")
    world.restart()
    world.paymego.befall(kind, CHECK)
    ui = world.cashier(world.paymego.code())

    again = world.pay(ui=ui)

    assert (again.status, again.cancellation_queued) == (PaymentStatus.REFUSED, True)
    assert (ui.prompts, world.paymego.count(PAY)) == ([], 1)


def test_a_receipt_of_a_dead_process_that_payme_cancelled_is_refused_with_nothing_to_cancel(world: World) -> None:
    _cut_before_the_pay(world, "")
    world.restart()
    world.paymego.bank.put_state(world.paymego.now_ms, str(world.row().receipt_id), 50)

    again = world.pay(world.paymego.code())

    assert (again.status, world.live()) == (PaymentStatus.REFUSED, [])


def test_a_code_that_may_have_arrived_is_asked_after_and_paid_without_another_scan(world: World) -> None:
    _cut_after_the_pay(world, world.paymego.code())
    world.restart()
    sent = len(world.paymego.sent)
    ui = world.cashier(world.paymego.code())

    again = world.pay(ui=ui)

    assert again.status is PaymentStatus.PAID
    assert [one.method for one in world.paymego.sent[sent:]] == [CHECK, GET]
    assert ui.prompts == []
    assert world.row().owner == world.owner


def test_a_code_that_never_arrived_is_not_sent_again(world: World) -> None:
    _cut_before_the_pay_arrived(world, world.paymego.code())
    world.restart()

    again = world.pay(world.paymego.code())

    assert again.status is PaymentStatus.UNKNOWN
    assert world.paymego.count(PAY) == 1
    assert len(world.live()) == 1


def test_a_payment_whose_hook_returned_without_a_verdict_goes_on_in_the_same_process(world: World) -> None:
    _cut_after_the_pay(world, world.paymego.code())

    assert world.pay().status is PaymentStatus.PAID


@pytest.mark.parametrize(
    ("cut", "has_row"),
    [(_cut_before_the_receipt, False), (_cut_before_the_pay, True), (_cut_after_the_pay, True)],
    ids=["intent", "created", "paying"],
)
def test_about_another_kassas_payment_no_request_goes_out(
    world: World, cut: Callable[[World, str], None], has_row: bool
) -> None:
    cut(world, world.paymego.code())
    world.restart()
    world.set(posId="another")
    sent = len(world.paymego.sent)

    again = world.pay(world.paymego.code())

    assert again.status is PaymentStatus.REFUSED
    assert (len(world.paymego.sent), len(world.live())) == (sent, int(has_row))


def test_about_another_kassas_paid_payment_no_request_goes_out_and_it_stays_paid(world: World) -> None:
    first = world.pay(world.paymego.code())
    world.set(posId="another")
    sent = len(world.paymego.sent)

    again = world.pay()

    assert _same(first, again)
    assert len(again.slips) == 1
    assert len(world.paymego.sent) == sent


def test_a_payment_that_another_process_ends_meanwhile_is_obeyed(world: World) -> None:
    def end_it() -> None:
        row = world.row()
        world.journal.move(row, PaymentState.UNKNOWN, "another process decides", cancellation=UNRECORDED)

    world.clock.at(5, end_it)

    result = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=9))

    assert result.status is PaymentStatus.UNKNOWN
    assert world.path_of()[-1] == "unknown"
    assert len(world.live()) == 1


def test_a_payment_that_another_process_takes_over_meanwhile_gets_no_verdict_of_ours(world: World) -> None:
    def take_it() -> None:
        world.journal.take_over(world.row(), "another process", "the host asks again")

    world.clock.at(5, take_it)

    result = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=9))

    assert result.status is PaymentStatus.UNKNOWN
    assert result.message == world.text(Text.PAYMENT_CHARGE_MAY_HANG)
    row: PaymentRow = world.row()
    assert (row.state, row.owner) == (PaymentState.PAYING, "another process")
