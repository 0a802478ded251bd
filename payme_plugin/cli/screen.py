"""The terminal as a cashier's screen and scanner: it prompts, shows the wait as a bar, and takes Ctrl+C as *stop*.

Everything goes to stderr: stdout is for results.
"""

from __future__ import annotations

import io
import math
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

__all__ = ["Screen", "bar"]

_BAR_WIDTH = 20
_LONGEST_LINE = 65_536
_CLEAR = "\r\x1b[K"


def bar(elapsed_s: float, total_s: float, width: int = _BAR_WIDTH) -> str:
    """Return how much of a wait is over as ``width`` characters."""
    share = elapsed_s / total_s if total_s > 0 else math.inf
    full = width if math.isnan(share) else round(min(max(share, 0.0), 1.0) * width)
    return "█" * full + "░" * (width - full)


class Screen:
    """A ``Ui`` on a terminal.

    Args:
        clock: measures how long a scan takes.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._stopped = False
        self._scanning = False
        self._drawn = False
        self._lines = _Lines()

    @property
    def is_stopped(self) -> bool:
        """Whether Ctrl+C was pressed."""
        return self._stopped

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        """Ask for a code and return the line that comes; None at the end of input, of time, or at Ctrl+C."""
        self._say(f"{prompt} ", newline=False)
        try:
            self._scanning = True
            if self._stopped:
                return None
            return self._lines.next(self._clock, timeout_s)
        except KeyboardInterrupt:
            self._stopped = True
            self._say("")
            return None
        finally:
            self._scanning = False

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        """Draw the wait; True once Ctrl+C was pressed."""
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            columns = shutil.get_terminal_size().columns
            line = f"{bar(elapsed_s, total_s)} {text}"[: columns - 1]
            with self._lock:
                say(_CLEAR + line, newline=False)
                self._drawn = True
        return True if self._stopped else None

    def notice(self, key: str, text: str | None) -> None:  # noqa: ARG002 - a terminal can't take a line back
        """Show a passive notice; one that is over has scrolled away by itself."""
        if text is not None:
            self._say("\n".join(f"! {escaped(line)}" for line in text.splitlines()))

    def clear(self) -> None:
        """Wipe the bar."""
        with self._lock:
            self._wipe()

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
        self._stopped = True
        if self._scanning:
            raise KeyboardInterrupt

    def _say(self, text: str, *, newline: bool = True) -> None:
        with self._lock:
            self._wipe()
            say(text, newline=newline)

    def _wipe(self) -> None:
        if self._drawn:
            say(_CLEAR, newline=False)
            self._drawn = False


class _Lines:
    """Lines of stdin, waited for no longer than asked. What is not a file (in a test, say) is read without a limit."""

    def __init__(self) -> None:
        self._waiting = b""

    def next(self, clock: Clock, timeout_s: float) -> str | None:
        try:
            descriptor = sys.stdin.fileno()
        except (AttributeError, OSError, io.UnsupportedOperation):
            line = sys.stdin.readline() if sys.stdin is not None else ""
            return line.rstrip("\r\n") if line else None
        until = clock.monotonic() + timeout_s
        while b"\n" not in self._waiting and len(self._waiting) < _LONGEST_LINE:
            readable, _, _ = select.select([descriptor], [], [], max(0.0, until - clock.monotonic()))
            if not readable:
                return None
            more = os.read(descriptor, _LONGEST_LINE)
            if not more:
                break
            self._waiting += more
        if not self._waiting:
            return None
        line_bytes, _, self._waiting = self._waiting.partition(b"\n")
        return line_bytes.decode("utf-8", errors="replace").rstrip("\r")
