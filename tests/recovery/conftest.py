from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import HookedWorld
from fakes.world import World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """One request takes 0.01 s there and 0.01 s back; ``timeout`` 5 s, ``payDuration`` 20 s, ``frequency`` 2 s."""
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def till(tmp_path: Path) -> Iterator[HookedWorld]:
    """The same with the real dispatcher and background before it."""
    till = HookedWorld(tmp_path)
    yield till
    till.close()
