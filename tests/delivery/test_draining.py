"""``payme queue deliver``: every due row once, or every row until none is left or nothing moves any more."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe, owe_paid, owe_refund
from fakes.paymego import Passage
from payme_plugin.sandbox import CancelPlan, FaultKind

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

CANCEL, CHECK = "receipts.cancel", "receipts.check"
PATIENCE_S = 20


def drain(world: HookedWorld) -> bool:
    merchant = world.background.merchants()
    assert merchant is not None
    return world.background.processor().deliver_until_empty(merchant, PATIENCE_S)


def deliver(world: HookedWorld) -> bool:
    merchant = world.background.merchants()
    assert merchant is not None
    world.background.processor().deliver_due(merchant)
    return not world.journal.live_cancellations()


def put_off(world: HookedWorld) -> None:
    """Give every row a pause of fifteen minutes."""
    for row in world.journal.live_cancellations():
        world.background.processor().cancellations.postpone(row, 900_000, "no answer")


def test_an_empty_queue_is_empty_without_a_request(world: HookedWorld) -> None:
    assert drain(world)
    assert deliver(world)
    assert world.paymego.sent == []


def test_rows_that_are_due_are_stepped_once_each(world: HookedWorld) -> None:
    for number in range(1, 4):
        owe_refund(world, f"p{number}", number)
    before = world.paymego.count(CANCEL)

    assert not deliver(world)
    assert world.paymego.count(CANCEL) == before + 3
    world.clock.sleep(5)
    assert deliver(world)


def test_rows_that_are_not_due_are_left_alone_unless_all_are_asked_for(world: HookedWorld) -> None:
    owe_refund(world)
    put_off(world)
    sent = len(world.paymego.sent)

    assert not deliver(world)
    assert len(world.paymego.sent) == sent
    assert drain(world)


def test_every_row_is_tried_whatever_its_pause_and_21_is_followed_to_50(world: HookedWorld) -> None:
    rows = [owe_refund(world, "p1", 1), owe_paid(world, "p2", 2), owe(world, "p3", 3)]
    put_off(world)
    for row in rows:
        world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=12))

    assert drain(world)
    assert (world.journal.live_cancellations(), world.paymego.held()) == ([], 0)


def test_21_that_lasts_is_given_up_after_the_patience(world: HookedWorld) -> None:
    row = owe_refund(world)
    world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=3600))
    began = world.clock.monotonic()

    assert not drain(world)
    assert world.clock.monotonic() - began == pytest.approx(PATIENCE_S, abs=1)


def test_a_round_that_changes_nothing_ends_it_at_once(world: HookedWorld) -> None:
    owe_refund(world)
    world.paymego.passage = lambda _: Passage(connects=False)
    began = world.clock.monotonic()

    assert not drain(world)
    assert world.clock.monotonic() - began < 1


def test_a_row_that_is_refused_does_not_keep_the_others(world: HookedWorld) -> None:
    refused = owe_refund(world, "p1", 1)
    for number in range(2, 5):
        owe_refund(world, f"p{number}", number)
    world.paymego.bank.plan_cancel(refused.receipt_id, CancelPlan(refused_with=-31800))

    assert not drain(world)
    assert world.journal.live_cancellations()[0].payment_id == "p1"
    assert len(world.journal.live_cancellations()) == 1


def test_a_long_queue_is_followed_to_its_end_however_long_that_takes(world: HookedWorld) -> None:
    rows = [owe_refund(world, f"p{number}", number) for number in range(1, 9)]
    for row in rows[:-1]:
        world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=0))
    world.paymego.bank.plan_cancel(rows[-1].receipt_id, CancelPlan(settle_s=10))
    world.paymego.passage = lambda method: Passage(there_s=3.0)
    began = world.clock.monotonic()

    assert drain(world)
    assert world.clock.monotonic() - began > 2 * PATIENCE_S


def test_a_row_in_the_hands_of_another_is_waited_for(world: HookedWorld) -> None:
    row = owe_refund(world)
    another = ExitStack()
    assert another.enter_context(world.background._storage.opened.leases.try_acquire(row.cancellation_id))
    world.clock.at(world.clock.monotonic() + 9, another.close)

    assert drain(world)


def test_a_row_that_another_never_lets_go_is_given_up_after_the_patience(world: HookedWorld) -> None:
    row = owe_refund(world)
    began = world.clock.monotonic()
    with world.background._storage.opened.leases.try_acquire(row.cancellation_id):
        assert not drain(world)

    assert world.clock.monotonic() - began == pytest.approx(PATIENCE_S, abs=1)


def test_a_payment_that_the_till_has_is_held_and_does_not_keep_it_waiting(world: HookedWorld) -> None:
    owe_paid(world)
    world.host.recorded["p1"] = True
    began = world.clock.monotonic()

    assert not drain(world)
    assert world.paymego.count(CANCEL) == 0
    assert world.clock.monotonic() - began < 1


def test_while_one_is_waited_for_the_others_are_left_alone(world: HookedWorld) -> None:
    rows = [owe_paid(world, f"p{number}", number) for number in range(1, 6)]
    for row in rows[1:]:
        world.paymego.bank.put_state(world.paymego.now_ms, row.receipt_id, 77)
    world.paymego.bank.put_state(world.paymego.now_ms, rows[0].receipt_id, 21)
    world.paymego.bank.plan_cancel(rows[0].receipt_id, CancelPlan(settle_s=3600))
    turn = len(world.paymego.sent)

    assert not drain(world)

    asked = [sent.receipt_id for sent in world.paymego.sent[turn:]]
    assert [asked.count(row.receipt_id) for row in rows[1:]] == [1, 1, 1, 1]
    assert asked.count(rows[0].receipt_id) > 10


def test_a_row_that_failed_is_left_to_the_worker_whatever_ends_after_it(world: HookedWorld) -> None:
    slow, stuck = (owe_paid(world, f"p{number}", number) for number in (1, 2))
    world.paymego.bank.plan_cancel(slow.receipt_id, CancelPlan(settle_s=10))
    world.paymego.bank.put_state(world.paymego.now_ms, stuck.receipt_id, 77)
    turn = len(world.paymego.sent)

    assert not drain(world)

    asked = [sent.receipt_id for sent in world.paymego.sent[turn:]]
    assert asked.count(stuck.receipt_id) == 1
    assert world.live("p1") == []


def test_the_key_of_another_kassa_leaves_its_rows(world: HookedWorld) -> None:
    owe_refund(world)
    world.set(posId="0" * 24)
    sent = len(world.paymego.sent)

    assert not drain(world)
    assert len(world.paymego.sent) == sent


def test_a_server_that_was_down_for_the_whole_refund_and_is_back_empties_it(world: HookedWorld) -> None:
    sold = world.sell_and_close()
    world.paymego.befall(FaultKind.SILENT, times=None)
    world.refund(sold)
    world.paymego.faults.clear()

    assert drain(world)
    assert world.paymego.state(sold.receipt_id) == 50


def test_every_row_that_ends_renews_the_patience(world: HookedWorld) -> None:
    rows = [owe_refund(world, f"p{number}", number) for number in range(1, 4)]
    for row, settles_s in zip(rows, (15.0, 30.0, 45.0), strict=True):
        world.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=settles_s))

    assert drain(world)
