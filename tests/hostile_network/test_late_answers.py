"""4. Time, its end: what comes too late is thrown away, and what was not written in time is never written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from faults.answer_faults import STRIKES
from faults.from_pay import FromPayOn
from faults.route_faults import ROADS
from faults.stage import TIMEOUT_S
from hookspecs import PaymentStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.proxy_line import Line
    from faults.stage import Stage
    from hookspecs import PaymentResult

SILENT = STRIKES["accepted and silent"]


def test_what_an_abandoned_pay_still_brings_is_thrown_away(stage: Stage) -> None:
    """The answer that says paid comes after the request's own time, while the till still asks and hears nothing."""
    answered: list[bytes] = []

    def late(line: Line, answer: bytes) -> None:
        line.over.wait(TIMEOUT_S + 0.2)
        answered.append(answer)
        line.reply(answer)

    befallen = FromPayOn(stage, SILENT)
    befallen.strike = late
    result = stage.pay(stage.code())
    verdict = stage.till.row().state
    befallen.over()

    assert b'"state": 4' in answered[0]
    assert (result.status, result.cancellation_queued) == (PaymentStatus.UNKNOWN, True)
    assert stage.settles()
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


@dataclass(frozen=True)
class Astray:
    """A payment whose way was lost behind ``receipts.create``, and was free again as soon as the verdict was there."""

    code: str
    result: PaymentResult
    took_s: float


def pay_led_astray(stage: Stage, road: str) -> Astray:
    """Pay so; where a busy machine let even ``receipts.create`` run out of time, once more."""
    for payment_id in ("p1", "p1-again", "p1-at-last"):
        lead_astray_after_create(stage, road)
        code = stage.code()
        began_at = time.monotonic()
        result = stage.pay(code, payment_id)
        took_s = time.monotonic() - began_at
        stage.shop.names.lead(stage.host_name, lambda: [stage.proxy.port])
        stage.proxy.heal()
        if stage.till.row(payment_id).receipt_id is not None:
            return Astray(code, result, took_s)
    raise TimeoutError("this machine is too busy for receipts.create")


@pytest.mark.parametrize("road", ["slow name look-up", "no address answers", "accepted, then mute before TLS"])
def test_a_pay_that_was_not_written_in_time_is_never_written(stage: Stage, road: str) -> None:
    """The way is free again as soon as the verdict is there: the code must not leave by it any more."""
    paid = pay_led_astray(stage, road)

    assert (paid.result.status, paid.result.cancellation_queued) == (PaymentStatus.REFUSED, True)
    assert TIMEOUT_S <= paid.took_s <= stage.bound_s()
    assert stage.settles()
    assert stage.sandbox.pays(paid.code) == 0

    again = stage.pay(paid.code, "p2", 2)  # a code that certainly was not sent may be used again
    assert again.status is PaymentStatus.PAID
    assert [arrival.method for arrival in stage.proxy.arrivals].count("receipts.pay") == 1


def test_a_cashier_who_stops_during_the_look_up_sends_nothing(stage: Stage) -> None:
    lead_astray_after_create(stage, "slow name look-up")
    code = stage.code()

    result = stage.pay(code, hand=lambda _: True)
    stage.shop.names.lead(stage.host_name, lambda: [stage.proxy.port])
    stage.proxy.heal()

    assert (result.status, result.cancellation_queued) == (PaymentStatus.ABORTED, True)
    assert stage.settles()
    assert stage.pay(stage.code(), "p2", 2).status is PaymentStatus.PAID  # what could still leave has left by now
    assert stage.sandbox.pays(code) == 0


@pytest.fixture
def hold_up(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Let so many seconds pass for the plugin at once, as they do for a machine that is put to sleep and wakes up."""
    offset_s = [0.0]
    clock = SimpleNamespace(**vars(time) | {"monotonic": lambda: time.monotonic() + offset_s[0]})
    monkeypatch.setattr("payme_plugin.clock.time", clock)

    def hold_up(seconds: float) -> None:
        offset_s[0] += seconds

    return hold_up


def test_a_pay_whose_time_is_over_when_its_connection_is_there_is_not_written_to_it(
    stage: Stage, hold_up: Callable[[float], None]
) -> None:
    """The connection is sound and the server listens: nothing keeps the request back but the call's own end."""
    shaken: list[str] = []

    def greet() -> None:
        if not shaken:
            shaken.append("the time of the call is over before TLS is agreed on")
            hold_up(TIMEOUT_S)

    def trigger(method: str, answer: bytes) -> bool:
        if method == "receipts.create":
            stage.proxy.greeting = greet
        return method == "receipts.create"

    stage.proxy.trigger = trigger
    code = stage.code()
    result = stage.pay(code)

    assert len(shaken) == 1
    assert (result.status, result.cancellation_queued) == (PaymentStatus.REFUSED, True)
    assert stage.settles()
    assert stage.pay(stage.code(), "p2", 2).status is PaymentStatus.PAID  # what could still leave has left by now
    assert stage.sandbox.pays(code) == 0
    assert [arrival.method for arrival in stage.proxy.arrivals].count("receipts.pay") == 1
