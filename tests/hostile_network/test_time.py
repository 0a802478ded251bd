"""Guarantee 7 under faults that add up. ``test_faults`` checks that every single fault keeps it.

A wall clock that jumps is in ``tests/payments``, ``tests/recovery`` and ``tests/delivery``, on virtual time.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from faults.answer_faults import WIRE_FAULTS
from faults.proxied_till import PAY_DURATION_S, TIMEOUT_S, ProxiedTill
from faults.proxy import Phase
from hookspecs import PaymentStatus
from payme_plugin.sandbox import BuyerAction

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.network import Network
    from faults.server import Request

ENDLESS = ("accepted and silent", "dripping body", "dripping chunks", "flood of 100 Continue", "chunks without end")
BOUND_S = max(PAY_DURATION_S, TIMEOUT_S) + TIMEOUT_S + 1 + 1.0
"""Guarantee 7, and what a busy machine may add."""


def result_under(network: Network, fault: str) -> tuple[PaymentStatus, bool, bool, bool]:
    """Pay under a fault that hits everything from the first ``receipts.pay`` on.

    Return the result, whether it has a cancellation, whether it was in time, and whether the money goes back.
    """
    paid_at: list[float] = []
    with closing(ProxiedTill(network, f"under {fault}")) as till:

        def arriving(request: Request) -> None:
            if request.method == "receipts.pay":
                paid_at.append(time.monotonic())
                till.proxy.inject(WIRE_FAULTS[fault], Phase.AFTER, request.method)
            elif paid_at:
                till.proxy.inject(WIRE_FAULTS[fault], Phase.BEFORE, request.method)

        till.proxy.arriving = arriving
        result = till.pay(till.code())
        took_s = time.monotonic() - paid_at[0]
        till.proxy.arriving = lambda _: None
        till.proxy.heal()
        return result.status, result.cancellation_queued, took_s <= BOUND_S, till.settles()


def test_faults_on_every_request_from_pay_on_do_not_add_up(network: Network) -> None:
    with ThreadPoolExecutor(len(ENDLESS)) as pool:  # each waits for the whole of its time
        results = dict(zip(ENDLESS, pool.map(partial(result_under, network), ENDLESS), strict=True))

    assert results == dict.fromkeys(ENDLESS, (PaymentStatus.UNKNOWN, True, True, True))


def lose_the_last_but_one_poll(till: ProxiedTill) -> list[float]:
    """Lose the one poll that arrives shortly before ``payDuration`` ends, and let the one after it wait.

    The lost one has a whole ``timeout``, which reaches far beyond that end; what is asked after it is answered in half
    a ``timeout``. Both have time enough only where the lost one makes room. Return when it was lost, once it was.
    """
    paid_at: list[float] = []
    lost_at: list[float] = []

    def arriving(request: Request) -> None:
        now = time.monotonic()
        if request.method == "receipts.pay":
            paid_at.append(now)
        elif request.method == "receipts.check" and lost_at:
            till.proxy.heal()
            time.sleep(TIMEOUT_S / 2)
        elif request.method == "receipts.check" and 0.1 < paid_at[0] + PAY_DURATION_S - now <= 0.35:
            lost_at.append(now)
            till.proxy.inject(WIRE_FAULTS["accepted and silent"], Phase.BEFORE, "receipts.check")

    till.proxy.arriving = arriving
    return lost_at


def test_a_poll_that_is_lost_late_leaves_time_for_the_last_one(
    new_proxied_till: Callable[..., ProxiedTill],
) -> None:
    till = new_proxied_till()
    for payment_id in ("p1", "p1-again", "p1-at-last"):  # a busy machine asks nothing at just that time, or not in time
        lost_at = lose_the_last_but_one_poll(till)
        code = till.code(BuyerAction.CONFIRMS, after_s=PAY_DURATION_S - 0.1)
        began_at = time.monotonic()
        result = till.pay(code, payment_id)
        took_s = time.monotonic() - began_at
        if lost_at and result.status is PaymentStatus.PAID:
            break

    assert lost_at != []
    assert result.status is PaymentStatus.PAID
    assert took_s <= BOUND_S
