"""The package's scripts, run as dpkg runs them, with the till's folders below a temporary one."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fakes.clock import VirtualClock
from fakes.journal_rows import walk
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.states import PaymentState
from tests.package.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(shutil.which("dpkg") is None, reason="the scripts compare versions with dpkg")

OLD, OURS = "4.6.246", "1:0.1.0"
MONEY_OWED = "not removed: buyers are still owed money (payments: 1)"
UNREAD = "not removed: buyers may be owed money, because"
DEBCONF = """
db_version() { :; }
db_capb() { :; }
db_title() { :; }
db_go() { :; }
db_fset() { :; }
db_subst() { :; }
db_input() { return 30; }
db_get() { RET=$(cat "ANSWERS/${1#*/}" 2>/dev/null || true); }
db_set() { printf '%s' "$2" >"ANSWERS/${1#*/}"; }
db_reset() { rm -f "ANSWERS/${1#*/}"; case $1 in */url) db_set "$1" https://checkout.paycom.uz/api ;; esac; }
db_fget() { RET=false; if [ -e "ANSWERS/${1#*/}" ]; then RET=true; fi; }
"""
"""Debconf where nobody is asked: an answer is a file."""


class FolderTill:
    """The folders of a till below ``root``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        cash = root / "linuxcash/cash"
        self.data, self.conf, self.template = (
            cash / name for name in ("data/payme", "conf/payme.go.conf", "reports/payme.xml")
        )
        self.journal, self.kept_template = self.data / "journal.sqlite3", cash / "reports/payme.xml.replaced"

    def script(self, name: str, *arguments: str) -> tuple[int, str]:
        """Run a script; return its exit code and what it says."""
        text = (ROOT / "debian" / f"artix-payme.{name}").read_text(encoding="utf-8")
        for path in (
            "/linuxcash",
            "/var/lib/artix-payme",
            "/usr/share/artix-payme",
            "/usr/share/debconf",
            "/usr/bin/payme",
        ):
            text = text.replace(path, f"{self.root}{path}")
        text = text.replace("/usr/bin/python3 -I", sys.executable)
        done = subprocess.run(  # noqa: S603 - our own scripts
            ["/bin/sh", "-c", text, name, *arguments],
            env={
                **os.environ,
                "LC_ALL": "C.UTF-8",
                "PYTHONPATH": str(ROOT),
                "PATH": f"{self.root}/usr/bin:{os.environ['PATH']}",
            },
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=60,
        )
        return done.returncode, done.stdout

    def configure(self, conf: str | None, version: str = "", **answers: str) -> str:
        """Run ``postinst configure``, over a settings file or without, and with answers; return what it says."""
        folder = self.root / "answers"
        folder.mkdir()
        for name, value in answers.items():
            (folder / name).write_text(value, encoding="utf-8")
        if conf is not None:
            self.conf.write_text(conf, encoding="utf-8")
        code, said = self.script("postinst", "configure", version)
        assert code == 0, said
        assert not (folder / "posKey").exists()
        return said

    def kept(self) -> set[str]:
        return {
            str(path.relative_to(self.root / "linuxcash/cash"))
            for path in self.root.glob("linuxcash/**/*")
            if path.is_file()
        }


@pytest.fixture
def till(tmp_path: Path) -> FolderTill:
    till = FolderTill(tmp_path)
    commands = tmp_path / "usr/bin"
    commands.mkdir(parents=True)
    main = "from payme_plugin.cli import main; main()"
    (commands / "payme").write_text(f"#!/bin/sh\nexec {sys.executable} -c '{main}' \"$@\"\n", encoding="utf-8")
    (commands / "debconf-escape").write_text("#!/bin/sh\nexec cat\n", encoding="utf-8")
    for command in commands.iterdir():
        command.chmod(0o755)
    shipped, debconf = tmp_path / "usr/share/artix-payme", tmp_path / "usr/share/debconf"
    for folder in (shipped, debconf, till.data, till.conf.parent / "ncash.ini.d", till.template.parent):
        folder.mkdir(parents=True)
    (debconf / "confmodule").write_text(DEBCONF.replace("ANSWERS", f"{tmp_path}/answers"), encoding="utf-8")
    for file in ("debian/payme.ini", "debian/payme.go.conf", "slips/payme.xml"):
        shutil.copy(ROOT / file, shipped)
    return till


def play(till: FolderTill, state: str, *, is_confirming: bool = False) -> None:
    """Make a journal with one payment in ``state``, or with none."""
    with closing(Journal(till.journal, host_identity="till-1", clock=VirtualClock())) as journal:
        if state != "none":
            walk(journal, PaymentState(state))
        if is_confirming:
            Cancellations(journal).confirm(journal.live_cancellations()[0], "50")


# ---------------------------------------------------------------------------------------------------------------------
# A failed unpacking
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("action", "versions", "is_there", "expected"),
    [
        ("abort-upgrade", (OLD,), False, "kept"),
        ("abort-install", (OLD,), True, "edited"),
        ("abort-upgrade", (OURS,), False, None),
        ("abort-install", (), False, None),
    ],
)
def test_a_failed_unpacking_gives_only_the_old_module_its_files_back_and_overwrites_none(
    till: FolderTill, action: str, versions: tuple[str, ...], is_there: bool, expected: str | None
) -> None:
    till.kept_template.write_text("kept", encoding="utf-8")
    if is_there:
        till.template.write_text("edited", encoding="utf-8")

    assert till.script("postrm", action, *versions)[0] == 0
    assert (till.template.read_text(encoding="utf-8") if till.template.exists() else None) == expected
    assert till.kept_template.exists() == (expected != "kept")


# ---------------------------------------------------------------------------------------------------------------------
# Removal and purge
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["created", "reversing"])
def test_while_a_payment_may_be_owed_removal_and_purge_are_refused_unless_who_removes_it_takes_the_loss(
    till: FolderTill, state: str
) -> None:
    play(till, state)
    before = till.kept()

    assert till.script("prerm", "upgrade", OURS) == (0, "")
    for script, *arguments in (("prerm", "remove"), ("prerm", "upgrade", OLD), ("postrm", "purge")):
        code, said = till.script(script, *arguments)
        assert (code != 0, f"touch {till.data}/remove-anyway" in said, till.kept()) == (True, True, before)
        assert script == "postrm" or MONEY_OWED in said
    (till.data / "remove-anyway").touch()
    code, said = till.script("prerm", "remove")
    assert (code, "warning: buyers are still owed money (payments: 1)." in said) == (0, True)
    assert till.kept() == before | {"data/payme/remove-anyway"}
    assert till.script("postrm", "purge")[0] == 0
    assert till.kept() == set()


@pytest.mark.parametrize("state", ["empty", "none", "intent", "recorded"])
def test_a_payment_that_was_not_sent_or_is_recorded_is_not_owed(till: FolderTill, state: str) -> None:
    if state == "empty":
        till.journal.touch()
    else:
        play(till, state)

    assert till.script("prerm", "remove") == (0, "")


def test_what_is_only_in_the_write_ahead_log_counts(till: FolderTill) -> None:
    with closing(Journal(till.journal, host_identity="till-1", clock=VirtualClock())) as journal:
        walk(journal, PaymentState.PAID)

        assert MONEY_OWED in till.script("prerm", "remove")[1]


def test_a_removal_names_the_cancellations_that_payme_has_said_only_once(till: FolderTill) -> None:
    play(till, "reversing", is_confirming=True)
    code, said = till.script("prerm", "remove")

    assert code == 0
    assert said.count("confirmed only once that the money went back (payments: 1)") == 1


@pytest.mark.parametrize(
    "files",
    [
        {"journal.sqlite3": b"no journal"},
        {"journal.sqlite3": b"", "journal.sqlite3-wal": b"log"},
        {"journal.old": b"rows"},
    ],
    ids=" ".join,
)
def test_no_journal_file_that_cant_be_read_is_deleted(till: FolderTill, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        (till.data / name).write_bytes(content)
    code, said = till.script("prerm", "remove")
    purged, said_by_purge = till.script("postrm", "purge")

    assert (code != 0, purged != 0) == (True, True)
    assert UNREAD in said
    assert "nothing is deleted" in said_by_purge
    assert {name: (till.data / name).read_bytes() for name in files} == files


def test_a_journal_that_was_set_aside_may_owe_money_beside_a_sound_one(till: FolderTill) -> None:
    play(till, "recorded")
    set_aside = till.data / "journal.sqlite3.damaged-1"
    set_aside.write_bytes(b"rows")
    code, said = till.script("prerm", "remove")

    assert (code != 0, f"because there is an old journal {set_aside}." in said) == (True, True)


@pytest.mark.parametrize("name", ["journal.sqlite3-wal", "renamed"])
def test_a_journal_that_changed_after_the_removal_is_kept_until_it_is_counted_again(
    till: FolderTill, name: str
) -> None:
    play(till, "recorded")
    assert till.script("prerm", "remove") == (0, "")
    changed = till.data / name
    if name == "renamed":
        changed = till.journal.rename(till.data / "journal.old")
    else:
        changed.write_bytes(b"rows")
    before = till.kept()
    code, said = till.script("postrm", "purge")

    assert (code != 0, till.kept()) == (True, before)
    assert "nothing is deleted" in said
    changed.unlink()
    assert till.script("prerm", "remove") == (0, "")
    assert till.script("postrm", "purge")[0] == 0
    assert till.kept() == set()


def test_a_purge_deletes_what_was_judged_and_keeps_what_is_not_ours(till: FolderTill) -> None:
    play(till, "recorded")
    (till.data / "journal-v1.bak").write_bytes(b"rows of before the migration")
    for path in (till.conf, till.template, till.kept_template, till.template.with_name("payme.xml.replaced.~1~")):
        path.write_text("content", encoding="utf-8")
    till.conf.with_name("ncash.ini").write_text("another program's", encoding="utf-8")
    assert till.script("prerm", "remove") == (0, "")
    code, said = till.script("postrm", "purge")

    assert code == 0
    assert f"kept: {till.kept_template}\n" in said
    assert f"deleted: {till.template}\n" in said
    assert till.kept() == {"conf/ncash.ini", "reports/payme.xml.replaced", "reports/payme.xml.replaced.~1~"}


# ---------------------------------------------------------------------------------------------------------------------
# Answers
# ---------------------------------------------------------------------------------------------------------------------

OFFERED = 'url = "https://checkout.paycom.uz/api"'
USABLE = '[Main]\npaymentType = 7\nposKey = "key"\n'


def test_good_answers_are_written(till: FolderTill) -> None:
    said = till.configure(
        "[Main]\n", paymentType=" 8 ", url="https://checkout.paycom.uz/api", posId="5e73", posKey="k&y"
    )

    assert said == ""
    text = till.conf.read_text(encoding="utf-8")
    assert [line in text for line in ("paymentType = 8", 'posId = "5e73"', 'posKey = "k&y"')] == [True] * 3


@pytest.mark.parametrize(
    ("number", "key", "written", "fault"),
    [("x", "new", ('"key"', '"new"'), 'paymentType {} "x"'), ("8", "k" * 5000, ("= 7", "= 8"), 'posKey {} "***"')],
    ids=["number", "key"],
)
def test_a_bad_answer_is_named_and_neither_it_nor_a_warning_about_another_setting_costs_another(
    till: FolderTill, number: str, key: str, written: tuple[str, str], fault: str
) -> None:
    conf = f"{USABLE}posKeyFiles = 1\n"
    said = till.configure(conf, paymentType=number, posKey=key)

    assert till.conf.read_text(encoding="utf-8") == conf.replace(*written)
    assert fault.format("on the command line is") in said


def test_a_new_till_gets_the_sample_with_the_answers_and_a_permission_to_remove_it_anyway_counts_once(
    till: FolderTill,
) -> None:
    (till.data / "remove-anyway").touch()
    said = till.configure(None, OURS, paymentType="7", url="", posId="5e73", posKey="new")
    sample = (ROOT / "debian/payme.go.conf").read_text(encoding="utf-8")
    lines = [line for line in till.conf.read_text(encoding="utf-8").splitlines() if line not in sample.splitlines()]

    assert (said, sorted(lines)) == ("", ["paymentType = 7", 'posId = "5e73"', 'posKey = "new"', OFFERED])
    assert stat.S_IMODE(till.conf.stat().st_mode) == 0o600
    assert "data/payme/remove-anyway" not in till.kept()


def test_an_answer_that_conflicts_with_another_setting_is_named_and_not_written(till: FolderTill) -> None:
    key = till.root / "key"
    key.write_text("key", encoding="utf-8")
    key.chmod(0o600)
    conf = f'[Main]\npaymentType = 7\nposKeyFile = "{key}"\n'
    said = till.configure(conf, posKey="new")

    assert till.conf.read_text(encoding="utf-8") == conf
    assert "the answers are not written" in said
    assert said.count("posKeyFile on line 3") == 1


@pytest.mark.parametrize(
    "document", ['{"error": {"id": "cli.failed", "message": "the disk is broken", "exit_code": 1}}', ""]
)
def test_settings_that_cant_be_read_are_not_asked_for_and_the_installation_succeeds(
    till: FolderTill, document: str
) -> None:
    command = till.root / "usr/bin/payme"
    command.write_text(f"#!/bin/sh\necho '{document}'\nexit 1\n", encoding="utf-8")
    said = till.configure(USABLE, paymentType="8", posKey="new")

    assert till.conf.read_text(encoding="utf-8") == USABLE
    assert f"the settings in {till.conf} can't be read, so no questions were asked" in said
    assert "then run: dpkg-reconfigure artix-payme" in said
    assert "Traceback" not in said
    assert ("the disk is broken" in said) == bool(document)
