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


def drain(till: HookedWorld) -> bool:
    merchant = till.background.merchants()
    assert merchant is not None
    return till.background.processor().deliver_until_empty(merchant, PATIENCE_S)


def deliver(till: HookedWorld) -> bool:
    merchant = till.background.merchants()
    assert merchant is not None
    till.background.processor().deliver_due(merchant)
    return not till.journal.live_cancellations()


def put_off(till: HookedWorld) -> None:
    """Give every row a pause of fifteen minutes."""
    for row in till.journal.live_cancellations():
        till.background.processor().cancellations.postpone(row, 900_000, "no answer")


def test_an_empty_queue_is_empty_without_a_request(till: HookedWorld) -> None:
    assert drain(till)
    assert deliver(till)
    assert till.paymego.sent == []


def test_rows_that_are_due_are_stepped_once_each(till: HookedWorld) -> None:
    for number in range(1, 4):
        owe_refund(till, f"p{number}", number)
    before = till.paymego.count(CANCEL)

    assert not deliver(till)
    assert till.paymego.count(CANCEL) == before + 3
    till.clock.sleep(5)
    assert deliver(till)


def test_rows_that_are_not_due_are_left_alone_unless_all_are_asked_for(till: HookedWorld) -> None:
    owe_refund(till)
    put_off(till)
    sent = len(till.paymego.sent)

    assert not deliver(till)
    assert len(till.paymego.sent) == sent
    assert drain(till)


def test_every_row_is_tried_whatever_its_pause_and_21_is_followed_to_50(till: HookedWorld) -> None:
    rows = [owe_refund(till, "p1", 1), owe_paid(till, "p2", 2), owe(till, "p3", 3)]
    put_off(till)
    for row in rows:
        till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=12))

    assert drain(till)
    assert (till.journal.live_cancellations(), till.paymego.held()) == ([], 0)


def test_21_that_lasts_is_given_up_after_the_patience(till: HookedWorld) -> None:
    row = owe_refund(till)
    till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=3600))
    began = till.clock.monotonic()

    assert not drain(till)
    assert till.clock.monotonic() - began == pytest.approx(PATIENCE_S, abs=1)


def test_a_round_that_changes_nothing_ends_it_at_once(till: HookedWorld) -> None:
    owe_refund(till)
    till.paymego.passage = lambda _: Passage(connects=False)
    began = till.clock.monotonic()

    assert not drain(till)
    assert till.clock.monotonic() - began < 1


def test_a_row_that_is_refused_does_not_keep_the_others(till: HookedWorld) -> None:
    refused = owe_refund(till, "p1", 1)
    for number in range(2, 5):
        owe_refund(till, f"p{number}", number)
    till.paymego.bank.plan_cancel(refused.receipt_id, CancelPlan(refused_with=-31800))

    assert not drain(till)
    assert till.journal.live_cancellations()[0].payment_id == "p1"
    assert len(till.journal.live_cancellations()) == 1


def test_a_long_queue_is_followed_to_its_end_however_long_that_takes(till: HookedWorld) -> None:
    rows = [owe_refund(till, f"p{number}", number) for number in range(1, 9)]
    for row in rows[:-1]:
        till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=0))
    till.paymego.bank.plan_cancel(rows[-1].receipt_id, CancelPlan(settle_s=10))
    till.paymego.passage = lambda method: Passage(there_s=3.0)
    began = till.clock.monotonic()

    assert drain(till)
    assert till.clock.monotonic() - began > 2 * PATIENCE_S


def test_a_row_in_the_hands_of_another_is_waited_for(till: HookedWorld) -> None:
    row = owe_refund(till)
    another = ExitStack()
    assert another.enter_context(till.background._storage.opened.leases.try_acquire(row.cancellation_id))
    till.clock.at(till.clock.monotonic() + 9, another.close)

    assert drain(till)


def test_a_row_that_another_never_lets_go_is_given_up_after_the_patience(till: HookedWorld) -> None:
    row = owe_refund(till)
    began = till.clock.monotonic()
    with till.background._storage.opened.leases.try_acquire(row.cancellation_id):
        assert not drain(till)

    assert till.clock.monotonic() - began == pytest.approx(PATIENCE_S, abs=1)


def test_a_payment_that_the_till_has_is_held_and_does_not_keep_it_waiting(till: HookedWorld) -> None:
    owe_paid(till)
    till.host.recorded["p1"] = True
    began = till.clock.monotonic()

    assert not drain(till)
    assert till.paymego.count(CANCEL) == 0
    assert till.clock.monotonic() - began < 1


def test_while_one_is_waited_for_the_others_are_left_alone(till: HookedWorld) -> None:
    rows = [owe_paid(till, f"p{number}", number) for number in range(1, 6)]
    for row in rows[1:]:
        till.paymego.bank.put_state(till.paymego.now_ms, row.receipt_id, 77)
    till.paymego.bank.put_state(till.paymego.now_ms, rows[0].receipt_id, 21)
    till.paymego.bank.plan_cancel(rows[0].receipt_id, CancelPlan(settle_s=3600))
    turn = len(till.paymego.sent)

    assert not drain(till)

    asked = [sent.receipt_id for sent in till.paymego.sent[turn:]]
    assert [asked.count(row.receipt_id) for row in rows[1:]] == [1, 1, 1, 1]
    assert asked.count(rows[0].receipt_id) > 10


def test_a_row_that_failed_is_left_to_the_worker_whatever_ends_after_it(till: HookedWorld) -> None:
    slow, stuck = (owe_paid(till, f"p{number}", number) for number in (1, 2))
    till.paymego.bank.plan_cancel(slow.receipt_id, CancelPlan(settle_s=10))
    till.paymego.bank.put_state(till.paymego.now_ms, stuck.receipt_id, 77)
    turn = len(till.paymego.sent)

    assert not drain(till)

    asked = [sent.receipt_id for sent in till.paymego.sent[turn:]]
    assert asked.count(stuck.receipt_id) == 1
    assert till.live("p1") == []


def test_the_key_of_another_kassa_leaves_its_rows(till: HookedWorld) -> None:
    owe_refund(till)
    till.set(posId="0" * 24)
    sent = len(till.paymego.sent)

    assert not drain(till)
    assert len(till.paymego.sent) == sent


def test_a_server_that_was_down_for_the_whole_refund_and_is_back_empties_it(till: HookedWorld) -> None:
    sold = till.sell_and_close()
    till.paymego.befall(FaultKind.SILENT, times=None)
    till.refund(sold)
    till.paymego.faults.clear()

    assert drain(till)
    assert till.paymego.state(sold.receipt_id) == 50


def test_every_row_that_ends_renews_the_patience(till: HookedWorld) -> None:
    rows = [owe_refund(till, f"p{number}", number) for number in range(1, 4)]
    for row, settles_s in zip(rows, (15.0, 30.0, 45.0), strict=True):
        till.paymego.bank.plan_cancel(row.receipt_id, CancelPlan(settle_s=settles_s))

    assert drain(till)
