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


def methods_of_one_step(till: HookedWorld) -> list[str]:
    turn = len(till.paymego.sent)
    till.work()
    return till.paymego.methods[turn:]


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
def test_the_state_decides_what_a_step_asks_for(till: HookedWorld, state: int, methods: list[str]) -> None:
    owe_paid(till)
    till.paymego.change(CHECK, result({"state": state}))

    assert methods_of_one_step(till) == methods
    assert (till.live() == []) is (state == 50)


def test_a_cancel_is_counted_before_it_leaves(till: HookedWorld) -> None:
    # A hook takes back a row for which no cancel is on its way but its own: it goes by this count.
    before = owe_refund(till).attempts
    counted: list[int] = []

    def passage(method: str) -> Passage:
        if method == CANCEL:
            counted.append(till.live()[0].attempts)
        return Passage()

    till.paymego.passage = passage
    till.work(5)

    assert counted == [before + 1]


def test_50_ends_it_and_a_reversing_payment_is_reversed_in_the_same_commit(till: HookedWorld) -> None:
    row = owe_refund(till)
    till.paymego.bank.put_state(till.paymego.now_ms, row.receipt_id, 50)
    commits: list[tuple[int, str]] = []
    processor, merchant = till.background.processor(), till.background.merchants()
    assert merchant is not None
    processor.journal.after = lambda _: commits.append((len(till.live()), till.row().state.value))  # type: ignore[attr-defined]

    processor.step(row, merchant, is_recorded=None)

    assert commits == [(0, "reversed")]
    assert [event.text for event in till.events()][-2:] == [
        "cancellation: Payme says cancelled (50)",
        "Payme says cancelled (50)",
    ]


def test_a_payment_without_its_tender_keeps_its_verdict_when_its_money_is_back(till: HookedWorld) -> None:
    owe_paid(till)

    till.work(10)

    assert (till.row().state, till.live()) == (PaymentState.UNKNOWN, [])


def test_a_cancel_of_an_unpaid_receipt_is_done_at_once(till: HookedWorld) -> None:
    till.pay(None)
    (row,) = till.live()

    till.work()

    assert (till.live(), till.paymego.state(row.receipt_id)) == ([], 50)


def test_21_is_asked_for_again_and_not_cancelled_again(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=60))

    till.work(200)

    assert (till.live(), till.paymego.count(CANCEL)) == ([], 1)


def test_21_that_turns_back_into_4_is_cancelled_again(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(turns_back_after_s=5))

    till.work(200)

    assert (till.live(), till.paymego.count(CANCEL)) == ([], 2)
    assert till.paymego.held() == 0


def test_a_refusal_never_ends_it(till: HookedWorld) -> None:
    till.set(ignoredErrors="-31800")
    row = owe_paid(till)
    till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(refused_with=-31800))

    till.work(DAY_S)

    (live,) = till.live()
    assert live.last_error == "receipts.cancel: error -31800"
    told = [event.text for event in till.events()]
    assert told.count("request receipts.cancel") == 1, "a refusal that repeats itself is told once"
    assert told.index("request receipts.cancel") < told.index("receipts.cancel: error -31800")
    till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan())
    till.work(2000)
    assert (till.live(), till.paymego.held()) == ([], 0)


@pytest.mark.parametrize(
    "change",
    [
        result({}), result({"state": "50"}), result({"state": 50.0}), result({"state": True}), result([]), body(b"50"),
        without_id(result({"state": 50})),
    ],
    ids=range(7),
)  # fmt: skip
def test_no_answer_that_is_unclear_or_not_bound_to_our_receipt_ends_it(
    till: HookedWorld, change: Callable[..., object]
) -> None:
    owe_paid(till)
    till.paymego.change(CHECK, change)  # type: ignore[arg-type]

    assert CANCEL not in methods_of_one_step(till)
    assert len(till.live()) == 1


def test_50_of_another_receipt_does_not_end_it(till: HookedWorld) -> None:
    owe_paid(till)
    till.paymego.change(CANCEL, with_receipt(_id="0" * 24, state=50))

    till.work()

    assert len(till.live()) == 1


@pytest.mark.parametrize("method", [CHECK, CANCEL])
@pytest.mark.parametrize(
    "kind",
    [FaultKind.REQUEST_LOST, FaultKind.ANSWER_LOST, FaultKind.SILENT, FaultKind.SILENT_AFTER_EFFECT, FaultKind.HTML,
     FaultKind.HTTP_ERROR_AFTER_EFFECT, FaultKind.ERROR, FaultKind.ERROR_AFTER_EFFECT, FaultKind.FOREIGN_ID],
    ids=lambda kind: kind.value,
)  # fmt: skip
def test_whatever_goes_wrong_the_money_is_back_in_the_end_and_once(
    till: HookedWorld, method: str, kind: FaultKind
) -> None:
    row = owe_paid(till)
    till.paymego.befall(kind, method, times=3)

    till.work(120)

    assert (till.live(), till.paymego.state(row.receipt_id)) == ([], 50)
    movements = [each.amount for each in till.paymego.bank.movements(till.paymego.now_ms)]
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


def _tries(till: HookedWorld) -> list[float]:
    return [heard.at_s for heard in till.paymego.heard if heard.method == CHECK]


def test_a_server_that_is_down_is_tried_for_ever_with_growing_pauses(till: HookedWorld) -> None:
    owe_paid(till)
    till.paymego.passage = lambda _: Passage(connects=False)
    before = len(_tries(till))

    till.work(3 * DAY_S)

    pauses = [later - earlier for earlier, later in pairwise(_tries(till)[before:])]
    assert 0.9 <= pauses[0] <= 1.6
    assert all(later >= earlier - 0.6 for earlier, later in pairwise(pauses))
    assert all(899 <= pause <= 901 for pause in pauses[11:])
    assert len(pauses) > 3 * DAY_S / 900 - 5
    assert len(till.live()) == 1


def test_rows_do_not_come_due_together(till: HookedWorld) -> None:
    for number in range(1, 6):
        owe_refund(till, f"p{number}", number)
    drawn = iter([0.0, 0.25, 0.5, 0.75, 1.0] * 3)
    till.jitter = lambda: next(drawn)
    till.paymego.passage = lambda _: Passage(connects=False)

    till.work()

    assert len({row.due_at - till.clock.wall_ms() for row in till.journal.live_cancellations()}) == 5


@pytest.mark.parametrize("jump_s", [-10 * 365 * DAY_S, -DAY_S, -3700, 3700, DAY_S, 10 * 365 * DAY_S])
def test_a_wall_clock_that_jumps_holds_nothing_up(till: HookedWorld, jump_s: int) -> None:
    owe_paid(till)
    till.paymego.befall(FaultKind.ERROR, CANCEL, times=4)
    till.work(5)
    till.clock.set_wall(jump_s * 1000)

    till.work(60)

    assert till.live() == []


def test_the_last_error_and_the_attempts_are_told(till: HookedWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "payme")
    row = owe_refund(till)
    till.paymego.befall(FaultKind.ERROR, CANCEL, times=2, error_code=-31007)

    till.work(1.5)

    (live,) = till.live()
    assert (live.attempts, live.last_error) == (2, "receipts.cancel: error -31007")
    assert f"cancellation {row.cancellation_id} of payment p1: receipts.cancel: error -31007" in caplog.text
    told = [event.text for event in till.events() if event.text == "cancellation: receipts.cancel: error -31007"]
    assert len(told) == 1


def test_no_step_leaves_with_the_key_of_another_kassa(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.set(posId="0" * 24)
    sent = len(till.paymego.sent)

    till.work(300)

    assert len(till.paymego.sent) == sent
    assert f"the settings hold no key of merchant account {row.pos_id}" in till.live()[0].last_error
    till.set()
    till.work(1000)
    assert till.live() == []


def test_the_row_of_a_payment_that_the_till_has_is_never_carried_out_while_it_says_so(till: HookedWorld) -> None:
    owe_paid(till)
    till.host.recorded["p1"] = True
    till.work(DAY_S)
    assert till.paymego.count(CANCEL) == 0
    assert till.live()[0].last_error == "the till says that it has this payment"

    till.host.recorded["p1"] = False
    till.work(2000)
    assert (till.live(), till.paymego.held()) == ([], 0)


@pytest.mark.parametrize("recorded", [False, None])
def test_a_till_that_does_not_have_it_or_can_not_tell_holds_nothing_up(
    till: HookedWorld, recorded: bool | None
) -> None:
    owe(till)
    till.host.recorded["p1"] = recorded

    till.work(20)

    assert till.live() == []


def test_the_tills_own_cancel_or_refund_is_carried_out_whatever_it_says_it_has(till: HookedWorld) -> None:
    owe_refund(till)
    till.host.recorded["p1"] = True

    till.work(20)

    assert (till.live(), till.paymego.held()) == ([], 0)
