"""The memory of a process does not grow over thousands of payments."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.benchmarks.memory import AT_MOST, growth, kept_after
from tests.benchmarks.table import line

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.timeout(300)
def test_payments_leave_no_object_behind(tmp_path: Path) -> None:
    kept = kept_after(tmp_path, 260, 860)

    # One object that stays with each payment would be 600; a thread may make a few only now.
    assert kept[860].objects - kept[260].objects < 400
    assert kept[860].blocks - kept[260].blocks < 400


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_memory_after_10_000_payments_is_that_after_3_000(capfd: pytest.CaptureFixture[str]) -> None:
    (memory,) = growth(1)

    with capfd.disabled():
        sys.stdout.write(f"\n{line(memory)}\n")
    assert memory.value <= AT_MOST
