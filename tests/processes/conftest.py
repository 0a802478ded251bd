"""A sandbox, the settings of tills in processes of their own, and such a till in this process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.served_till import ServedTill
from fakes.till import TENDER, VirtualHost
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(cancel=CancelPlan(settle_s=0)) as sandbox:
        yield sandbox


@pytest.fixture
def settings(sandbox: Sandbox) -> dict[str, str]:
    return {
        "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": str(TENDER),
        "timeout": "5", "payDuration": "5000", "frequency": "100",
    }  # fmt: skip


@pytest.fixture
def new_till(sandbox: Sandbox, settings: dict[str, str], tmp_path: Path) -> Iterator[Callable[..., ServedTill]]:
    """Make a till on the folder ``tmp_path``, which all tills of a test share; it stops at the end."""
    tills: list[ServedTill] = []

    def make(**given: str) -> ServedTill:
        till = ServedTill(VirtualHost(tmp_path, settings | given), sandbox)
        till.plugins.register(PaymePlugin(), "payme")
        tills.append(till)
        till.start()
        return till

    yield make
    for till in tills:
        till.plugins.on_stop()
