from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.clock import VirtualClock
from fakes.memory_folder import folder_in_memory
from payme_plugin.ledger.journal import FILE_NAME, Journal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / FILE_NAME


@pytest.fixture
def journal(path: Path, clock: VirtualClock) -> Iterator[Journal]:
    journal = Journal(path, host_identity="till-1", clock=clock)
    yield journal
    journal.close()


@pytest.fixture(scope="session")
def in_memory() -> Iterator[Path]:
    """A folder where a sync costs nothing, for what is repeated often and needs no disk."""
    with folder_in_memory() as folder:
        yield folder
