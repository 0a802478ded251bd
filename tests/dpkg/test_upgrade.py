"""Over an upgrade and a downgrade, what the technician edited and what the till remembers stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.dpkg.conftest import CONF, DATA, EARLIER, JOURNAL, SWITCH, TEMPLATE

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox
    from tests.dpkg.conftest import Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]


def rewrite(path: Path, text: str) -> bytes:
    path.write_text(text, encoding="utf-8")
    return path.read_bytes()


def test_an_upgrade_keeps_edited_files_and_the_journal(till: Till, sandbox: Sandbox, answers: dict[str, str]) -> None:
    till.preseed(**answers)
    till.unpack(EARLIER)
    sold = till.sell(sandbox.issue_code(), "close")
    template = rewrite(TEMPLATE, TEMPLATE.read_text(encoding="utf-8").replace("<!-- earlier -->", "<!-- mine -->"))
    switch = rewrite(SWITCH, "[plugins]\npayme = off\n")
    conf = rewrite(CONF, CONF.read_text(encoding="utf-8").replace(";timeout = 10", "timeout=9 ") + "; mine")
    till.preseed(payment_type="99", url="http://elsewhere/", pos_id="other", pos_key="otherkey")

    till.change_to(till.shelf.version)

    assert till.state == "ii"
    assert till.payme("--version").out == f"payme {till.shelf.version}\n"
    assert (TEMPLATE.read_bytes(), SWITCH.read_bytes(), CONF.read_bytes()) == (template, switch, conf)
    (payment,) = till.payme("--json", "status").document
    assert payment["payment_id"] == sold["payment_id"]
    conf = rewrite(CONF, CONF.read_text(encoding="utf-8").replace("paymentType = 7", "paymentType = 8"))
    till.reconfigure()
    assert CONF.read_bytes() == conf, "answers that were given ahead of an upgrade are not kept for later"


def test_an_upgrade_replaces_files_that_nobody_edited(till: Till) -> None:
    till.unpack(EARLIER)
    assert "earlier" in TEMPLATE.read_text(encoding="utf-8")
    till.unpack()

    assert "earlier" not in TEMPLATE.read_text(encoding="utf-8")
    assert SWITCH.read_text(encoding="utf-8") == "[plugins]\npayme = on\n"


def test_a_downgrade_keeps_settings_and_journal(till: Till, sandbox: Sandbox, answers: dict[str, str]) -> None:
    till.preseed(**answers)
    till.unpack()
    till.sell(sandbox.issue_code(), "close")
    before = CONF.read_bytes(), JOURNAL.read_bytes()

    till.change_to(EARLIER)

    assert till.state == "ii"
    assert (CONF.read_bytes(), JOURNAL.read_bytes()) == before
    assert till.sell(sandbox.issue_code(), "close")["status"] == "PAID"


def test_removed_and_installed_again_the_till_goes_on(till: Till, sandbox: Sandbox, answers: dict[str, str]) -> None:
    till.preseed(**answers)
    till.unpack()
    till.sell(sandbox.issue_code(), "close")
    before = CONF.read_bytes(), TEMPLATE.read_bytes(), SWITCH.read_bytes(), JOURNAL.read_bytes()

    till.done("aptitude", "-y", "remove", "artix-payme")
    assert till.state == "rc"
    assert (CONF.read_bytes(), TEMPLATE.read_bytes(), SWITCH.read_bytes(), JOURNAL.read_bytes()) == before

    till.install()
    assert (CONF.read_bytes(), TEMPLATE.read_bytes(), SWITCH.read_bytes(), JOURNAL.read_bytes()) == before
    assert till.sell(sandbox.issue_code(), "close")["status"] == "PAID"


def test_settings_deleted_by_hand_come_back_with_the_answers_but_the_key(till: Till, answers: dict[str, str]) -> None:
    till.preseed(**answers)
    till.unpack(EARLIER)
    CONF.unlink()
    till.unpack()

    assert till.values() == {
        "url": f'"{answers["url"]}"',
        "posId": f'"{answers["pos_id"]}"',
        "paymentType": answers["payment_type"],
    }
    assert DATA.is_dir()
