"""What is told of a reversal that was left to the worker: its last error in the queue, and that it was queued."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.paymego import Passage
from fakes.reversal_calls import Reversal
from fakes.till import PowerCut
from hookspecs import ReversalStatus
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.sandbox import CancelPlan, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

CANCEL, CHECK = "receipts.cancel", "receipts.check"


def listed_error(till: HookedWorld) -> str:
    """What ``payme queue list`` says of the one live row."""
    reader = JournalReader.open_read_only(till.host.folder / FILE_NAME)
    assert reader is not None
    (row,) = reader.live_cancellations()
    reader.close()
    return row.last_error


@pytest.mark.parametrize(
    ("weather", "error"),
    [
        ("refused", "receipts.cancel: error -31800"),
        ("answer lost", "receipts.cancel: no usable answer, the wire broke"),
        ("stays at 21", "receipts.check: state 21"),
        ("down", "receipts.check: not sent, no connection"),
        ("stopped at once", "receipts.check: no usable answer, abandoned before an answer came"),
    ],
)
def test_the_queue_shows_why_the_till_left_it(till: HookedWorld, reversal: Reversal, weather: str, error: str) -> None:
    sold = reversal.sell(till)
    plans = {"refused": CancelPlan(refused_with=-31800), "stays at 21": CancelPlan(settle_s=3600)}
    till.paymego.bank.plan_cancel(sold.receipt_id, plans.get(weather, CancelPlan()))
    if weather == "answer lost":
        till.paymego.befall(FaultKind.ANSWER_LOST, CANCEL)
    if weather == "down":
        till.paymego.passage = lambda _: Passage(connects=False)
    if weather == "stopped at once":
        till.paymego.befall(FaultKind.SILENT, CHECK, times=None)
    stops_at = till.clock.monotonic() if weather == "stopped at once" else None

    assert reversal.run(till, sold, ui=till.cashier(stops_at=stops_at)).status is ReversalStatus.QUEUED
    assert listed_error(till) == error


def test_a_reversal_that_is_accepted_as_done_is_shown_as_accepted(till: HookedWorld) -> None:
    till.set(cancelAcceptedIsDone="true")
    sold = till.sell()
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(settle_s=3600))

    assert till.cancel(sold).status is ReversalStatus.REVERSED
    assert listed_error(till) == "Payme is cancelling (21)"


@pytest.mark.parametrize("has_key", [True, False], ids=["with the key", "without the key"])
def test_queued_is_told_as_queued_even_after_it_was_delivered(
    till: HookedWorld, reversal: Reversal, has_key: bool
) -> None:
    sold = reversal.sell(till)
    till.paymego.befall(FaultKind.REQUEST_LOST, CANCEL)
    first = reversal.run(till, sold)
    till.work(60)
    if not has_key:
        till.set(posId="0" * 24)

    again = reversal.run(till, sold)

    assert (first.status, first.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert (again.status, again.cancellation_queued) == (ReversalStatus.REVERSED, True)


def test_reversed_while_the_cashier_waited_was_never_queued(till: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(till)

    told = [reversal.run(till, sold) for _ in range(2)]

    assert {(each.status, each.cancellation_queued) for each in told} == {(ReversalStatus.REVERSED, False)}


def test_without_the_key_what_is_durable_is_told_and_no_longer_taken_back(
    till: HookedWorld, reversal: Reversal
) -> None:
    till.set(ignoredErrors="-31800")
    sold = reversal.sell(till)
    till.journal.cut_at(1)
    with pytest.raises(PowerCut):
        reversal.run(till, sold)
    till.restart()
    till.set(posId="0" * 24)

    told = reversal.run(till, sold)
    assert (told.status, told.message) == (ReversalStatus.QUEUED, till.text(Text.REVERSAL_QUEUED))
    till.set(ignoredErrors="-31800")
    till.paymego.bank.plan_cancel(sold.receipt_id, CancelPlan(refused_with=-31800))

    assert reversal.run(till, sold).status is ReversalStatus.QUEUED
