"""4. Time: statement 7 under faults that add up, a wall clock that jumps, and what comes or would leave too late.

That every single fault keeps statement 7 is told by ``test_1_fault_proxy`` and ``test_2_answers``, cell by cell.
"""

from __future__ import annotations

import itertools
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from fault_proxy import Phase
from fault_proxy_roads import ROADS
from fault_proxy_strikes import STRIKES
from hookspecs import PaymentStatus, ReversalStatus
from hostile_stage import AMOUNT, PAY_DURATION_S, TIMEOUT_S, Stage
from payme_plugin.clock import SystemClock
from payme_plugin.sandbox import BuyerAction
from virtual_till import ScriptedUi
from waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fault_proxy import Line, Request, Strike
    from hostile_shop import Shop

DAY_NS = 86_400 * 10**9
SILENT = STRIKES["accepted and silent"]
PAID_AND_HELD_S = 0.3


@pytest.fixture
def stage(shop: Shop, request: pytest.FixtureRequest) -> Iterator[Stage]:
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    stage = Stage(shop, name)
    yield stage
    stage.close()


def settled(stage: Stage) -> bool:
    stage.proxy.settle()
    return comes_true(stage.is_settled, 20)


# ---------------------------------------------------------------------------------------------------------------------
# Statement 7
# ---------------------------------------------------------------------------------------------------------------------


class FromPayOn:
    """A fault that befalls the first ``receipts.pay``, and after it every request, whatever its method.

    Attributes:
        strike: what befalls ``receipts.pay``.
        at_s: when it arrived.
    """

    def __init__(self, stage: Stage, strike: Strike) -> None:
        self.strike = strike
        self.at_s: float | None = None
        self._later = strike
        self._stage = stage
        stage.proxy.arriving = self._arriving

    def _arriving(self, request: Request) -> None:
        if request.method == "receipts.pay":
            self.at_s = time.monotonic()
            self._stage.proxy.befall(request.method, self.strike, Phase.AFTER)
        elif self.at_s is not None:
            self._stage.proxy.befall(request.method, self._later, Phase.BEFORE)

    def over(self) -> None:
        """End it."""
        self._stage.proxy.arriving = lambda _: None
        self._stage.proxy.heal()


@pytest.mark.parametrize("fault", ["accepted and silent", "dripping body", "flood of 100 Continue"])
def test_faults_on_every_request_from_pay_on_do_not_add_up(stage: Stage, fault: str) -> None:
    befallen = FromPayOn(stage, STRIKES[fault])

    result = stage.pay(stage.till.code())
    ended_at = time.monotonic()
    befallen.over()

    assert (result.status, result.cancellation_queued) == (PaymentStatus.UNKNOWN, True)
    assert befallen.at_s is not None
    assert ended_at - befallen.at_s <= stage.bound_s()
    assert settled(stage)


def test_a_question_that_is_lost_late_leaves_time_for_the_last_one(stage: Stage) -> None:
    code = stage.till.code(BuyerAction.CONFIRMS, after_s=PAY_DURATION_S - 0.4)
    asked = itertools.count(1)
    stage.proxy.befall("receipts.check", SILENT, Phase.BEFORE, lambda _: next(asked) == 2)

    began_at = time.monotonic()
    result = stage.pay(code)

    assert result.status is PaymentStatus.PAID
    assert time.monotonic() - began_at <= stage.bound_s()


# ---------------------------------------------------------------------------------------------------------------------
# A wall clock that jumps
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Let the machine's wall clock jump by days, for the plugin alone; the sandbox has a clock of its own."""
    offset_ns = [0]
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=time.sleep, time_ns=lambda: time.time_ns() + offset_ns[0])
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
    stage: Stage, jump: Callable[[int], None], method: str, days: int
) -> None:
    jumps = jump_at(stage, method, jump, days)

    began_at = time.monotonic()
    result = stage.pay(stage.till.code(BuyerAction.CONFIRMS, after_s=PAID_AND_HELD_S))

    assert result.status is PaymentStatus.PAID
    assert PAID_AND_HELD_S <= time.monotonic() - began_at < PAY_DURATION_S
    assert jumps == []
    assert settled(stage)
    assert stage.sandbox.held() == AMOUNT


@pytest.mark.parametrize("days", [-1, 1])
def test_a_jump_while_the_cashier_scans_makes_no_code_old_and_none_young(
    stage: Stage, jump: Callable[[int], None], days: int
) -> None:
    code = stage.till.code()

    def scan() -> str:
        jump(days)
        return code

    result = stage.till.pay(ui=ScriptedUi(SystemClock(), [scan]), amount=AMOUNT)

    assert result.status is PaymentStatus.PAID


@pytest.mark.parametrize("days", [-1, 1])
def test_a_jump_during_the_wait_ends_it_neither_sooner_nor_later(
    stage: Stage, jump: Callable[[int], None], days: int
) -> None:
    jumps = jump_at(stage, "receipts.check", jump, days)

    began_at = time.monotonic()
    result = stage.pay(stage.till.code(BuyerAction.NEVER_ANSWERS))
    took_s = time.monotonic() - began_at

    assert (result.status, result.cancellation_queued) == (PaymentStatus.UNKNOWN, True)
    assert PAY_DURATION_S <= took_s <= stage.bound_s()
    assert jumps == []
    assert settled(stage)
    assert stage.sandbox.receipts()[0].state == 50


@pytest.mark.parametrize("days", [-1, 1])
def test_a_jump_between_verdict_and_delivery_delays_no_money(
    stage: Stage, jump: Callable[[int], None], days: int
) -> None:
    stage.proxy.befall("receipts.check", STRIKES["closed without an answer"], Phase.BEFORE)
    result = stage.pay(stage.till.code(BuyerAction.CONFIRMS, after_s=PAID_AND_HELD_S))
    assert result.status is PaymentStatus.UNKNOWN
    assert stage.sandbox.held() == AMOUNT

    jump(days)
    stage.proxy.heal()
    stage.till.plugins.on_stop()  # a new start, as after a power cut: what is due is told by the wall clock alone
    stage.till.plugins.on_start(stage.host)

    assert comes_true(stage.is_settled, 5)
    assert stage.sandbox.held() == 0


@pytest.mark.parametrize("days", [-1, 1])
@pytest.mark.parametrize("method", ["receipts.check", "receipts.cancel"])
def test_a_jump_during_a_cancel_changes_nothing(
    stage: Stage, jump: Callable[[int], None], method: str, days: int
) -> None:
    sale = stage.sell()
    jumps = jump_at(stage, method, jump, days)

    result = stage.cancel(sale)

    assert result.status is ReversalStatus.REVERSED
    assert jumps == []
    assert settled(stage)
    assert stage.sandbox.held() == 0


# ---------------------------------------------------------------------------------------------------------------------
# Too late
# ---------------------------------------------------------------------------------------------------------------------


def test_what_an_abandoned_pay_still_brings_is_thrown_away(stage: Stage) -> None:
    """The answer that says paid comes after the request's own time, while the till still asks and hears nothing."""
    answered: list[bytes] = []

    def late(line: Line, answer: bytes) -> None:
        line.over.wait(TIMEOUT_S + 0.2)
        answered.append(answer)
        line.reply(answer)

    befallen = FromPayOn(stage, SILENT)
    befallen.strike = late
    result = stage.pay(stage.till.code())
    verdict = stage.till.row().state
    befallen.over()

    assert b'"state": 4' in answered[0]
    assert (result.status, result.cancellation_queued) == (PaymentStatus.UNKNOWN, True)
    assert settled(stage)
    assert stage.till.row().state is verdict
    assert stage.sandbox.held() == 0


def lead_astray_after_create(stage: Stage, road: str) -> None:
    look_up = ROADS[road](stage.proxy, stage.shop.nowhere)
    assert look_up is not None

    def trigger(method: str, answer: bytes) -> bool:
        if method != "receipts.create":
            return False
        stage.shop.names.lead(stage.host_name, look_up)
        return True

    stage.proxy.trigger = trigger


@pytest.mark.parametrize("road", ["slow name look-up", "no address answers", "accepted, then mute before TLS"])
def test_a_pay_that_was_not_written_in_time_is_never_written(stage: Stage, road: str) -> None:
    """The way is free again as soon as the verdict is there: the code must not leave by it any more."""
    lead_astray_after_create(stage, road)
    code = stage.till.code()

    began_at = time.monotonic()
    result = stage.pay(code)
    took_s = time.monotonic() - began_at
    stage.shop.names.lead(stage.host_name, lambda: [stage.proxy.port])
    stage.proxy.heal()

    assert (result.status, result.cancellation_queued) == (PaymentStatus.REFUSED, True)
    assert TIMEOUT_S <= took_s <= stage.bound_s()
    assert settled(stage)
    assert stage.sandbox.pays(code) == 0

    again = stage.pay(code, "p2", 2)  # a code that certainly was not sent may be used again
    assert again.status is PaymentStatus.PAID
    assert [arrival.method for arrival in stage.proxy.arrivals].count("receipts.pay") == 1


def test_a_cashier_who_stops_during_the_look_up_sends_nothing(stage: Stage) -> None:
    lead_astray_after_create(stage, "slow name look-up")
    code = stage.till.code()

    result = stage.till.pay(ui=ScriptedUi(SystemClock(), [code], hand=lambda _: True), amount=AMOUNT)
    stage.host.recorded["p1"] = False
    stage.shop.names.lead(stage.host_name, lambda: [stage.proxy.port])
    stage.proxy.heal()

    assert (result.status, result.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert settled(stage)
    assert stage.pay(stage.till.code(), "p2", 2).status is PaymentStatus.PAID  # what could still leave has left by now
    assert stage.sandbox.pays(code) == 0
