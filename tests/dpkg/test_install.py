"""A technician installs with apt, answers four questions, and sells."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.dpkg.conftest import CONF, DATA, JOURNAL, KEY, ROOT, SWITCH, places_of

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.dpkg.conftest import Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

SAMPLE = (ROOT / "debian/payme.go.conf").read_bytes()


def test_without_answers_the_known_address_is_written_and_the_rest_is_left_to_the_technician(till: Till) -> None:
    till.install()

    assert till.values() == {"url": '"https://checkout.paycom.uz/api"'}
    checked = till.payme("settings", "check")
    assert checked.code == 2
    assert "posKey" in checked.err


def test_an_answer_that_is_none_is_said_so_and_does_not_stop_the_installation(till: Till, sandbox: Sandbox) -> None:
    till.preseed(payment_type="seven", url=sandbox.url, pos_key=KEY)
    said = till.unpack()

    assert till.state == "ii"
    assert 'paymentType is "seven": allowed is a whole number' in said
    assert "dpkg-reconfigure artix-payme" in said
    assert CONF.read_bytes() == SAMPLE
    assert places_of(KEY) == []


def test_a_settings_file_that_is_there_is_kept_and_asked_of(till: Till) -> None:
    CONF.parent.mkdir(parents=True)
    CONF.write_bytes(b'[Main]\r\nposId = "mine"\r\n; mine\r\n')
    CONF.chmod(0o640)
    os.chown(CONF, 4321, 4321)
    till.preseed(payment_type="7")
    till.unpack()

    assert CONF.read_bytes() == (
        b'[Main]\r\nposId = "mine"\r\npaymentType = 7\r\nurl = "https://checkout.paycom.uz/api"\r\n; mine\r\n'
    )
    facts = CONF.stat()
    assert (stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid) == (0o640, 4321, 4321)


def test_on_a_till_that_another_user_runs_the_files_are_that_users(till: Till, answers: dict[str, str]) -> None:
    for folder in (CONF.parent, DATA.parent):
        folder.mkdir(parents=True)
        os.chown(folder, 4321, 8765)
    till.preseed(**answers)
    till.unpack()

    assert [(path.stat().st_uid, path.stat().st_gid) for path in (CONF, DATA)] == [(4321, 8765)] * 2
    assert stat.S_IMODE(CONF.stat().st_mode) == 0o600


# ---------------------------------------------------------------------------------------------------------------------
# dpkg-reconfigure
# ---------------------------------------------------------------------------------------------------------------------


def test_reconfigured_the_four_answers_change_and_every_other_byte_stays(till: Till, answers: dict[str, str]) -> None:
    till.preseed(**answers)
    till.unpack()
    edited = CONF.read_text(encoding="utf-8").replace(";payDuration = 300000", "  payDuration=60000 ")
    edited = edited.replace("posId = ", "posId   =\t").replace("\n", "\r\n")
    CONF.write_bytes(b"\xef\xbb\xbf" + edited.encode())
    SWITCH.write_text("[plugins]\npayme = off\n", encoding="utf-8")
    before = CONF.read_bytes()

    till.preseed(payment_type="8", url="https://checkout.test.paycom.uz/api", pos_id="5e73", pos_key="another%key")
    till.reconfigure()

    expected = before.replace(b"paymentType = 7", b"paymentType = 8")
    expected = expected.replace(f'url = "{answers["url"]}"'.encode(), b'url = "https://checkout.test.paycom.uz/api"')
    expected = expected.replace(answers["pos_id"].encode(), b"5e73").replace(KEY.encode(), b"another%key")
    assert CONF.read_bytes() == expected
    assert SWITCH.read_text(encoding="utf-8") == "[plugins]\npayme = off\n"
    assert places_of(KEY) == []
    assert places_of("another%key") == [str(CONF)]


def test_reconfigured_without_new_answers_nothing_changes(till: Till, answers: dict[str, str]) -> None:
    till.preseed(**answers)
    till.unpack()
    CONF.write_text(CONF.read_text(encoding="utf-8").replace("paymentType = 7", "paymentType = 9"), encoding="utf-8")
    before = CONF.read_bytes(), CONF.stat().st_mtime_ns
    till.reconfigure()

    assert (CONF.read_bytes(), CONF.stat().st_mtime_ns) == before


def test_an_empty_answer_keeps_the_present_one(till: Till, answers: dict[str, str]) -> None:
    till.preseed(**answers)
    till.unpack()
    before = CONF.read_bytes()
    till.preseed(payment_type="", url="", pos_id="", pos_key="")
    till.reconfigure()

    assert CONF.read_bytes() == before


WATCH = """
import os, pathlib, sys
while True:
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            data = path.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if sys.argv[1] in data and path.parent.name != str(os.getpid()):
            print(data, flush=True)
"""


def test_the_key_is_on_no_command_line_while_it_is_written(till: Till, answers: dict[str, str]) -> None:
    till.preseed(**answers)
    watched = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", WATCH, KEY[:20]], stdout=subprocess.PIPE, text=True
    )
    try:
        till.unpack()
    finally:
        watched.kill()
    seen, _ = watched.communicate()

    assert seen == ""
    assert KEY in CONF.read_text(encoding="utf-8")


def test_the_journal_is_made_by_the_first_sale_not_by_the_package(till: Till) -> None:
    till.unpack()

    assert DATA.is_dir()
    assert not JOURNAL.exists()
