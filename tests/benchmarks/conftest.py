"""Ratios of speed: two things done in turns, in one run, on one machine; the median of the paired ratios counts."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

Within = Callable[[str, "Ratio", float], None]

SLACK = float(os.environ.get("PAYME_BENCHMARK_SLACK", "1"))
"""How much more than a limit is let pass: 1 on a quiet machine, more where neighbours take part of it."""

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}


@dataclass(frozen=True)
class Ratio:
    """How long something took beside something else.

    Attributes:
        ratio: the median of the ratios of the rounds.
        ours_ms: the median of ours, in milliseconds.
        theirs_ms: the median of what it is measured against.
    """

    ratio: float
    ours_ms: float
    theirs_ms: float

    def __str__(self) -> str:
        return f"{self.ratio:.2f} x ({self.ours_ms:.2f} ms against {self.theirs_ms:.2f} ms)"


def compare(ours: Callable[[], float], theirs: Callable[[], float], rounds: int, warm_up: int = 1) -> Ratio:
    """Do both in turns and return how they compare; each returns the seconds that it took."""
    pairs = []
    for number in range(warm_up + rounds):
        # Who goes first changes, so that neither always meets what the other left in the caches.
        if number % 2:
            second, first = theirs(), ours()
        else:
            first, second = ours(), theirs()
        pairs.append((first, second))
    pairs = pairs[warm_up:]
    return Ratio(
        ratio=statistics.median(first / second for first, second in pairs),
        ours_ms=statistics.median(first for first, _ in pairs) * 1000,
        theirs_ms=statistics.median(second for _, second in pairs) * 1000,
    )


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` took."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def fresh(script: str, *arguments: str, python: str = sys.executable) -> str:
    """Return what ``script`` prints in a fresh interpreter, which sees installed packages alone."""
    done = subprocess.run(  # noqa: S603 - our own script
        [python, "-I", "-c", script, *arguments], capture_output=True, text=True, check=True, env=CLEAN, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture
def within(capfd: pytest.CaptureFixture[str]) -> Within:
    """Print a result, past pytest's capturing, and require that it is within its limit."""

    def require(name: str, measured: Ratio, limit: float) -> None:
        with capfd.disabled():
            sys.stdout.write(f"\n{name}: {measured}\n")
        assert measured.ratio <= limit * SLACK

    return require
