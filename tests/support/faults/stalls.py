"""Time that the machine gave to others: nothing under test can answer for it.

A process of its own measures how late it is woken. A thread beside the plugin would also be late because of the plugin,
e.g. if that holds the interpreter, and would excuse it.
"""

from __future__ import annotations

import mmap
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from faults.child_process import PYTHON_PATH, without_coverage

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_EXCUSED_S = 1.0
"""The most that is excused in one result."""

_BEAT_S = 0.02
_PAGE = struct.Struct("dd")  # the seconds late since the start; the monotonic time at which this beat began


@dataclass(frozen=True)
class Stalls:
    """How late a process that only sleeps was woken.

    Attributes:
        page: memory that the process shares with us.
        process: the process.
    """

    page: mmap.mmap
    process: subprocess.Popen[bytes]

    def total_s(self) -> float:
        """Return the seconds late until now, including those of the beat under way."""
        assert self.process.poll() is None, "the watch of stalls has ended: everything would be excused"
        late_s: float
        began_at: float
        late_s, began_at = _PAGE.unpack_from(self.page)
        return late_s + max(0.0, time.monotonic() - began_at - _BEAT_S)

    def excused_s(self, since_s: float) -> float:
        """Return what is excused since ``total_s`` was ``since_s``."""
        return min(MOST_EXCUSED_S, self.total_s() - since_s)


@contextmanager
def watching_stalls() -> Iterator[Stalls]:
    """Watch for the time of a block."""
    with tempfile.TemporaryFile() as file:
        file.truncate(_PAGE.size)
        with (
            mmap.mmap(file.fileno(), _PAGE.size) as page,
            subprocess.Popen(  # noqa: S603 - our own script
                [sys.executable, "-S", __file__, str(file.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[file.fileno()],
                env=without_coverage({**os.environ, "PYTHONPATH": PYTHON_PATH}),
            ) as process,
        ):
            assert process.stdout is not None
            process.stdout.readline()  # it has begun
            yield Stalls(page, process)  # after it Popen closes the stdin, which ends the process


def _watch(file: int) -> None:
    # A batch process waits for its turn as those do that work; one that only sleeps would be let in front of them.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    late_s = 0.0
    with mmap.mmap(file, _PAGE.size) as page:
        began_at = time.monotonic()
        _PAGE.pack_into(page, 0, late_s, began_at)
        sys.stdout.write("\n")
        sys.stdout.flush()
        while not select.select([sys.stdin], [], [], _BEAT_S)[0]:
            now = time.monotonic()
            late_s += max(0.0, now - began_at - _BEAT_S)
            began_at = now
            _PAGE.pack_into(page, 0, late_s, began_at)


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
