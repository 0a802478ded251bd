"""A till after ``aptitude install artix-payme`` with answers given ahead."""

from __future__ import annotations

import re
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.sandbox import CancelPlan, Sandbox
from tests.dpkg.conftest import (
    CONF,
    DATA,
    KEY,
    LOG,
    ROOT,
    answers_for,
    clean_till,
    done,
    places_of,
    run,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.dpkg.conftest import Shelf, Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def shop() -> Iterator[Sandbox]:
    with Sandbox(pos_key=KEY, cancel=CancelPlan(settle_s=0.1)) as running:
        yield running


@pytest.fixture(scope="module")
def till(shelf: Shelf, shop: Sandbox) -> Iterator[Till]:
    """The till, before its first sale."""
    with clean_till(shelf) as till:
        till.preseed(**answers_for(shop))
        till.install()
        yield till


@pytest.fixture(scope="module")
def sold(till: Till, shop: Sandbox) -> Any:  # noqa: ANN401 - JSON
    """What became of a sale; the till has a main log by then."""
    LOG.parent.mkdir(parents=True)
    return till.sell(shop.issue_code(), "close")


def test_the_four_answers_are_in_the_settings(till: Till, shop: Sandbox) -> None:
    assert till.state == "ii"
    assert till.values() == {
        "url": f'"{shop.url}"',
        "posId": f'"{shop.pos_id}"',
        "posKey": f'"{KEY}"',
        "paymentType": "7",
    }
    checked = till.payme("settings", "check")
    assert (checked.code, checked.out, checked.err) == (0, f"{CONF} can be used.\n", "")


def test_the_answers_are_all_that_is_written_into_the_sample(till: Till) -> None:
    given = re.compile(rb"^(?:paymentType|url|posId|posKey) = .*\n", re.MULTILINE)

    assert given.sub(b"", CONF.read_bytes()) == (ROOT / "debian/payme.go.conf").read_bytes()


def test_the_key_is_in_the_settings_file_alone_and_nobody_else_may_read_it(till: Till) -> None:
    assert places_of(KEY) == [str(CONF)]
    assert stat.S_IMODE(CONF.stat().st_mode) == 0o600
    assert stat.S_IMODE(DATA.stat().st_mode) == 0o700
    assert done("debconf-communicate", "artix-payme", stdin="GET artix-payme/pos-key\n").strip() == "0"


def test_a_host_script_takes_a_payment_under_the_distributions_python(till: Till, shop: Sandbox, sold: Any) -> None:  # noqa: ANN401
    assert sold["status"] == "PAID"
    assert sold["tender"] == 7
    assert sold["faults"] == []
    assert sold["plugin"] == "/usr/lib/python3/dist-packages/payme_plugin/__init__.py"
    assert sold["slips"][0]["copies"] == 2
    assert shop.held() == 1_500_000
    (payment,) = till.payme("--json", "status").document
    assert (payment["payment_id"], payment["status"]) == (sold["payment_id"], "PAID")


@pytest.mark.usefixtures("sold")
def test_the_requests_are_in_the_tills_main_log_and_the_key_is_not() -> None:
    logged = LOG.read_text(encoding="utf-8")

    assert "receipts.create" in logged
    assert "receipts.pay" in logged
    assert KEY not in logged


def test_the_doctor_finds_the_new_till_well(till: Till) -> None:
    looked = till.payme("doctor")

    assert looked.code == 0, looked.out
    assert "/usr/lib/python3/dist-packages/hookspecs" in looked.out
    assert not re.search(r"^(?:fault|warning) ", looked.out, re.MULTILINE), looked.out


@pytest.mark.usefixtures("till")
def test_the_worker_is_installed_and_off() -> None:
    assert Path("/lib/systemd/system/payme-worker.service").is_file()
    assert not list(Path("/etc/systemd").rglob("payme-worker.service"))
    if Path("/run/systemd/system").is_dir():
        assert run("systemctl", "is-enabled", "payme-worker").out == "disabled\n"
        assert run("systemctl", "is-active", "payme-worker").out == "inactive\n"


@pytest.mark.usefixtures("till")
def test_the_man_page_is_found() -> None:
    assert done("man", "-w", "payme") == "/usr/share/man/man1/payme.1.gz\n"
