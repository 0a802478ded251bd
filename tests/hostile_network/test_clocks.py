"""4. Time: guarantee 7 under faults that add up, a wall clock that jumps.

``test_faults`` and ``test_answers`` check, cell by cell, that every single fault keeps guarantee 7.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from fakes.waiting import comes_true
from faults.answer_faults import STRIKES
from faults.from_pay import FromPayOn
from faults.proxy import Phase
from faults.stage import AMOUNT, PAY_DURATION_S, TIMEOUT_S, Stage
from hookspecs import PaymentStatus, ReversalStatus
from payme_plugin.sandbox import BuyerAction

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.proxy_line import Request
    from faults.shop import Shop

DAY_NS = 86_400 * 10**9
SILENT = STRIKES["accepted and silent"]
PAID_AND_HELD_S = 0.3


# ---------------------------------------------------------------------------------------------------------------------
# Guarantee 7
# ---------------------------------------------------------------------------------------------------------------------


ENDLESS = ("accepted and silent", "dripping body", "dripping chunks", "flood of 100 Continue", "chunks without end")


def lapses_under(shop: Shop, fault: str) -> list[str]:
    """Take a payment under a fault that lasts, and say in words what is not as it must be."""
    with closing(Stage(shop, f"under {fault}")) as stage:
        befallen = FromPayOn(stage, STRIKES[fault])
        result = stage.pay(stage.code())
        ended_at = time.monotonic()
        befallen.over()
        took_s = ended_at - (befallen.at_s or 0)
        promises = {
            f"{result.status}, cancellation {result.cancellation_queued}": result.status is PaymentStatus.UNKNOWN
            and result.cancellation_queued,
            f"{took_s:.2f} s": took_s <= stage.bound_s(),
            "the money is not where the till has it": stage.settles(),
        }
        return [words for words, held in promises.items() if not held]


def test_faults_on_every_request_from_pay_on_do_not_add_up(shop: Shop) -> None:
    with ThreadPoolExecutor(len(ENDLESS)) as pool:  # each waits for the whole of its time
        lapses = dict(zip(ENDLESS, pool.map(partial(lapses_under, shop), ENDLESS), strict=True))

    assert lapses == {key: [] for key in ENDLESS}


class LateLoss:
    """Loses the one question that arrives shortly before ``payDuration`` ends, and lets the one after it wait.

    The lost one has a whole ``timeout``, which reaches far beyond that end; what is asked after it is answered in half
    a ``timeout``. Both have time enough only where the lost one makes room.
    """

    def __init__(self, stage: Stage) -> None:
        self.has_lost = False
        self._paid_at = 0.0
        stage.proxy.arriving = self._arriving
        stage.proxy.befall("receipts.check", SILENT, Phase.BEFORE, self._is_lost)

    def _arriving(self, request: Request) -> None:
        if request.method == "receipts.pay":
            self._paid_at = time.monotonic()
        elif request.method == "receipts.check" and self.has_lost:
            time.sleep(TIMEOUT_S / 2)

    def _is_lost(self, _: Request) -> bool:
        is_late = PAY_DURATION_S - 0.35 <= time.monotonic() - self._paid_at < PAY_DURATION_S - 0.1
        if self.has_lost or not is_late:
            return False
        self.has_lost = True
        return True


def test_a_question_that_is_lost_late_leaves_time_for_the_last_one(stage: Stage) -> None:
    for payment_id in ("p1", "p1-again", "p1-at-last"):  # a busy machine asks nothing at just that time, or not in time
        loss = LateLoss(stage)
        code = stage.code(BuyerAction.CONFIRMS, after_s=PAY_DURATION_S - 0.1)
        began_at = time.monotonic()
        result = stage.pay(code, payment_id)
        took_s = time.monotonic() - began_at
        if loss.has_lost and result.status is PaymentStatus.PAID:
            break

    assert loss.has_lost
    assert result.status is PaymentStatus.PAID
    assert took_s <= stage.bound_s()


# ---------------------------------------------------------------------------------------------------------------------
# A wall clock that jumps
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the machine's wall clock jump by days, for the plugin alone; the sandbox has a clock of its own."""
    offset_ns = [0]
    clock = SimpleNamespace(**vars(time) | {"time_ns": lambda: time.time_ns() + offset_ns[0]})
    monkeypatch.setattr("payme_plugin.clock.time", clock)

    def jump(days: int) -> None:
        offset_ns[0] += days * DAY_NS

    return jump


def jump_at(stage: Stage, method: str, jump: Callable[[int], None], days: int) -> list[int]:
    """Let the clock jump once, when a method's first request arrives; return the jumps still to come."""
    jumps = [days]

    def arriving(request: Request) -> None:
        if request.method == method and jumps:
            jump(jumps.pop())

    stage.proxy.arriving = arriving
    return jumps


METHODS = ["receipts.create", "receipts.pay", "receipts.check", "receipts.get"]


@pytest.mark.parametrize("days", [-1, 1])
@pytest.mark.parametrize("method", METHODS)
def test_a_jump_during_a_request_of_a_payment_changes_nothing(
    patient_stage: Stage, jump: Callable[[int], None], method: str, days: int
) -> None:
    jumps = jump_at(patient_stage, method, jump, days)

    began_at = time.monotonic()
    result = patient_stage.pay(patient_stage.code(BuyerAction.CONFIRMS, after_s=PAID_AND_HELD_S))
    took_s = time.monotonic() - began_at

    assert result.status is PaymentStatus.PAID
    assert PAID_AND_HELD_S <= took_s <= patient_stage.bound_s()
    assert jumps == []
    assert patient_stage.settles()
    assert patient_stage.sandbox.held() == AMOUNT


@pytest.mark.parametrize("days", [-1, 1])
def test_a_jump_while_the_cashier_scans_makes_no_code_old_and_none_young(
    patient_stage: Stage, jump: Callable[[int], None], days: int
) -> None:
    code = patient_stage.code()

    def scan() -> str:
        jump(days)
        return code

    result = patient_stage.pay(scan)

    assert result.status is PaymentStatus.PAID


@pytest.mark.parametrize("days", [-1, 1])
def test_a_jump_during_the_wait_ends_it_neither_sooner_nor_later(
    patient_stage: Stage, jump: Callable[[int], None], days: int
) -> None:
    jumps = jump_at(patient_stage, "receipts.check", jump, days)

    began_at = time.monotonic()
    result = patient_stage.pay(patient_stage.code(BuyerAction.NEVER_ANSWERS))
    took_s = time.monotonic() - began_at

    assert (result.status, result.cancellation_queued) == (PaymentStatus.UNKNOWN, True)
    assert PAY_DURATION_S <= took_s <= patient_stage.bound_s()
    assert jumps == []
    assert patient_stage.settles()
    assert patient_stage.sandbox.receipts()[0].state == 50


@pytest.mark.parametrize("days", [-1, 1])
def test_a_jump_between_verdict_and_delivery_delays_no_money(
    patient_stage: Stage, jump: Callable[[int], None], days: int
) -> None:
    patient_stage.proxy.befall("receipts.check", STRIKES["closed without an answer"], Phase.BEFORE)
    result = patient_stage.pay(patient_stage.code(BuyerAction.CONFIRMS, after_s=PAID_AND_HELD_S))
    assert result.status is PaymentStatus.UNKNOWN
    assert patient_stage.sandbox.held() == AMOUNT

    jump(days)
    patient_stage.proxy.heal()
    patient_stage.till.plugins.on_stop()  # a new start, as after a power cut: only the wall clock tells what is due
    patient_stage.till.plugins.on_start(patient_stage.host)

    assert comes_true(patient_stage.is_settled, 5)
    assert patient_stage.sandbox.held() == 0


def test_a_jump_back_while_a_cancellation_waits_for_its_next_try_delays_no_money(
    patient_stage: Stage, jump: Callable[[int], None]
) -> None:
    """The plugin goes on as it is, and what was due in a second is now due in a day, by the wall clock."""
    patient_stage.proxy.befall("receipts.check", STRIKES["closed without an answer"], Phase.BEFORE)
    result = patient_stage.pay(patient_stage.code(BuyerAction.CONFIRMS, after_s=PAID_AND_HELD_S))
    assert result.status is PaymentStatus.UNKNOWN
    assert comes_true(lambda: all(row.attempts for row in patient_stage.till.live()), 5)
    assert patient_stage.till.live()
    assert patient_stage.sandbox.held() == AMOUNT

    jump(-1)
    patient_stage.proxy.heal()

    assert comes_true(patient_stage.is_settled, 20)
    assert patient_stage.sandbox.held() == 0


@pytest.mark.parametrize("days", [-1, 1])
@pytest.mark.parametrize("method", ["receipts.check", "receipts.cancel"])
def test_a_jump_during_a_cancel_changes_nothing(
    patient_stage: Stage, jump: Callable[[int], None], method: str, days: int
) -> None:
    sale = patient_stage.sell()
    jumps = jump_at(patient_stage, method, jump, days)

    result = patient_stage.cancel(sale)

    assert result.status is ReversalStatus.REVERSED
    assert jumps == []
    assert patient_stage.settles()
    assert patient_stage.sandbox.held() == 0
