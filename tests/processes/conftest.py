"""A sandbox, and the settings of tills in processes of their own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from faults.forking_till import TENDER
from payme_plugin.sandbox import CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def running() -> Iterator[Sandbox]:
    with Sandbox(cancel=CancelPlan(settle_s=0)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Sandbox:
    running.clear_faults()
    return running


@pytest.fixture
def settings(sandbox: Sandbox) -> dict[str, str]:
    return {
        "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": str(TENDER),
        "timeout": "5", "payDuration": "5000", "frequency": "100",
    }  # fmt: skip
