"""A sandbox of its own for each test, and the settings and the folder that its tills share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.fixtures import new_till
from fakes.till import TENDER
from payme_plugin.sandbox import CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["new_till"]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(cancel=CancelPlan(settle_s=0)) as sandbox:
        yield sandbox


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The data folder of the tills that ``new_till`` makes."""
    return tmp_path / "till-1"


@pytest.fixture
def settings(sandbox: Sandbox) -> dict[str, str]:
    return {
        "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": str(TENDER),
        "timeout": "5", "payDuration": "5000", "frequency": "100",
    }  # fmt: skip
