"""Ctrl+C and the request to end, for commands that run until they are stopped."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

__all__ = ["until_stopped"]


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """Turn Ctrl+C and the request to end into an event while the context lasts; on the main thread alone."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's shape
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
