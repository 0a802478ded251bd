"""Guarantee 5: a row ends when Payme says cancelled (50) twice, ten minutes apart; in between it is confirming."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.clock import VirtualClock
from fakes.journal_rows import UNRECORDED, walk
from fakes.paymego import VirtualPaymeGo
from hookspecs import BaseHost
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.ledger.cancellations import CONFIRMING_MS, Cancellations
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.retention import forget_finished
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, End, PaymentState
from payme_plugin.operations.cancellation import MerchantClient, StepOutcome
from payme_plugin.operations.context import Limits
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox import FaultKind

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hookspecs import QueueMessage
    from payme_plugin.ledger.rows import CancellationRow

CANCEL, CHECK = "receipts.cancel", "receipts.check"
TEN_MINUTES_S = 600


class QueueHost(BaseHost):
    """A host whose queue takes every message."""

    def enqueue(self, message: QueueMessage) -> bool:
        """Take it."""
        return True


class Desk:
    """One journal with one payment of a receipt at the bank, and the worker's processor."""

    def __init__(self, folder: Path) -> None:
        self.clock = VirtualClock()
        self.paymego = VirtualPaymeGo(self.clock)
        self.journal = Journal(folder / FILE_NAME, host_identity="till-1", clock=self.clock)
        self.rows = Cancellations(self.journal)
        self.merchant = {
            "kassa": MerchantClient(
                "kassa",
                "http://localhost/api",
                self.paymego.client(),
                Limits(timeout_s=5, duration_s=20, frequency_s=1),
            )
        }
        self.processor = CancellationProcessor(self.journal, Leases(folder), QueueHost(), self.clock, lambda: 0.0)
        made = self.paymego.bank.call(
            self.paymego.now_ms, "receipts.create", {"amount": 1_500_000, "account": {"order_id": "1"}}
        )
        self.receipt_id: str = made["receipt"]["_id"]  # type: ignore[call-overload,index]
        self.put(4)

    def put(self, state: int) -> None:
        """Put the receipt into a state at the bank."""
        self.paymego.bank.put_state(self.paymego.now_ms, self.receipt_id, state)

    def say(self, state: int, times: int = 1) -> None:
        """Let Payme say a state, whatever is true."""
        self.paymego.change(CHECK, lambda answer: {**answer, "result": {"state": state}}, times=times)

    def owe(self, cause: Cause) -> None:
        """Write a cancellation: of a recorded payment, or of one that ended unknown."""
        row = walk(self.journal, PaymentState.PAYING, "p1")
        with self.journal.writing() as connection:
            connection.execute("UPDATE payment SET receipt_id = ?", (self.receipt_id,))
        if cause is Cause.UNRECORDED:
            self.journal.move(row, PaymentState.UNKNOWN, "over", cancellation=UNRECORDED)
            return
        row = self.journal.acknowledge(self.journal.move(row, PaymentState.PAID, "4"))
        self.journal.move(row, PaymentState.REVERSING, "asked", cancellation=NewCancellation(cause=cause))

    def row(self) -> CancellationRow:
        """Return the row."""
        row = self.journal.cancellation(1)
        assert row is not None
        return row

    def step(self) -> StepOutcome | None:
        """Let the worker step the row."""
        return self.processor.step(self.row(), self.merchant, is_recorded=None)

    def state(self) -> PaymentState:
        """Return the payment's state."""
        return self.journal.payment("p1").state


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.journal.close()


@pytest.fixture
def confirming(desk: Desk) -> Desk:
    desk.owe(Cause.CANCEL)
    desk.put(50)
    assert desk.step() is StepOutcome.DONE
    return desk


def test_the_first_50_reverses_the_payment_and_the_row_is_due_ten_minutes_later(confirming: Desk) -> None:
    row, now = confirming.row(), confirming.clock.wall_ms()

    assert (row.confirmed_at, row.ended_at, row.due_at) == (now, None, now + CONFIRMING_MS)
    assert confirming.state() is PaymentState.REVERSED


def test_the_second_50_ends_it_but_not_before_ten_minutes(confirming: Desk) -> None:
    confirming.clock.sleep(TEN_MINUTES_S - 1)
    confirming.step()
    assert confirming.row().ended_as is None

    confirming.clock.sleep(1)
    confirming.step()

    assert confirming.row().ended_as is End.CANCELLED
    assert confirming.paymego.count(CANCEL) == 0


def test_a_clock_that_was_set_back_begins_the_ten_minutes_anew(confirming: Desk) -> None:
    confirming.clock.set_wall(-86_400_000)
    confirming.step()
    assert confirming.row().ended_as is None

    confirming.clock.sleep(TEN_MINUTES_S)
    confirming.step()

    assert confirming.row().ended_as is End.CANCELLED


def test_without_an_answer_it_goes_on_confirming(confirming: Desk) -> None:
    confirming.clock.sleep(TEN_MINUTES_S)
    confirming.paymego.change(CHECK, lambda _: b"<html>", times=9)
    confirming.step()

    assert confirming.row().confirmed_at is not None
    assert confirming.state() is PaymentState.REVERSED


@pytest.mark.parametrize("state", [ReceiptState.CANCELLING, 99])
def test_a_confirming_row_stays_confirming_if_payme_says_21_or_an_unknown_state(confirming: Desk, state: int) -> None:
    confirming.clock.sleep(TEN_MINUTES_S)
    confirming.say(state)
    confirming.step()

    assert (confirming.row().confirmed_at is not None, confirming.row().reopened_at) == (True, None)
    assert (confirming.state(), confirming.paymego.count(CANCEL)) == (PaymentState.REVERSED, 0)


@pytest.mark.parametrize("cause", [Cause.CANCEL, Cause.REFUND, Cause.UNRECORDED])
def test_4_after_50_makes_it_an_ordinary_row_that_returns_the_money(desk: Desk, cause: Cause) -> None:
    desk.owe(cause)
    desk.say(50)
    assert desk.step() is StepOutcome.DONE
    before = desk.state()
    desk.clock.sleep(TEN_MINUTES_S)

    desk.step()

    assert desk.paymego.count(CANCEL) == 1
    assert desk.row().reopened_at is not None
    assert desk.state() is (PaymentState.REVERSING if before is PaymentState.REVERSED else before)
    for _ in range(3):
        desk.clock.sleep(TEN_MINUTES_S)
        desk.step()
    assert (desk.row().ended_as, desk.paymego.held(desk.receipt_id)) == (End.CANCELLED, 0)


def test_a_reopened_row_counts_and_is_a_notice(desk: Desk) -> None:
    desk.owe(Cause.CANCEL)
    desk.say(50)
    desk.step()
    assert desk.rows.backlog() == (0, None, 0)
    desk.clock.sleep(TEN_MINUTES_S)
    desk.paymego.befall(FaultKind.ERROR, CANCEL, error_code=-31800)
    desk.step()

    live, _, reopened = desk.rows.backlog()
    assert (live, reopened) == (1, 1)


def test_a_confirming_row_is_in_no_list_of_money_that_goes_back_and_is_never_forgotten(confirming: Desk) -> None:
    assert (confirming.rows.live(), confirming.journal.live_cancellations()) == ([], [])
    assert confirming.journal.confirming_cancellations() == [confirming.row()]
    confirming.clock.sleep(400 * 86_400)
    assert forget_finished(confirming.journal, 1, 100) == 0
    with pytest.raises(Conflict):
        confirming.rows.live_of("p1")


def test_it_is_never_offered_to_the_hosts_queue(confirming: Desk) -> None:
    assert not confirming.processor.offer(confirming.row())


def test_who_delivers_until_nothing_is_left_does_not_wait_for_it(confirming: Desk) -> None:
    began = confirming.clock.monotonic()

    assert confirming.processor.deliver_until_empty(confirming.merchant, 20.0)
    assert confirming.clock.monotonic() == began
    confirming.clock.sleep(TEN_MINUTES_S)
    assert confirming.processor.deliver_until_empty(confirming.merchant, 20.0)
    assert confirming.row().ended_as is End.CANCELLED
