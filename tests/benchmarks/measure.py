"""How speeds are measured: two things in turns, in one run, on one machine; the median of the paired ratios counts."""

from __future__ import annotations

import gc
import os
import random
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from faults.child_process import without_coverage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

CLEAN = without_coverage(os.environ)
CONTRACT = "The contract's rows"
"""The section of the table for rows with a limit."""
_LEAN_SERVER = Path(__file__).with_name("lean_server.py")
_RESAMPLES = 200


class Skipped(Exception):
    """A row can't be measured here; the text is the reason."""


@dataclass(frozen=True)
class Skip:
    """A row of the table that can't be measured here."""

    section: str
    name: str
    reason: str


@dataclass(frozen=True)
class Figure:
    """One row of the table.

    Attributes:
        section: the table that it belongs to.
        name: what is measured.
        value: the median, in ``unit``.
        unit: ``x`` for a ratio, else e.g. ``ms``, ``s``, ``MB``.
        low: the lower quartile.
        high: the upper quartile.
        ours: what was measured of ours, in ``measured_in``.
        theirs: what was measured of the other side.
        against: the other side.
        limit: the most that the contract allows, or None.
        measured_in: the unit of ``ours`` and ``theirs``.
    """

    section: str
    name: str
    value: float
    unit: str
    low: float
    high: float
    ours: float | None = None
    theirs: float | None = None
    against: str = ""
    limit: float | None = None
    measured_in: str = "s"


@dataclass(frozen=True)
class Ratio:
    """How long something took beside something else.

    Attributes:
        value: the median of the ratios of the rounds.
        low: their lower quartile.
        high: their upper quartile.
        ours: the median of ours, in seconds.
        theirs: the median of what it is measured against.
    """

    value: float
    low: float
    high: float
    ours: float
    theirs: float

    def figure(self, section: str, name: str, against: str, limit: float | None = None) -> Figure:
        """Return the row of the table."""
        return Figure(section, name, self.value, "x", self.low, self.high, self.ours, self.theirs, against, limit)


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, median, high


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
    return ratio_of(*zip(*pairs[warm_up:], strict=True))


def ratio_of(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Return how the times of the same rounds compare."""
    low, median, high = quartiles([first / second for first, second in zip(ours, theirs, strict=True)])
    return Ratio(median, low, high, statistics.median(ours), statistics.median(theirs))


def compare_p99(ours: Sequence[float], theirs: Sequence[float]) -> Ratio:
    """Return how the slowest hundredth compares; the quartiles are those of samples drawn anew from both."""
    first, second = p99(ours), p99(theirs)
    draw = random.Random(1).choices  # noqa: S311 - the same draws each time
    drawn = [p99(draw(ours, k=len(ours))) / p99(draw(theirs, k=len(theirs))) for _ in range(_RESAMPLES)]
    low, _, high = quartiles(drawn)
    return Ratio(first / second, low, high, first, second)


def p99(values: Sequence[float]) -> float:
    """Return the value that a hundredth exceeds."""
    return statistics.quantiles(values, n=100)[-1]


def seconds(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return how long ``work`` took."""
    begin = clock()
    work()
    return clock() - begin


def fresh(script: str, *arguments: str, python: str = sys.executable) -> str:
    """Return what ``script`` prints in a fresh interpreter, which sees only installed packages."""
    done = subprocess.run(  # noqa: S603 - our own script
        [python, "-I", "-c", script, *arguments], capture_output=True, text=True, check=True, env=CLEAN, timeout=60
    )
    return done.stdout.strip()


@contextmanager
def no_collection() -> Iterator[None]:
    """Let the garbage collector not run within the block."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def lean_server(*, certificate: Path | None = None, round_trip_s: float = 0) -> Iterator[int]:
    """Run the lean PaymeGO in a process of its own; yield its port."""
    command = [sys.executable, str(_LEAN_SERVER), "--round-trip-s", str(round_trip_s)]
    if certificate is not None:
        command += ["--certificate", str(certificate)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=CLEAN) as process:  # noqa: S603
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate(timeout=30)
