"""Guarantee 4: an `unrecorded` cancellation is never carried out while the till says that it has the payment.

Whoever steps the row and has no till to ask (``payme worker`` at a host's journal) goes by the till's last word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe_paid, owe_refund
from hookspecs import BaseHost, QueueVerdict
from payme_plugin.delivery.host_queue import message_of
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.states import Hold
from payme_plugin.operations.cancellation import StepOutcome

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld

CANCEL = "receipts.cancel"
PATIENCE_S = 20.0


def step(till: HookedWorld, *, is_recorded: bool | None) -> StepOutcome | None:
    merchant = till.background.merchants()
    assert merchant is not None
    (row,) = till.journal.live_cancellations()
    return till.background.processor().step(row, merchant, is_recorded=is_recorded)


def without_host(till: HookedWorld) -> CancellationProcessor:
    """Return what a command at another host's journal works with: nobody to ask, and no queue."""
    journal = till.background.processor().journal
    return CancellationProcessor(journal, Leases(till.host.folder), BaseHost(), till.clock)


def by_worker(till: HookedWorld) -> None:
    assert step(till, is_recorded=None) is StepOutcome.HELD


def by_command(till: HookedWorld) -> None:
    merchant = till.background.merchants()
    assert merchant is not None
    assert not without_host(till).deliver_until_empty(merchant, PATIENCE_S)


def by_command_for_due_rows(till: HookedWorld) -> None:
    merchant = till.background.merchants()
    assert merchant is not None
    till.clock.sleep(3600)
    without_host(till).deliver_due(merchant)
    assert till.journal.live_cancellations()


@pytest.mark.parametrize("who", [by_worker, by_command, by_command_for_due_rows])
def test_one_that_the_till_has_is_held_by_whoever_can_not_ask_it(
    till: HookedWorld, who: Callable[[HookedWorld], None]
) -> None:
    owe_paid(till)
    assert step(till, is_recorded=True) is StepOutcome.HELD

    for _ in range(3):
        who(till)

    assert (till.paymego.count(CANCEL), till.paymego.held()) == (0, 1_500_000)
    assert till.live()[0].held is Hold.HOST


def test_it_is_held_by_whoever_read_it_before_the_till_spoke(till: HookedWorld) -> None:
    row = owe_paid(till)
    merchant = till.background.merchants()
    assert merchant is not None
    assert step(till, is_recorded=True) is StepOutcome.HELD

    assert till.background.processor().step(row, merchant, is_recorded=None) is StepOutcome.HELD
    assert (till.paymego.count(CANCEL), till.paymego.held()) == (0, 1_500_000)


def test_it_stays_held_after_a_restart(till: HookedWorld) -> None:
    owe_paid(till)
    step(till, is_recorded=True)
    till.restart()

    assert step(till, is_recorded=None) is StepOutcome.HELD


def test_it_stays_held_while_the_settings_name_another_kassa(till: HookedWorld) -> None:
    owe_paid(till)
    step(till, is_recorded=True)
    settings = till.settings
    till.set(posId="0" * 24)
    step(till, is_recorded=None)
    till.settings = settings

    assert step(till, is_recorded=None) is StepOutcome.HELD
    assert till.paymego.count(CANCEL) == 0


def test_it_goes_on_when_the_till_says_that_it_has_it_no_more(till: HookedWorld) -> None:
    owe_paid(till)
    step(till, is_recorded=True)

    assert step(till, is_recorded=False) is StepOutcome.ACCEPTED
    till.clock.sleep(2)
    assert step(till, is_recorded=None) is StepOutcome.DONE
    assert till.paymego.held() == 0


def test_one_that_no_till_ever_held_is_carried_out_by_whoever_comes(till: HookedWorld) -> None:
    owe_paid(till)

    assert step(till, is_recorded=None) is StepOutcome.ACCEPTED


def test_what_the_host_asked_for_itself_is_held_by_no_word_of_its(till: HookedWorld) -> None:
    owe_refund(till)

    assert step(till, is_recorded=True) is StepOutcome.ACCEPTED


def test_a_message_of_the_hosts_queue_holds_it_too(till: HookedWorld) -> None:
    row = owe_paid(till)
    till.host.recorded["p1"] = True
    till.message(message_of(row))
    till.host.recorded["p1"] = None

    assert till.message(message_of(row)) is QueueVerdict.RETRY
    assert till.paymego.count(CANCEL) == 0
