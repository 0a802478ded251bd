"""What an installation writes, with and without answers, and what ``dpkg-reconfigure`` changes."""

from __future__ import annotations

import os
import re
import stat
from typing import TYPE_CHECKING

import pytest

from tests.package.debian.conftest import CONF, DATA, KEY, ROOT, SWITCH, places_of

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox
    from tests.package.debian.conftest import Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

SAMPLE = (ROOT / "debian/payme.go.conf").read_bytes()


def owner_and_mode(path: Path) -> tuple[int, int, int]:
    facts = path.stat()
    return facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)


def test_without_answers_the_settings_are_the_sample_and_what_they_lack_is_printed(till: Till) -> None:
    CONF.parent.mkdir(parents=True)
    os.chown(CONF.parent, 4321, 8765)
    said = till.unpack()

    assert till.state == "ii"
    assert CONF.read_bytes() == SAMPLE
    # Another user than root runs this till.
    assert owner_and_mode(CONF) == (4321, 8765, 0o600)
    assert "Payme payments do not work until the settings" in said
    assert "dpkg-reconfigure artix-payme" in said


def test_a_bad_answer_does_not_stop_the_installation_and_the_good_ones_wait_for_the_rest(
    till: Till, answers: dict[str, str]
) -> None:
    till.preseed(**answers | {"paymentType": "seven", "posKey": KEY})
    said = till.unpack()

    assert till.state == "ii"
    assert re.search(r"(?m)paymentType.*seven", said)
    assert (CONF.read_bytes(), places_of(KEY)) == (SAMPLE, [])

    till.preseed(paymentType="7", posKey=KEY)
    till.reconfigure()

    assert till.values() == {
        "url": f'"{answers["url"]}"',
        "posId": f'"{answers["posId"]}"',
        "posKey": f'"{KEY}"',
        "paymentType": "7",
    }


def test_an_existing_settings_file_is_kept_and_gets_the_answers_it_lacks(till: Till, answers: dict[str, str]) -> None:
    CONF.parent.mkdir(parents=True)
    CONF.write_bytes(f'[Main]\r\nurl = "{answers["url"]}"\r\nposId = "mine"\r\nposKey = "k"\r\n; mine\r\n'.encode())
    CONF.chmod(0o640)
    os.chown(CONF, 4321, 4321)
    DATA.parent.mkdir(parents=True)
    os.chown(DATA.parent, 4321, 8765)
    before = CONF.read_bytes()
    till.preseed(paymentType="7")
    till.unpack()

    assert CONF.read_bytes().replace(b"paymentType = 7\r\n", b"") == before
    assert till.values()["paymentType"] == "7"
    assert owner_and_mode(CONF) == (4321, 4321, 0o640)
    # Another user than root runs this till.
    assert owner_and_mode(DATA) == (4321, 8765, 0o700)


# ---------------------------------------------------------------------------------------------------------------------
# dpkg-reconfigure
# ---------------------------------------------------------------------------------------------------------------------


def test_reconfigured_the_four_answers_change_and_every_other_byte_stays(
    installed: Till, answers: dict[str, str]
) -> None:
    edited = CONF.read_text(encoding="utf-8").replace(";payDuration = 300000", "  payDuration=60000 ")
    edited = edited.replace("posId = ", "posId   =\t").replace("\n", "\r\n")
    CONF.write_bytes(b"\xef\xbb\xbf" + edited.encode())
    SWITCH.write_text("[plugins]\npayme = off\n", encoding="utf-8")
    before = CONF.read_bytes()

    installed.preseed(paymentType="8", url="https://checkout.test.paycom.uz/api", posId="5e73", posKey="another%key")
    installed.reconfigure()

    expected = before.replace(b"paymentType = 7", b"paymentType = 8")
    expected = expected.replace(f'url = "{answers["url"]}"'.encode(), b'url = "https://checkout.test.paycom.uz/api"')
    expected = expected.replace(answers["posId"].encode(), b"5e73").replace(KEY.encode(), b"another%key")
    assert CONF.read_bytes() == expected
    assert SWITCH.read_text(encoding="utf-8") == "[plugins]\npayme = off\n"
    assert places_of(KEY) == []
    assert places_of("another%key") == [str(CONF)]


def test_a_new_account_leaves_the_former_one_in_a_section_while_the_journal_has_its_payments(
    installed: Till, sandbox: Sandbox, answers: dict[str, str]
) -> None:
    installed.sell(sandbox.issue_code(), "close")
    installed.preseed(posId="5e73", posKey="another%key")
    installed.reconfigure()

    main, _, former = CONF.read_text(encoding="utf-8").partition(f"[Account {answers['posId']}]")
    assert re.search(r'(?m)^posId = "5e73"$', main)
    assert re.search(r'(?m)^posKey = "another%key"$', main)
    assert f'posKey = "{KEY}"' in former
    assert answers["url"] in former


def test_reconfigured_without_new_answers_nothing_changes(installed: Till) -> None:
    CONF.write_text(CONF.read_text(encoding="utf-8").replace("paymentType = 7", "paymentType = 9"), encoding="utf-8")
    before = CONF.read_bytes(), CONF.stat().st_mtime_ns
    installed.reconfigure()

    assert (CONF.read_bytes(), CONF.stat().st_mtime_ns) == before


def test_an_empty_answer_keeps_the_present_one(installed: Till) -> None:
    before = CONF.read_bytes()
    installed.preseed(paymentType="", url="", posId="", posKey="")
    installed.reconfigure()

    assert CONF.read_bytes() == before
