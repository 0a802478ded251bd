"""Waiting, in real time, for what another thread does."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["comes_true"]

_LOOK_S = 0.01


def comes_true(what: Callable[[], object], within_s: float = 10.0) -> bool:
    """Return whether something becomes true within so many seconds."""
    ends = time.monotonic() + within_s
    while not what():
        if time.monotonic() > ends:
            return False
        time.sleep(_LOOK_S)
    return True
