"""The worker's unit: systemd accepts it, and rates it as protected."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.package.debian.conftest import DATA, LOG, ROOT, done, run

if TYPE_CHECKING:
    from tests.package.debian.conftest import Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

SOURCE = ROOT / "debian/artix-payme.payme-worker.service"


def test_systemd_accepts_the_unit(installed: Till) -> None:
    verified = run("systemd-analyze", "verify", "--man=no", "payme-worker.service")

    assert installed.state == "ii"
    assert "payme-worker" not in verified.out + verified.err
    assert "not found" not in verified.err


def test_systemd_rates_the_unit_as_protected() -> None:
    rated = done("systemd-analyze", "security", "--offline=true", str(SOURCE))

    exposure = re.search(r"Overall exposure level for .*: ([\d.]+)", rated)
    assert exposure is not None
    assert float(exposure[1]) < 2.5


def test_the_worker_may_write_the_journal_and_the_log_and_nothing_else() -> None:
    written = re.findall(r"(?m)^ReadWritePaths=(.*)$", SOURCE.read_text(encoding="utf-8"))

    assert written == [f"-{DATA} -{LOG.parents[1]}"]
