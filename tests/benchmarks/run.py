#!/usr/bin/env python3
"""Measure every row, or those that are named: ``python tests/benchmarks/run.py [ROW...]``.

It prints each figure, then the tables with the change since the figures were written last. ``--write`` writes
docs/benchmarks.json, the tables of docs/benchmarks.md and its picture. ``--slow-down 20`` makes ``on_payment`` 20 %
slower, to see that the tables show it. ``PAYME_BENCHMARK_PEER`` names a Python with the extra ``benchmarks``.
"""

from __future__ import annotations

import argparse
import logging
import sys
from contextlib import nullcontext
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tests" / "support")]

from tests.benchmarks import report  # noqa: E402 - its folder is known from here on
from tests.benchmarks.measure import fresh  # noqa: E402 - the same
from tests.benchmarks.peers import has_library  # noqa: E402 - the same
from tests.benchmarks.rows import ROWS  # noqa: E402 - the same
from tests.benchmarks.slow_down import planted  # noqa: E402 - the same
from tests.benchmarks.table import line, tables  # noqa: E402 - the same


def main(arguments: list[str]) -> None:
    """Measure what the arguments ask for, and print it."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(description="Speeds, as ratios inside one run.")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"{', '.join(names)} (all)")
    given_once = parser.add_mutually_exclusive_group()
    given_once.add_argument("--write", action="store_true", help="write docs/benchmarks.*")
    given_once.add_argument("--slow-down", type=float, metavar="PERCENT", help="slow on_payment down, to see it")
    given = parser.parse_args(arguments)
    if unknown := set(given.rows) - set(names):
        parser.error(f"unknown rows: {', '.join(sorted(unknown))}")
    if given.write and not has_library("matplotlib"):
        parser.error("--write needs the extra benchmarks: name its Python in PAYME_BENCHMARK_PEER")
    if given.rows and given.write:
        parser.error("--write needs every row, so that all figures are of one machine and one day")
    installed = Path(fresh("import payme_plugin; print(payme_plugin.__file__)"))
    if _ROOT not in installed.parents:
        parser.error(f"this Python has the payme_plugin in {installed.parent}; rows of starts would measure that one")
    logging.getLogger().addHandler(logging.NullHandler())  # lost answers are expected, and no figures
    measured = {}
    with planted(given.slow_down) if given.slow_down else nullcontext():
        for row in ROWS:
            if not given.rows or row.name in given.rows:
                measured[row.name] = row.entries(row.rounds)
                print(*map(line, measured[row.name]), sep="\n", flush=True)  # noqa: T201 - that is what it is for
    entries = [entry for each in measured.values() for entry in each]
    print(f"\n{tables(entries, report.last_figures())}")  # noqa: T201 - the same
    if given.write:
        report.write(measured, names)


if __name__ == "__main__":
    main(sys.argv[1:])
