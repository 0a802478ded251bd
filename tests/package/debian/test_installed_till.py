"""A till after an installation with answers given ahead."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.package.debian.conftest import (
    CONF,
    DATA,
    JOURNAL,
    KEY,
    LOG,
    ROOT,
    done,
    places_of,
    run,
)

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.package.debian.conftest import Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]


def test_the_four_answers_are_in_the_settings(installed: Till, sandbox: Sandbox) -> None:
    assert installed.state == "ii"
    assert installed.values() == {
        "url": f'"{sandbox.url}"',
        "posId": f'"{sandbox.pos_id}"',
        "posKey": f'"{KEY}"',
        "paymentType": "7",
    }
    checked = installed.payme("settings", "check")
    assert (checked.code, checked.out, checked.err) == (0, f"{CONF} can be used.\n", "")


@pytest.mark.usefixtures("installed")
def test_the_answers_are_all_that_is_written_into_the_sample() -> None:
    given = re.compile(rb"^(?:paymentType|url|posId|posKey) = .*\n", re.MULTILINE)

    assert given.sub(b"", CONF.read_bytes()) == (ROOT / "debian/payme.go.conf").read_bytes()


@pytest.mark.usefixtures("installed")
def test_only_the_settings_file_has_the_key_and_only_its_owner_may_read_it() -> None:
    assert places_of(KEY) == [str(CONF)]
    assert stat.S_IMODE(CONF.stat().st_mode) == 0o600
    assert stat.S_IMODE(DATA.stat().st_mode) == 0o700
    assert done("debconf-communicate", "artix-payme", stdin="GET artix-payme/posKey\n").strip() == "0"


@pytest.mark.usefixtures("installed")
def test_the_first_sale_makes_the_journal() -> None:
    assert DATA.is_dir()
    assert not JOURNAL.exists()


def test_a_host_script_takes_a_payment_under_the_distributions_python(installed: Till, sandbox: Sandbox) -> None:
    LOG.parent.mkdir(parents=True)
    held = sandbox.held()
    sold = installed.sell(sandbox.issue_code(), "close")

    assert sold["status"] == "PAID"
    assert sold["tender"] == 7
    assert sold["faults"] == []
    assert sold["plugin"] == "/usr/lib/python3/dist-packages/payme_plugin/__init__.py"
    assert sold["slips"][0]["copies"] == 2
    assert sandbox.held() - held == 1_500_000
    (payment,) = installed.payme("--json", "status").document
    assert (payment["payment_id"], payment["status"]) == (sold["payment_id"], "PAID")
    assert JOURNAL.is_file()
    logged = LOG.read_text(encoding="utf-8")
    assert "receipts.create" in logged
    assert "receipts.pay" in logged
    assert KEY not in logged


def test_the_doctor_finds_no_fault_on_a_new_till(installed: Till) -> None:
    looked = installed.payme("doctor")

    assert looked.code == 0, looked.out
    assert "/usr/lib/python3/dist-packages/hookspecs" in looked.out
    assert not re.search(r"^(?:fault|warning) ", looked.out, re.MULTILINE), looked.out


@pytest.mark.usefixtures("installed")
def test_the_worker_is_installed_and_off() -> None:
    assert Path("/lib/systemd/system/payme-worker.service").is_file()
    assert not list(Path("/etc/systemd").rglob("payme-worker.service"))
    if Path("/run/systemd/system").is_dir():
        assert run("systemctl", "is-enabled", "payme-worker").out == "disabled\n"
        assert run("systemctl", "is-active", "payme-worker").out == "inactive\n"


@pytest.mark.usefixtures("installed")
def test_the_man_page_is_found() -> None:
    assert done("man", "-w", "payme") == "/usr/share/man/man1/payme.1.gz\n"
