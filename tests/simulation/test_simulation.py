"""Thousands of sales where anything may go wrong: the guarantees hold and the sums agree, and each break is caught."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.breaks import BREAKS, Break, caught_by_simulation
from simulator.history import History, simulate

ROOT = Path(__file__).parents[2]
EACH = 20


def _broken(histories: list[History]) -> list[str]:
    return [history.summary for history in histories if history.faults]


def _python(*arguments: str, hash_seed: str = "random") -> list[str]:
    """Return what Python prints, line by line, with these arguments and without an error."""
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support")])
    run = subprocess.run(  # noqa: S603 - our own interpreter, code and script
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    return run.stdout.splitlines()


def test_every_guarantee_holds_in_a_few_hundred_sales_with_crashes_and_every_kind_of_result() -> None:
    histories = [simulate(seed, EACH) for seed in range(20, 33)]
    traces = "\n".join(line for history in histories for line in history.trace)

    assert _broken(histories) == []
    assert sum(history.crashes for history in histories) > 10
    for hook, results in (
        ("on_payment", ("PAID", "REFUSED", "ABORTED", "UNKNOWN", "PENDING")),
        ("on_cancel", ("REVERSED", "QUEUED", "REFUSED")),
    ):
        assert [each for each in results if f"{hook} returned {each}" not in traces] == []


def test_every_guarantee_holds_in_a_chain_whose_broker_fails_and_whose_workers_are_killed() -> None:
    histories = [simulate(seed, EACH, {"has_chain": True}) for seed in range(40, 48)]
    traces = "\n".join(line for history in histories for line in history.trace)

    assert _broken(histories) == []
    for what in ("is published", "(50), to a central worker", "is parked", "the broker lost everything"):
        assert what in traces


@pytest.mark.simulation
@pytest.mark.timeout(900)
@pytest.mark.parametrize("first_seed", [1_000, 1_100])
def test_every_guarantee_holds_in_two_thousand_sales(first_seed: int) -> None:
    assert _broken([simulate(seed, EACH) for seed in range(first_seed, first_seed + 100)]) == []


@pytest.mark.parametrize("hash_seed", ["0", "4711"])
def test_a_seed_plays_the_same_history_in_any_process_and_another_seed_another_one(hash_seed: str) -> None:
    code = "from simulator.history import simulate; print(simulate(78, 5).digest)"

    assert _python("-c", code, hash_seed=hash_seed) == [simulate(78, 5).digest]
    assert simulate(77, 5).digest != simulate(78, 5).digest


def test_the_command_plays_a_history_again_or_many_in_several_processes() -> None:
    script = str(ROOT / "tests" / "simulation" / "run.py")

    assert _python(script, "--seed", "77", "--each", "2")[:-1] == list(simulate(77, 2).trace)
    many = _python(script, "--sales", "6", "--each", "3", "--workers", "2")
    assert many[-1].startswith("seeds 1 to 2: 6 sales, ")
    assert many[-1].endswith(", 0 histories with a broken guarantee")


def _name(broken: Break) -> str:
    return f"{broken.guarantee}-{broken.what.replace(' ', '-')}"


def test_each_guarantee_is_broken_at_least_once() -> None:
    assert {broken.guarantee for broken in BREAKS} == set(range(1, 11))


@pytest.mark.simulation
@pytest.mark.timeout(600)
@pytest.mark.parametrize("broken", BREAKS, ids=_name)
def test_the_simulator_catches_a_guarantee_that_is_broken(broken: Break) -> None:
    caught = caught_by_simulation(broken)

    assert caught is not None
    assert caught.check.startswith(("guarantee ", "the sums at the end: "))
