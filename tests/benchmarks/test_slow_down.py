"""A slow-down of 20 % that is planted in the payment's path is in the figures, and the table marks it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.till import ScriptedUi, request_for
from hookspecs import PosPlugins
from payme_plugin.clock import SystemClock
from payme_plugin.plugin import PaymePlugin
from tests.benchmarks.measure import CONTRACT, Ratio, compare, lean_server, seconds
from tests.benchmarks.payments import selling
from tests.benchmarks.slow_down import planted
from tests.benchmarks.table import change

if TYPE_CHECKING:
    from pathlib import Path

    from hookspecs import PaymentRequest, PaymentResult, Ui

HOOK_S, BARE_S = 0.012, 0.010


class CountedClock:
    """A clock that moves by what the work takes, and by a microsecond at each look."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 1e-6
        return self.now_s

    def work(self, duration_s: float) -> None:
        self.now_s += duration_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> CountedClock:
    """Return the clock of a plugin whose ``on_payment`` takes ``HOOK_S``."""
    clock = CountedClock()

    def on_payment(_self: PaymePlugin, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        clock.work(HOOK_S)
        return None

    on_payment.__dict__.update(PaymePlugin.on_payment.__dict__)
    monkeypatch.setattr(PaymePlugin, "on_payment", on_payment)
    return clock


def measured(clock: CountedClock) -> Ratio:
    plugins = PosPlugins()
    plugins.register(PaymePlugin(), "payme")
    request, ui = request_for(), ScriptedUi(SystemClock())
    return compare(
        lambda: seconds(lambda: plugins.on_payment(request, ui), clock),
        lambda: seconds(lambda: clock.work(BARE_S), clock),
        rounds=5,
    )


def test_a_slow_down_of_20_percent_is_in_the_ratio_and_marked_in_the_table(clock: CountedClock) -> None:
    last = measured(clock)
    with planted(20, clock):
        now = measured(clock)
    after = measured(clock)

    assert last.value == pytest.approx(1.2, rel=0.01)
    assert now.value == pytest.approx(1.2 * 1.2, rel=0.01)
    last_figure, now_figure, after_figure = (each.figure(CONTRACT, "on_payment", "bare") for each in (last, now, after))
    spread = replace(last_figure, low=1.1, high=1.3)
    assert change(replace(now_figure, low=1.35, high=1.5), spread) == "**+20 %**"
    assert change(after_figure, spread) == "+0 %"


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_real_payments_are_slower_by_the_slow_down(tmp_path: Path) -> None:
    with lean_server() as port:
        url = f"http://127.0.0.1:{port}/api"
        with selling(tmp_path / "plain", url) as plain, planted(20), selling(tmp_path / "slow", url) as slow:
            ratio = compare(slow.pay, plain.pay, 300, 30)

    assert 1.1 < ratio.value < 1.35, ratio
