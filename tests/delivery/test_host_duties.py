"""What the host owes the plugin shows as a notice after ten minutes, and goes when it is done; it moves no money."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.till import open_sale, request_for
from hookspecs import PaymentStatus
from payme_plugin.operations.refund_rules import sums
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld, Sold
    from hookspecs import PaymentResult

TEN_MINUTES_S = 600
NOT_READY, PENDING, UNACKNOWLEDGED = "payme.not_ready", "payme.pending", "payme.unacknowledged"


def ask(till: HookedWorld, payment_id: str = "p1", number: int = 1, *, repeated: bool = True) -> PaymentResult:
    request = request_for(payment_id, receipt=open_sale(number), repeated=repeated)
    result = till.dispatcher.pay(request, till.cashier(till.paymego.code()))
    assert result is not None
    return result


def unacknowledged(till: HookedWorld, sold: Sold, count: int = 1) -> str:
    amount, number = sums(sold.record.amount), sold.receipt.number
    return till.text(Text.NOTICE_UNACKNOWLEDGED, amount=amount, number=number, count=count)


# ---------------------------------------------------------------------------------------------------------------------
# on_ready
# ---------------------------------------------------------------------------------------------------------------------


def test_a_host_that_never_says_on_ready_is_shown_so_after_ten_minutes(till: HookedWorld) -> None:
    till.work(TEN_MINUTES_S - 30)
    assert NOT_READY not in till.host.notices

    till.work(60)
    assert till.host.notices[NOT_READY] == till.text(Text.NOTICE_NOT_READY)


def test_the_notice_goes_with_on_ready_though_it_comes_late(till: HookedWorld) -> None:
    till.work(TEN_MINUTES_S + 30)

    till.dispatcher.ready()
    till.work(30)

    assert NOT_READY not in till.host.notices


def test_a_wall_clock_that_jumps_makes_no_host_late_with_on_ready(till: HookedWorld) -> None:
    till.clock.set_wall(10 * TEN_MINUTES_S * 1000)
    till.work(30)

    assert NOT_READY not in till.host.notices


# ---------------------------------------------------------------------------------------------------------------------
# PENDING
# ---------------------------------------------------------------------------------------------------------------------


def begin_pending(till: HookedWorld) -> Sold:
    sold = till.sell()
    till.restart()
    till.broken = True
    assert ask(till).status is PaymentStatus.PENDING
    return sold


def test_a_payment_that_is_pending_for_ten_minutes_is_shown_however_often_the_host_asks(till: HookedWorld) -> None:
    begin_pending(till)
    for _ in range(9):
        till.work(60)
        assert ask(till).status is PaymentStatus.PENDING
    assert PENDING not in till.host.notices

    till.work(90)
    assert till.host.notices[PENDING] == till.text(Text.NOTICE_PENDING, count=1)


def by_result(till: HookedWorld, sold: Sold) -> None:
    till.broken = False
    assert ask(till).status is PaymentStatus.PAID
    till.dispatcher.acknowledge(sold.record)


def by_acknowledgement(till: HookedWorld, sold: Sold) -> None:
    till.dispatcher.acknowledge(sold.record)


def by_closed_receipt(till: HookedWorld, sold: Sold) -> None:
    till.close_sale(sold)


def by_cancel(till: HookedWorld, sold: Sold) -> None:
    till.cancel(sold)


@pytest.mark.parametrize("end", [by_result, by_acknowledgement, by_closed_receipt, by_cancel])
def test_the_notice_of_a_pending_payment_goes_with_its_end(
    till: HookedWorld, end: Callable[[HookedWorld, Sold], None]
) -> None:
    sold = begin_pending(till)
    till.work(TEN_MINUTES_S + 60)
    assert PENDING in till.host.notices

    end(till, sold)
    till.work(60)

    assert PENDING not in till.host.notices


# ---------------------------------------------------------------------------------------------------------------------
# PAID without an acknowledgement
# ---------------------------------------------------------------------------------------------------------------------


def test_a_paid_payment_that_nobody_acknowledges_is_shown_after_ten_minutes_with_its_amount_and_receipt(
    till: HookedWorld,
) -> None:
    sold = till.sell()
    till.work(TEN_MINUTES_S - 30)
    assert UNACKNOWLEDGED not in till.host.notices

    till.work(60)
    assert till.host.notices[UNACKNOWLEDGED] == unacknowledged(till, sold)
    assert till.paymego.held() == sold.record.amount


@pytest.mark.parametrize("end", [by_acknowledgement, by_closed_receipt, by_cancel])
def test_the_notice_of_a_paid_payment_goes_with_its_acknowledgement_or_return(
    till: HookedWorld, end: Callable[[HookedWorld, Sold], None]
) -> None:
    sold = till.sell()
    till.work(TEN_MINUTES_S + 30)

    end(till, sold)
    till.work(60)

    assert UNACKNOWLEDGED not in till.host.notices


def test_when_the_next_sale_begins_one_of_an_earlier_sale_is_shown_at_once(till: HookedWorld) -> None:
    sold = till.sell()

    result = ask(till, "p2", 2, repeated=False)

    assert result.status is PaymentStatus.PAID
    assert till.host.notices[UNACKNOWLEDGED] == unacknowledged(till, sold)


def test_a_second_payment_of_the_same_sale_shows_nothing(till: HookedWorld) -> None:
    till.sell()

    ask(till, "p2", 1, repeated=False)

    assert UNACKNOWLEDGED not in till.host.notices


def test_several_are_counted(till: HookedWorld) -> None:
    first, second = till.sell("p1", 1), till.sell("p2", 2)
    till.work(TEN_MINUTES_S + 30)
    assert till.host.notices[UNACKNOWLEDGED] == unacknowledged(till, first, 2)

    till.dispatcher.acknowledge(first.record)
    till.work(30)
    assert till.host.notices[UNACKNOWLEDGED] == unacknowledged(till, second, 1)
