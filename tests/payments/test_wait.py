"""The wait for the buyer, to the second: when the state is asked, what decides, the cashier's stop, and the progress.

A request takes 0.01 s there and 0.01 s back. ``create`` is sent at 0, ``pay`` at 0.02, and the first check at 0.04.
"""

from __future__ import annotations

from contextlib import closing
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fakes.answer_changes import error, result, spoil
from fakes.paymego import Passage
from fakes.till import STALE
from fakes.world import World
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import Cause
from payme_plugin.sandbox import Behaviour, BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.paymego import Change

CREATE, PAY, CHECK, GET = "receipts.create", "receipts.pay", "receipts.check", "receipts.get"
PAID_AT = 0.02
NOT_DECISIVE: list[object] = [0, 1, 3, 5, 20, 30, 77, -4, None, "4", 4.0, True, [4], {}]
TEN_YEARS_MS = 10 * 365 * 86_400_000


# ---------------------------------------------------------------------------------------------------------------------
# When the state is asked
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("duration_ms", "frequency_ms", "pay_back_s", "times"),
    [
        (2_000, 500, 0.01, [0.04, 0.54, 1.04, 1.54, 2.02]),
        (10_000, 3_000, 0.01, [0.04, 3.04, 6.04, 9.04, 10.02]),
        (1_000, 10_000, 0.01, [0.04, 1.02]),
        (100, 30, 0.01, [0.04, 0.07, 0.10, 0.12]),
        (1_000, 500, 3, [PAID_AT + 3.01]),
    ],
)
def test_the_state_is_asked_at_once_every_frequency_and_once_more_at_the_end(
    world: World, duration_ms: int, frequency_ms: int, pay_back_s: float, times: list[float]
) -> None:
    world.set(payDuration=duration_ms, frequency=frequency_ms)
    world.paymego.passage = lambda method: Passage(back_s=pay_back_s if method == PAY else 0.01)

    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert outcome.status is PaymentStatus.UNKNOWN
    assert world.paymego.times_of(CHECK) == pytest.approx(times)


@pytest.mark.parametrize(
    ("duration_ms", "frequency_ms", "times"),
    [
        (20_000, 10_000, [0.04, 0.54, 1.54, 3.54, 7.54, 10.04, 20.02]),
        (8_000, 3_500, [0.04, 0.54, 1.54, 3.54, 7.04, 8.02]),
        (1_000, 500, [0.04, 0.54, 1.02]),
    ],
)
def test_with_early_polling_it_is_also_asked_before_the_first_frequency_is_over(
    world: World, duration_ms: int, frequency_ms: int, times: list[float]
) -> None:
    world.set(payDuration=duration_ms, frequency=frequency_ms, earlyPolling=1)

    world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert world.paymego.times_of(CHECK) == pytest.approx(times)


@settings(max_examples=40)
@given(
    buyer=st.builds(
        Behaviour, st.sampled_from([BuyerAction.CONFIRMS, BuyerAction.DECLINES]), after_s=st.floats(0.01, 45)
    ),
    back_s=st.floats(0.01, 4.9),
    duration_ms=st.integers(1_000, 40_000),
)
@example(buyer=Behaviour(BuyerAction.CONFIRMS, after_s=13), back_s=3, duration_ms=40_000)
def test_early_polling_ends_a_payment_at_most_an_answer_later_and_sends_at_most_five_requests_more(
    tmp_path_factory: pytest.TempPathFactory, buyer: Behaviour, back_s: float, duration_ms: int
) -> None:
    ended_at, sent = [], []
    for early in (0, 1):
        folder = tmp_path_factory.mktemp("polling")
        with closing(World(folder, frequency=10_000, payDuration=duration_ms, earlyPolling=early)) as world:
            world.paymego.passage = lambda _: Passage(back_s=back_s)
            world.pay(world.paymego.bank.issue_code(world.paymego.now_ms, buyer))
            ended_at.append(world.clock.monotonic())
            sent.append(len(world.paymego.sent))

    assert ended_at[1] <= ended_at[0] + back_s
    assert sent[1] <= sent[0] + 5


def test_the_clock_starts_when_the_first_pay_is_sent_and_another_scan_starts_no_new_one(world: World) -> None:
    ui = world.cashier(STALE, world.paymego.code(BuyerAction.NEVER_ANSWERS), takes_s=6)

    world.pay(ui=ui)

    first_pay, second_pay = world.paymego.times_of(PAY)
    assert (first_pay, second_pay > first_pay + 6) == (6, True)
    assert world.paymego.times_of(CHECK)[-1] == pytest.approx(first_pay + 20)
    assert world.clock.monotonic() == pytest.approx(first_pay + 20.02)


def test_a_poll_under_way_at_the_end_makes_room_for_the_last_one(world: World) -> None:
    world.set(payDuration=3_000, frequency=2_000)
    world.paymego.passage = lambda method: Passage(back_s=60 if method == CHECK else 0.01)

    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert outcome.status is PaymentStatus.UNKNOWN
    assert world.paymego.times_of(CHECK) == pytest.approx([0.04, PAID_AT + 3])
    assert [heard.at_s for heard in world.paymego.heard if heard.method == CHECK] == pytest.approx([3.02, 8.02])


def test_a_second_pay_just_before_the_end_leaves_the_last_poll_a_timeout_of_its_own(world: World) -> None:
    world.paymego.passage = lambda method: Passage(back_s=1 if method == CHECK else 0.01)
    world.paymego.inject_fault(FaultKind.SILENT_AFTER_EFFECT, PAY, skip=1)

    outcome = world.pay(ui=world.cashier(STALE, world.paymego.code, takes_s=18.5))

    first_pay, second_pay = world.paymego.times_of(PAY)
    assert 19 < second_pay - first_pay < 20
    assert world.paymego.times_of(CHECK)[1:] == pytest.approx([first_pay + 20])
    assert (outcome.status, world.live()) == (PaymentStatus.PAID, [])


def test_answers_slower_than_frequency_skip_their_turns_instead_of_piling_up(world: World) -> None:
    world.set(frequency=1_000)
    world.paymego.passage = lambda method: Passage(back_s=2.49 if method == CHECK else 0.01)

    world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert world.paymego.times_of(CHECK) == pytest.approx([0.04, 3.04, 6.04, 9.04, 12.04, 15.04, 18.04, 20.02])


@pytest.mark.parametrize("by_ms", [-TEN_YEARS_MS, TEN_YEARS_MS])
@pytest.mark.parametrize("at_s", [0.005, 5], ids=["beside the scan", "during the wait"])
def test_a_wall_clock_that_jumps_changes_nothing(world: World, at_s: float, by_ms: int) -> None:
    world.clock.at(at_s, lambda: world.clock.set_wall(by_ms))
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    outcome = world.pay(ui=ui)

    assert (outcome.status, len(ui.prompts)) == (PaymentStatus.UNKNOWN, 1)
    assert world.clock.monotonic() == pytest.approx(PAID_AT + 20.02)


# ---------------------------------------------------------------------------------------------------------------------
# What decides
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after_s", [0.5, 1.99, 2.0, 19.99])
def test_a_buyer_who_confirms_in_time_has_paid(world: World, after_s: float) -> None:
    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=after_s))

    assert (outcome.status, world.live(), world.paymego.held()) == (PaymentStatus.PAID, [], 1_500_000)


@pytest.mark.parametrize("after_s", [20.05, 300.0])
def test_a_buyer_who_confirms_too_late_is_unknown_with_a_cancellation(world: World, after_s: float) -> None:
    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=after_s))

    assert (outcome.status, outcome.message) == (PaymentStatus.UNKNOWN, world.text(Text.PAYMENT_UNKNOWN))
    assert (outcome.cancellation_queued, world.path_of()[-1]) == (True, "unknown")
    (row,) = world.live()
    assert (row.cause, row.pos_id) == (Cause.UNRECORDED, world.settings.pos_id)
    assert (row.url, row.amount) == (world.settings.url, 1_500_000)
    assert set(world.paymego.methods[2:]) == {"check"}


@pytest.mark.parametrize(
    ("state", "text"), [(50, Text.PAYMENT_CANCELLED_BY_PAYME), (21, Text.PAYMENT_RETURNING)], ids=["50", "21"]
)
def test_50_and_21_are_refused_and_a_cancellation_follows_them(world: World, state: int, text: Text) -> None:
    world.paymego.change(CHECK, result({"state": state}), skip=2)

    outcome = world.pay(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    assert (outcome.status, outcome.message) == (PaymentStatus.REFUSED, world.text(text))
    assert (outcome.cancellation_queued, len(world.live())) == (True, 1)
    assert (world.paymego.count(CHECK), world.paymego.count(GET)) == (3, 0)


@pytest.mark.parametrize(
    "change",
    [
        *(result({"state": state}) for state in NOT_DECISIVE),
        *(error(code) for code in (-31602, -31630, -31400, -32504, -31999)),
    ],
)
def test_another_state_an_invalid_state_and_an_error_decide_nothing(world: World, change: Change) -> None:
    world.set(ignoredErrors=-31630)
    world.paymego.change(CHECK, change, times=3)

    outcome = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1))

    assert (outcome.status, outcome.error_code, world.paymego.count(CHECK)) == (PaymentStatus.PAID, None, 4)


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.FOREIGN_RECEIPT])
def test_one_faulty_answer_to_check_is_survived(world: World, kind: FaultKind) -> None:
    spoil(world.paymego, CHECK, kind)

    assert world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=1)).status is PaymentStatus.PAID


# ---------------------------------------------------------------------------------------------------------------------
# The cashier stops: before a pay nothing is charged, after it one check decides
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scans", "path"),
    [([None], ["intent", "aborted"]), ([STALE, None], ["intent", "paying", "created", "aborted"])],
    ids=["at once", "after a stale code"],
)
def test_a_stop_at_the_scan_charges_nothing_and_its_receipt_is_cancelled(
    world: World, scans: list[object], path: list[str]
) -> None:
    outcome = world.pay(*scans)

    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert outcome.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    assert (world.path_of(), world.paymego.count(PAY)) == (path, len(scans) - 1)
    assert [row.receipt_id for row in world.live()] == [world.row().receipt_id]


def test_a_stop_at_the_scan_while_the_receipt_never_comes_leaves_nothing(world: World) -> None:
    world.paymego.inject_fault(FaultKind.SILENT, CREATE, times=None)

    outcome = world.pay(None)

    assert (outcome.status, outcome.receipt_id, world.live()) == (PaymentStatus.ABORTED, None, [])
    assert world.paymego.methods == ["create"]


@pytest.mark.parametrize(("back_s", "thinks_s"), [(4.5, 0), (1, 1)], ids=["before its answer", "as its answer comes"])
def test_a_stop_while_the_receipt_is_made_ends_at_once_without_a_pay(
    world: World, back_s: float, thinks_s: float
) -> None:
    def stop(_: float) -> bool:
        world.clock.sleep(thinks_s)
        return True

    world.paymego.passage = lambda method: Passage(back_s=back_s)
    ui = world.cashier(world.paymego.code())
    ui.on_progress = stop

    outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.ABORTED, thinks_s == 1)
    assert outcome.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    assert (world.paymego.methods, world.path_of()) == (["create"], ["intent", "aborted"])
    assert world.clock.monotonic() < 2


@pytest.mark.parametrize("scans", [1, 2])
def test_a_stop_between_the_scan_and_pay_sends_no_pay(world: World, scans: int) -> None:
    """The cashier is asked once more before each ``pay``, even if the plugin waits for nothing."""
    codes = [STALE, world.paymego.code()][-scans:]
    ui = world.cashier(*codes)
    ui.on_progress = lambda _: len(ui.prompts) == scans

    outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert outcome.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    assert (len(ui.prompts), world.paymego.count(PAY)) == (scans, scans - 1)
    assert not world.journal.was_sent(world.journal.fingerprint(codes[-1]))


@pytest.mark.parametrize(
    ("there_s", "status", "text"),
    [(1, PaymentStatus.PAID, Text.PAYMENT_PAID), (3, PaymentStatus.ABORTED, Text.PAYMENT_ABORTED)],
    ids=["charged before it", "charged after it"],
)
def test_a_stop_while_pay_is_under_way_is_followed_by_one_check_and_any_late_charge_by_a_cancellation(
    world: World, there_s: float, status: PaymentStatus, text: Text
) -> None:
    world.paymego.passage = lambda method: Passage(there_s=there_s, back_s=3) if method == PAY else Passage()
    ui = world.cashier(world.paymego.code(), stops_at=2)

    outcome = world.pay(ui=ui)
    world.clock.sleep(5)

    is_aborted = status is PaymentStatus.ABORTED
    assert (outcome.status, outcome.message, outcome.cancellation_queued) == (status, world.text(text), is_aborted)
    assert (world.paymego.count(CHECK), world.paymego.held(), len(world.live())) == (1, 1_500_000, int(is_aborted))


def test_a_stop_before_pay_is_sent_is_a_stop_not_a_fault_of_the_network_and_releases_the_code(world: World) -> None:
    code = world.paymego.code()
    world.paymego.passage = lambda method: Passage(connect_s=4 if method == PAY else 0)
    ui = world.cashier(code, stops_at=2)

    outcome = world.pay(ui=ui)
    world.clock.sleep(10)

    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert outcome.message == world.text(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    assert world.paymego.count(PAY) == 0
    assert not world.journal.was_sent(world.journal.fingerprint(code))


@pytest.mark.parametrize("stops_at", [0.5, 3.3, 19.5])
def test_a_stop_while_the_buyer_is_waited_for_is_followed_by_one_check(world: World, stops_at: float) -> None:
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS), stops_at=stops_at)

    outcome = world.pay(ui=ui)

    assert (outcome.status, outcome.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert outcome.message == world.text(Text.PAYMENT_ABORTED)
    (asked_at,) = [at for at in world.paymego.times_of(CHECK) if at >= stops_at]
    assert asked_at <= stops_at + 0.5
    assert len(world.live()) == 1


def test_a_stop_while_a_check_is_under_way_ends_that_and_asks_once_more(world: World) -> None:
    world.paymego.inject_fault(FaultKind.SILENT, CHECK)
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS), stops_at=2)

    outcome = world.pay(ui=ui)

    assert (outcome.status, world.paymego.count(CHECK)) == (PaymentStatus.ABORTED, 2)
    assert world.clock.monotonic() < 3


def test_the_check_after_a_stop_is_waited_for_and_4_is_paid(world: World) -> None:
    world.paymego.passage = lambda method: Passage(
        back_s=4 if method == CHECK and world.clock.monotonic() > 2 else 0.01
    )
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3.9), stops_at=4)

    outcome = world.pay(ui=ui)

    assert (outcome.status, world.live()) == (PaymentStatus.PAID, [])


@pytest.mark.parametrize(
    "fault",
    [
        FaultKind.SILENT,
        FaultKind.ANSWER_LOST,
        FaultKind.ERROR,
        FaultKind.FOREIGN_ID,
        *(result({"state": state}) for state in (0, 1, 3, 21, 50, 77)),
    ],
)
def test_after_a_stop_any_other_answer_is_aborted_with_a_cancellation(world: World, fault: FaultKind | Change) -> None:
    spoil(world.paymego, CHECK, fault, skip=1)
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=0.5), stops_at=1)

    outcome = world.pay(ui=ui)

    assert (outcome.status, len(world.live()), world.paymego.count(CHECK)) == (PaymentStatus.ABORTED, 1, 2)


@pytest.mark.parametrize("thinks_s", [0, 4], ids=["before its answer", "as its answer comes"])
def test_a_stop_while_a_stale_code_is_asked_after_sends_and_asks_for_no_other(world: World, thinks_s: float) -> None:
    def stop(now_s: float) -> bool:
        is_asked = world.paymego.count(CHECK) == 1 and now_s >= 0.2
        world.clock.sleep(thinks_s if is_asked else 0)
        return is_asked

    world.paymego.passage = lambda method: Passage(back_s=4) if method == CHECK else Passage()
    ui = world.cashier(STALE, world.paymego.code())
    ui.on_progress = stop

    outcome = world.pay(ui=ui)

    assert outcome.status is PaymentStatus.REFUSED
    assert (len(ui.prompts), world.paymego.count(PAY), len(world.live())) == (1, 1, 1)


def test_a_stop_while_the_slip_is_completed_takes_nothing_back(world: World) -> None:
    world.paymego.passage = lambda method: Passage(back_s=4) if method == GET else Passage()
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=1), stops_at=2.5)

    outcome = world.pay(ui=ui)

    assert (outcome.status, len(outcome.slips)) == (PaymentStatus.PAID, 1)


@pytest.mark.parametrize("answer", [None, 1, "yes", []])
def test_only_true_stops(world: World, answer: object) -> None:
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))
    ui.on_progress = lambda _: answer

    assert world.pay(ui=ui).status is PaymentStatus.PAID


# ---------------------------------------------------------------------------------------------------------------------
# What the cashier sees
# ---------------------------------------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(back_s=st.floats(0.01, 4), frequency_ms=st.integers(50, 5_000), duration_ms=st.integers(1, 8_000))
def test_progress_is_shown_twice_a_second_however_many_short_waits_follow_each_other(
    tmp_path_factory: pytest.TempPathFactory, back_s: float, frequency_ms: int, duration_ms: int
) -> None:
    folder = tmp_path_factory.mktemp("progress")
    with closing(World(folder, frequency=frequency_ms, payDuration=duration_ms)) as world:
        world.paymego.passage = lambda _: Passage(back_s=back_s)
        ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))

        world.pay(ui=ui)

        moments = [ui.scanned_at[-1], *(shown.at_s for shown in ui.shown), world.clock.monotonic()]
        assert max(after - before for before, after in pairwise(moments)) <= 0.5


def test_progress_shows_the_text_the_elapsed_and_the_total_time(world: World) -> None:
    world.paymego.passage = lambda method: Passage(back_s=1)
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    world.pay(ui=ui)

    (paid_at,) = world.paymego.times_of(PAY)
    assert ui.shown[-1].at_s > paid_at + 20
    for shown in ui.shown:
        assert shown.elapsed_s == pytest.approx(min(20, max(0, shown.at_s - paid_at)))
        assert shown.total_s == 20
    texts = [shown.text for shown in ui.shown]
    assert texts[0] == world.text(Text.PROGRESS_CREATING)
    assert world.text(Text.PROGRESS_PAYING) in texts
    assert world.text(Text.PROGRESS_WAITING_FOR_BUYER, left_s=10) in texts
    assert texts[-1] == world.text(Text.PROGRESS_WAITING_FOR_BUYER, left_s=0)
