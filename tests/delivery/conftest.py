from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import HookedWorld
from fakes.served_fixtures import new_till, running, sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["new_till", "running", "sandbox", "world"]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[HookedWorld]:
    """One request takes 0.01 s there and 0.01 s back; ``timeout`` 5 s, ``payDuration`` 20 s, ``frequency`` 2 s.

    A cancellation stays at 21 for one second; the pauses lose nothing to the jitter.
    """
    world = HookedWorld(tmp_path)
    yield world
    world.close()
