"""The terminal as a cashier's screen and scanner: it prompts, draws the wait as a bar, and takes Ctrl+C as *stop*.

Everything goes to stderr, because stdout is for results.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin.cli.output import say
from payme_plugin.locale import escaped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from payme_plugin.clock import Clock

_MAX_LINE_BYTES = 65_536
_CLEAR = "\r\x1b[K"


def bar(elapsed_s: float, total_s: float, width: int = 20) -> str:
    """Return the elapsed share of a wait as a bar of ``width`` characters."""
    share = elapsed_s / total_s if total_s > 0 else 1.0
    full = round(max(0.0, min(share, 1.0)) * width)  # in this order NaN draws an empty bar
    return "█" * full + "░" * (width - full)


class Screen:
    """A ``Ui`` on a terminal.

    Args:
        clock: measures how long a scan takes.

    Attributes:
        is_stopped: Ctrl+C was pressed.
    """

    def __init__(self, clock: Clock) -> None:
        self.is_stopped = False
        self._clock = clock
        self._lock = threading.RLock()
        self._is_scanning = False
        self._has_bar = False
        self._received = b""

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        """Ask for a code and return the next line of stdin; None at its end, after ``timeout_s``, or at Ctrl+C."""
        self._say(f"{prompt} ", newline=False)
        try:
            self._is_scanning = True
            return None if self.is_stopped else self._next_line(timeout_s)
        except KeyboardInterrupt:
            self.is_stopped = True
            self._say("")
            return None
        finally:
            self._is_scanning = False

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Draw the wait on a terminal; return True once Ctrl+C was pressed."""
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            line = f"{bar(elapsed_s, total_s)} {text}"[: shutil.get_terminal_size().columns - 1]
            with self._lock:
                say(_CLEAR + line, newline=False)
                self._has_bar = True
        return True if self.is_stopped else None

    def notice(self, key: str, text: str | None) -> None:  # noqa: ARG002 - a terminal can't take a line back
        """Print a notice; one that has ended has scrolled away."""
        if text is not None:
            self._say("\n".join(f"! {escaped(line)}" for line in text.splitlines()))

    def clear(self) -> None:
        """Clear the bar."""
        with self._lock:
            if self._has_bar:
                say(_CLEAR, newline=False)
                self._has_bar = False

    @contextmanager
    def stoppable(self) -> Iterator[None]:
        """Take Ctrl+C as the cashier's stop while the context lasts; outside the main thread nothing changes."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGINT, self._stop)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)
            self.clear()

    def _stop(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a signal handler's shape
        self.is_stopped = True
        if self._is_scanning:
            raise KeyboardInterrupt

    def _say(self, text: str, *, newline: bool = True) -> None:
        with self._lock:
            self.clear()
            say(text, newline=newline)

    def _next_line(self, timeout_s: float) -> str | None:
        """Return the next line of stdin without its end; None at its end, after ``timeout_s``, or without a stdin."""
        try:
            descriptor = sys.stdin.fileno()
        except (AttributeError, OSError):
            return None
        ends_at = self._clock.monotonic() + timeout_s
        while b"\n" not in self._received and len(self._received) < _MAX_LINE_BYTES:
            readable, _, _ = select.select([descriptor], [], [], max(0.0, ends_at - self._clock.monotonic()))
            if not readable:
                return None
            received = os.read(descriptor, _MAX_LINE_BYTES)
            if not received:
                break
            self._received += received
        if not self._received:
            return None
        line, _, self._received = self._received.partition(b"\n")
        return line.decode("utf-8", errors="replace").rstrip("\r")


@contextmanager
def until_stopped() -> Iterator[threading.Event]:
    """Turn Ctrl+C and SIGTERM into an event while the context lasts; only on the main thread."""
    stopped = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - a signal handler's shape
        stopped.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
