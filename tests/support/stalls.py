"""What the machine itself withheld: time in which it ran others, for which nothing under test can answer."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Stalls", "watching_stalls"]

_BEAT_S = 0.02


class Stalls:
    """How late a thread that only sleeps was woken, all told."""

    def __init__(self) -> None:
        self._late_s = 0.0

    def total_s(self) -> float:
        """Return the seconds that were withheld until now."""
        return self._late_s

    def beat(self) -> None:
        """Sleep a short while, and add how much longer it was."""
        begin = time.monotonic()
        time.sleep(_BEAT_S)
        self._late_s += max(0.0, time.monotonic() - begin - _BEAT_S)


@contextmanager
def watching_stalls() -> Iterator[Stalls]:
    """Watch for the time of a block."""
    stalls, over = Stalls(), threading.Event()

    def watch() -> None:
        while not over.is_set():
            stalls.beat()

    thread = threading.Thread(target=watch, name="stalls", daemon=True)
    thread.start()
    try:
        yield stalls
    finally:
        over.set()
        thread.join()
