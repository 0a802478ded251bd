#!/usr/bin/env python3
"""Play many histories, or repeat one: ``python tests/simulation/run.py --sales 1000000 --workers 2``.

``--seed N`` plays one history again and prints it. ``--breaks`` breaks each guarantee and writes the page
``docs/internal/breaks.md``.
The exit code is 0 only if every statement held in all histories, or if every break was caught.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

_ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tests" / "support")]

from simulator.breaks import BREAKS  # noqa: E402 - its folder is known from here on
from simulator.breaks_table import caught_by_simulation, table  # noqa: E402 - the same
from simulator.history import simulate  # noqa: E402 - the same

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.history import History

_TOLD_EVERY_S = 60.0
_COLLECTED_EVERY = 25
_PAGE = _ROOT / "docs" / "internal" / "breaks.md"


def main(arguments: list[str]) -> int:
    """Play what the arguments ask for, and return the exit code."""
    parser = argparse.ArgumentParser(
        description="Sales, cancels and refunds on virtual time, where anything goes wrong."
    )
    parser.add_argument("--sales", type=int, default=10_000, help="how many sales are made (10000)")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes at work (one a core)")
    parser.add_argument("--first-seed", type=int, default=1, help="seed of the first history (1)")
    parser.add_argument("--each", type=int, default=20, help="sales in each history (20)")
    parser.add_argument("--seed", type=int, help="play this one history again, and print it")
    parser.add_argument("--breaks", action="store_true", help="break each statement on purpose, write the page")
    given = parser.parse_args(arguments)
    if given.breaks:
        return _break()
    if given.seed is not None:
        return _replay(given.seed, given.each)
    return _play(given.sales, given.workers, given.first_seed, given.each)


def _break() -> int:
    rows = []
    for broken in BREAKS:
        rows.append((broken, caught_by_simulation(broken)))
        print(broken.what, rows[-1][1], sep=": ", flush=True)  # noqa: T201 - the same
    text = _PAGE.read_text("utf-8")
    before, _, rest = text.partition("| Guarantee |")
    after = rest.partition("\n\n")[2]
    _PAGE.write_text(f"{before}{table(rows)}\n\n{after}", "utf-8")
    return 0 if all(caught for _, caught in rows) else 1


def _replay(seed: int, each: int) -> int:
    history = simulate(seed, each)
    print(*history.trace, sep="\n")  # noqa: T201 - that is what it is for
    print(history.summary)  # noqa: T201 - the same
    return 1 if history.faults else 0


def _play(sales: int, workers: int, first_seed: int, each: int) -> int:
    began_at = told_at = time.monotonic()
    seeds = range(first_seed, first_seed + -(-sales // each))
    made = crashes = requests = left = at_fault = 0
    broken: list[History] = []
    for history in _histories(seeds, each, workers):
        made, crashes = made + history.sales, crashes + history.crashes
        requests, left = requests + history.requests, left + history.left
        at_fault += history.at_fault
        if history.faults:
            broken.append(history)
            print(history.summary, flush=True)  # noqa: T201 - the same
        if time.monotonic() - told_at >= _TOLD_EVERY_S:
            told_at = time.monotonic()
            print(f"{made} sales, {made / (told_at - began_at):.0f} a second", flush=True)  # noqa: T201 - the same
    took_s = time.monotonic() - began_at
    print(  # noqa: T201 - the same
        f"seeds {seeds.start} to {seeds.stop - 1}: {made} sales in {took_s:.0f} s, {made / took_s:.0f} a second on"
        f" {workers} processes; {requests} requests, {crashes} power cuts,"
        f" {left} payments left to people after a week, {at_fault} whose host broke a duty;"
        f" {len(broken)} histories with a broken statement"
    )
    return 1 if broken else 0


def _histories(seeds: range, each: int, workers: int) -> Iterator[History]:
    if workers == 1:
        yield from (_history(seed, each) for seed in seeds)
        return
    with ProcessPoolExecutor(workers) as pool:
        # In portions, so that a million of them are not all waiting at once.
        for start in range(0, len(seeds), 1_000):
            portion = seeds[start : start + 1_000]
            yield from pool.map(_history, portion, [each] * len(portion), chunksize=10)


def _history(seed: int, each: int) -> History:
    """Play one history; its trace is long and printed when it is played again."""
    gc.disable()  # it takes a tenth of the time
    if seed % _COLLECTED_EVERY == 0:
        gc.collect()
    return replace(simulate(seed, each), trace=())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
