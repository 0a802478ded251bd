"""What a till's process keeps after thousands of payments at the lean server."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

from fakes.memory_folder import folder_in_memory
from faults import long_run
from faults.child_process import PYTHON_PATH
from tests.benchmarks.measure import CLEAN, CONTRACT, Figure, lean_server

if TYPE_CHECKING:
    from pathlib import Path

AT_MOST = 1.02
FEW, MANY = 3_000, 10_000


class Kept(NamedTuple):
    """What a process keeps: resident bytes, the objects that the collector knows, all blocks of memory."""

    resident: int
    objects: int
    blocks: int


def kept_after(folder: Path, *counts: int) -> dict[int, Kept]:
    """Return what is kept in a till's process after so many payments each."""
    with lean_server() as port:
        done = subprocess.run(  # noqa: S603 - our own script
            [sys.executable, long_run.__file__, str(port), str(folder), *map(str, counts)],
            env={**CLEAN, "PYTHONPATH": PYTHON_PATH},
            capture_output=True,
            text=True,
            check=True,
            timeout=900,
        )
    lines = ([int(number) for number in line.split()] for line in done.stdout.splitlines())
    return {count: Kept(*kept) for count, *kept in lines}


def growth(_rounds: int) -> list[Figure]:
    """Compare the memory after many payments with that after few."""
    with folder_in_memory() as folder:
        kept = kept_after(folder, FEW, MANY)
    ours, theirs = (kept[count].resident / 1e6 for count in (MANY, FEW))
    ratio, name = ours / theirs, f"memory after {MANY:,} payments"
    return [Figure(CONTRACT, name, ratio, "x", ratio, ratio, ours, theirs, f"after {FEW:,}", AT_MOST, "MB")]
