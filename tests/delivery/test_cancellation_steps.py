"""Guarantee 5 of docs/architecture.md: the steps of a cancellation, and its pauses that grow from 1 s to 15 min."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes.answer_changes import body, result, with_receipt, without_id
from fakes.owed_money import owe, owe_paid, owe_refund
from fakes.paymego import Passage
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.cancellation import pause_ms
from payme_plugin.sandbox import CancelPlan, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld

CANCEL, CHECK, GET = "receipts.cancel", "receipts.check", "receipts.get"
DAY_S = 86_400


def methods_of_one_step(world: HookedWorld) -> list[str]:
    turn = len(world.paymego.sent)
    world.work()
    return world.paymego.methods[turn:]


@pytest.mark.parametrize(
    ("state", "methods"),
    [
        (50, ["check"]),
        (0, ["check", "cancel"]),
        (4, ["check", "cancel"]),
        (5, ["check", "cancel"]),
        (1, ["check", "cancel", "check"]),
        (2, ["check", "cancel", "check"]),
        (3, ["check", "cancel", "check"]),
        (6, ["check", "cancel", "check"]),
        (20, ["check", "cancel", "check"]),
        (30, ["check", "cancel", "check"]),
        (21, ["check"]),
        (7, ["check"]),
        (-1, ["check"]),
        (77, ["check"]),
    ],
)
def test_the_state_decides_what_a_step_asks_for(world: HookedWorld, state: int, methods: list[str]) -> None:
    owe_paid(world)
    world.paymego.change(CHECK, result({"state": state}))

    assert methods_of_one_step(world) == methods
    assert (world.live() == []) is (state == 50)


def test_a_cancel_is_counted_before_it_leaves(world: HookedWorld) -> None:
    # A hook takes back a row for which no cancel is on its way but its own: it goes by this count.
    before = owe_refund(world).attempts
    counted: list[int] = []

    def passage(method: str) -> Passage:
        if method == CANCEL:
            counted.append(world.live()[0].attempts)
        return Passage()

    world.paymego.passage = passage
    world.work(5)

    assert counted == [before + 1]


def test_50_ends_it_and_a_reversing_payment_is_reversed_in_the_same_commit(world: HookedWorld) -> None:
    row = owe_refund(world)
    world.paymego.bank.put_state(world.paymego.now_ms, row.receipt_id, 50)
    commits: list[tuple[int, str]] = []
    processor, merchant = world.background.processor(), world.background.merchants()
    assert merchant is not None
    processor.journal.after = lambda _: commits.append((len(world.live()), world.row().state.value))  # type: ignore[attr-defined]

    processor.step(row, merchant, is_recorded=None)

    assert commits == [(0, "reversed")]
    assert [event.text for event in world.events()][-2:] == [
        "cancellation: Payme says cancelled (50)",
        "Payme says cancelled (50)",
    ]


def test_a_payment_without_its_tender_keeps_its_verdict_when_its_money_is_back(world: HookedWorld) -> None:
    owe_paid(world)

    world.work(10)

    assert (world.row().state, world.live()) == (PaymentState.UNKNOWN, [])


def test_a_cancel_of_an_unpaid_receipt_is_done_at_once(world: HookedWorld) -> None:
    world.pay(None)
    (row,) = world.live()

    world.work()

    assert (world.live(), world.paymego.state(row.receipt_id)) == ([], 50)


def test_21_is_asked_for_again_and_not_cancelled_again(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=60))

    world.work(200)

    assert (world.live(), world.paymego.count(CANCEL)) == ([], 1)


def test_21_that_turns_back_into_4_is_cancelled_again(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(turns_back_after_s=5))

    world.work(200)

    assert (world.live(), world.paymego.count(CANCEL)) == ([], 2)
    assert world.paymego.held() == 0


def test_a_refusal_never_ends_it(world: HookedWorld) -> None:
    world.set(ignoredErrors="-31800")
    row = owe_paid(world)
    world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(refused_with=-31800))

    world.work(DAY_S)

    (live,) = world.live()
    assert live.last_error == "receipts.cancel: error -31800"
    told = [event.text for event in world.events()]
    assert told.count("request receipts.cancel") == 1, "a refusal that repeats itself is told once"
    assert told.index("request receipts.cancel") < told.index("receipts.cancel: error -31800")
    world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan())
    world.work(2000)
    assert (world.live(), world.paymego.held()) == ([], 0)


@pytest.mark.parametrize(
    "change",
    [
        result({}), result({"state": "50"}), result({"state": 50.0}), result({"state": True}), result([]), body(b"50"),
        without_id(result({"state": 50})),
    ],
    ids=range(7),
)  # fmt: skip
def test_no_answer_that_is_unclear_or_not_bound_to_our_receipt_ends_it(
    world: HookedWorld, change: Callable[..., object]
) -> None:
    owe_paid(world)
    world.paymego.change(CHECK, change)  # type: ignore[arg-type]

    assert CANCEL not in methods_of_one_step(world)
    assert len(world.live()) == 1


def test_50_of_another_receipt_does_not_end_it(world: HookedWorld) -> None:
    owe_paid(world)
    world.paymego.change(CANCEL, with_receipt(_id="0" * 24, state=50))

    world.work()

    assert len(world.live()) == 1


@pytest.mark.parametrize("method", [CHECK, CANCEL])
@pytest.mark.parametrize(
    "kind",
    [FaultKind.REQUEST_LOST, FaultKind.ANSWER_LOST, FaultKind.SILENT, FaultKind.SILENT_AFTER_EFFECT, FaultKind.HTML,
     FaultKind.HTTP_ERROR_AFTER_EFFECT, FaultKind.ERROR, FaultKind.ERROR_AFTER_EFFECT, FaultKind.FOREIGN_ID],
    ids=lambda kind: kind.value,
)  # fmt: skip
def test_whatever_goes_wrong_the_money_is_back_in_the_end_and_once(
    world: HookedWorld, method: str, kind: FaultKind
) -> None:
    row = owe_paid(world)
    world.paymego.befall(kind, method, times=3)

    world.work(120)

    assert (world.live(), world.paymego.state(row.receipt_id)) == ([], 50)
    movements = [each.amount for each in world.paymego.bank.movements(world.paymego.now_ms)]
    assert movements == [row.amount, -row.amount]


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_a_pause_is_from_half_a_second_to_fifteen_minutes(attempts: int, jitter: float) -> None:
    assert 500 <= pause_ms(attempts, jitter) <= 900_000


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_pauses_grow_and_the_jitter_takes_off_half_at_most(attempts: int, jitter: float) -> None:
    assert pause_ms(attempts, jitter) <= pause_ms(attempts + 1, jitter)
    assert pause_ms(attempts, 0.0) / 2 - 1 <= pause_ms(attempts, jitter) <= pause_ms(attempts, 0.0)


def test_the_pauses_are_1_2_4_s_and_so_on_to_15_min() -> None:
    assert [pause_ms(attempts, 0.0) // 1000 for attempts in range(13)] == [
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900,
    ]  # fmt: skip


def _tries(world: HookedWorld) -> list[float]:
    return [heard.at_s for heard in world.paymego.heard if heard.method == CHECK]


def test_a_server_that_is_down_is_tried_for_ever_with_growing_pauses(world: HookedWorld) -> None:
    owe_paid(world)
    world.paymego.passage = lambda _: Passage(connects=False)
    before = len(_tries(world))

    world.work(3 * DAY_S)

    pauses = [later - earlier for earlier, later in pairwise(_tries(world)[before:])]
    assert 0.9 <= pauses[0] <= 1.6
    assert all(later >= earlier - 0.6 for earlier, later in pairwise(pauses))
    assert all(899 <= pause <= 901 for pause in pauses[11:])
    assert len(pauses) > 3 * DAY_S / 900 - 5
    assert len(world.live()) == 1


def test_rows_do_not_come_due_together(world: HookedWorld) -> None:
    for number in range(1, 6):
        owe_refund(world, f"p{number}", number)
    drawn = iter([0.0, 0.25, 0.5, 0.75, 1.0] * 3)
    world.jitter = lambda: next(drawn)
    world.paymego.passage = lambda _: Passage(connects=False)

    world.work()

    assert len({row.due_at - world.clock.wall_ms() for row in world.journal.live_cancellations()}) == 5


@pytest.mark.parametrize("jump_s", [-10 * 365 * DAY_S, -DAY_S, -3700, 3700, DAY_S, 10 * 365 * DAY_S])
def test_a_wall_clock_that_jumps_holds_nothing_up(world: HookedWorld, jump_s: int) -> None:
    owe_paid(world)
    world.paymego.befall(FaultKind.ERROR, CANCEL, times=4)
    world.work(5)
    world.clock.set_wall(jump_s * 1000)

    world.work(60)

    assert world.live() == []


def test_the_last_error_and_the_attempts_are_told(world: HookedWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "payme")
    row = owe_refund(world)
    world.paymego.befall(FaultKind.ERROR, CANCEL, times=2, error_code=-31007)

    world.work(1.5)

    (live,) = world.live()
    assert (live.attempts, live.last_error) == (2, "receipts.cancel: error -31007")
    assert f"cancellation {row.cancellation_id} of payment p1: receipts.cancel: error -31007" in caplog.text
    told = [event.text for event in world.events() if event.text == "cancellation: receipts.cancel: error -31007"]
    assert len(told) == 1


def test_no_step_leaves_with_the_key_of_another_kassa(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.set(posId="0" * 24)
    sent = len(world.paymego.sent)

    world.work(300)

    assert len(world.paymego.sent) == sent
    assert f"the settings hold no key of merchant account {row.pos_id}" in world.live()[0].last_error
    world.set()
    world.work(1000)
    assert world.live() == []


def test_the_row_of_a_payment_that_the_till_has_is_never_carried_out_while_it_says_so(world: HookedWorld) -> None:
    owe_paid(world)
    world.host.recorded["p1"] = True
    world.work(DAY_S)
    assert world.paymego.count(CANCEL) == 0
    assert world.live()[0].last_error == "the till says that it has this payment"

    world.host.recorded["p1"] = False
    world.work(2000)
    assert (world.live(), world.paymego.held()) == ([], 0)


@pytest.mark.parametrize("recorded", [False, None])
def test_a_till_that_does_not_have_it_or_can_not_tell_holds_nothing_up(
    world: HookedWorld, recorded: bool | None
) -> None:
    owe(world)
    world.host.recorded["p1"] = recorded

    world.work(20)

    assert world.live() == []


def test_the_tills_own_cancel_or_refund_is_carried_out_whatever_it_says_it_has(world: HookedWorld) -> None:
    owe_refund(world)
    world.host.recorded["p1"] = True

    world.work(20)

    assert (world.live(), world.paymego.held()) == ([], 0)
