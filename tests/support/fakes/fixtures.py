"""Fixtures of several folders, for tills on virtual time and over real HTTP; a conftest imports what it needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trustme

from fakes.hooked_world import HookedWorld
from fakes.reversal_calls import REVERSALS, Reversal
from fakes.served_till import ServedTill
from fakes.till import TENDER, VirtualHost
from fakes.world import World
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A till on virtual time: latency 0.02 s, ``timeout`` 5 s, ``payDuration`` 20 s, ``frequency`` 2 s."""
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def till(tmp_path: Path) -> Iterator[HookedWorld]:
    """The same with the real dispatcher and background; a cancellation stays at 21 for one second."""
    till = HookedWorld(tmp_path)
    yield till
    till.close()


@pytest.fixture(params=REVERSALS, ids=str)
def reversal(request: pytest.FixtureRequest) -> Reversal:
    """Each of the two hooks that return a whole payment."""
    assert isinstance(request.param, Reversal)
    return request.param


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    """A sandbox that completes cancellations at once."""
    with Sandbox(cancel=CancelPlan(settle_s=0)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    """The sandbox without a fault."""
    running.clear_faults()
    yield running
    running.clear_faults()


@pytest.fixture
def new_till(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[..., ServedTill]]:
    """Return a function that starts a till; ``starts`` and ``is_ready`` say which hooks it calls."""
    tills: list[ServedTill] = []

    def make(
        name: str = "till-1",
        *,
        host: VirtualHost | None = None,
        starts: bool = True,
        is_ready: bool = True,
        **given: object,
    ) -> ServedTill:
        settings: dict[str, object] = {
            "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": TENDER,
            "payDuration": 1000, "frequency": 100, "timeout": 1,
        }  # fmt: skip
        values = {key: str(value) for key, value in (settings | given).items() if value is not None}
        chosen = VirtualHost(tmp_path / name, name=name) if host is None else host
        chosen.given = values
        till = ServedTill(chosen, sandbox)
        till.plugins.register(PaymePlugin(), "payme")
        tills.append(till)
        if starts and is_ready:
            till.start()
        elif starts:
            till.plugins.on_start(chosen)
        assert till.plugins.faults == ()
        return till

    yield make
    for till in tills:
        till.plugins.on_stop()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """An authority of the site's own."""
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA, tmp_path: Path) -> Path:
    """Its certificate."""
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return tmp_path / "ca.pem"
