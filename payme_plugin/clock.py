"""The clock that the plugin is given: the real one here, a virtual one in tests."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """What the rest of the plugin uses of a clock."""

    def monotonic(self) -> float:
        """Return seconds on a clock that never jumps; its zero point is arbitrary."""
        ...

    def wall_ms(self) -> int:
        """Return Unix time in milliseconds; it may jump, so no limit is measured with it."""
        ...

    def sleep(self, duration_s: float) -> None:
        """Wait for ``duration_s`` seconds."""
        ...


class SystemClock:
    """The clock of the machine."""

    def monotonic(self) -> float:
        """Return the system's monotonic seconds."""
        return time.monotonic()

    def wall_ms(self) -> int:
        """Return the system's Unix time in milliseconds."""
        return time.time_ns() // 1_000_000

    def sleep(self, duration_s: float) -> None:
        """Sleep for ``duration_s`` seconds; return at once if that is zero or less."""
        if duration_s > 0:
            time.sleep(duration_s)
