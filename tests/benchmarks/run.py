#!/usr/bin/env python3
"""Measure every row, or those that are named: ``python tests/benchmarks/run.py [ROW...]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

_ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(_ROOT), str(_ROOT / "tests" / "support")]

from tests.benchmarks.measure import Skipped  # noqa: E402 - its folder is known from here on
from tests.benchmarks.rows import ROWS  # noqa: E402 - the same
from tests.benchmarks.table import line  # noqa: E402 - the same


def main(arguments: list[str]) -> None:
    """Measure what the arguments ask for, and print it."""
    names = [row.name for row in ROWS]
    parser = argparse.ArgumentParser(description="Speeds, as ratios inside one run.")
    parser.add_argument("rows", nargs="*", choices=[*names, []], metavar="ROW", help=f"{', '.join(names)} (all)")
    given = parser.parse_args(arguments)
    for row in ROWS:
        if given.rows and row.name not in given.rows:
            continue
        try:
            for figure in row.measure(row.rounds):
                print(line(figure), flush=True)  # noqa: T201 - that is what it is for
        except Skipped as reason:
            print(f"{row.name}: skipped: {reason}")  # noqa: T201 - the same


if __name__ == "__main__":
    main(sys.argv[1:])
