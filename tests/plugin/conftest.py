"""The plugin as a host has it, over real HTTP to the sandbox, on a real disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.served_till import ServedTill
from fakes.till import TENDER, VirtualHost
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.clear_faults()
    return running


@pytest.fixture
def new_till(sandbox: Sandbox, tmp_path: Path) -> Iterator[Callable[..., ServedTill]]:
    """Make tills, started unless ``starts`` is False, with settings of their own; each stops at the end."""
    tills: list[ServedTill] = []

    def make(name: str = "till-1", *, starts: bool = True, folder: Path | None = None, **given: object) -> ServedTill:
        settings: dict[str, object] = {
            "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": TENDER,
            "payDuration": 1000, "frequency": 100,
        }  # fmt: skip
        values = {key: str(value) for key, value in (settings | given).items() if value is not None}
        host = VirtualHost(tmp_path / name if folder is None else folder, values, name)
        till = ServedTill(host, sandbox)
        till.plugins.register(PaymePlugin(), "payme")
        assert till.plugins.faults == ()
        tills.append(till)
        if starts:
            till.start()
            assert till.plugins.faults == ()
        return till

    yield make
    for till in tills:
        till.plugins.on_stop()


@pytest.fixture
def till(new_till: Callable[..., ServedTill]) -> ServedTill:
    return new_till()
