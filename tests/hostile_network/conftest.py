"""What the hostile network is made of: the matrix, made-up names, an authority, ports that lead nowhere."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from fakes.fixtures import new_till, running, sandbox
from fakes.fixtures import till as world
from faults.canaries import LeakSearch
from faults.network import Network, make_certificates, open_network
from faults.proxied_till import ProxiedTill
from slips import SlipRenderer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme

    from fakes.hooked_world import HookedWorld

__all__ = ["new_till", "running", "sandbox", "world"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tills of a module are."""
    return tmp_path_factory.mktemp("network")


@pytest.fixture(scope="module")
def authority(folder: Path) -> trustme.CA:
    """An authority that the tills trust by ``caFile``."""
    return make_certificates(folder)


@pytest.fixture(scope="module")
def network(authority: trustme.CA, folder: Path) -> Iterator[Network]:
    """What the tills of a module share."""
    with open_network(folder) as network:
        with closing(ProxiedTill(network, "first", timeout=5)) as till:
            till.sell()  # the work of a process at its first sale is not measured
        yield network


@pytest.fixture
def new_proxied_till(network: Network, caplog: pytest.LogCaptureFixture) -> Iterator[Callable[..., ProxiedTill]]:
    """Make tills behind proxies; whatever hit them, in the end no secret is seen anywhere."""
    caplog.set_level(logging.DEBUG)
    tills: list[ProxiedTill] = []

    def make(**given: Any) -> ProxiedTill:  # noqa: ANN401 - as ProxiedTill takes it
        tills.append(ProxiedTill(network, str(len(list(network.folder.iterdir()))), **given))
        return tills[-1]

    yield make
    for till in tills:
        till.close()
        for phase in ("setup", "call"):
            till.search.add_log(caplog.get_records(phase))
    assert [till.leaks() for till in tills] == [[] for _ in tills]


@pytest.fixture(scope="module")
def renderer() -> SlipRenderer:
    """The real renderer of slips; its schemas are built once."""
    return SlipRenderer()


@pytest.fixture
def search(world: HookedWorld) -> LeakSearch:
    """A search for secrets in all that the till of ``world`` shows, stores or says."""
    return LeakSearch(world.host.folder)
