"""A new till, from the first installation to the purge, with the commands of the page for technicians.

After each step the disk differs by what it should, and by nothing else: content, mode, owner and where links lead.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.package.debian.conftest import (
    CONF,
    DATA,
    JOURNAL,
    KEY,
    LINUXCASH,
    ROOT,
    SWITCH,
    TEMPLATE,
    new_till,
    repacked,
    run,
)
from tests.package.debian.terminal import at_terminal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payme_plugin.sandbox import Sandbox
    from tests.package.debian.conftest import Build, DebianTill, File

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

PAGE = (ROOT / "docs/ru/install.md").read_text(encoding="utf-8")
COMMANDS = [line for block in re.findall(r"(?ms)^```sh\n(.*?)^```$", PAGE) for line in block.splitlines()]
SAMPLE = (ROOT / "debian/payme.go.conf").read_bytes()
LOG = Path("/linuxcash/logs/current/terminal.log")
COPIES = {Path("/var/lib/artix-payme"), Path("/var/lib/artix-payme/payme.ini"), Path("/var/lib/artix-payme/payme.xml")}
UNIT = Path("/var/lib/systemd/deb-systemd-helper-enabled/payme-worker.service.dsh-also")
LATER = {"usr/share/artix-payme/payme.xml": "<!-- later -->\n", "usr/share/artix-payme/payme.ini": "; later\n"}
FIND_ON_COMMAND_LINES = """
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


@contextmanager
def on_no_command_line(text: str) -> Iterator[None]:
    """Make sure that no command line has ``text`` in the meantime."""
    finder = subprocess.Popen(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", FIND_ON_COMMAND_LINES, text], stdout=subprocess.PIPE, text=True
    )
    try:
        yield
    finally:
        finder.kill()
        found, _ = finder.communicate()
    assert found == ""


@dataclass
class Steps:
    """What was seen after each step."""

    disks: dict[str, dict[Path, File]] = field(default_factory=dict)
    output: dict[str, str] = field(default_factory=dict)
    packed: set[Path] = field(default_factory=set)
    facts: dict[str, Any] = field(default_factory=dict)

    def see(self, step: str, till: DebianTill, output: str = "") -> None:
        self.disks[step], self.output[step] = till.disk(), output

    def see_installed(self, step: str, till: DebianTill, output: str) -> None:
        """See also what the package brings, and what Python compiles of it."""
        self.see(step, till, output)
        listed = till.done("dpkg", "-L", "artix-payme").split("\n")
        # The lists have paths of before ``/usr`` was merged.
        real = {Path(os.path.realpath(till.path(path))) for path in listed if path not in {"", "/."}}
        new = {Path("/") / path.relative_to(till.folder) for path in real} - self.disks["bare"].keys()
        caches = {path.parent / "__pycache__" for path in new if path.suffix == ".py"}
        self.packed |= new | {path for path in self.disks[step] if path in caches or path.parent in caches}

    def changed(self, before: str, after: str) -> set[Path]:
        """Return the paths that are not as they were, without what the package brings."""
        old, new = self.disks[before], self.disks[after]
        return {path for path in old | new if old.get(path) != new.get(path)} - self.packed

    def conf(self, step: str) -> bytes:
        return self.disks[step][CONF].content


# ---------------------------------------------------------------------------------------------------------------------
# What happens
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def steps(build: Build, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Steps:
    """Play the commands of the page in their order, with what the page says to do between them."""
    steps, folder = Steps(), tmp_path_factory.mktemp("new")
    till = new_till(folder)
    till.serve(build.package)
    control = (ROOT / "debian/control").read_text(encoding="utf-8").partition("\nSuggests:")[0]
    depends = re.findall(r"(?m)^ (python3-\w+) \(>=", control)
    till.done("apt-get", "install", "-y", *depends)
    till.path(LOG).parent.mkdir(parents=True)
    till.path(LOG).touch()
    steps.see("bare", till)
    before = {
        COMMANDS.index("dpkg-reconfigure artix-payme"): lambda: till.preseed(
            paymentType="7", url=sandbox.url, posId=sandbox.pos_id, posKey=KEY
        ),
        COMMANDS.index("payme status"): lambda: sell(steps, till, sandbox),
        COMMANDS.index("aptitude update", 1): lambda: edit_and_serve_later(till, build, folder),
        COMMANDS.index("aptitude remove artix-payme"): lambda: reconfigure_after_upgrade(steps, till),
        COMMANDS.index("aptitude purge artix-payme"): lambda: install_again(steps, till, sandbox),
    }
    names = {
        "dpkg-reconfigure artix-payme": "reconfigured",
        "payme settings set payDuration=120000": "set",
        "aptitude remove artix-payme": "removed",
        "aptitude purge artix-payme": "purged",
    }
    for number, command in enumerate(COMMANDS):
        before.get(number, lambda: None)()
        with nullcontext() if command != "dpkg-reconfigure artix-payme" else on_no_command_line(KEY[:20]):
            # A person says yes where an upgrade or a removal is asked for.
            ended = till.run("bash", "-c", command.replace("aptitude ", "aptitude -y "))
        is_early = number < COMMANDS.index("dpkg-reconfigure artix-payme")
        assert ended.code == 0 or (is_early and command.startswith("payme ")), f"{command}\n{ended.out}\n{ended.err}"
        output = ended.out + ended.err
        assert KEY not in output
        if command == "aptitude install artix-payme":
            steps.see_installed("upgraded" if "installed" in steps.disks else "installed", till, output)
        elif command in names:
            steps.see(names[command], till, output)
        else:
            steps.output[command] = output
        if command == "dpkg-reconfigure artix-payme":
            steps.facts["places of the key"] = places_of(KEY, till)
            steps.facts["doctor"] = till.run("payme", "doctor")
            steps.facts["check"] = till.run("payme", "settings", "check")
    steps.facts["owners"] = till.done("debconf-show", "--listowners")
    return steps


def places_of(text: str, till: DebianTill) -> list[str]:
    """Return the files that hold ``text``, where a package manager leaves things."""
    folders = [str(till.path(folder)) for folder in ("/etc", "/linuxcash", "/var", "/root", "/tmp")]  # noqa: S108
    return run("grep", "-rlF", "--", text, *folders).out.replace(str(till.folder), "").split()


def sell(steps: Steps, till: DebianTill, sandbox: Sandbox) -> None:
    steps.see("before the sale", till)
    steps.facts["sale"] = till.sell(sandbox.issue_code())
    steps.see("sold", till)


def edit_and_serve_later(till: DebianTill, build: Build, folder: Path) -> None:
    till.path(SWITCH).write_text("[plugins]\npayme = on\n; mine\n", encoding="utf-8")
    till.path(SWITCH).chmod(0o640)
    till.preseed(paymentType="99", url="http://elsewhere/", posId="other", posKey="otherkey")
    till.serve(repacked(build.package, folder, f"{build.version}+1", LATER))


def reconfigure_after_upgrade(steps: Steps, till: DebianTill) -> None:
    """Answer the questions in an editor, which changes nothing."""
    editor = till.path("/editor")
    editor.write_text('#!/bin/sh\ncat "$1" >>/asked\n', encoding="utf-8")
    editor.chmod(0o755)
    wanted = {"DEBIAN_FRONTEND": "editor", "EDITOR": "/editor", "VISUAL": "/editor"}
    at_terminal(till.command("dpkg-reconfigure", "artix-payme"), [], till.environment | wanted)
    steps.facts["offered"] = till.path("/asked").read_text(encoding="utf-8")
    steps.see("offered", till)


def install_again(steps: Steps, till: DebianTill, sandbox: Sandbox) -> None:
    steps.see("again", till, till.done("aptitude", "-y", "install", "artix-payme"))
    steps.facts["second sale"] = till.sell(sandbox.issue_code())


# ---------------------------------------------------------------------------------------------------------------------
# What must hold
# ---------------------------------------------------------------------------------------------------------------------


def test_the_installation_brings_what_the_package_lists_the_sample_and_the_journals_folder(steps: Steps) -> None:
    folders = {path for path in steps.disks["installed"] if path in DATA.parents or path in SWITCH.parents}
    made = {CONF, SWITCH, TEMPLATE, DATA, UNIT, *COPIES}
    disk, before = steps.disks["installed"], steps.disks["bare"]

    assert steps.changed("bare", "installed") - folders == made
    assert Path("/usr/bin/payme") in steps.packed & disk.keys()
    assert not [path for path in before if disk.get(path) != before[path]]
    assert (disk[CONF].content, stat.S_IMODE(disk[CONF].mode), stat.S_IMODE(disk[DATA].mode)) == (SAMPLE, 0o600, 0o700)
    assert "Payme payments do not work until the settings" in steps.output["installed"]


def test_its_files_belong_to_root_and_only_root_may_change_them(steps: Steps) -> None:
    there = [file for path, file in steps.disks["upgraded"].items() if path in steps.packed]

    assert {file.owner for file in there} == {0}
    assert not [file for file in there if file.mode & 0o022 and not stat.S_ISLNK(file.mode)]


def test_reconfigured_only_the_settings_have_the_answers_and_the_rest_of_the_sample_stays(
    steps: Steps, sandbox: Sandbox
) -> None:
    answers = {
        "url": f'"{sandbox.url}"',
        "posId": f'"{sandbox.pos_id}"',
        "posKey": f'"{KEY}"',
        "paymentType": "7",
    }
    text = steps.conf("reconfigured").decode()
    given = re.compile(r"^(\w+) = (.*)\n", re.MULTILINE)

    assert steps.changed("installed", "reconfigured") == {CONF}
    assert (dict(given.findall(text)), given.sub("", text)) == (answers, SAMPLE.decode())
    assert stat.S_IMODE(steps.disks["reconfigured"][CONF].mode) == 0o600
    assert steps.facts["places of the key"] == [str(CONF)]
    assert (steps.facts["check"].code, steps.facts["check"].out) == (0, f"{CONF} can be used.\n")


def test_the_doctor_finds_no_fault_on_a_new_till(steps: Steps) -> None:
    doctor = steps.facts["doctor"]

    assert doctor.code == 0, doctor.out
    assert "/usr/lib/python3/dist-packages/hookspecs" in doctor.out
    assert not re.search(r"^(?:fault|warning) ", doctor.out, re.MULTILINE), doctor.out


def test_a_sale_under_the_distributions_python_writes_the_journal_and_the_log(steps: Steps) -> None:
    sale, changed = steps.facts["sale"], steps.changed("before the sale", "sold")

    assert (sale["status"], sale["tender"], sale["faults"]) == ("PAID", 7, [])
    assert sale["home"] == "/usr/lib/python3/dist-packages/hookspecs/__init__.py"
    assert JOURNAL not in steps.disks["before the sale"]
    assert JOURNAL in changed
    assert {path.parent for path in changed - {LOG}} == {DATA}
    assert sale["payment_id"] in steps.output["payme status"]
    log = steps.disks["sold"][LOG].content.decode()
    assert ("receipts.pay" in log, KEY in log) == (True, False)
    assert "receipts.pay" in steps.output[f"tail -n 20 {LOG}"]


def test_a_setting_that_is_set_is_all_that_changes(steps: Steps) -> None:
    assert steps.changed("reconfigured", "set") == {CONF, LOG}
    assert steps.conf("set").replace(b"\npayDuration = 120000", b"") == steps.conf("reconfigured")


def test_an_upgrade_changes_what_the_package_brings_and_nothing_that_was_edited(steps: Steps) -> None:
    new = SWITCH.with_name("payme.ini.new")  # the package's own switch lies beside the edited one
    disk = steps.disks["upgraded"]

    assert steps.changed("sold", "upgraded") == {SWITCH, new, TEMPLATE, *COPIES} - {Path("/var/lib/artix-payme")}
    assert (disk[SWITCH].content, stat.S_IMODE(disk[SWITCH].mode)) == (b"[plugins]\npayme = on\n; mine\n", 0o640)
    assert b"; later" in disk[new].content
    assert b"<!-- later -->" in disk[TEMPLATE].content


def test_a_reconfiguration_offers_the_files_values_without_the_key_and_no_answers_of_before_the_upgrade(
    steps: Steps, sandbox: Sandbox
) -> None:
    assert re.findall(r'(?m)^artix-payme/(.*)="(.*)"$', steps.facts["offered"]) == [
        ("paymentType", "7"),
        ("url", sandbox.url),
        ("posId", sandbox.pos_id),
        ("posKey", ""),
    ]
    assert steps.changed("upgraded", "offered") == set()


def test_a_removal_keeps_settings_template_switch_and_journal_and_the_till_continues_after_it(steps: Steps) -> None:
    left = {path for path in steps.disks["removed"].keys() & steps.packed if not path.is_relative_to(LINUXCASH)}

    assert steps.changed("offered", "removed") == {DATA / "removed-at"}
    assert left == set()
    assert steps.changed("offered", "again") == set()
    assert steps.facts["second sale"]["status"] == "PAID"


def test_a_purge_leaves_the_disk_as_it_was(steps: Steps) -> None:
    steps.disks["purged"][LOG] = steps.disks["bare"][LOG]

    assert steps.disks["purged"] == steps.disks["bare"]
    assert "artix-payme" not in steps.facts["owners"]


def test_the_page_gives_the_packages_answers_ahead() -> None:
    templates = (ROOT / "debian/artix-payme.templates").read_text(encoding="utf-8")
    asked = re.findall(r"(?m)^Template: (artix-payme/.+)\nType: (string|password)$", templates)
    replacement = (ROOT / "docs/ru/replace.md").read_text(encoding="utf-8")

    assert re.findall(r"(?m)^artix-payme (\S+) (string|password) ", PAGE) == asked
    assert re.findall(r"(?m)^artix-payme (\S+) (string|password) ", replacement) == [
        ("artix-payme/paymentType", "string")
    ]
