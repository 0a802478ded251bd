"""Every row of the contract is within its limit, measured in fewer rounds than ``run.py`` takes."""

from __future__ import annotations

import os
import sys

import pytest

from tests.benchmarks.measure import Figure, Skip
from tests.benchmarks.rows import ROWS, Row
from tests.benchmarks.table import line

SLACK = float(os.environ.get("PAYME_BENCHMARK_SLACK", "1"))
"""How much more than a limit is let pass: 1 on a quiet machine, more where neighbours take part of it."""


@pytest.mark.benchmark
@pytest.mark.timeout(600)
@pytest.mark.parametrize("row", [pytest.param(row, id=row.name) for row in ROWS if row.gate_rounds])
def test_a_row_is_within_the_limit_of_the_contract(row: Row, capfd: pytest.CaptureFixture[str]) -> None:
    assert row.gate_rounds
    entries = row.entries(row.gate_rounds)

    with capfd.disabled():
        sys.stdout.write("".join(f"\n{line(entry)}" for entry in entries) + "\n")
    for entry in entries:
        if isinstance(entry, Skip):
            pytest.skip(entry.reason)
    figures = [entry for entry in entries if isinstance(entry, Figure)]
    assert [each.name for each in figures if each.limit is not None and each.value > each.limit * SLACK] == []
