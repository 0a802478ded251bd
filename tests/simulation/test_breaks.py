"""Each of the ten statements is broken on purpose, and the simulator or the model catches it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sim_breaks import BREAKS
from sim_catching import TRACED, Caught, caught_by_model, caught_by_simulation, page

if TYPE_CHECKING:
    from sim_breaks import Break

PAGE = Path(__file__).parents[2] / "docs" / "breaks.md"

# What few steps are enough for. The others need answers of other calls, or threads that meet: the simulator has them.
_FOR_THE_MODEL_TOO = frozenset(
    {
        "receipts.create leaves before its intent is durable",
        "receipts.pay leaves before the code's fingerprint is durable",
        "receipts.pay leaves while the journal says created",
        "a verdict after a pay is stored without its cancellation",
        "a cancellation ends when Payme has accepted it (21)",
        "rows are stepped without their lease",
        "recovery takes the dead for living, and decides nothing",
        "the story of a payment names the buyer's code",
        "the story of a payment names the key of the kassa",
        "on_receipt_closed raises",
    }
)


def _named(broken: Break) -> str:
    return f"{broken.statement}-{broken.what.replace(' ', '-')}"


def test_each_statement_is_broken_at_least_once() -> None:
    assert {broken.statement for broken in BREAKS} == set(range(1, 11))


def test_the_page_names_every_break_and_none_that_was_not_caught() -> None:
    lines = PAGE.read_text("utf-8").splitlines()
    rows = [line for line in lines if line.startswith("| ") and "Statement" not in line and line != TRACED]

    assert TRACED in lines
    assert [row.split(" | ")[:2] for row in rows] == [[f"| {broken.statement}", broken.what] for broken in BREAKS]
    assert not [row for row in rows if "| nothing |" in row]


def test_the_trace_that_catches_what_no_simulator_sees_is_there() -> None:
    named = re.search(r"`(tests/crash/\w+\.py)::(\w+)`", TRACED)

    assert named is not None
    assert f"def {named[2]}(" in (PAGE.parents[1] / named[1]).read_text("utf-8")
    assert TRACED in page([])


def test_the_page_tells_what_caught_a_break_and_after_how_long() -> None:
    text = page([(BREAKS[0], Caught(20, "statement 1: too early"), None), (BREAKS[1], None, None)])

    assert f"| 1 | {BREAKS[0].what} | statement 1: too early | 20 | - |\n" in text
    assert f"| 1 | {BREAKS[1].what} | nothing | - | - |\n" in text


@pytest.mark.simulation
@pytest.mark.timeout(600)
@pytest.mark.parametrize("broken", BREAKS, ids=_named)
def test_the_simulator_catches_it(broken: Break) -> None:
    caught = caught_by_simulation(broken)

    assert caught is not None
    assert caught.check.startswith(("statement ", "the sums at the end: "))


@pytest.mark.simulation
@pytest.mark.timeout(600)
@pytest.mark.parametrize("broken", [each for each in BREAKS if each.what in _FOR_THE_MODEL_TOO], ids=_named)
def test_the_model_catches_it(broken: Break) -> None:
    assert caught_by_model(broken) is not None
