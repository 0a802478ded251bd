"""What the machine itself withheld: time in which it ran others, for which nothing under test can answer.

The watch is a process of its own. A thread beside the plugin would be held up by whatever holds the interpreter, and
would excuse that as the machine's; a machine that stands still holds up the watch too.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import struct
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from unmeasured import without_coverage

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MOST_EXCUSED_S", "Stalls", "watching_stalls"]

MOST_EXCUSED_S = 1.0
"""However long the machine stood still, no more than that is excused in one verdict."""

_BEAT_S = 0.02
_PAGE = struct.Struct("dd")  # the seconds late, all told; when the beat under way began, on the monotonic clock


class Stalls:
    """How late a process that only sleeps was woken, all told.

    Args:
        page: what the watch writes, shared with it.
        watch: the process.
    """

    def __init__(self, page: mmap.mmap, watch: subprocess.Popen[bytes]) -> None:
        self._page = page
        self._watch = watch

    def total_s(self) -> float:
        """Return the seconds that were withheld until now; those of a beat that is late right now are among them.

        Raises:
            ChildProcessError: nobody watches any more.
        """
        if self._watch.poll() is not None:
            raise ChildProcessError("the watch of stalls has ended")
        late_s: float
        began_at: float
        late_s, began_at = _PAGE.unpack_from(self._page)
        return late_s + max(0.0, time.monotonic() - began_at - _BEAT_S)

    def excused_s(self, since_s: float) -> float:
        """Return what is excused of the seconds withheld since ``total_s`` was ``since_s``."""
        return min(MOST_EXCUSED_S, self.total_s() - since_s)


@contextmanager
def watching_stalls() -> Iterator[Stalls]:
    """Watch for the time of a block."""
    with contextlib.ExitStack() as undo:
        file = undo.enter_context(tempfile.TemporaryFile())
        file.write(_PAGE.pack(0.0, time.monotonic()))
        file.flush()
        page = undo.enter_context(mmap.mmap(file.fileno(), _PAGE.size))
        watch = undo.enter_context(
            subprocess.Popen(  # noqa: S603 - our own script
                [sys.executable, "-S", str(Path(__file__)), str(file.fileno())],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[file.fileno()],
                env={**without_coverage(os.environ), "PYTHONPATH": str(Path(__file__).parent)},
            )
        )
        assert watch.stdin is not None
        assert watch.stdout is not None
        undo.callback(watch.stdin.close)  # the watch ends with it
        watch.stdout.readline()  # it watches
        yield Stalls(page, watch)


def _watch(file: int) -> None:
    """Beat until whoever started this is gone."""
    # A batch process waits for its turn as those do that work; one that only sleeps would be let in front of them.
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    late_s = 0.0
    with mmap.mmap(file, _PAGE.size) as page:
        _PAGE.pack_into(page, 0, late_s, time.monotonic())
        sys.stdout.write("\n")
        sys.stdout.flush()
        began_at = time.monotonic()
        while not select.select([sys.stdin], [], [], _BEAT_S)[0]:
            now = time.monotonic()
            late_s += max(0.0, now - began_at - _BEAT_S)
            began_at = now
            _PAGE.pack_into(page, 0, late_s, began_at)


if __name__ == "__main__":
    _watch(int(sys.argv[1]))
