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
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.cancellation import pause_ms
from payme_plugin.sandbox import BuyerAction, CancelPlan, FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld

AMOUNT = 1_500_000
CANCEL, CHECK = "receipts.cancel", "receipts.check"
HOUR_S = 3600


def methods_of_one_step(till: HookedWorld) -> list[str]:
    turn = len(till.paymego.sent)
    till.work()
    return till.paymego.methods[turn:]


def moves(till: HookedWorld) -> list[int]:
    return [each.amount for each in till.paymego.bank.movements(till.paymego.now_ms)]


@pytest.mark.parametrize(
    ("states", "methods"),
    [
        ([50], ["check"]),
        ([0, 4, 5], ["check", "cancel"]),
        ([1, 2, 3, 6, 20, 30], ["check", "cancel", "check"]),
        ([21, 7, -1, 77], ["check"]),
    ],
)
def test_the_state_decides_what_a_step_asks_for(till: HookedWorld, states: list[int], methods: list[str]) -> None:
    for number, state in enumerate(states):
        owe_paid(till, f"p{number}", number + 1)
        till.paymego.change(CHECK, result({"state": state}))

        assert methods_of_one_step(till) == methods
        assert (till.live(f"p{number}") == []) is (state == 50)
        till.paymego.bank.put_state(till.paymego.now_ms, till.row(f"p{number}").receipt_id or "", 50)
        till.work(20)


def test_a_cancel_is_counted_before_it_leaves(till: HookedWorld) -> None:
    # A hook withdraws a row for which no cancel is on its way but its own: it goes by this count.
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
    till.background.processor().journal.after = lambda _: commits.append((len(till.live()), till.row().state.value))  # type: ignore[attr-defined]

    till.step(row)

    assert commits == [(0, "reversed")]
    assert [event.text for event in till.events()][-2:] == [
        "cancellation: Payme says cancelled (50)",
        "Payme says cancelled (50)",
    ]


@pytest.mark.parametrize(
    ("plan", "cancels"), [(CancelPlan(settle_s=60), 1), (CancelPlan(turns_back_after_s=5), 2)], ids=["50", "4 again"]
)
def test_21_is_asked_for_again_and_cancelled_again_only_if_it_turns_back(
    till: HookedWorld, plan: CancelPlan, cancels: int
) -> None:
    row = owe_paid(till)
    till.paymego.bank.plan_cancel(row.receipt_id, plan)

    till.work(200)

    assert (till.live(), till.paymego.count(CANCEL), till.paymego.held()) == ([], cancels, 0)


def test_a_refusal_never_ends_it(till: HookedWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "payme")
    till.set(ignoredErrors="-31800")
    row = owe_paid(till)
    till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(refused_with=-31800))

    till.work(3 * HOUR_S)

    (live,) = till.live()
    assert (live.attempts > 10, live.last_error) == (True, "receipts.cancel: error -31800")
    assert f"cancellation {row.cancellation_id} of payment p1: receipts.cancel: error -31800" in caplog.text
    texts = [event.text for event in till.events()]
    assert texts.count("request receipts.cancel") == 1, "a refusal that repeats itself is stored once"
    assert texts.index("request receipts.cancel") < texts.index("receipts.cancel: error -31800")
    till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan())
    till.work(2000)
    assert (till.live(), till.paymego.held()) == ([], 0)


@pytest.mark.parametrize(
    ("method", "change"),
    [
        (CHECK, result({"state": "50"})), (CHECK, result({"state": 50.0})), (CHECK, result([])), (CHECK, body(b"50")),
        (CHECK, without_id(result({"state": 50}))), (CANCEL, with_receipt(_id="0" * 24, state=50)),
    ],
    ids=["a text", "a fraction", "a list", "no envelope", "no id", "another receipt"],
)  # fmt: skip
def test_no_answer_that_is_unclear_or_not_bound_to_our_receipt_ends_it(
    till: HookedWorld, method: str, change: Callable[..., object]
) -> None:
    owe_paid(till)
    till.paymego.change(method, change)  # type: ignore[arg-type]

    assert (CANCEL.partition(".")[2] in methods_of_one_step(till)) is (method == CANCEL)
    assert len(till.live()) == 1


@pytest.mark.parametrize("method", [CHECK, CANCEL])
@pytest.mark.parametrize(
    "kind",
    [FaultKind.REQUEST_LOST, FaultKind.ANSWER_LOST, FaultKind.SILENT_AFTER_EFFECT, FaultKind.HTML,
     FaultKind.ERROR, FaultKind.ERROR_AFTER_EFFECT, FaultKind.FOREIGN_ID],
    ids=lambda kind: kind.value,
)  # fmt: skip
def test_whatever_goes_wrong_the_money_is_back_in_the_end_and_once(
    till: HookedWorld, method: str, kind: FaultKind
) -> None:
    row = owe_paid(till)
    till.paymego.befall(kind, method, times=3)

    till.work(120)

    assert (till.live(), till.row().state) == ([], PaymentState.UNKNOWN)
    assert (till.paymego.state(row.receipt_id), moves(till)) == (50, [row.amount, -row.amount])


def test_the_pauses_are_1_2_4_s_and_so_on_to_15_min() -> None:
    assert [pause_ms(attempts, 0.0) // 1000 for attempts in range(13)] == [
        1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900,
    ]  # fmt: skip


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_pauses_grow_and_the_jitter_takes_off_half_at_most(attempts: int, jitter: float) -> None:
    assert pause_ms(attempts, jitter) <= pause_ms(attempts + 1, jitter)
    assert (
        500 <= pause_ms(attempts, 0.0) / 2 <= pause_ms(attempts, jitter) + 1 <= pause_ms(attempts, 0.0) + 1 <= 900_001
    )


def test_a_server_that_is_down_is_tried_for_ever_with_growing_pauses(till: HookedWorld) -> None:
    owe_paid(till)
    till.paymego.passage = lambda _: Passage(connects=False)
    before = len(till.paymego.heard)

    till.work(6 * HOUR_S)

    tries = [heard.at_s for heard in till.paymego.heard[before:] if heard.method == CHECK]
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert 0.9 <= pauses[0] <= 1.6
    assert all(later >= earlier - 0.6 for earlier, later in pairwise(pauses))
    assert all(899 <= pause <= 901 for pause in pauses[11:])
    assert len(pauses) > 6 * HOUR_S / 900 + 5
    assert len(till.live()) == 1


def test_rows_do_not_come_due_together(till: HookedWorld) -> None:
    for number in range(1, 6):
        owe_refund(till, f"p{number}", number)
    drawn = iter([0.0, 0.25, 0.5, 0.75, 1.0] * 3)
    till.jitter = lambda: next(drawn)
    till.paymego.passage = lambda _: Passage(connects=False)

    till.work()

    assert len({row.due_at for row in till.journal.live_cancellations()}) == 5


@pytest.mark.parametrize("jump_h", [-87_600, -1, 1, 87_600])
def test_a_wall_clock_that_jumps_holds_nothing_up(till: HookedWorld, jump_h: int) -> None:
    owe_paid(till)
    till.paymego.befall(FaultKind.ERROR, CANCEL, times=4)
    till.work(5)
    till.clock.set_wall(jump_h * HOUR_S * 1000)

    till.work(60)

    assert till.live() == []


# The buyer confirms when it is almost too late, or too late.


@pytest.mark.parametrize("after_s", [19.9, 19.98, 19.99, 20.0, 20.005, 20.01, 20.02, 20.05, 20.1, 21])
def test_a_buyer_who_confirms_around_the_end_is_sold_to_or_has_the_money_back_once(
    till: HookedWorld, after_s: float
) -> None:
    status = till.pay(till.paymego.code(BuyerAction.CONFIRMS, after_s=after_s)).status
    till.work(1200)

    is_paid = status is PaymentStatus.PAID
    assert till.live() == []
    assert moves(till) in ([[AMOUNT]] if is_paid else [[], [AMOUNT, -AMOUNT]])
    assert is_paid or (status is PaymentStatus.UNKNOWN and after_s > 19.9)
    assert not is_paid or after_s < 20.1


def test_one_who_confirms_while_the_cancel_is_on_its_way_has_the_money_back_once(till: HookedWorld) -> None:
    row = owe(till)
    there_s = 3.0
    till.paymego.passage = lambda method: Passage(there_s=there_s if method == CANCEL else 0.01)
    confirms_at = till.clock.monotonic() + 1.5

    def confirm() -> None:
        till.paymego.bank.put_state(till.paymego.now_ms, row.receipt_id, 4)

    till.clock.at(confirms_at, confirm)
    till.work(1200)

    (cancel,) = [sent for sent in till.paymego.sent if sent.method == CANCEL]
    assert cancel.at_s < confirms_at < cancel.at_s + there_s
    assert (moves(till), till.live()) == ([AMOUNT, -AMOUNT], [])
