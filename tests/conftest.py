"""What holds for every test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from full_disk import free_disk

if TYPE_CHECKING:
    from collections.abc import Generator


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Run tests that need the machine for themselves in one process: those that measure, and those of the package."""
    return 0 if config.option.markexpr in {"benchmark", "dpkg"} else None


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """A disk that a test filled has room again before the test's result is written, which may go to a file."""
    yield
    free_disk()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """Escape lone surrogates in what a test has logged: a report with one can't be sent between processes."""
    outcome = yield
    report = outcome.get_result()
    report.sections = [(title, text.encode("utf-8", "backslashreplace").decode()) for title, text in report.sections]


# How long an example takes tells of the machine, not of the product.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
