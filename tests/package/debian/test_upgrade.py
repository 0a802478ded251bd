"""Over an upgrade and a downgrade, what the technician edited and what the till remembers stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.package.debian.conftest import CONF, DATA, EARLIER, JOURNAL, SWITCH, TEMPLATE

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox
    from tests.package.debian.conftest import Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]


def rewrite(path: Path, text: str) -> bytes:
    path.write_text(text, encoding="utf-8")
    return path.read_bytes()


def test_a_downgrade_and_an_upgrade_keep_settings_journal_and_edited_files(installed: Till, sandbox: Sandbox) -> None:
    installed.sell(sandbox.issue_code(), "close")
    before = CONF.read_bytes(), JOURNAL.read_bytes()

    installed.change_to(EARLIER)

    assert installed.state == "ii"
    assert "<!-- earlier -->" in TEMPLATE.read_text(encoding="utf-8")
    assert (CONF.read_bytes(), JOURNAL.read_bytes()) == before
    sold = installed.sell(sandbox.issue_code(), "close")
    assert sold["status"] == "PAID"

    template = rewrite(TEMPLATE, TEMPLATE.read_text(encoding="utf-8").replace("<!-- earlier -->", "<!-- mine -->"))
    switch = rewrite(SWITCH, "[plugins]\npayme = off\n")
    conf = rewrite(CONF, CONF.read_text(encoding="utf-8").replace(";timeout = 10", "timeout=9 ") + "; mine")
    installed.preseed(paymentType="99", url="http://elsewhere/", posId="other", posKey="otherkey")

    installed.change_to(installed.repository.version)

    assert installed.state == "ii"
    assert installed.payme("--version").out == f"payme {installed.repository.version}\n"
    assert (TEMPLATE.read_bytes(), SWITCH.read_bytes(), CONF.read_bytes()) == (template, switch, conf)
    assert sold["payment_id"] in {payment["payment_id"] for payment in installed.payme("--json", "status").document}
    conf = rewrite(CONF, CONF.read_text(encoding="utf-8").replace("paymentType = 7", "paymentType = 8"))
    installed.reconfigure()
    assert CONF.read_bytes() == conf, "answers that were given ahead of an upgrade are not kept for later"


def test_an_upgrade_replaces_unedited_files_and_restores_deleted_settings_without_the_key(
    till: Till, answers: dict[str, str]
) -> None:
    till.preseed(**answers)
    till.unpack(EARLIER)
    assert "earlier" in TEMPLATE.read_text(encoding="utf-8")
    CONF.unlink()
    till.unpack()

    assert "earlier" not in TEMPLATE.read_text(encoding="utf-8")
    assert SWITCH.read_text(encoding="utf-8") == "[plugins]\npayme = on\n"
    assert till.values() == {
        "url": f'"{answers["url"]}"',
        "posId": f'"{answers["posId"]}"',
        "paymentType": answers["paymentType"],
    }
    assert DATA.is_dir()


def test_removed_and_installed_again_the_till_continues(installed: Till, sandbox: Sandbox) -> None:
    installed.sell(sandbox.issue_code(), "close")
    before = CONF.read_bytes(), TEMPLATE.read_bytes(), SWITCH.read_bytes(), JOURNAL.read_bytes()

    installed.done("aptitude", "-y", "remove", "artix-payme")
    assert installed.state == "rc"
    assert (CONF.read_bytes(), TEMPLATE.read_bytes(), SWITCH.read_bytes(), JOURNAL.read_bytes()) == before

    installed.install()
    assert (CONF.read_bytes(), TEMPLATE.read_bytes(), SWITCH.read_bytes(), JOURNAL.read_bytes()) == before
    assert installed.sell(sandbox.issue_code(), "close")["status"] == "PAID"
