"""Notices of missing host calls and of cancellations that wait too long; each is withdrawn when its reason is over."""

from __future__ import annotations

from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe, owe_refund
from fakes.paymego import Passage
from fakes.till import open_sale
from hookspecs import PaymentStatus
from payme_plugin.ledger.states import End
from payme_plugin.operations.refund_rules import sums
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld, Sold
    from payme_plugin.ledger.rows import CancellationRow

TEN_MINUTES_S, HOUR_S = 600, 3600
NOT_READY, PENDING, UNACKNOWLEDGED = "payme.not_ready", "payme.pending", "payme.unacknowledged"
WAIT = "payme.cancellations"


def ask(till: HookedWorld) -> PaymentStatus:
    return till.ask(till.paymego.code(), receipt=open_sale(), repeated=True).status


def unacknowledged(till: HookedWorld, sold: Sold, count: int = 1) -> str:
    amount, number = sums(sold.record.amount), sold.receipt.number
    return till.text(Text.NOTICE_UNACKNOWLEDGED, amount=amount, number=number, count=count)


def test_a_host_that_does_not_say_on_ready_is_shown_so_after_ten_minutes_until_it_does(till: HookedWorld) -> None:
    till.clock.set_wall(10 * TEN_MINUTES_S * 1000)
    till.work(TEN_MINUTES_S - 30)
    assert NOT_READY not in till.host.notices

    till.work(60)
    assert till.host.notices[NOT_READY] == till.text(Text.NOTICE_NOT_READY)
    till.dispatcher.ready()
    till.work(30)
    assert NOT_READY not in till.host.notices


def by_result(till: HookedWorld, sold: Sold) -> None:
    till.broken = False
    assert ask(till) is PaymentStatus.PAID
    till.dispatcher.acknowledge(sold.record)


def by_acknowledgement(till: HookedWorld, sold: Sold) -> None:
    till.dispatcher.acknowledge(sold.record)


def by_closed_receipt(till: HookedWorld, sold: Sold) -> None:
    till.close_sale(sold)


def by_cancel(till: HookedWorld, sold: Sold) -> None:
    till.cancel(sold)


@pytest.mark.parametrize("end", [by_result, by_acknowledgement, by_closed_receipt, by_cancel])
def test_a_payment_that_is_pending_for_ten_minutes_is_shown_however_often_the_host_asks_until_its_end(
    till: HookedWorld, end: Callable[[HookedWorld, Sold], None]
) -> None:
    sold = till.sell()
    till.restart()
    till.broken = True
    for _ in range(10):
        assert ask(till) is PaymentStatus.PENDING
        assert PENDING not in till.host.notices
        till.work(59)
    till.work(40)
    assert till.host.notices[PENDING] == till.text(Text.NOTICE_PENDING, count=1)

    end(till, sold)
    till.work(60)

    assert (PENDING in till.host.notices, till.background.pending) == (False, {})


@pytest.mark.parametrize("end", [by_acknowledgement, by_closed_receipt, by_cancel])
def test_a_paid_payment_that_nobody_acknowledges_is_shown_after_ten_minutes_until_its_end_and_moves_no_money(
    till: HookedWorld, end: Callable[[HookedWorld, Sold], None]
) -> None:
    sold = till.sell()
    till.work(TEN_MINUTES_S - 30)
    assert UNACKNOWLEDGED not in till.host.notices
    till.work(60)
    assert till.host.notices[UNACKNOWLEDGED] == unacknowledged(till, sold)
    assert till.paymego.held() == sold.record.amount

    end(till, sold)
    till.work(60)

    assert UNACKNOWLEDGED not in till.host.notices


@pytest.mark.parametrize(("number", "is_shown"), [(2, True), (1, False)], ids=["the next sale", "the same sale"])
def test_when_the_next_sale_begins_one_of_an_earlier_sale_is_shown_at_once(
    till: HookedWorld, number: int, is_shown: bool
) -> None:
    sold = till.sell()

    till.ask(till.paymego.code(), payment_id="p2", receipt=open_sale(number))

    shown = unacknowledged(till, sold) if is_shown else None
    assert till.host.notices.get(UNACKNOWLEDGED) == shown
    till.work(60)
    assert till.host.notices.get(UNACKNOWLEDGED) == shown


def test_several_unacknowledged_payments_are_counted(till: HookedWorld) -> None:
    first, second = till.sell("p1", 1), till.sell("p2", 2)
    till.work(TEN_MINUTES_S + 30)
    assert till.host.notices[UNACKNOWLEDGED] == unacknowledged(till, first, 2)

    till.dispatcher.acknowledge(first.record)
    till.work(30)
    assert till.host.notices[UNACKNOWLEDGED] == unacknowledged(till, second, 1)


# Money that waits.


@pytest.mark.parametrize("has_queue", [False, True], ids=["ours", "in the host's queue"])
@pytest.mark.parametrize("owing", [owe, owe_refund])
def test_a_cancellation_that_is_older_than_an_hour_is_a_notice_until_it_is_gone(
    till: HookedWorld, owing: Callable[[HookedWorld], CancellationRow], has_queue: bool
) -> None:
    till.host.takes_messages = has_queue
    owing(till)
    till.paymego.passage = lambda _: Passage(connects=False)
    till.work(HOUR_S - 60)
    assert WAIT not in till.host.notices
    till.work(120)
    text = till.text(Text.NOTICE_CANCELLATIONS_WAIT, count=1)
    assert till.host.notices[WAIT] == text

    till.paymego.passage = lambda _: Passage()
    till.work(2000)
    assert [shown for key, shown in till.host.notice_log if key == WAIT] == [text, None]


def test_more_than_ten_are_a_notice_at_once_which_counts_as_they_go(till: HookedWorld) -> None:
    till.host.takes_messages = True
    for number in range(1, 11):
        owe_refund(till, f"p{number}", number)
    till.work(1)
    assert WAIT not in till.host.notices

    for number in (11, 12):
        owe_refund(till, f"p{number}", number)
    for count in (12, 11):
        till.work(1)
        assert till.host.notices[WAIT] == till.text(Text.NOTICE_CANCELLATIONS_WAIT, count=count)
        row = till.journal.live_cancellations()[0]
        till.background.processor().cancellations.end(row, End.CLOSED, "paid (4)", closed_reason="settled")
    till.work(1)
    assert WAIT not in till.host.notices


def test_a_look_that_fails_is_repeated_after_20_s(till: HookedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[float] = []

    def failing_look(_: object) -> None:
        looks.append(till.clock.monotonic())
        raise KeyError

    monkeypatch.setattr(till.background, "_notify_cancellations", failing_look)
    for _ in range(41):
        with suppress(KeyError):
            till.background.do_housekeeping()
        till.clock.sleep(1)

    assert [later - earlier for earlier, later in pairwise(looks)] == [20, 20]


def test_what_a_delivery_met_is_shown_between_two_looks(till: HookedWorld) -> None:
    till.background.do_housekeeping()
    till.background._look_again_at = float("inf")
    till.background.processor().unknown_at[1] = "made.uz", "asked.uz"

    till.background.do_housekeeping()

    assert "payme.cancellations.unknown" in till.host.notices


def test_no_look_begins_after_the_stop(till: HookedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[object] = []
    monkeypatch.setattr(till.background, "_notify_cancellations", looks.append)
    till.background._worker.stop(0.0)

    till.background.do_housekeeping()

    assert looks == []


def test_a_look_at_very_many_rows_takes_a_hundredth_of_the_time_at_most(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def slow_look(_: object) -> None:
        looks.append(till.clock.monotonic())
        till.clock.sleep(3)

    monkeypatch.setattr(till.background, "_notify_cancellations", slow_look)
    for _ in range(901):
        till.background.do_housekeeping()
        till.clock.sleep(1)

    assert [round(later - earlier) for earlier, later in pairwise(looks)] == [300, 300, 300]


def test_after_a_look_that_hung_the_next_one_is_made_within_ten_minutes(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def hanging_look(_: object) -> None:
        looks.append(till.clock.monotonic())
        till.clock.sleep(HOUR_S)

    monkeypatch.setattr(till.background, "_notify_cancellations", hanging_look)
    till.background.do_housekeeping()
    till.clock.sleep(TEN_MINUTES_S)
    till.background.do_housekeeping()

    assert len(looks) == 2
