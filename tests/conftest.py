"""What holds for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from full_disk import free_disk

if TYPE_CHECKING:
    from collections.abc import Generator


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """A disk that a test filled has room again before the test's result is written, which may go to a file."""
    yield
    free_disk()
