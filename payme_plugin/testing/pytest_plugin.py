"""The pytest plugin: the fixture ``paymego``. Installing the package is enough; ``-p no:paymego`` turns it off.

Every run of pytest imports this module, also one that tests something else. So it imports only pytest: whatever it
imported of ours would be missing in a measurement of coverage that starts later, and would slow every run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from payme_plugin.testing.paymego import PaymeGo

_SERVED = pytest.StashKey["PaymeGo"]()


@pytest.fixture
def paymego(request: pytest.FixtureRequest) -> Iterator[PaymeGo]:
    """A PaymeGO server on a free port of this machine, with buyers, and with time that only the test moves."""
    from payme_plugin.testing.paymego import PaymeGo  # noqa: PLC0415 - see above

    with PaymeGo() as served:
        request.node.stash[_SERVED] = served
        yield served


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, None]:
    """Add to the report of a test that failed what arrived at its ``paymego``."""
    outcome = yield
    report = outcome.get_result()
    served = item.stash.get(_SERVED, None)
    if served is not None and report.when == "call" and report.failed:
        report.sections.append(("Requests at paymego", served.log()))
