"""The memory of a process does not grow over thousands of payments."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from fakes.memory_folder import folder_in_memory
from faults.child_process import PYTHON_PATH, without_coverage

ROOT = Path(__file__).parents[2]


class Kept(NamedTuple):
    """What a till's process keeps: resident bytes, the objects that the collector knows, all blocks of memory."""

    resident: int
    objects: int
    blocks: int


def sell(folder: Path, *counts: int) -> dict[int, Kept]:
    """Return what is kept in a till's process after so many payments each, at the lean server."""
    environment = {**without_coverage(os.environ), "PYTHONPATH": PYTHON_PATH}
    server = [sys.executable, str(ROOT / "tests" / "benchmarks" / "lean_server.py")]
    script = ROOT / "tests" / "support" / "faults" / "long_run.py"
    with subprocess.Popen(  # noqa: S603 - our own script
        server, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
    ) as process:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, str(script), port, str(folder), *map(str, counts)],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=900,
        )
        process.communicate(timeout=30)
    lines = ([int(number) for number in line.split()] for line in done.stdout.splitlines())
    return {count: Kept(*kept) for count, *kept in lines}


@pytest.mark.timeout(300)
def test_payments_leave_no_object_behind(tmp_path: Path) -> None:
    kept = sell(tmp_path, 260, 860)

    assert kept[860].objects - kept[260].objects < 200
    assert kept[860].blocks - kept[260].blocks < 200


@pytest.mark.benchmark
@pytest.mark.timeout(900)
def test_memory_after_10_000_payments_is_that_after_3_000(capfd: pytest.CaptureFixture[str]) -> None:
    with folder_in_memory() as folder:
        kept = sell(folder, 3_000, 10_000)
    ratio = kept[10_000].resident / kept[3_000].resident

    with capfd.disabled():
        megabytes = [kept[count].resident / 1e6 for count in (3_000, 10_000)]
        sys.stdout.write(f"\nmemory: {ratio:.3f} x ({megabytes[1]:.1f} MB against {megabytes[0]:.1f} MB)\n")
    assert ratio <= 1.02
