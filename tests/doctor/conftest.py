"""A till at the sandbox on loopback, an authority for its certificates, and what tests ask of a report."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

import pytest

from fakes.fixtures import authority, ca_file
from payme_plugin.clock import SystemClock
from payme_plugin.doctor import Check, Finding, Level, Report, examine
from payme_plugin.sandbox import Sandbox
from tests.command.conftest import KEY, CommandTill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import trustme


__all__ = ["authority", "ca_file"]


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each finding is on one line, whatever the length of its paths."""
    monkeypatch.setenv("COLUMNS", "1000")


class DoctorTill(CommandTill):
    """A till with times that cause no warning."""

    def configure(self, **changed: object) -> None:
        super().configure(**{"payDuration": 300_000, "frequency": 10_000, **changed})


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A PaymeGO over plain http."""
    with Sandbox(pos_key=KEY) as running:
        yield running


@pytest.fixture
def till(sandbox: Sandbox, tmp_path: Path) -> DoctorTill:
    till = DoctorTill(sandbox, tmp_path / "payme.go.conf", tmp_path / "data")
    till.configure()
    return till


@pytest.fixture
def certificate(authority: trustme.CA, tmp_path: Path) -> Callable[..., Path]:
    """Make a server's certificate and key in one file: ``certificate("localhost", days=100)``."""

    def make(*hosts: str, days: float = 100, signer: trustme.CA = authority) -> Path:
        now = dt.datetime.now(dt.timezone.utc)
        # An hour more, so that a slow machine counts the same days.
        end = now + dt.timedelta(days=days, hours=1)
        made = signer.issue_cert(*hosts, not_before=min(end, now) - dt.timedelta(days=1), not_after=end)
        made.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
        return tmp_path / "server.pem"

    return make


def examined(till: DoctorTill) -> Report:
    return examine(till.conf, till.folder, SystemClock())


def findings(report: Report, check: Check) -> list[Finding]:
    return [finding for finding in report.findings if finding.check is check]


def finding(report: Report, check: Check) -> Finding:
    """Return the one finding of a check."""
    (found,) = findings(report, check)
    return found


def level(report: Report, check: Check) -> Level:
    return finding(report, check).level


def unchecked(report: Report) -> dict[Check, str]:
    return {each.check: str(each.reason) for each in report.unchecked}
