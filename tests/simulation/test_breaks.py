"""The simulator catches every break of a guarantee."""

from __future__ import annotations

import pytest

from simulator.breaks import BREAKS, Break
from simulator.breaks_table import caught_by_simulation


def _name(broken: Break) -> str:
    return f"{broken.statement}-{broken.what.replace(' ', '-')}"


def test_each_guarantee_is_broken_at_least_once() -> None:
    assert {broken.statement for broken in BREAKS} == set(range(1, 11))


@pytest.mark.simulation
@pytest.mark.timeout(600)
@pytest.mark.parametrize("broken", BREAKS, ids=_name)
def test_the_simulator_catches_it(broken: Break) -> None:
    caught = caught_by_simulation(broken)

    assert caught is not None
    assert caught.check.startswith(("guarantee ", "the sums at the end: "))
