"""What cancel and full refund have in common."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import body, with_receipt, without_id
from fakes.paymego import Passage
from hookspecs import ReversalStatus
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from fakes.reversal_calls import Reversal
    from payme_plugin.ledger.rows import CancellationRow

CANCEL, CHECK, GET = "receipts.cancel", "receipts.check", "receipts.get"
STAYS_AT_21 = CancelPlan(settle_s=3600)
REFUSES = CancelPlan(refused_with=-31800)


def queued_row(till: HookedWorld, reversal: Reversal) -> CancellationRow:
    """Return the one live row: for the whole amount, by this cause, and due at once for the worker."""
    (row,) = till.live()
    assert (row.cause, row.request_id) == (reversal.cause, "f1" if reversal.cause is Cause.REFUND else "")
    assert row.amount == till.row().amount
    assert row.due_at <= till.clock.wall_ms()
    assert till.row().state is PaymentState.REVERSING
    return row


def test_the_state_is_asked_first_then_cancelled_then_asked_every_frequency_until_50(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=5))
    turn = len(till.paymego.sent)

    result = reversal.run(till, sold)

    assert (result.status, result.message) == (ReversalStatus.REVERSED, till.text(Text.REVERSAL_REVERSED))
    assert (result.receipt_id, result.error_code, result.cancellation_queued) == (sold.receipt_id, None, False)
    assert till.paymego.methods[turn:] == ["check", "cancel", "check", "check", "check", "check", "get"]
    polls = till.paymego.times_of(CHECK)[-4:]
    assert [round(later - earlier, 1) for earlier, later in pairwise(polls)] == [2.0] * 3
    assert [sent.params for sent in till.paymego.sent if sent.method == CANCEL] == [{"id": sold.receipt_id}]
    assert till.paymego.state(sold.receipt_id) == 50
    assert (till.paymego.held(), till.live()) == (0, [])
    assert till.path_of()[-2:] == ["reversing", "reversed"]


def test_with_early_polling_a_reversal_that_takes_a_second_is_seen_before_the_first_frequency_is_over(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    till.set(frequency=10_000, earlyPolling=1)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=1))

    result = reversal.run(till, sold)

    assert result.status is ReversalStatus.REVERSED
    before, *polls = till.paymego.times_of(CHECK)[-4:]
    (cancelled_at,) = till.paymego.times_of(CANCEL)
    assert before < cancelled_at
    assert [round(poll - polls[0], 2) for poll in polls] == [0, 0.5, 1.5]


def test_the_row_is_written_after_the_state_is_known_and_durable_before_the_cancel_leaves(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    durable: dict[str, list[tuple[str, Cause]]] = {}

    def look(method: str) -> Passage:
        reader = JournalReader.open_read_only(till.host.folder / FILE_NAME)
        assert reader is not None
        rows = [(reader.payment(row.payment_id).state.value, row.cause) for row in reader.live_cancellations()]
        reader.close()
        durable.setdefault(method, rows)
        return Passage()

    till.paymego.passage = look
    reversal.run(till, sold)

    assert (durable[CHECK], durable[CANCEL]) == ([], [("reversing", reversal.cause)])


@pytest.mark.parametrize("change", [with_receipt(state=50), without_id()], ids=["bound", "bound by the whole receipt"])
def test_50_in_the_answer_to_the_cancel_is_the_end(till: HookedWorld, reversal: Reversal, change: object) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))
    till.paymego.change(CANCEL, change)  # type: ignore[arg-type]
    turn = len(till.paymego.sent)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    assert till.paymego.methods[turn:][:3] == ["check", "cancel", "get"]


def plan(cancel: CancelPlan) -> Callable[[HookedWorld, str], object]:
    return lambda till, receipt_id: till.paymego.bank.plan_cancel(receipt_id, cancel)


def fault(kind: FaultKind) -> Callable[[HookedWorld, str], object]:
    return lambda till, _: till.paymego.inject_fault(kind, CANCEL)


def answer(change: object) -> Callable[[HookedWorld, str], object]:
    """Payme cancels and stays at 21, but the answer is about something else."""

    def prepare(till: HookedWorld, receipt_id: str) -> None:
        till.paymego.bank.plan_cancel(receipt_id, STAYS_AT_21)
        till.paymego.change(CANCEL, change)  # type: ignore[arg-type]

    return prepare


def another_code_is_ignored(till: HookedWorld, receipt_id: str) -> None:
    till.set(ignoredErrors="-31900")
    till.paymego.bank.plan_cancel(receipt_id, REFUSES)


def ignored_but_cancelled(till: HookedWorld, _: str) -> None:
    till.set(ignoredErrors="-31800")
    till.paymego.inject_fault(FaultKind.ERROR_AFTER_EFFECT, CANCEL, error_code=-31800)


def ignored_and_no_state_after_it(till: HookedWorld, _: str) -> None:
    till.set(ignoredErrors="-31800")
    till.paymego.inject_fault(FaultKind.ERROR, CANCEL, error_code=-31800)
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, skip=1)


NOT_DONE: dict[str, tuple[Callable[[HookedWorld, str], object], str, int | None]] = {
    "21": (plan(STAYS_AT_21), "receipts.check: state 21", None),
    "21, then 4 again": (plan(CancelPlan(turns_back_after_s=3)), "receipts.check: state 4", None),
    "refused": (plan(REFUSES), "receipts.cancel: error -31800", -31800),
    "another code is ignored": (another_code_is_ignored, "receipts.cancel: error -31800", -31800),
    "ignored but cancelled": (ignored_but_cancelled, "receipts.check: state 21", -31800),
    "ignored and no state": (ignored_and_no_state_after_it, "receipts.check: no usable answer", -31800),
    "request lost": (fault(FaultKind.REQUEST_LOST), "receipts.cancel: no usable answer", None),
    "answer lost": (fault(FaultKind.ANSWER_LOST), "receipts.cancel: no usable answer, the connection was lost", None),
    "silent": (fault(FaultKind.SILENT), "receipts.cancel: no usable answer", None),
    "silent after the effect": (fault(FaultKind.SILENT_AFTER_EFFECT), "receipts.cancel: no usable answer", None),
    "an HTTP error": (fault(FaultKind.HTTP_ERROR), "receipts.cancel: no usable answer", None),
    "a page": (fault(FaultKind.HTML_AFTER_EFFECT), "receipts.cancel: no usable answer", None),
    "a foreign id": (fault(FaultKind.FOREIGN_ID), "receipts.cancel: no usable answer", None),
    "another receipt": (answer(with_receipt(_id="0" * 24, state=50)), "receipts.check: state 21", None),
    "another amount": (answer(with_receipt(amount=5, state=50)), "receipts.check: state 21", None),
    "50 without our id": (answer(without_id(with_receipt(state=50))), "receipts.check: state 21", None),
    "no envelope": (answer(body(b"{}")), "receipts.cancel: no usable answer", None),
}


@pytest.mark.parametrize("name", NOT_DONE)
def test_what_payme_did_not_confirm_is_queued_without_slips_and_returned_by_the_worker_once(
    till: HookedWorld, reversal: Reversal, name: str
) -> None:
    prepare, last_error, error_code = NOT_DONE[name]
    sold = reversal.sell(till)
    prepare(till, sold.receipt_id)

    result = reversal.run(till, sold)

    assert (result.status, result.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
    assert (result.error_code, result.slips, result.cancellation_queued) == (error_code, (), True)
    assert queued_row(till, reversal).last_error.startswith(last_error)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan())
    till.work(2 * 3600)
    assert (till.row().state, till.live(), till.paymego.state(sold.receipt_id)) == (PaymentState.REVERSED, [], 50)
    amounts = [move.amount for move in till.paymego.bank.movements(till.paymego.now_ms)]
    assert amounts == [sold.record.amount, -sold.record.amount]


@pytest.mark.parametrize("learns_by", ["answer", "check"])
def test_with_cancel_accepted_is_done_21_is_reversed_and_followed_in_the_background(
    till: HookedWorld, reversal: Reversal, learns_by: str
) -> None:
    till.set(cancelAcceptedIsDone="true")
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, STAYS_AT_21)
    if learns_by == "check":
        till.paymego.change(CANCEL, with_receipt(state=4))
    began = till.clock.monotonic()

    result = reversal.run(till, sold)

    assert (result.status, len(result.slips), result.cancellation_queued) == (ReversalStatus.REVERSED, 1, True)
    assert till.clock.monotonic() - began < 1
    assert queued_row(till, reversal).last_error == "Payme is cancelling (21)"
    till.work(2 * 3600)
    assert (till.row().state, till.live(), till.paymego.held()) == (PaymentState.REVERSED, [], 0)


def test_an_ignored_refusal_with_state_4_asked_after_it_is_refused_and_the_payment_stands(
    till: HookedWorld, reversal: Reversal
) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, REFUSES)
    turn = len(till.paymego.sent)

    result = reversal.run(till, sold)

    assert (result.status, result.message) == (ReversalStatus.REFUSED, till.text(Text.REVERSAL_REFUSED, code=-31800))
    assert (result.error_code, result.cancellation_queued, result.slips) == (-31800, False, ())
    assert till.paymego.methods[turn:] == ["check", "cancel", "check"]
    assert (till.live(), till.row().state) == ([], PaymentState.RECORDED)
    till.work(4000)
    assert till.paymego.held() == sold.record.amount
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan())
    assert reversal.run(till, sold).status is ReversalStatus.REVERSED


@pytest.mark.parametrize("stops_after_s", [0, 3])
def test_the_cashiers_stop_is_queued(till: HookedWorld, reversal: Reversal, stops_after_s: int) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, STAYS_AT_21)
    if stops_after_s == 0:
        till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    began = till.clock.monotonic()

    result = reversal.run(till, sold, ui=till.cashier(stops_at=began + stops_after_s))

    assert (result.status, result.slips) == (ReversalStatus.QUEUED, ())
    assert till.clock.monotonic() - began <= stops_after_s + 0.5
    queued_row(till, reversal)


def test_the_cashier_sees_how_long_it_takes_at_least_twice_a_second(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=6))
    ui = till.cashier()

    reversal.run(till, sold, ui=ui)

    times = [shown.at_s for shown in ui.shown]
    assert len(times) > 12
    assert max(later - earlier for earlier, later in pairwise(times)) <= 0.5
    assert {shown.total_s for shown in ui.shown} == {20.0}
    assert ui.shown[0].text == till.text(Text.PROGRESS_REVERSING, left_s=20)
    assert ui.prompts == []


def test_a_server_that_is_down_for_the_whole_pay_duration_is_queued_and_delivered_when_it_is_back(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    till.paymego.passage = lambda _: Passage(connects=False)
    began = till.clock.monotonic()

    result = reversal.run(till, sold)

    assert (result.status, result.slips) == (ReversalStatus.QUEUED, ())
    assert till.clock.monotonic() - began == pytest.approx(20, abs=0.1)
    assert queued_row(till, reversal).last_error == "receipts.check: not sent, no connection"
    till.work(600)
    till.paymego.passage = lambda _: Passage()
    till.work(2000)
    assert (till.row().state, till.paymego.state(sold.receipt_id)) == (PaymentState.REVERSED, 50)


def test_a_state_that_can_not_be_known_is_asked_for_until_it_is(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.inject_fault(FaultKind.ERROR, CHECK, times=3)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    assert till.paymego.count(CANCEL) == 1


@pytest.mark.parametrize("limits", [(5, 20_000), (15, 4_000), (5, 0)], ids=str)
@pytest.mark.parametrize("silent", [CHECK, CANCEL, GET, None])
@pytest.mark.parametrize("settles_s", [0.5, 3600.0])
def test_it_is_over_within_the_time_of_the_contract(
    till: HookedWorld, reversal: Reversal, limits: tuple[int, int], silent: str | None, settles_s: float
) -> None:
    timeout, duration = limits
    sold = reversal.sell(till)
    till.set(timeout=timeout, payDuration=max(duration, 1), frequency=900)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=settles_s))
    till.paymego.inject_fault(FaultKind.SILENT, silent, times=None)
    began = till.clock.monotonic()

    reversal.run(till, sold)

    assert till.clock.monotonic() - began <= max(duration / 1000, timeout) + timeout + 1


def test_the_last_poll_comes_at_pay_duration_and_counts(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.set(frequency=15_000)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=17))

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED


def test_a_cancel_is_sent_even_if_pay_duration_is_below_one_round_trip(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.set(payDuration=1)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED


def test_a_wall_clock_that_jumps_changes_nothing(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    hour_ms = 3_600_000
    jumps = iter([5 * hour_ms, -9 * hour_ms, 2 * hour_ms] * 10)
    ui = till.meanwhile(lambda: till.clock.set_wall(next(jumps)))
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=5))

    assert reversal.run(till, sold, ui=ui).status is ReversalStatus.REVERSED
    assert till.clock.monotonic() < 8


def test_a_payment_of_ours_stays_ours_after_the_tenders_number_has_changed(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    till.set(paymentType=12)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED


def test_asked_again_it_gets_the_same_result_and_no_second_cancel(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    first = reversal.run(till, sold)

    again = reversal.run(till, sold)

    assert again == first
    assert (len(again.slips), till.paymego.count(CANCEL)) == (1, 1)


@pytest.mark.parametrize("has_key", [True, False], ids=["with the key", "without the key"])
def test_a_queued_reversal_is_reversed_when_it_is_asked_for_again_after_its_delivery(
    till: HookedWorld, reversal: Reversal, has_key: bool
) -> None:
    sold = reversal.sell(till)
    till.paymego.inject_fault(FaultKind.REQUEST_LOST, CANCEL)
    first = reversal.run(till, sold)
    till.work(60)
    if not has_key:
        till.set(posId="0" * 24)

    again = reversal.run(till, sold)

    assert (first.status, first.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert (again.status, again.cancellation_queued, len(again.slips)) == (ReversalStatus.REVERSED, True, 1)


def test_a_payment_that_the_journal_lost_is_returned_by_the_tills_record(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.journal.forget()

    result = reversal.run(till, sold)

    assert (result.status, result.receipt_id) == (ReversalStatus.REVERSED, sold.receipt_id)
    assert (till.row().amount, till.row().number, till.paymego.held()) == (1_500_000, 1, 0)
    assert till.path_of() == ["recorded", "reversing", "reversed"]


@pytest.mark.parametrize("says_closed", [False, True])
def test_a_lost_payment_is_imported_in_an_open_sale_by_a_cancel_and_in_a_closed_one_by_a_refund(
    till: HookedWorld, reversal: Reversal, says_closed: bool
) -> None:
    sold = reversal.sell(till)
    till.journal.forget()
    receipt = replace(sold.receipt, closed_at=till.clock.wall_ms() if says_closed else None)

    reversal.run(till, replace(sold, receipt=receipt))

    assert (till.row().closed_at is not None) is (reversal.cause is Cause.REFUND)
