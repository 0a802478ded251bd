"""Thousands of sales where anything may go wrong: the ten statements hold, and in the end every sum agrees."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.history import simulate

ROOT = Path(__file__).parents[2]
SUPPORT = ROOT / "tests" / "support"
RUN = ROOT / "tests" / "simulation" / "run.py"

EACH = 20


def _broken(seeds: range) -> list[str]:
    return [history.summary for history in (simulate(seed, EACH) for seed in seeds) if history.faults]


def test_every_statement_holds_in_a_few_hundred_sales() -> None:
    assert _broken(range(1, 13)) == []


@pytest.mark.simulation
@pytest.mark.timeout(900)
@pytest.mark.parametrize("first_seed", [1_000, 1_100])
def test_every_statement_holds_in_two_thousand_sales(first_seed: int) -> None:
    assert _broken(range(first_seed, first_seed + 100)) == []


def test_a_seed_plays_the_same_history_again() -> None:
    first, second = simulate(77, EACH), simulate(77, EACH)

    assert first.trace == second.trace
    assert first == second


def test_another_seed_plays_another_history() -> None:
    assert simulate(77, 3).digest != simulate(78, 3).digest


@pytest.mark.parametrize("hash_seed", ["0", "1", "4711"])
def test_a_seed_plays_the_same_history_in_any_process(hash_seed: str) -> None:
    code = "from simulator.history import simulate; print(simulate(78, 5).digest)"
    path = os.pathsep.join([str(ROOT), str(SUPPORT)])

    run = subprocess.run(  # noqa: S603 - our own interpreter and code
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )

    assert run.stdout.strip() == simulate(78, 5).digest


def test_a_history_tells_the_command_that_plays_it_again() -> None:
    history = simulate(77, 2)

    run = subprocess.run(  # noqa: S603 - our own interpreter and script
        [sys.executable, str(ROOT / "tests" / "simulation" / "run.py"), "--seed", "77", "--each", "2"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0
    assert run.stdout.splitlines()[:-1] == list(history.trace)


def test_many_histories_are_played_by_several_processes() -> None:
    run = subprocess.run(  # noqa: S603 - our own interpreter and script
        [
            sys.executable,
            str(ROOT / "tests" / "simulation" / "run.py"),
            "--sales",
            "12",
            "--each",
            "3",
            "--workers",
            "2",
        ],
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "seeds 1 to 4: 12 sales" in run.stdout
    assert "0 histories with a broken statement" in run.stdout


def test_histories_hold_crashes_and_every_kind_of_result() -> None:
    histories = [simulate(seed, EACH) for seed in range(20, 30)]
    traces = "\n".join(line for history in histories for line in history.trace)

    assert sum(history.crashes for history in histories) > 10
    for result in ("PAID", "REFUSED", "ABORTED", "UNKNOWN", "PENDING"):
        assert f"on_payment returned {result}" in traces
    for result in ("REVERSED", "QUEUED", "REFUSED"):
        assert f"on_cancel returned {result}" in traces or f"returned {result}" in traces
