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
from payme_plugin.ledger.cancellations import CONFIRMING_MS, Cancellations
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.retention import forget_finished
from payme_plugin.ledger.states import End, PaymentState
from payme_plugin.operations.cancellation import StepOutcome, pause_ms
from payme_plugin.sandbox import BuyerAction, CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from payme_plugin.ledger.rows import CancellationRow

AMOUNT = 1_500_000
CANCEL, CHECK = "receipts.cancel", "receipts.check"
TEN_MINUTES_S, HOUR_S = 600, 3600


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
    till.paymego.inject_fault(kind, method, times=3)

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
    till.paymego.inject_fault(FaultKind.ERROR, CANCEL, times=4)
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


# It ends when Payme says cancelled (50) twice, ten minutes apart; in between it is confirming.


def row_of(till: HookedWorld) -> CancellationRow:
    row = till.journal.cancellation(1)
    assert row is not None
    return row


@pytest.fixture
def confirming(till: HookedWorld) -> HookedWorld:
    """A refund whose receipt is cancelled at Payme, after the first 50."""
    row = owe_refund(till)
    till.paymego.bank.put_state(till.paymego.now_ms, row.receipt_id, 50)
    till.step(row_of(till))
    return till


def test_the_first_50_reverses_the_payment_and_the_second_ends_the_row_but_not_before_ten_minutes(
    confirming: HookedWorld,
) -> None:
    row, now = row_of(confirming), confirming.clock.wall_ms()
    assert (row.confirmed_at, row.ended_at, row.due_at) == (now, None, now + CONFIRMING_MS)
    assert confirming.row().state is PaymentState.REVERSED

    confirming.clock.sleep(TEN_MINUTES_S - 1)
    confirming.step(row_of(confirming))
    assert row_of(confirming).ended_as is None

    cancels = confirming.paymego.count(CANCEL)
    confirming.clock.sleep(1)
    confirming.step(row_of(confirming))
    assert (row_of(confirming).ended_as, confirming.paymego.count(CANCEL)) == (End.CANCELLED, cancels)


def test_a_clock_that_was_set_back_begins_the_ten_minutes_anew(confirming: HookedWorld) -> None:
    confirming.clock.set_wall(-86_400_000)
    confirming.step(row_of(confirming))
    assert row_of(confirming).ended_as is None

    confirming.clock.sleep(TEN_MINUTES_S)
    confirming.step(row_of(confirming))
    assert row_of(confirming).ended_as is End.CANCELLED


@pytest.mark.parametrize(
    "change", [body(b"<html>"), result({"state": 21}), result({"state": 99})], ids=["no answer", "21", "unknown"]
)
def test_without_4_or_50_it_goes_on_confirming(confirming: HookedWorld, change: object) -> None:
    cancels = confirming.paymego.count(CANCEL)
    confirming.clock.sleep(TEN_MINUTES_S)
    confirming.paymego.change(CHECK, change, times=9)  # type: ignore[arg-type]
    confirming.step(row_of(confirming))

    assert (row_of(confirming).confirmed_at is not None, row_of(confirming).reopened_at) == (True, None)
    assert (confirming.row().state, confirming.paymego.count(CANCEL)) == (PaymentState.REVERSED, cancels)


@pytest.mark.parametrize("owing", [owe_paid, owe_refund])
def test_4_after_50_makes_it_an_ordinary_row_that_counts_and_returns_the_money(
    till: HookedWorld, owing: Callable[[HookedWorld], CancellationRow]
) -> None:
    rows = Cancellations(till.journal)
    before = owing(till)
    state = till.row().state
    till.paymego.change(CHECK, result({"state": 50}))
    till.step(row_of(till))
    assert rows.backlog() == (0, None, 0)
    cancels = till.paymego.count(CANCEL)
    till.clock.sleep(TEN_MINUTES_S)
    till.paymego.inject_fault(FaultKind.ERROR, CANCEL, error_code=-31800)

    assert till.step(row_of(till)) is StepOutcome.REOPENED

    live, _, reopened = rows.backlog()
    assert (live, reopened, till.paymego.count(CANCEL), till.row().state) == (1, 1, cancels, state)
    assert row_of(till) in rows.due()
    till.step(row_of(till))
    assert till.paymego.count(CANCEL) == cancels + 1
    till.background.do_housekeeping()
    assert till.host.notices["payme.cancellations.reopened"] == till.text(Text.NOTICE_CANCELLATIONS_REOPENED, count=1)
    till.work(2 * TEN_MINUTES_S)
    assert "payme.cancellations.reopened" not in till.host.notices
    assert (row_of(till).ended_as, till.paymego.held(before.receipt_id)) == (End.CANCELLED, 0)


def test_a_confirming_row_is_not_pending_never_deleted_and_never_offered(
    confirming: HookedWorld,
) -> None:
    rows = Cancellations(confirming.journal)
    confirming.host.takes_messages = True
    assert (rows.live(), confirming.journal.live_cancellations()) == ([], [])
    assert confirming.journal.confirming_cancellations() == [row_of(confirming)]
    assert not confirming.background.processor().offer(row_of(confirming))
    confirming.clock.sleep(400 * 86_400)
    assert forget_finished(confirming.journal, 1, 100) == 0
    with pytest.raises(Conflict):
        rows.live_of("p1")


def test_delivery_until_empty_does_not_wait_for_a_confirming_row(confirming: HookedWorld) -> None:
    merchants, processor = confirming.merchants, confirming.background.processor()
    began = confirming.clock.monotonic()

    assert processor.deliver_until_empty(merchants, 20.0)
    assert confirming.clock.monotonic() == began
    confirming.clock.sleep(TEN_MINUTES_S)
    assert processor.deliver_until_empty(merchants, 20.0)
    assert row_of(confirming).ended_as is End.CANCELLED
