"""The time of a sale as the cashier sees it, at several round trips and with several answers of the server."""

from __future__ import annotations

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

from fakes.till import ScriptedUi
from hookspecs import CancelRequest, ReversalStatus
from payme_plugin.clock import SystemClock
from tests.benchmarks.lean_server import CONFIRMED, CONFIRMED_AFTER_S, LOST, SETTLED_AFTER_S
from tests.benchmarks.measure import CONTRACT, Figure, Skip, Skipped, lean_server, quartiles
from tests.benchmarks.payments import selling
from tests.benchmarks.peers import peer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.benchmarks.payments import Sales

SECTION = "Time of a sale, from the scan to the result"
CANCELS = f"Time of a cancel that Payme settles after {SETTLED_AFTER_S:g} s"
ROUND_TRIPS_S = (0.005, 0.05, 0.3)
ANSWERS = {
    "paid at once": "1",
    f"confirmed after {CONFIRMED_AFTER_S:g} s": CONFIRMED,
    "the answer to `pay` is lost": LOST,
}
FREQUENCIES = {"`frequency` not set": {}, "`frequency = 1000`": {"frequency": "1000"}}
LOOP = "payme-pkg in a plain loop"
SCAN_S = 0.7
"""How long a scan takes: longer than any of the round trips, so ``create`` is answered during it."""
ROUND_TRIP_S = 0.05
AT_MOST = 1.2


@contextmanager
def _selling_at_a_distance(**given: str) -> Iterator[Sales]:
    """Start a till whose server is one ``ROUND_TRIP_S`` away."""
    with (
        TemporaryDirectory() as folder,
        lean_server(round_trip_s=ROUND_TRIP_S) as port,
        selling(Path(folder), f"http://127.0.0.1:{port}/api", **given) as sales,
    ):
        yield sales


def in_round_trips(rounds: int) -> list[Figure]:
    """Compare a sale that is paid at once with one round trip; ``create`` is answered during the scan."""
    with _selling_at_a_distance() as sales:
        times = [sales.scan_to_result("1", 4 * ROUND_TRIP_S) for _ in range(1 + rounds)][1:]
    low, median, high = (each / ROUND_TRIP_S for each in quartiles(times))
    name = f"scan to result, round trip {ROUND_TRIP_S * 1000:.0f} ms, paid at once"
    ours = statistics.median(times)
    return [Figure(CONTRACT, name, median, "x", low, high, ours, ROUND_TRIP_S, "one round trip", AT_MOST)]


class Turn(NamedTuple):
    """One who sells at a server with this round trip; ``sell`` takes a code's first digit and returns the seconds."""

    round_trip_s: float
    who: str
    sell: Callable[[str], float]


def matrix(rounds: int) -> list[Figure | Skip]:
    """Measure each round trip with each answer: ours with two settings, and payme-pkg in a plain loop."""
    times: dict[tuple[float, str, str], list[float]] = {}
    figures: list[Figure | Skip] = []
    with ExitStack() as stack:
        turns: list[Turn] = []
        for round_trip_s in ROUND_TRIPS_S:
            url = f"http://127.0.0.1:{stack.enter_context(lean_server(round_trip_s=round_trip_s))}/api"
            for name, given in FREQUENCIES.items():
                folder = Path(stack.enter_context(TemporaryDirectory()))
                sales = stack.enter_context(selling(folder, url, **given))
                turns.append(Turn(round_trip_s, name, partial(sales.scan_to_result, scan_s=SCAN_S)))
            try:
                turns.append(Turn(round_trip_s, LOOP, stack.enter_context(peer("payme-pkg", url)).sell))
            except Skipped as reason:
                figures.append(Skip(SECTION, f"{LOOP}, {_milliseconds(round_trip_s)}", str(reason)))
        for answer, first in ANSWERS.items():
            # Sales that wait for seconds do so beside each other; milliseconds are measured one after the other.
            sell = _together if first == CONFIRMED else _in_turns
            for _ in range(1 + rounds):
                for turn, taken_s in zip(turns, sell(turns, first), strict=True):
                    times.setdefault((turn.round_trip_s, answer, turn.who), []).append(taken_s)
    for (round_trip_s, answer, who), taken in times.items():
        if who == LOOP:
            continue
        low, median, high = quartiles(taken[1:])
        loop = times.get((round_trip_s, answer, LOOP))
        theirs = statistics.median(loop[1:]) if loop else None
        name = f"{answer}, round trip {_milliseconds(round_trip_s)}, {who}"
        figures.append(Figure(SECTION, name, median, "s", low, high, None, theirs, LOOP))
    return figures


def _milliseconds(duration_s: float) -> str:
    return f"{duration_s * 1000:.0f} ms"


def _in_turns(turns: Sequence[Turn], first: str) -> list[float]:
    return [turn.sell(first) for turn in turns]


def _together(turns: Sequence[Turn], first: str) -> list[float]:
    with ThreadPoolExecutor(len(turns)) as threads:
        return list(threads.map(lambda turn: turn.sell(first), turns))


def cancels(rounds: int) -> list[Figure]:
    """Measure ``on_cancel`` with default settings and with the manual's ``frequency``."""
    figures = []
    settings = {"`frequency` not set": ({}, rounds), "`frequency = 10000`": ({"frequency": "10000"}, 1)}
    for name, (given, count) in settings.items():
        with _selling_at_a_distance(**given) as sales:
            times = [_cancel(sales) for _ in range(count)]
        low, median, high = quartiles(times)
        figures.append(Figure(CANCELS, f"`on_cancel`, {name}", median, "s", low, high))
    return figures


def _cancel(sales: Sales) -> float:
    """Take a payment and cancel it; return the seconds of ``on_cancel``."""
    taken = sales.take()
    request = CancelRequest(payment=taken.payment, receipt=replace(taken.sale, payments=(taken.payment,)))
    begin = time.perf_counter()
    result = sales.plugins.on_cancel(request, ScriptedUi(SystemClock()))
    ended = time.perf_counter()
    assert result is not None
    assert result.status is ReversalStatus.REVERSED, result.message
    return ended - begin
