"""What cancel and full refund have in common."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import body, meanwhile, with_receipt, without_id
from fakes.paymego import Passage
from fakes.reversal_calls import ROADS, Road
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

pytestmark = pytest.mark.parametrize("road", ROADS, ids=str)


def methods_since(world: HookedWorld, turn: int) -> list[str]:
    return world.paymego.methods[turn:]


def is_queued(world: HookedWorld, road: Road) -> CancellationRow:
    """Make sure that one live row is left, for the whole amount and by this cause, that the worker may take at once."""
    (row,) = world.live()
    assert (row.cause, row.request_id) == (road.cause, "f1" if road.cause is Cause.REFUND else "")
    assert row.amount == world.row().amount
    assert row.due_at <= world.clock.wall_ms()
    assert world.row().state is PaymentState.REVERSING
    return row


def test_the_state_is_asked_first_then_cancelled_then_asked_until_50(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    turn = len(world.paymego.sent)

    result = road.give_back(world, sold)

    assert result.status is ReversalStatus.REVERSED
    assert result.message == world.text(Text.REVERSAL_REVERSED)
    assert (result.receipt_id, result.error_code, result.cancellation_queued) == (sold.receipt_id, None, False)
    assert methods_since(world, turn) == ["check", "cancel", "check", "check", "get"]
    assert world.paymego.state(sold.receipt_id) == 50
    assert (world.paymego.held(), world.live()) == (0, [])
    assert world.path_of()[-2:] == ["reversing", "reversed"]


def test_the_row_with_its_cause_is_durable_before_the_cancel_leaves(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    seen: list[tuple[str, str]] = []

    def look(method: str) -> Passage:
        if method == CANCEL:
            reader = JournalReader.open_read_only(world.host.folder / FILE_NAME)
            assert reader is not None
            seen.extend(
                (reader.payment(row.payment_id).state.value, row.cause.value) for row in reader.live_cancellations()
            )
            reader.close()
        return Passage()

    world.paymego.passage = look
    road.give_back(world, sold)

    assert seen == [("reversing", road.operation)]


def test_no_row_is_written_before_the_state_is_known(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    seen: list[int] = []
    world.paymego.change(CHECK, meanwhile(lambda: seen.append(len(world.live()))))

    road.give_back(world, sold)

    assert seen == [0]


def test_it_asks_every_frequency_until_50(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=7))
    before = world.paymego.count(CHECK)

    result = road.give_back(world, sold)

    first, *polls = world.paymego.times_of(CHECK)[before:]
    assert result.status is ReversalStatus.REVERSED
    assert first < world.paymego.times_of(CANCEL)[0] < polls[0]
    assert [round(later - earlier, 1) for earlier, later in pairwise(polls)] == [2.0] * 4
    assert world.paymego.count(CANCEL) == 1


def test_a_cancel_that_is_done_at_once_is_asked_for_no_more(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.change(CANCEL, with_receipt(state=50))
    turn = len(world.paymego.sent)

    assert road.give_back(world, sold).status is ReversalStatus.REVERSED
    assert methods_since(world, turn) == ["check", "cancel", "get"]


def test_21_is_accepted_and_not_done(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3600))

    result = road.give_back(world, sold)

    assert (result.status, result.message) == (ReversalStatus.QUEUED, world.text(Text.REVERSAL_QUEUED))
    assert (result.slips, result.cancellation_queued) == ((), True)
    is_queued(world, road)
    assert world.paymego.state(sold.receipt_id) == 21


@pytest.mark.parametrize("learns_by", ["answer", "check"])
def test_with_cancel_accepted_is_done_21_is_reversed_and_followed_in_the_background(
    world: HookedWorld, road: Road, learns_by: str
) -> None:
    world.set(cancelAcceptedIsDone="true")
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3600))
    if learns_by == "check":
        world.paymego.change(CANCEL, with_receipt(state=4))

    began = world.clock.monotonic()
    result = road.give_back(world, sold)

    assert result.status is ReversalStatus.REVERSED
    assert (len(result.slips), result.cancellation_queued) == (1, True)
    assert world.clock.monotonic() - began < 1
    is_queued(world, road)
    world.work(2 * 3600)
    assert (world.row().state, world.live(), world.paymego.held()) == (PaymentState.REVERSED, [], 0)


def test_an_ignored_refusal_with_state_4_asked_after_it_is_refused_and_the_payment_stands(
    world: HookedWorld, road: Road
) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))
    turn = len(world.paymego.sent)

    result = road.give_back(world, sold)

    assert (result.status, result.error_code, result.cancellation_queued) == (ReversalStatus.REFUSED, -31800, False)
    assert result.message == world.text(Text.REVERSAL_REFUSED, code=-31800)
    assert result.slips == ()
    assert methods_since(world, turn) == ["check", "cancel", "check"]
    assert (world.live(), world.row().state) == ([], PaymentState.RECORDED)
    world.work(4000)
    assert world.paymego.held() == sold.record.amount


def test_after_an_ignored_refusal_the_payment_may_be_given_back_another_time(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.befall(FaultKind.ERROR, CANCEL, error_code=-31800)
    assert road.give_back(world, sold).status is ReversalStatus.REFUSED

    assert road.give_back(world, sold).status is ReversalStatus.REVERSED
    assert (world.live(), world.paymego.held()) == ([], 0)


def test_an_ignored_refusal_with_another_state_after_it_is_queued(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.befall(FaultKind.ERROR_AFTER_EFFECT, CANCEL, error_code=-31800)

    result = road.give_back(world, sold)

    assert (result.status, result.error_code) == (ReversalStatus.QUEUED, -31800)
    is_queued(world, road)


def test_an_ignored_refusal_after_which_no_state_is_heard_is_queued(world: HookedWorld, road: Road) -> None:
    world.set(ignoredErrors="-31800")
    sold = road.sell(world)
    world.paymego.befall(FaultKind.ERROR, CANCEL, error_code=-31800)
    world.paymego.befall(FaultKind.SILENT, CHECK, skip=1)

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    is_queued(world, road)


@pytest.mark.parametrize("ignored", ["", "-31900"])
def test_a_refusal_that_is_not_ignored_is_queued(world: HookedWorld, road: Road, ignored: str) -> None:
    world.set(ignoredErrors=ignored or ".")
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))

    result = road.give_back(world, sold)

    assert (result.status, result.message, result.error_code) == (
        ReversalStatus.QUEUED,
        world.text(Text.REVERSAL_QUEUED),
        -31800,
    )
    assert (result.slips, result.cancellation_queued) == ((), True)
    is_queued(world, road)


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
    world: HookedWorld, road: Road, kind: FaultKind
) -> None:
    sold = road.sell(world)
    world.paymego.befall(kind, CANCEL)

    result = road.give_back(world, sold)

    assert (result.status, result.message, result.slips) == (
        ReversalStatus.QUEUED,
        world.text(Text.REVERSAL_QUEUED),
        (),
    )
    assert world.plain_slips.made[1:] == []
    is_queued(world, road)
    world.work(30)
    assert (world.row().state, world.live()) == (PaymentState.REVERSED, [])
    assert (world.paymego.state(sold.receipt_id), world.paymego.held()) == (50, 0)


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
def test_no_answer_about_something_else_reverses_anything(world: HookedWorld, road: Road, change: object) -> None:
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3600))
    world.paymego.change(CANCEL, change)  # type: ignore[arg-type]

    assert road.give_back(world, sold).status is ReversalStatus.QUEUED
    is_queued(world, road)


def test_50_without_our_requests_id_counts_only_when_the_whole_receipt_repeats_it(
    world: HookedWorld, road: Road
) -> None:
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=0))
    world.paymego.change(CANCEL, without_id())
    turn = len(world.paymego.sent)

    assert road.give_back(world, sold).status is ReversalStatus.REVERSED
    assert methods_since(world, turn)[:3] == ["check", "cancel", "get"]


@pytest.mark.parametrize("stops_after_s", [0, 3, 9])
def test_the_cashiers_stop_is_queued(world: HookedWorld, road: Road, stops_after_s: int) -> None:
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=60))
    if stops_after_s == 0:
        world.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    began = world.clock.monotonic()

    result = road.give_back(world, sold, ui=world.cashier(stops_at=began + stops_after_s))

    assert (result.status, result.slips) == (ReversalStatus.QUEUED, ())
    assert world.clock.monotonic() - began <= stops_after_s + 0.5
    is_queued(world, road)


def test_the_cashier_sees_how_long_it_takes_at_least_twice_a_second(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=6))
    ui = world.cashier()

    road.give_back(world, sold, ui=ui)

    times = [shown.at_s for shown in ui.shown]
    assert len(times) > 12
    assert max(later - earlier for earlier, later in pairwise(times)) <= 0.5
    assert {shown.total_s for shown in ui.shown} == {20.0}
    assert ui.shown[0].text == world.text(Text.PROGRESS_REVERSING, left_s=20)
    assert ui.prompts == []


def test_a_server_that_is_down_for_the_whole_pay_duration_is_queued_and_delivered_when_it_is_back(
    world: HookedWorld, road: Road
) -> None:
    sold = road.sell(world)
    world.paymego.passage = lambda _: Passage(connects=False)
    began, turn = world.clock.monotonic(), len(world.paymego.sent)

    result = road.give_back(world, sold)

    assert (result.status, result.message, result.slips) == (
        ReversalStatus.QUEUED,
        world.text(Text.REVERSAL_QUEUED),
        (),
    )
    assert world.clock.monotonic() - began == pytest.approx(20, abs=0.1)
    assert methods_since(world, turn) == []
    is_queued(world, road)
    world.work(600)
    assert world.row().state is PaymentState.REVERSING
    world.paymego.passage = lambda _: Passage()
    world.work(2000)
    assert (world.row().state, world.paymego.state(sold.receipt_id)) == (PaymentState.REVERSED, 50)


def test_a_state_that_can_not_be_known_is_asked_for_until_it_is(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.befall(FaultKind.ERROR, CHECK, times=3)

    assert road.give_back(world, sold).status is ReversalStatus.REVERSED
    assert world.paymego.count(CANCEL) == 1


def test_the_request_names_the_receipt_alone_and_never_an_amount(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(turns_back_after_s=4))

    road.give_back(world, sold)
    world.work(60)

    cancels = [sent.params for sent in world.paymego.sent if sent.method == CANCEL]
    assert len(cancels) == 2
    assert all(params == {"id": sold.receipt_id} for params in cancels)


def test_without_the_key_of_the_payments_account_it_is_queued_without_a_request(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.set(posId="0" * 24)
    turn = len(world.paymego.sent)

    result = road.give_back(world, sold)

    assert (result.status, result.message) == (ReversalStatus.QUEUED, world.text(Text.REVERSAL_QUEUED))
    assert (result.slips, result.cancellation_queued) == ((), True)
    is_queued(world, road)
    world.work(2000)
    assert methods_since(world, turn) == []
    world.set()
    world.work(2000)
    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


def test_21_that_turns_back_into_4_is_queued_and_cancelled_again_by_the_worker(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(turns_back_after_s=3))

    result = road.give_back(world, sold)
    assert result.status is ReversalStatus.QUEUED
    assert world.paymego.state(sold.receipt_id) == 4

    world.work(60)
    assert (world.row().state, world.paymego.held()) == (PaymentState.REVERSED, 0)


@pytest.mark.parametrize("limits", [(5, 20_000), (15, 4_000), (5, 0)], ids=str)
@pytest.mark.parametrize("silent", [CHECK, CANCEL, GET, None])
@pytest.mark.parametrize("settles_s", [0.5, 3600.0])
def test_it_is_over_within_the_time_of_the_contract(
    world: HookedWorld, road: Road, limits: tuple[int, int], silent: str | None, settles_s: float
) -> None:
    timeout, duration = limits
    sold = road.sell(world)
    world.set(timeout=timeout, payDuration=max(duration, 1), frequency=900)
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=settles_s))
    world.paymego.befall(FaultKind.SILENT, silent, times=None)
    began = world.clock.monotonic()

    road.give_back(world, sold)

    assert world.clock.monotonic() - began <= max(duration / 1000, timeout) + timeout + 1


def test_a_wall_clock_that_jumps_changes_nothing(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    hour_ms = 3_600_000
    ui = world.cashier()
    jumps = iter([5 * hour_ms, -9 * hour_ms, 2 * hour_ms] * 10)
    ui.hand = lambda _: world.clock.set_wall(next(jumps))
    world.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=5))

    assert road.give_back(world, sold, ui=ui).status is ReversalStatus.REVERSED
    assert world.clock.monotonic() < 8


def test_a_payment_of_ours_stays_ours_whatever_the_tenders_number_says_today(world: HookedWorld, road: Road) -> None:
    sold = road.sell(world)
    world.set(paymentType=12)

    assert road.give_back(world, sold).status is ReversalStatus.REVERSED
