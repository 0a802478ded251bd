"""One life of the package on a till: after each step the disk differs by what it should, and by nothing else.

Compared are content, mode, owner and where links lead.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dpkg.conftest import (
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
from tests.dpkg.disk import Camera, Facts, differing

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.dpkg.conftest import SharedInstallation, Till
    from tests.dpkg.disk import Disk

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]

FOLDERS = {
    str(LINUXCASH / name) for name in ("cash", "cash/conf", "cash/conf/ncash.ini.d", "cash/data", "cash/reports")
}
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
    till.done("aptitude", "-y", "install", f"artix-payme={EARLIER}")
    brought["installed"] = listed()
    disks["installed"] = camera.snapshot()
    assert till.sell(sandbox.issue_code(), "close")["status"] == "PAID"
    disks["sold"] = camera.snapshot()
    till.preseed(payment_type="8")
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
    made = {str(CONF), str(DATA), ENABLED}

    assert differing(life["bare"], life["installed"]) - packed == made
    assert packed & differing(life["bare"], life["installed"]) >= {str(TEMPLATE), str(SWITCH), "/usr/bin/payme"}
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
    # What dpkg offered instead of the edited switch lies beside it.
    assert changed - packed == {f"{SWITCH}.dpkg-dist"}
    assert str(TEMPLATE) in changed
    assert not changed & {str(CONF), str(SWITCH), str(JOURNAL)}


def test_a_removal_leaves_conffiles_settings_and_journal_as_they_were(life: dict[str, Disk], packed: set[str]) -> None:
    changed = differing(life["upgraded"], life["removed"])

    assert changed <= packed
    assert life["removed"].keys() & packed == FOLDERS | {str(TEMPLATE), str(SWITCH)}
    assert {str(CONF), str(DATA), str(JOURNAL)} <= life["removed"].keys()


def test_a_purge_leaves_the_disk_as_it_was(life: dict[str, Disk]) -> None:
    assert differing(life["bare"], life["purged"]) == set()
    assert not LINUXCASH.exists()
    assert "artix-payme" not in run("debconf-show", "--listowners").out
