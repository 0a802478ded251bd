"""What cancel and full refund have in common."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import body, meanwhile, with_receipt, without_id
from fakes.paymego import Passage
from fakes.reversal_calls import Reversal
from hookspecs import ReversalStatus
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld
    from payme_plugin.ledger.rows import CancellationRow

CANCEL, CHECK, GET = "receipts.cancel", "receipts.check", "receipts.get"


def methods_since(till: HookedWorld, turn: int) -> list[str]:
    return till.paymego.methods[turn:]


def is_queued(till: HookedWorld, reversal: Reversal) -> CancellationRow:
    """Make sure that one live row is left, for the whole amount and by this cause, that the worker may take at once."""
    (row,) = till.live()
    assert (row.cause, row.request_id) == (reversal.cause, "f1" if reversal.cause is Cause.REFUND else "")
    assert row.amount == till.row().amount
    assert row.due_at <= till.clock.wall_ms()
    assert till.row().state is PaymentState.REVERSING
    return row


def test_the_state_is_asked_first_then_cancelled_then_asked_until_50(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    turn = len(till.paymego.sent)

    result = reversal.run(till, sold)

    assert result.status is ReversalStatus.REVERSED
    assert result.message == till.text(Text.REVERSAL_REVERSED)
    assert (result.receipt_id, result.error_code, result.cancellation_queued) == (sold.receipt_id, None, False)
    assert methods_since(till, turn) == ["check", "cancel", "check", "check", "get"]
    assert till.paymego.state(sold.receipt_id) == 50
    assert (till.paymego.held(), till.live()) == (0, [])
    assert till.path_of()[-2:] == ["reversing", "reversed"]


def test_the_row_with_its_cause_is_durable_before_the_cancel_leaves(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    seen: list[tuple[str, str]] = []

    def look(method: str) -> Passage:
        if method == CANCEL:
            reader = JournalReader.open_read_only(till.host.folder / FILE_NAME)
            assert reader is not None
            seen.extend(
                (reader.payment(row.payment_id).state.value, row.cause.value) for row in reader.live_cancellations()
            )
            reader.close()
        return Passage()

    till.paymego.passage = look
    reversal.run(till, sold)

    assert seen == [("reversing", reversal.cause.value)]


def test_no_row_is_written_before_the_state_is_known(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    seen: list[int] = []
    till.paymego.change(CHECK, meanwhile(lambda: seen.append(len(till.live()))))

    reversal.run(till, sold)

    assert seen == [0]


def test_it_asks_every_frequency_until_50(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=7))
    before = till.paymego.count(CHECK)

    result = reversal.run(till, sold)

    first, *polls = till.paymego.times_of(CHECK)[before:]
    assert result.status is ReversalStatus.REVERSED
    assert first < till.paymego.times_of(CANCEL)[0] < polls[0]
    assert [round(later - earlier, 1) for earlier, later in pairwise(polls)] == [2.0] * 4
    assert till.paymego.count(CANCEL) == 1


def test_a_cancel_that_is_done_at_once_is_asked_for_no_more(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.change(CANCEL, with_receipt(state=50))
    turn = len(till.paymego.sent)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    assert methods_since(till, turn) == ["check", "cancel", "get"]


def test_21_is_accepted_and_not_done(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3600))

    result = reversal.run(till, sold)

    assert (result.status, result.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
    assert (result.slips, result.cancellation_queued) == ((), True)
    is_queued(till, reversal)
    assert till.paymego.state(sold.receipt_id) == 21


@pytest.mark.parametrize("learns_by", ["answer", "check"])
def test_with_cancel_accepted_is_done_21_is_reversed_and_followed_in_the_background(
    till: HookedWorld, reversal: Reversal, learns_by: str
) -> None:
    till.set(cancelAcceptedIsDone="true")
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3600))
    if learns_by == "check":
        till.paymego.change(CANCEL, with_receipt(state=4))

    began = till.clock.monotonic()
    result = reversal.run(till, sold)

    assert result.status is ReversalStatus.REVERSED
    assert (len(result.slips), result.cancellation_queued) == (1, True)
    assert till.clock.monotonic() - began < 1
    is_queued(till, reversal)
    till.work(2 * 3600)
    assert (till.row().state, till.live(), till.paymego.held()) == (PaymentState.REVERSED, [], 0)


def test_an_ignored_refusal_with_state_4_asked_after_it_is_refused_and_the_payment_stands(
    till: HookedWorld, reversal: Reversal
) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    turn = len(till.paymego.sent)

    result = reversal.run(till, sold)

    assert (result.status, result.error_code, result.cancellation_queued) == (ReversalStatus.REFUSED, -31800, False)
    assert result.message == till.text(Text.REVERSAL_REFUSED, code=-31800)
    assert result.slips == ()
    assert methods_since(till, turn) == ["check", "cancel", "check"]
    assert (till.live(), till.row().state) == ([], PaymentState.RECORDED)
    till.work(4000)
    assert till.paymego.held() == sold.record.amount


def test_after_an_ignored_refusal_the_payment_may_be_given_back_another_time(
    till: HookedWorld, reversal: Reversal
) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.ERROR, CANCEL, error_code=-31800)
    assert reversal.run(till, sold).status is ReversalStatus.REFUSED

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    assert (till.live(), till.paymego.held()) == ([], 0)


def test_an_ignored_refusal_with_another_state_after_it_is_queued(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.ERROR_AFTER_EFFECT, CANCEL, error_code=-31800)

    result = reversal.run(till, sold)

    assert (result.status, result.error_code) == (ReversalStatus.QUEUED, -31800)
    is_queued(till, reversal)


def test_an_ignored_refusal_after_which_no_state_is_heard_is_queued(till: HookedWorld, reversal: Reversal) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.ERROR, CANCEL, error_code=-31800)
    till.paymego.befall(FaultKind.SILENT, CHECK, skip=1)

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    is_queued(till, reversal)


@pytest.mark.parametrize("ignored", ["", "-31900"])
def test_a_refusal_that_is_not_ignored_is_queued(till: HookedWorld, reversal: Reversal, ignored: str) -> None:
    till.set(ignoredErrors=ignored or ".")
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))

    result = reversal.run(till, sold)

    assert (result.status, result.message, result.error_code) == (
        ReversalStatus.QUEUED,
        till.text(Text.REVERSAL_QUEUED),
        -31800,
    )
    assert (result.slips, result.cancellation_queued) == ((), True)
    is_queued(till, reversal)


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.REQUEST_LOST, FaultKind.ANSWER_LOST, FaultKind.SILENT, FaultKind.SILENT_AFTER_EFFECT,
        FaultKind.HTTP_ERROR, FaultKind.HTTP_ERROR_AFTER_EFFECT, FaultKind.HTML, FaultKind.HTML_AFTER_EFFECT,
        FaultKind.ERROR, FaultKind.ERROR_AFTER_EFFECT, FaultKind.FOREIGN_ID,
    ],
    ids=lambda kind: kind.value,
)  # fmt: skip
def test_a_lost_or_faulty_answer_is_queued_without_slips_and_delivered_later(
    till: HookedWorld, reversal: Reversal, kind: FaultKind
) -> None:
    sold = reversal.sell(till)
    till.paymego.befall(kind, CANCEL)

    result = reversal.run(till, sold)

    assert (result.status, result.message, result.slips) == (
        ReversalStatus.QUEUED,
        till.text(Text.REVERSAL_QUEUED),
        (),
    )
    assert till.plain_slips.made[1:] == []
    is_queued(till, reversal)
    till.work(30)
    assert (till.row().state, till.live()) == (PaymentState.REVERSED, [])
    assert (till.paymego.state(sold.receipt_id), till.paymego.held()) == (50, 0)


@pytest.mark.parametrize(
    "change",
    [
        with_receipt(_id="0" * 24, state=50),
        with_receipt(amount=5, state=50),
        without_id(with_receipt(state=50)),
        body(b"{}"),
    ],
    ids=["another receipt", "another amount", "no id", "no envelope"],
)
def test_no_answer_about_something_else_reverses_anything(
    till: HookedWorld, reversal: Reversal, change: object
) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3600))
    till.paymego.change(CANCEL, change)  # type: ignore[arg-type]

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
    is_queued(till, reversal)


def test_50_without_our_requests_id_counts_only_when_the_whole_receipt_repeats_it(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))
    till.paymego.change(CANCEL, without_id())
    turn = len(till.paymego.sent)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    assert methods_since(till, turn)[:3] == ["check", "cancel", "get"]


@pytest.mark.parametrize("stops_after_s", [0, 3, 9])
def test_the_cashiers_stop_is_queued(till: HookedWorld, reversal: Reversal, stops_after_s: int) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=60))
    if stops_after_s == 0:
        till.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    began = till.clock.monotonic()

    result = reversal.run(till, sold, ui=till.cashier(stops_at=began + stops_after_s))

    assert (result.status, result.slips) == (ReversalStatus.QUEUED, ())
    assert till.clock.monotonic() - began <= stops_after_s + 0.5
    is_queued(till, reversal)


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
    began, turn = till.clock.monotonic(), len(till.paymego.sent)

    result = reversal.run(till, sold)

    assert (result.status, result.message, result.slips) == (
        ReversalStatus.QUEUED,
        till.text(Text.REVERSAL_QUEUED),
        (),
    )
    assert till.clock.monotonic() - began == pytest.approx(20, abs=0.1)
    assert methods_since(till, turn) == []
    is_queued(till, reversal)
    till.work(600)
    assert till.row().state is PaymentState.REVERSING
    till.paymego.passage = lambda _: Passage()
    till.work(2000)
    assert (till.row().state, till.paymego.state(sold.receipt_id)) == (PaymentState.REVERSED, 50)


def test_a_state_that_can_not_be_known_is_asked_for_until_it_is(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.ERROR, CHECK, times=3)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
    assert till.paymego.count(CANCEL) == 1


def test_the_request_names_the_receipt_alone_and_never_an_amount(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(turns_back_after_s=4))

    reversal.run(till, sold)
    till.work(60)

    cancels = [sent.params for sent in till.paymego.sent if sent.method == CANCEL]
    assert len(cancels) == 2
    assert all(params == {"id": sold.receipt_id} for params in cancels)


def test_without_the_key_of_the_payments_account_it_is_queued_without_a_request(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    till.set(posId="0" * 24)
    turn = len(till.paymego.sent)

    result = reversal.run(till, sold)

    assert (result.status, result.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
    assert (result.slips, result.cancellation_queued) == ((), True)
    is_queued(till, reversal)
    till.work(2000)
    assert methods_since(till, turn) == []
    till.set()
    till.work(2000)
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


def test_21_that_turns_back_into_4_is_queued_and_cancelled_again_by_the_worker(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(turns_back_after_s=3))

    result = reversal.run(till, sold)
    assert result.status is ReversalStatus.QUEUED
    assert till.paymego.state(sold.receipt_id) == 4

    till.work(60)
    assert (till.row().state, till.paymego.held()) == (PaymentState.REVERSED, 0)


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
    till.paymego.befall(FaultKind.SILENT, silent, times=None)
    began = till.clock.monotonic()

    reversal.run(till, sold)

    assert till.clock.monotonic() - began <= max(duration / 1000, timeout) + timeout + 1


def test_a_wall_clock_that_jumps_changes_nothing(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)
    hour_ms = 3_600_000
    ui = till.cashier()
    jumps = iter([5 * hour_ms, -9 * hour_ms, 2 * hour_ms] * 10)
    ui.hand = lambda _: till.clock.set_wall(next(jumps))
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=5))

    assert reversal.run(till, sold, ui=ui).status is ReversalStatus.REVERSED
    assert till.clock.monotonic() < 8


def test_a_payment_of_ours_stays_ours_whatever_the_tenders_number_says_today(
    till: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(till)
    till.set(paymentType=12)

    assert reversal.run(till, sold).status is ReversalStatus.REVERSED
