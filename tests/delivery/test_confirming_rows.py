"""Guarantee 5: a row ends when Payme says cancelled (50) twice, ten minutes apart; in between it is confirming."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import body, result
from fakes.owed_money import owe_paid, owe_refund
from payme_plugin.ledger.cancellations import CONFIRMING_MS, Cancellations
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.retention import forget_finished
from payme_plugin.ledger.states import End, PaymentState
from payme_plugin.sandbox import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from payme_plugin.ledger.rows import CancellationRow

CANCEL, CHECK = "receipts.cancel", "receipts.check"
TEN_MINUTES_S = 600


def step(till: HookedWorld) -> None:
    till.step(row_of(till))


def row_of(till: HookedWorld) -> CancellationRow:
    row = till.journal.cancellation(1)
    assert row is not None
    return row


@pytest.fixture
def confirming(till: HookedWorld) -> HookedWorld:
    """A refund whose receipt is cancelled at Payme, after the first 50."""
    row = owe_refund(till)
    till.paymego.bank.put_state(till.paymego.now_ms, row.receipt_id, 50)
    step(till)
    return till


def test_the_first_50_reverses_the_payment_and_the_second_ends_the_row_but_not_before_ten_minutes(
    confirming: HookedWorld,
) -> None:
    row, now = row_of(confirming), confirming.clock.wall_ms()
    assert (row.confirmed_at, row.ended_at, row.due_at) == (now, None, now + CONFIRMING_MS)
    assert confirming.row().state is PaymentState.REVERSED

    confirming.clock.sleep(TEN_MINUTES_S - 1)
    step(confirming)
    assert row_of(confirming).ended_as is None

    cancels = confirming.paymego.count(CANCEL)
    confirming.clock.sleep(1)
    step(confirming)
    assert (row_of(confirming).ended_as, confirming.paymego.count(CANCEL)) == (End.CANCELLED, cancels)


def test_a_clock_that_was_set_back_begins_the_ten_minutes_anew(confirming: HookedWorld) -> None:
    confirming.clock.set_wall(-86_400_000)
    step(confirming)
    assert row_of(confirming).ended_as is None

    confirming.clock.sleep(TEN_MINUTES_S)
    step(confirming)
    assert row_of(confirming).ended_as is End.CANCELLED


@pytest.mark.parametrize(
    "change", [body(b"<html>"), result({"state": 21}), result({"state": 99})], ids=["no answer", "21", "unknown"]
)
def test_without_4_or_50_it_goes_on_confirming(confirming: HookedWorld, change: object) -> None:
    cancels = confirming.paymego.count(CANCEL)
    confirming.clock.sleep(TEN_MINUTES_S)
    confirming.paymego.change(CHECK, change, times=9)  # type: ignore[arg-type]
    step(confirming)

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
    step(till)
    assert rows.backlog() == (0, None, 0)
    cancels = till.paymego.count(CANCEL)
    till.clock.sleep(TEN_MINUTES_S)
    till.paymego.befall(FaultKind.ERROR, CANCEL, error_code=-31800)

    step(till)

    live, _, reopened = rows.backlog()
    assert (live, reopened, till.paymego.count(CANCEL), till.row().state) == (1, 1, cancels + 1, state)
    till.work(2 * TEN_MINUTES_S)
    assert (row_of(till).ended_as, till.paymego.held(before.receipt_id)) == (End.CANCELLED, 0)


def test_a_confirming_row_is_no_money_that_goes_back_is_never_forgotten_and_never_offered(
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


def test_who_delivers_until_nothing_is_left_does_not_wait_for_it(confirming: HookedWorld) -> None:
    merchants, processor = confirming.merchants, confirming.background.processor()
    began = confirming.clock.monotonic()

    assert processor.deliver_until_empty(merchants, 20.0)
    assert confirming.clock.monotonic() == began
    confirming.clock.sleep(TEN_MINUTES_S)
    assert processor.deliver_until_empty(merchants, 20.0)
    assert row_of(confirming).ended_as is End.CANCELLED
