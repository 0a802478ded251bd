"""While a hook waits, the cashier sees it at least twice a second, and how long it may still take."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.paymego import Passage
from fakes.world import World
from payme_plugin.sandbox import BuyerAction
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from fakes.till import ScriptedUi

_LONGEST_GAP_S = 0.5


def _longest_gap_s(world: World, ui: ScriptedUi) -> float:
    """Return the longest time from the last scan to the end in which the cashier saw nothing."""
    moments = [ui.scanned_at[-1], *(shown.at_s for shown in ui.shown), world.clock.monotonic()]
    return max(after - before for before, after in pairwise(moments))


@pytest.mark.parametrize("slow", ["receipts.create", "receipts.pay", "receipts.check", "receipts.get"])
def test_progress_is_shown_twice_a_second_whatever_is_slow(world: World, slow: str) -> None:
    world.paymego.passage = lambda method: Passage(back_s=4.5 if method == slow else 0.01)
    ui = world.cashier(world.paymego.code(BuyerAction.CONFIRMS, after_s=3))

    world.pay(ui=ui)

    assert _longest_gap_s(world, ui) <= _LONGEST_GAP_S


@settings(max_examples=40)
@given(
    back_s=st.floats(0.01, 4),
    frequency_ms=st.integers(1, 5_000),
    duration_ms=st.integers(1, 8_000),
)
def test_many_short_waits_are_one_long_one(
    tmp_path_factory: pytest.TempPathFactory, back_s: float, frequency_ms: int, duration_ms: int
) -> None:
    world = World(tmp_path_factory.mktemp("progress"), frequency=max(50, frequency_ms), payDuration=duration_ms)
    world.paymego.passage = lambda _: Passage(back_s=back_s)
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    world.pay(ui=ui)

    assert _longest_gap_s(world, ui) <= _LONGEST_GAP_S
    world.close()


def test_elapsed_time_counts_from_the_pay_and_never_beyond_the_whole(world: World) -> None:
    world.paymego.passage = lambda method: Passage(back_s=4 if method != "receipts.pay" else 0.01)
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    world.pay(ui=ui)

    (paid_at,) = world.paymego.times_of("receipts.pay")
    assert {shown.total_s for shown in ui.shown} == {20}
    for shown in ui.shown:
        assert shown.elapsed_s == pytest.approx(min(20, max(0, shown.at_s - paid_at)))


def test_the_text_says_what_is_waited_for_and_the_seconds_left(world: World) -> None:
    world.paymego.passage = lambda method: Passage(back_s=1)
    ui = world.cashier(world.paymego.code(BuyerAction.NEVER_ANSWERS))

    world.pay(ui=ui)

    texts = [shown.text for shown in ui.shown]
    assert texts[0] == world.text(Text.PROGRESS_CREATING)
    assert world.text(Text.PROGRESS_PAYING) in texts
    assert world.text(Text.PROGRESS_WAITING_FOR_BUYER, left_s=10) in texts
    assert texts[-1] == world.text(Text.PROGRESS_WAITING_FOR_BUYER, left_s=0)
