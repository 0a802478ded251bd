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
def till(tmp_path: Path) -> Iterator[HookedWorld]:
    till = HookedWorld(tmp_path, payDuration=300_000, frequency=10_000, timeout=10)
    yield till
    till.close()


def moves(till: HookedWorld) -> list[int]:
    return [each.amount for each in till.paymego.bank.movements(till.paymego.now_ms)]


@pytest.mark.parametrize("after_s", [299.9, 299.98, 299.99, 300.0, 300.005, 300.01, 300.02, 300.03, 300.05, 300.1, 301])
def test_a_buyer_who_confirms_around_the_end_is_sold_to_or_has_the_money_back_once(
    till: HookedWorld, after_s: float
) -> None:
    result = till.pay(till.paymego.code(BuyerAction.CONFIRMS, after_s=after_s))
    till.work(1200)

    assert till.live() == []
    if result.status is PaymentStatus.PAID:
        assert moves(till) == [AMOUNT]
    else:
        assert result.status is PaymentStatus.UNKNOWN
        assert moves(till) in ([], [AMOUNT, -AMOUNT])


@pytest.mark.parametrize(("after_s", "status"), [(299.9, PaymentStatus.PAID), (300.1, PaymentStatus.UNKNOWN)])
def test_a_tenth_of_a_second_decides(till: HookedWorld, after_s: float, status: PaymentStatus) -> None:
    assert till.pay(till.paymego.code(BuyerAction.CONFIRMS, after_s=after_s)).status is status


def test_one_who_confirms_after_the_verdict_and_before_the_worker_looks_has_the_money_back_once(
    till: HookedWorld,
) -> None:
    result = till.pay(till.paymego.code(BuyerAction.CONFIRMS, after_s=300.1))
    till.clock.sleep(5)
    assert (result.status, moves(till)) == (PaymentStatus.UNKNOWN, [AMOUNT])

    till.work(1200)

    assert (moves(till), till.live()) == ([AMOUNT, -AMOUNT], [])


def test_one_who_confirms_while_the_cancel_is_on_its_way_has_the_money_back_once(till: HookedWorld) -> None:
    row = owe(till)
    there_s = 3.0
    till.paymego.passage = lambda method: Passage(there_s=there_s if method == CANCEL else 0.01)
    confirms_at = till.clock.monotonic() + 1.5

    def confirm() -> None:
        till.paymego.bank.put_state(till.paymego.now_ms, row.receipt_id, 4)

    till.clock.at(confirms_at, confirm)
    till.work(1200)

    (cancel,) = [sent for sent in till.paymego.sent if sent.method == CANCEL]
    assert cancel.at_s < confirms_at < cancel.at_s + there_s
    assert (moves(till), till.live()) == ([AMOUNT, -AMOUNT], [])
