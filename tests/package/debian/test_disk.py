"""One life of the package on a till: after each step the disk differs by what it should, and by nothing else.

Compared are content, mode, owner and where links lead.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.package.debian.conftest import (
    CONF,
    DATA,
    EARLIER,
    JOURNAL,
    LINUXCASH,
    SWITCH,
    TEMPLATE,
    clean_till,
    done,
    run,
)
from tests.package.debian.disk import Camera, Facts, differing

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.package.debian.conftest import SharedInstallation, Till
    from tests.package.debian.disk import Disk

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

FOLDERS = {
    str(LINUXCASH / name) for name in ("cash", "cash/conf", "cash/conf/ncash.ini.d", "cash/data", "cash/reports")
}
INSTALLED = "/var/lib/artix-payme"
COPIES = {f"{INSTALLED}/payme.ini", f"{INSTALLED}/payme.xml"}
ENABLED = "/var/lib/systemd/deb-systemd-helper-enabled/payme-worker.service.dsh-also"


def listed() -> set[str]:
    """Return what dpkg says that the package brings, by the paths of merged ``/usr``."""
    return {os.path.realpath(path) for path in done("dpkg", "-L", "artix-payme").split("\n") if path not in {"", "/."}}


@pytest.fixture(scope="module")
def packed(life: dict[str, Disk], brought: dict[str, set[str]]) -> set[str]:
    """What the package brings, and what Python compiles of it."""
    new = set().union(*brought.values()) - life["bare"].keys()
    caches = {f"{Path(path).parent}/__pycache__" for path in new if path.endswith(".py")}
    there = set().union(*life.values()) - life["bare"].keys()
    compiled = {path for path in there if path in caches or str(Path(path).parent) in caches}
    return new | compiled


@pytest.fixture(scope="module")
def brought() -> dict[str, set[str]]:
    """What dpkg lists after the installation and after the upgrade; filled by ``life``."""
    return {}


@pytest.fixture(scope="module")
def life(
    shared: SharedInstallation, sandbox: Sandbox, answers: dict[str, str], brought: dict[str, set[str]]
) -> dict[str, Disk]:
    """The disk after each step."""
    with clean_till(shared) as till:
        till.preseed(**answers)
        return lived(till, sandbox, brought)


def lived(till: Till, sandbox: Sandbox, brought: dict[str, set[str]]) -> dict[str, Disk]:
    camera = Camera()
    disks = {"bare": camera.snapshot()}
    till.done("aptitude", "-y", "install", f"artix-payme=1:{EARLIER}")
    brought["installed"] = listed()
    disks["installed"] = camera.snapshot()
    assert till.sell(sandbox.issue_code(), "close")["status"] == "PAID"
    disks["sold"] = camera.snapshot()
    till.preseed(paymentType="8")
    till.reconfigure()
    disks["reconfigured"] = camera.snapshot()
    SWITCH.write_text("[plugins]\npayme = on\n; mine\n", encoding="utf-8")
    SWITCH.chmod(0o640)
    disks["edited"] = disks["reconfigured"] | camera.snapshot(str(LINUXCASH))
    till.change_to(till.repository.version)
    brought["upgraded"] = listed()
    disks["upgraded"] = camera.snapshot()
    till.done("aptitude", "-y", "remove", "artix-payme")
    disks["removed"] = camera.snapshot()
    till.done("aptitude", "-y", "purge", "artix-payme")
    disks["purged"] = camera.snapshot()
    return disks


def test_the_installation_brings_what_the_package_lists_the_settings_and_the_journals_folder(
    life: dict[str, Disk], packed: set[str]
) -> None:
    made = {str(CONF), str(SWITCH), str(TEMPLATE), str(DATA), ENABLED, INSTALLED, *COPIES}

    assert differing(life["bare"], life["installed"]) - packed == made
    assert "/usr/bin/payme" in packed & differing(life["bare"], life["installed"])
    assert not [path for path in life["bare"] if life["installed"].get(path) != life["bare"][path]]


def test_what_it_brings_is_roots_and_nobody_else_may_change_it(life: dict[str, Disk], packed: set[str]) -> None:
    there = {path: facts for path, facts in life["upgraded"].items() if path in packed}

    assert {facts.owner for facts in there.values()} == {(0, 0)}
    assert not [path for path, facts in there.items() if facts.mode & 0o022 and not stat.S_ISLNK(facts.mode)]


def test_a_sale_writes_the_journal_and_nothing_else(life: dict[str, Disk], packed: set[str]) -> None:
    changed = differing(life["installed"], life["sold"]) - packed

    assert str(JOURNAL) in changed
    assert all(Path(path).parent == DATA for path in changed)


def test_reconfigured_the_settings_file_differs_in_its_content_alone(life: dict[str, Disk], packed: set[str]) -> None:
    before, after = life["sold"][str(CONF)], life["reconfigured"][str(CONF)]

    assert differing(life["sold"], life["reconfigured"]) - packed == {str(CONF)}
    assert Facts(before.mode, before.owner, "") == Facts(after.mode, after.owner, "")


def test_an_upgrade_changes_what_the_package_brings_and_nothing_that_was_edited(
    life: dict[str, Disk], packed: set[str]
) -> None:
    changed = differing(life["edited"], life["upgraded"])
    # The package's own switch lies beside the edited one.
    assert changed - packed == {str(TEMPLATE), f"{SWITCH}.new", *COPIES}


def test_a_removal_leaves_settings_template_switch_and_journal_as_they_were(
    life: dict[str, Disk], packed: set[str]
) -> None:
    changed = differing(life["upgraded"], life["removed"])

    assert changed - packed == {f"{DATA}/removed-at"}
    assert life["removed"].keys() & packed == FOLDERS


def test_a_purge_leaves_the_disk_as_it_was(life: dict[str, Disk]) -> None:
    assert differing(life["bare"], life["purged"]) == set()
    assert not LINUXCASH.exists()
    assert "artix-payme" not in run("debconf-show", "--listowners").out
