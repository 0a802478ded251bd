"""The same ``payment_id`` again: it never charges and never scans; the journal and Payme decide its result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fakes.answer_changes import body, error, result, spoil, with_receipt, without_id
from fakes.journal_rows import UNRECORDED, contents, walk
from fakes.till import STALE, PowerCut, open_sale
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.paymego import Change
    from fakes.world import World
    from hookspecs import PaymentResult

CHECK, GET = "receipts.check", "receipts.get"
RESTARTS = pytest.mark.parametrize("restarts", [False, True], ids=["same process", "after a restart"])
RECORDED = pytest.mark.parametrize("is_recorded", [False, True], ids=["paid", "recorded"])


def _sell(world: World, *, is_recorded: bool) -> PaymentResult:
    first = world.pay(world.paymego.code())
    if is_recorded:
        world.acknowledge(first.payment)
    return first


def _same(first: PaymentResult, again: PaymentResult) -> bool:
    names = ("status", "receipt_id", "amount", "message", "error_code", "payment", "cancellation_queued")
    return [getattr(first, name) for name in names] == [getattr(again, name) for name in names]


# ---------------------------------------------------------------------------------------------------------------------
# No code was sent: intent, created
# ---------------------------------------------------------------------------------------------------------------------


@RESTARTS
@pytest.mark.parametrize("scans", [[], [STALE]], ids=["intent", "created"])
def test_a_payment_that_no_code_was_sent_for_is_refused_without_a_request_and_without_a_scan(
    world: World, scans: list[str], restarts: bool
) -> None:
    with pytest.raises(PowerCut):
        world.pay(*scans, PowerCut())
    assert world.row().state is (PaymentState.CREATED if scans else PaymentState.INTENT)
    receipt_id = world.row().receipt_id
    if restarts:
        world.restart()
    sent, ui = len(world.paymego.sent), world.cashier(world.paymego.code())

    again = world.pay(ui=ui)
    held = contents(world.journal)

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_NOT_SENT))
    assert (ui.prompts, len(world.paymego.sent)) == ([], sent)
    assert (world.row().state, world.row().owner) == (PaymentState.REFUSED, world.owner)
    # The receipt of a created payment is open at Payme.
    assert [row.receipt_id for row in world.live()] == ([] if receipt_id is None else [receipt_id])
    assert again.cancellation_queued == (receipt_id is not None)
    assert _same(again, world.pay())
    assert contents(world.journal) == held


# ---------------------------------------------------------------------------------------------------------------------
# A code may have been sent: paying
# ---------------------------------------------------------------------------------------------------------------------


def test_a_code_that_arrived_is_asked_after_and_paid_without_a_scan(world: World) -> None:
    world.cut_after_pay(world.paymego.code())
    world.restart()
    sent, ui = len(world.paymego.sent), world.cashier(world.paymego.code())

    again = world.pay(ui=ui)

    assert (again.status, ui.prompts) == (PaymentStatus.PAID, [])
    assert [one.method for one in world.paymego.sent[sent:]] == [CHECK, GET]
    assert (world.row().state, world.row().owner, world.live()) == (PaymentState.PAID, world.owner, [])


@pytest.mark.parametrize(
    ("state", "status", "takes_s"),
    [
        (50, PaymentStatus.REFUSED, 0.02),
        (21, PaymentStatus.REFUSED, 0.02),
        *((state, PaymentStatus.UNKNOWN, 20.02) for state in (1, 3, 5, 20, 30)),
    ],
)
def test_50_and_21_decide_at_once_and_any_state_but_0_is_polled_for_the_whole_pay_duration(
    world: World, state: int, status: PaymentStatus, takes_s: float
) -> None:
    world.cut_after_pay(world.paymego.code())
    world.restart()
    world.paymego.change(CHECK, result({"state": state}), times=99)
    began = world.clock.monotonic()

    again = world.pay()

    assert (again.status, len(world.live())) == (status, 1)
    assert world.clock.monotonic() - began == pytest.approx(takes_s, abs=0.05)


def test_one_whose_receipt_stays_in_state_0_for_one_timeout_is_unknown(world: World) -> None:
    world.cut_after_pay(world.paymego.code(), FaultKind.REQUEST_LOST, FaultKind.SILENT)
    world.restart()
    began = world.clock.monotonic()

    again = world.pay(world.paymego.code())

    assert (again.status, again.message) == (PaymentStatus.UNKNOWN, world.text(Text.PAYMENT_UNKNOWN))
    assert world.clock.monotonic() - began == pytest.approx(5.02, abs=0.05)
    assert (world.paymego.count("receipts.pay"), len(world.live())) == (1, 1)


def test_a_code_that_arrives_within_that_timeout_is_paid(world: World) -> None:
    world.cut_after_pay(world.paymego.code(), FaultKind.REQUEST_DELAYED)
    world.restart()

    assert world.pay().status is PaymentStatus.PAID


@pytest.mark.parametrize(
    ("state", "status", "cancellations"),
    [
        (PaymentState.INTENT, PaymentStatus.REFUSED, 0),
        (PaymentState.CREATED, PaymentStatus.REFUSED, 1),
        (PaymentState.PAYING, PaymentStatus.UNKNOWN, 1),
        (PaymentState.PAID, PaymentStatus.PAID, 0),
    ],
)
def test_about_another_accounts_payment_no_request_is_sent(
    world: World, state: PaymentState, status: PaymentStatus, cancellations: int
) -> None:
    assert walk(world.journal, state).pos_id != world.settings.pos_id
    world.restart()

    assert (world.pay().status, world.paymego.sent, len(world.live())) == (status, [], cancellations)


# ---------------------------------------------------------------------------------------------------------------------
# Paid, and recorded in an open sale
# ---------------------------------------------------------------------------------------------------------------------


@RESTARTS
@RECORDED
def test_paid_is_the_result_again_after_one_query_and_nothing_is_charged(
    world: World, is_recorded: bool, restarts: bool
) -> None:
    first = _sell(world, is_recorded=is_recorded)
    if restarts:
        world.restart()
    held, sent = contents(world.journal), len(world.paymego.sent)
    ui = world.cashier(world.paymego.code())

    again = world.pay(ui=ui)

    assert _same(first, again)
    assert (again.receipt_attributes, again.slips) == (first.receipt_attributes, first.slips)
    if restarts and not is_recorded:  # this process reported it, so it is not an orphan of an earlier one
        assert (world.row().state, world.row().owner) == (PaymentState.PAID, world.owner)
    else:
        assert contents(world.journal) == held
    assert world.decide_orphans() == 0
    assert ([one.method for one in world.paymego.sent[sent:]], ui.prompts) == ([GET], [])


@pytest.mark.parametrize(
    "fault",
    [
        *(FaultKind.SILENT, body(b"<html>"), error(-31602)),
        *(with_receipt(_id="another", state=50), without_id(with_receipt(amount=1)), with_receipt(state=None)),
    ],
)
def test_without_a_usable_answer_paid_is_the_result_again_within_one_timeout(
    world: World, fault: FaultKind | Change
) -> None:
    first = _sell(world, is_recorded=False)
    world.restart()
    spoil(world.paymego, GET, fault)
    began = world.clock.monotonic()

    again = world.pay()

    assert (_same(first, again), len(again.slips)) == (True, 1)
    assert world.clock.monotonic() - began <= 5.01


@RECORDED
@pytest.mark.parametrize("fields", [{"state": 50}, {"state": 21}, {"amount": 1}], ids=str)
def test_paid_that_payme_contradicts_is_refused_with_a_cancellation_or_if_recorded_with_a_notice(
    world: World, fields: dict[str, object], is_recorded: bool
) -> None:
    first = _sell(world, is_recorded=is_recorded)
    world.restart()
    world.paymego.change(GET, with_receipt(**fields))

    again = world.pay()

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ALREADY_REVERSED))
    assert (again.receipt_id, again.cancellation_queued) == (first.receipt_id, not is_recorded)
    assert [row.cause for row in world.live()] == ([] if is_recorded else [Cause.UNRECORDED])
    assert world.row().state is (PaymentState.RECORDED if is_recorded else PaymentState.REVERSING)
    notices = {"payme.sale": world.text(Text.NOTICE_SALE_UNPAID, number=1)}
    assert world.host.notices == (notices if is_recorded else {})


@pytest.mark.parametrize("state", [0, 1, 5, 20])
def test_recorded_that_payme_neither_has_as_paid_nor_as_returned_is_pending(world: World, state: int) -> None:
    _sell(world, is_recorded=True)
    world.restart()
    world.paymego.change(GET, with_receipt(state=state))
    held = contents(world.journal)

    again = world.pay()

    assert (again.status, again.message) == (PaymentStatus.PENDING, world.text(Text.PAYMENT_PENDING))
    assert (contents(world.journal), world.host.notices) == (held, {})
    assert world.pay().status is PaymentStatus.PAID


@pytest.mark.parametrize(("closed_at", "asked_at"), [(5, None), (None, 5)], ids=["in the journal", "in the request"])
def test_recorded_in_a_sale_that_is_closed_is_refused_as_reuse(
    world: World, closed_at: int | None, asked_at: int | None
) -> None:
    world.journal.acknowledge(walk(world.journal, PaymentState.RECORDED), closed_at=closed_at)

    again = world.pay(receipt=open_sale(closed_at=asked_at))

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ID_REUSED))
    assert (world.paymego.sent, world.live()) == ([], [])


# ---------------------------------------------------------------------------------------------------------------------
# Any other result
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "action", [BuyerAction.LACKS_FUNDS, BuyerAction.DECLINES, BuyerAction.NEVER_ANSWERS, None], ids=str
)
def test_a_result_other_than_paid_is_repeated_unchanged(world: World, action: BuyerAction | None) -> None:
    first = world.pay(None if action is None else world.paymego.code(action))
    world.restart()
    held, sent = contents(world.journal), len(world.paymego.sent)

    again = world.pay(world.paymego.code())

    assert _same(first, again)
    assert (contents(world.journal), len(world.paymego.sent)) == (held, sent)


@pytest.mark.parametrize("state", [PaymentState.REVERSING, PaymentState.REVERSED], ids=str)
def test_a_payment_that_is_being_returned_is_refused(world: World, state: PaymentState) -> None:
    walk(world.journal, state)

    again = world.pay(world.paymego.code())

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ALREADY_REVERSED))
    assert world.paymego.sent == []


@pytest.mark.parametrize(
    "asked",
    [{"amount": 1_400_000}, *({"receipt": sale} for sale in (open_sale(2), open_sale(shift=4), open_sale(till="t2")))],
    ids=["amount", "number", "shift", "till"],
)
@pytest.mark.parametrize("state", [PaymentState.INTENT, PaymentState.PAYING, PaymentState.PAID], ids=str)
def test_another_amount_or_sale_under_the_same_id_is_refused_as_reuse(
    world: World, state: PaymentState, asked: dict[str, Any]
) -> None:
    walk(world.journal, state)
    world.restart()
    held = contents(world.journal)

    again = world.pay(world.paymego.code(), **asked)

    assert (again.status, again.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_ID_REUSED))
    assert (contents(world.journal), world.paymego.sent) == (held, [])


# ---------------------------------------------------------------------------------------------------------------------
# Another process or thread changes it meanwhile
# ---------------------------------------------------------------------------------------------------------------------


def _end(world: World) -> None:
    world.journal.move(world.row(), PaymentState.UNKNOWN, "another process decides", cancellation=UNRECORDED)


def _take_over(world: World) -> None:
    world.journal.take_over(world.row(), "another process", "the host asks again")


@pytest.mark.parametrize("is_repeated", [False, True], ids=["new", "repeated"])
@pytest.mark.parametrize(("change", "status"), [(_end, PaymentStatus.UNKNOWN), (_take_over, PaymentStatus.PENDING)])
def test_a_payment_that_another_process_ends_or_takes_over_meanwhile_is_that_ones(
    world: World, change: Callable[[World], None], status: PaymentStatus, is_repeated: bool
) -> None:
    code = world.paymego.code(BuyerAction.CONFIRMS, after_s=9)
    if is_repeated:
        world.cut_after_pay(code)
        world.restart()
    world.clock.at(world.clock.monotonic() + 5, lambda: change(world))

    outcome = world.pay(code)

    is_taken = status is PaymentStatus.PENDING
    assert (outcome.status, len(world.live())) == (status, int(not is_taken))
    assert world.row().state is (PaymentState.PAYING if is_taken else PaymentState.UNKNOWN)
    assert world.row().owner == ("another process" if is_taken else world.owner)
