"""What an installation writes, with and without answers, and what ``dpkg-reconfigure`` changes."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import pytest

from tests.dpkg.conftest import CONF, DATA, KEY, ROOT, SWITCH, places_of

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox
    from tests.dpkg.conftest import Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

SAMPLE = (ROOT / "debian/payme.go.conf").read_bytes()


def owner_and_mode(path: Path) -> tuple[int, int, int]:
    facts = path.stat()
    return facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode)


def test_without_answers_only_the_known_address_is_written(till: Till) -> None:
    till.unpack()

    assert till.values() == {"url": '"https://checkout.paycom.uz/api"'}
    checked = till.payme("settings", "check")
    assert checked.code == 2
    assert "posKey" in checked.err


def test_an_invalid_answer_is_reported_and_does_not_stop_the_installation(till: Till, sandbox: Sandbox) -> None:
    CONF.parent.mkdir(parents=True)
    os.chown(CONF.parent, 4321, 8765)
    till.preseed(payment_type="seven", url=sandbox.url, pos_key=KEY)
    said = till.unpack()

    assert till.state == "ii"
    assert 'paymentType is "seven": allowed is a whole number' in said
    assert "dpkg-reconfigure artix-payme" in said
    assert CONF.read_bytes() == SAMPLE
    assert places_of(KEY) == []
    # Another user than root runs this till.
    assert owner_and_mode(CONF) == (4321, 8765, 0o600)


def test_an_existing_settings_file_is_kept_and_gets_the_answers_it_lacks(till: Till) -> None:
    CONF.parent.mkdir(parents=True)
    CONF.write_bytes(b'[Main]\r\nposId = "mine"\r\n; mine\r\n')
    CONF.chmod(0o640)
    os.chown(CONF, 4321, 4321)
    DATA.parent.mkdir(parents=True)
    os.chown(DATA.parent, 4321, 8765)
    till.preseed(payment_type="7")
    till.unpack()

    assert CONF.read_bytes() == (
        b'[Main]\r\nposId = "mine"\r\npaymentType = 7\r\nurl = "https://checkout.paycom.uz/api"\r\n; mine\r\n'
    )
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

    installed.preseed(payment_type="8", url="https://checkout.test.paycom.uz/api", pos_id="5e73", pos_key="another%key")
    installed.reconfigure()

    expected = before.replace(b"paymentType = 7", b"paymentType = 8")
    expected = expected.replace(f'url = "{answers["url"]}"'.encode(), b'url = "https://checkout.test.paycom.uz/api"')
    expected = expected.replace(answers["pos_id"].encode(), b"5e73").replace(KEY.encode(), b"another%key")
    assert CONF.read_bytes() == expected
    assert SWITCH.read_text(encoding="utf-8") == "[plugins]\npayme = off\n"
    assert places_of(KEY) == []
    assert places_of("another%key") == [str(CONF)]


def test_reconfigured_without_new_answers_nothing_changes(installed: Till) -> None:
    CONF.write_text(CONF.read_text(encoding="utf-8").replace("paymentType = 7", "paymentType = 9"), encoding="utf-8")
    before = CONF.read_bytes(), CONF.stat().st_mtime_ns
    installed.reconfigure()

    assert (CONF.read_bytes(), CONF.stat().st_mtime_ns) == before


def test_an_empty_answer_keeps_the_present_one(installed: Till) -> None:
    before = CONF.read_bytes()
    installed.preseed(payment_type="", url="", pos_id="", pos_key="")
    installed.reconfigure()

    assert CONF.read_bytes() == before
