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


def ask(world: HookedWorld, payment_id: str = "p1", number: int = 1, *, repeated: bool = True) -> PaymentResult:
    request = request_for(payment_id, receipt=open_sale(number), repeated=repeated)
    result = world.dispatcher.pay(request, world.cashier(world.paymego.code()))
    assert result is not None
    return result


def unacknowledged(world: HookedWorld, sold: Sold, count: int = 1) -> str:
    amount, number = sums(sold.record.amount), sold.receipt.number
    return world.text(Text.NOTICE_UNACKNOWLEDGED, amount=amount, number=number, count=count)


# ---------------------------------------------------------------------------------------------------------------------
# on_ready
# ---------------------------------------------------------------------------------------------------------------------


def test_a_host_that_never_says_on_ready_is_shown_so_after_ten_minutes(world: HookedWorld) -> None:
    world.work(TEN_MINUTES_S - 30)
    assert NOT_READY not in world.host.notices

    world.work(60)
    assert world.host.notices[NOT_READY] == world.text(Text.NOTICE_NOT_READY)


def test_the_notice_goes_with_on_ready_though_it_comes_late(world: HookedWorld) -> None:
    world.work(TEN_MINUTES_S + 30)

    world.dispatcher.ready()
    world.work(30)

    assert NOT_READY not in world.host.notices


def test_a_wall_clock_that_jumps_makes_no_host_late_with_on_ready(world: HookedWorld) -> None:
    world.clock.set_wall(10 * TEN_MINUTES_S * 1000)
    world.work(30)

    assert NOT_READY not in world.host.notices


# ---------------------------------------------------------------------------------------------------------------------
# PENDING
# ---------------------------------------------------------------------------------------------------------------------


def begin_pending(world: HookedWorld) -> Sold:
    sold = world.sell()
    world.restart()
    world.broken = True
    assert ask(world).status is PaymentStatus.PENDING
    return sold


def test_a_payment_that_is_pending_for_ten_minutes_is_shown_however_often_the_host_asks(world: HookedWorld) -> None:
    begin_pending(world)
    for _ in range(9):
        world.work(60)
        assert ask(world).status is PaymentStatus.PENDING
    assert PENDING not in world.host.notices

    world.work(90)
    assert world.host.notices[PENDING] == world.text(Text.NOTICE_PENDING, count=1)


def by_result(world: HookedWorld, sold: Sold) -> None:
    world.broken = False
    assert ask(world).status is PaymentStatus.PAID
    world.dispatcher.acknowledge(sold.record)


def by_acknowledgement(world: HookedWorld, sold: Sold) -> None:
    world.dispatcher.acknowledge(sold.record)


def by_closed_receipt(world: HookedWorld, sold: Sold) -> None:
    world.close_sale(sold)


def by_cancel(world: HookedWorld, sold: Sold) -> None:
    world.cancel(sold)


@pytest.mark.parametrize("end", [by_result, by_acknowledgement, by_closed_receipt, by_cancel])
def test_the_notice_of_a_pending_payment_goes_with_its_end(
    world: HookedWorld, end: Callable[[HookedWorld, Sold], None]
) -> None:
    sold = begin_pending(world)
    world.work(TEN_MINUTES_S + 60)
    assert PENDING in world.host.notices

    end(world, sold)
    world.work(60)

    assert PENDING not in world.host.notices


# ---------------------------------------------------------------------------------------------------------------------
# PAID without an acknowledgement
# ---------------------------------------------------------------------------------------------------------------------


def test_a_paid_payment_that_nobody_acknowledges_is_shown_after_ten_minutes_with_its_amount_and_receipt(
    world: HookedWorld,
) -> None:
    sold = world.sell()
    world.work(TEN_MINUTES_S - 30)
    assert UNACKNOWLEDGED not in world.host.notices

    world.work(60)
    assert world.host.notices[UNACKNOWLEDGED] == unacknowledged(world, sold)
    assert world.paymego.held() == sold.record.amount


@pytest.mark.parametrize("end", [by_acknowledgement, by_closed_receipt, by_cancel])
def test_the_notice_of_a_paid_payment_goes_with_its_acknowledgement_or_return(
    world: HookedWorld, end: Callable[[HookedWorld, Sold], None]
) -> None:
    sold = world.sell()
    world.work(TEN_MINUTES_S + 30)

    end(world, sold)
    world.work(60)

    assert UNACKNOWLEDGED not in world.host.notices


def test_when_the_next_sale_begins_one_of_an_earlier_sale_is_shown_at_once(world: HookedWorld) -> None:
    sold = world.sell()

    result = ask(world, "p2", 2, repeated=False)

    assert result.status is PaymentStatus.PAID
    assert world.host.notices[UNACKNOWLEDGED] == unacknowledged(world, sold)


def test_a_second_payment_of_the_same_sale_shows_nothing(world: HookedWorld) -> None:
    world.sell()

    ask(world, "p2", 1, repeated=False)

    assert UNACKNOWLEDGED not in world.host.notices


def test_several_are_counted(world: HookedWorld) -> None:
    first, second = world.sell("p1", 1), world.sell("p2", 2)
    world.work(TEN_MINUTES_S + 30)
    assert world.host.notices[UNACKNOWLEDGED] == unacknowledged(world, first, 2)

    world.dispatcher.acknowledge(first.record)
    world.work(30)
    assert world.host.notices[UNACKNOWLEDGED] == unacknowledged(world, second, 1)
