"""Settings and hooks for every test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

from fakes.random_texts import replace_texts
from faults.full_disk import free_disk

if TYPE_CHECKING:
    from collections.abc import Generator

# A run with random words instead of the texts: no test but those of the texts may depend on a wording.
if "PAYME_TEST_TEXTS" in os.environ:
    replace_texts(os.environ["PAYME_TEST_TEXTS"])


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Run tests that measure, or of the package, a broker or a browser, in one process; others mostly wait."""
    return 0 if config.option.markexpr in {"benchmark", "broker", "browser", "dpkg"} else 1 + (os.cpu_count() or 1)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call() -> Generator[None, None, None]:
    """Free a disk that the test has filled before the result is written, which may go to a file."""
    yield
    free_disk()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Generator[None, Any, None]:
    """Escape lone surrogates in a report: execnet can't send one between processes."""
    outcome = yield
    report = outcome.get_result()
    report.sections = [(title, _escaped(text)) for title, text in report.sections]
    if report.longrepr is not None and "\\ud" in ascii(str(report.longrepr)):
        report.longrepr = _escaped(str(report.longrepr))


def _escaped(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


# The time of one example depends on the machine, not on the product.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# On Debian's own libraries: every property again, with fewer examples.
settings.register_profile("floor", settings.get_profile("any machine"), max_examples=15)
settings.load_profile("any machine")
