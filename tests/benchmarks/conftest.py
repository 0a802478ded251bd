"""The limit of a ratio, for tests whose row is not in ``rows.py`` yet."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

import pytest

from tests.benchmarks.measure import Ratio

Within = Callable[[str, Ratio, float], None]

SLACK = float(os.environ.get("PAYME_BENCHMARK_SLACK", "1"))
"""How much more than a limit is let pass: 1 on a quiet machine, more where neighbours take part of it."""


@pytest.fixture
def within(capfd: pytest.CaptureFixture[str]) -> Within:
    """Print a result, past pytest's capturing, and require that it is within its limit."""

    def require(name: str, measured: Ratio, limit: float) -> None:
        with capfd.disabled():
            sys.stdout.write(f"\n{name}: {measured}\n")
        assert measured.value <= limit * SLACK

    return require
