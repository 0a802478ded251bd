"""What the hostile network is made of: the matrix, names, an authority, ports that lead nowhere."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from fakes.hooked_world import HookedWorld
from faults.cases import Cell
from faults.matrix import Matrix, playing
from faults.shop import Shop, make_certificates, open_shop
from faults.stage import Stage
from slips import SlipRenderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

PATIENT = {"timeout": 5}


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
        with closing(Stage(shop, "the first sale", settings=PATIENT)) as stage:
            stage.sell()  # what a process does once, at its first sale, is no time of a test
        yield shop


@pytest.fixture
def world(tmp_path: Path) -> Iterator[HookedWorld]:
    """One request takes 0.01 s there and 0.01 s back; ``timeout`` 5 s, ``payDuration`` 20 s, ``frequency`` 2 s."""
    world = HookedWorld(tmp_path)
    yield world
    world.close()


@pytest.fixture(scope="module")
def renderer() -> SlipRenderer:
    """The real maker of slips; its schemas are built once."""
    return SlipRenderer()


@pytest.fixture
def new_stage(shop: Shop, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., Stage]]:
    """Make tills behind proxies, as ``Stage`` does; whatever befell them, in the end no secret is seen anywhere."""
    caplog.set_level(logging.DEBUG)
    stages: list[Stage] = []

    def make(**given: Any) -> Stage:  # noqa: ANN401 - as Stage says
        stages.append(Stage(shop, str(len(list(shop.folder.iterdir()))), **given))
        return stages[-1]

    yield make
    for stage in stages:
        stage.close()
    records = [record for phase in ("setup", "call", "teardown") for record in caplog.get_records(phase)]
    assert [stage.leaks(records) for stage in stages] == [[] for _ in stages]


@pytest.fixture
def stage(new_stage: Callable[..., Stage]) -> Stage:
    """A till behind a proxy."""
    return new_stage()


@pytest.fixture
def patient_stage(new_stage: Callable[..., Stage]) -> Stage:
    """The same, where time is not the question: no answer comes too late because the machine is busy."""
    return new_stage(settings=PATIENT)


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
