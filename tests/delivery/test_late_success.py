"""The buyer confirms when it is almost too late, or too late: either the till has the sale, or the money is back, once.

``payDuration`` is the manual's five minutes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import HookedWorld
from fakes.owed_money import owe
from fakes.paymego import Passage
from hookspecs import PaymentStatus
from payme_plugin.sandbox import BuyerAction

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AMOUNT = 1_500_000
CANCEL = "receipts.cancel"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[HookedWorld]:
    world = HookedWorld(tmp_path, payDuration=300_000, frequency=10_000, timeout=10)
    yield world
    world.close()


def moves(world: HookedWorld) -> list[int]:
    return [each.amount for each in world.paymego.bank.movements(world.paymego.now_ms)]


@pytest.mark.parametrize("after_s", [299.9, 299.98, 299.99, 300.0, 300.005, 300.01, 300.02, 300.03, 300.05, 300.1, 301])
def test_a_buyer_who_confirms_around_the_end_is_sold_to_or_has_the_money_back_once(
    world: HookedWorld, after_s: float
) -> None:
    result = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=after_s))
    world.work(1200)

    assert world.live() == []
    if result.status is PaymentStatus.PAID:
        assert moves(world) == [AMOUNT]
    else:
        assert result.status is PaymentStatus.UNKNOWN
        assert moves(world) in ([], [AMOUNT, -AMOUNT])


@pytest.mark.parametrize(("after_s", "status"), [(299.9, PaymentStatus.PAID), (300.1, PaymentStatus.UNKNOWN)])
def test_a_tenth_of_a_second_decides(world: HookedWorld, after_s: float, status: PaymentStatus) -> None:
    assert world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=after_s)).status is status


def test_one_who_confirms_after_the_verdict_and_before_the_worker_looks_has_the_money_back_once(
    world: HookedWorld,
) -> None:
    result = world.pay(world.paymego.code(BuyerAction.CONFIRMS, after_s=300.1))
    world.clock.sleep(5)
    assert (result.status, moves(world)) == (PaymentStatus.UNKNOWN, [AMOUNT])

    world.work(1200)

    assert (moves(world), world.live()) == ([AMOUNT, -AMOUNT], [])


def test_one_who_confirms_while_the_cancel_is_on_its_way_has_the_money_back_once(world: HookedWorld) -> None:
    row = owe(world)
    there_s = 3.0
    world.paymego.passage = lambda method: Passage(there_s=there_s if method == CANCEL else 0.01)
    confirms_at = world.clock.monotonic() + 1.5

    def confirm() -> None:
        world.paymego.bank.put_state(world.paymego.now_ms, row.receipt_id, 4)

    world.clock.at(confirms_at, confirm)
    world.work(1200)

    (cancel,) = [sent for sent in world.paymego.sent if sent.method == CANCEL]
    assert cancel.at_s < confirms_at < cancel.at_s + there_s
    assert (moves(world), world.live()) == ([AMOUNT, -AMOUNT], [])
