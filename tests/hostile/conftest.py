"""What the hostile network is made of: the matrix, names, an authority, ports that lead nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hooked_world import HookedWorld
from hostile_cells import Cell, answer_cells, wire_cells
from hostile_matrix import Matrix, playing
from hostile_record import is_recording, row_of, write_rows
from hostile_shop import Shop, make_certificates, open_shop
from hostile_stage import Stage
from slips import SlipPress

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import trustme


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tills of a module are."""
    return tmp_path_factory.mktemp("shop")


@pytest.fixture(scope="module")
def authority(folder: Path) -> trustme.CA:
    """An authority that the tills trust by ``caFile``."""
    return make_certificates(folder)


@pytest.fixture(scope="module")
def shop(authority: trustme.CA, folder: Path) -> Iterator[Shop]:
    """What the tills of a module share."""
    with open_shop(folder) as shop:
        yield shop


@pytest.fixture
def world(tmp_path: Path) -> Iterator[HookedWorld]:
    """One request takes 0.01 s there and 0.01 s back; ``timeout`` 5 s, ``payDuration`` 20 s, ``frequency`` 2 s."""
    world = HookedWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture(scope="module")
def press() -> SlipPress:
    """The real maker of slips; its schemas are built once."""
    return SlipPress()


@pytest.fixture
def stage(shop: Shop, request: pytest.FixtureRequest) -> Iterator[Stage]:
    """A till behind a proxy."""
    stage = Stage(shop, "".join(letter if letter.isalnum() else "-" for letter in request.node.name))
    yield stage
    stage.close()


@pytest.fixture(scope="module")
def matrix(request: pytest.FixtureRequest, authority: trustme.CA, folder: Path) -> Iterator[Matrix]:
    """The cells that the chosen tests of this module ask for, played in the background in the order of the tests."""
    params = [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.module is request.module and hasattr(item, "callspec")
    ]
    cells = dict.fromkeys(cell for each in params if isinstance(cell := each.get("cell"), Cell))
    with playing(cells, folder) as matrix:
        yield matrix
        if is_recording():
            seen = {cell: row_of(cell, each) for cell, each in matrix.played().items()}
            write_rows(seen, [*wire_cells(), *answer_cells()])
