#!/usr/bin/env python3
"""Play many histories, or repeat one: ``python tests/simulation/run.py --sales 1000000 --workers 2``.

``--seed N`` plays one history again and prints it. ``--breaks`` breaks each guarantee and writes the page
``docs/internal/breaks.md``.
The exit code is 0 only if every guarantee held in all histories, or if every break was caught.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

_ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tests" / "support")]

from simulator.breaks import BREAKS, caught_by_simulation  # noqa: E402 - its folder is known from here on
from simulator.history import simulate  # noqa: E402 - the same

if TYPE_CHECKING:
    from simulator.history import History

_PAGE = _ROOT / "docs" / "internal" / "breaks.md"
_TRACED = (
    "| 1 | the journal is not synced before a request leaves (`synchronous = OFF`) | the trace of system calls:"
    " `tests/kills/test_disk_before_wire.py::test_a_journal_that_does_not_sync_is_found_out` | - |"
)
"""The break that no simulator can see. Its test is in ``tests/kills``."""


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
    parser.add_argument("--breaks", action="store_true", help="break each guarantee on purpose, write the page")
    given = parser.parse_args(arguments)
    if given.breaks:
        return _break()
    if given.seed is not None:
        history = simulate(given.seed, given.each)
        print(*history.trace, history.summary, sep="\n")  # noqa: T201 - that is what it is for
        return 1 if history.faults else 0
    seeds = range(given.first_seed, given.first_seed + -(-given.sales // given.each))
    return _play(seeds, given.each, given.workers)


def _break() -> int:
    """Write the table of ``docs/internal/breaks.md``: what the simulator caught, and the break that it can't see."""
    lines, missed = ["| Guarantee | Break | First failed check | After sales |", "|---|---|---|---|"], 0
    for broken in BREAKS:
        caught = caught_by_simulation(broken)
        missed += caught is None
        check, after = ("nothing", "-") if caught is None else (caught.check, caught.after)
        lines.append(f"| {broken.guarantee} | {broken.what} | {check} | {after} |")
        print(lines[-1], flush=True)  # noqa: T201 - the same
    before, _, rest = _PAGE.read_text("utf-8").partition("| Guarantee |")
    after_table = rest.partition("\n\n")[2]
    _PAGE.write_text("\n".join([f"{before}{lines[0]}", *lines[1:], _TRACED, "", after_table]), "utf-8")
    return 1 if missed else 0


def _play(seeds: range, each: int, workers: int) -> int:
    made = crashes = broken = 0
    with ProcessPoolExecutor(workers) as pool:
        # In portions, so that a million of them are not all waiting at once.
        for start in range(0, len(seeds), 1_000):
            portion = seeds[start : start + 1_000]
            for history in pool.map(_history, portion, [each] * len(portion), chunksize=10):
                made, crashes, broken = made + history.sales, crashes + history.crashes, broken + bool(history.faults)
                if history.faults:
                    print(history.summary, flush=True)  # noqa: T201 - the same
            print(  # noqa: T201 - the same
                f"seeds {seeds.start} to {portion[-1]}: {made} sales, {crashes} power cuts,"
                f" {broken} histories with a broken guarantee",
                flush=True,
            )
    return 1 if broken else 0


def _history(seed: int, each: int) -> History:
    """Play one history; its trace is long and printed when it is played again."""
    return replace(simulate(seed, each), trace=())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
