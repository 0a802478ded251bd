"""Waiting, in real time, for another thread or process."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

_LOOK_S = 0.01


def comes_true(what: Callable[[], object], within_s: float = 10.0, *, look_s: float = _LOOK_S) -> bool:
    """Return whether ``what()`` becomes true within ``within_s``; call it every ``look_s``."""
    ends = time.monotonic() + within_s
    while not what():
        if time.monotonic() > ends:
            return False
        time.sleep(look_s)
    return True
