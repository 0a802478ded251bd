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


def step(world: HookedWorld, *, is_recorded: bool | None) -> StepOutcome | None:
    merchant = world.background.merchants()
    assert merchant is not None
    (row,) = world.journal.live_cancellations()
    return world.background.processor().step(row, merchant, is_recorded=is_recorded)


def without_host(world: HookedWorld) -> CancellationProcessor:
    """Return what a command at another host's journal works with: nobody to ask, and no queue."""
    journal = world.background.processor().journal
    return CancellationProcessor(journal, Leases(world.host.folder), BaseHost(), world.clock)


def by_worker(world: HookedWorld) -> None:
    assert step(world, is_recorded=None) is StepOutcome.HELD


def by_command(world: HookedWorld) -> None:
    merchant = world.background.merchants()
    assert merchant is not None
    assert not without_host(world).deliver_until_empty(merchant, PATIENCE_S)


def by_command_for_due_rows(world: HookedWorld) -> None:
    merchant = world.background.merchants()
    assert merchant is not None
    world.clock.sleep(3600)
    without_host(world).deliver_due(merchant)
    assert world.journal.live_cancellations()


@pytest.mark.parametrize("who", [by_worker, by_command, by_command_for_due_rows])
def test_one_that_the_till_has_is_held_by_whoever_can_not_ask_it(
    world: HookedWorld, who: Callable[[HookedWorld], None]
) -> None:
    owe_paid(world)
    assert step(world, is_recorded=True) is StepOutcome.HELD

    for _ in range(3):
        who(world)

    assert (world.paymego.count(CANCEL), world.paymego.held()) == (0, 1_500_000)
    assert world.live()[0].held is Hold.HOST


def test_it_is_held_by_whoever_read_it_before_the_till_spoke(world: HookedWorld) -> None:
    row = owe_paid(world)
    merchant = world.background.merchants()
    assert merchant is not None
    assert step(world, is_recorded=True) is StepOutcome.HELD

    assert world.background.processor().step(row, merchant, is_recorded=None) is StepOutcome.HELD
    assert (world.paymego.count(CANCEL), world.paymego.held()) == (0, 1_500_000)


def test_it_stays_held_after_a_restart(world: HookedWorld) -> None:
    owe_paid(world)
    step(world, is_recorded=True)
    world.restart()

    assert step(world, is_recorded=None) is StepOutcome.HELD


def test_it_stays_held_while_the_settings_name_another_kassa(world: HookedWorld) -> None:
    owe_paid(world)
    step(world, is_recorded=True)
    settings = world.settings
    world.set(posId="0" * 24)
    step(world, is_recorded=None)
    world.settings = settings

    assert step(world, is_recorded=None) is StepOutcome.HELD
    assert world.paymego.count(CANCEL) == 0


def test_it_goes_on_when_the_till_says_that_it_has_it_no_more(world: HookedWorld) -> None:
    owe_paid(world)
    step(world, is_recorded=True)

    assert step(world, is_recorded=False) is StepOutcome.ACCEPTED
    world.clock.sleep(2)
    assert step(world, is_recorded=None) is StepOutcome.DONE
    assert world.paymego.held() == 0


def test_one_that_no_till_ever_held_is_carried_out_by_whoever_comes(world: HookedWorld) -> None:
    owe_paid(world)

    assert step(world, is_recorded=None) is StepOutcome.ACCEPTED


def test_what_the_host_asked_for_itself_is_held_by_no_word_of_its(world: HookedWorld) -> None:
    owe_refund(world)

    assert step(world, is_recorded=True) is StepOutcome.ACCEPTED


def test_a_message_of_the_hosts_queue_holds_it_too(world: HookedWorld) -> None:
    row = owe_paid(world)
    world.host.recorded["p1"] = True
    world.message(message_of(row))
    world.host.recorded["p1"] = None

    assert world.message(message_of(row)) is QueueVerdict.RETRY
    assert world.paymego.count(CANCEL) == 0
