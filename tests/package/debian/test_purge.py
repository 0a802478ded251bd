"""While a buyer may be owed money the package can't be removed; a purge deletes only a journal that was judged."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.package.debian.conftest import CONF, DATA, DPKG_OPTIONS, JOURNAL, LINUXCASH

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.package.debian.conftest import Ended, Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]


def remove(till: Till, **environment: str) -> Ended:
    return till.run("dpkg", *DPKG_OPTIONS, "--remove", "artix-payme", **environment)


def assert_refused(ended: Ended, till: Till, reason: str) -> None:
    assert ended.code != 0
    assert reason in ended.out + ended.err
    assert f"touch {DATA}/remove-anyway" in ended.out + ended.err
    assert till.payme("--version").code == 0


def test_files_of_others_stay_and_an_empty_journal_owes_nothing(till: Till) -> None:
    others = [CONF.with_name("ncash.ini"), LINUXCASH / "cash/reports/uzofd_sale.xml", DATA.parent / "tmp/check.img"]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs", encoding="utf-8")
    till.unpack()
    JOURNAL.touch()
    assert till.purge().code == 0

    assert all(path.read_text(encoding="utf-8") == "theirs" for path in others)
    assert {path for path in LINUXCASH.rglob("*") if path.is_file()} == set(others)


def test_a_removal_is_refused_until_the_money_is_back(installed: Till, sandbox: Sandbox) -> None:
    installed.owe(sandbox)
    before = CONF.read_bytes(), JOURNAL.read_bytes()
    refused = installed.run("aptitude", "-y", "purge", "artix-payme")

    assert_refused(refused, installed, "not removed: buyers are still owed money (payments: 1).")
    assert (CONF.read_bytes(), JOURNAL.read_bytes()) == before
    assert_refused(remove(installed, LANG="ru_UA"), installed, "пакет не удалён: покупателям не возвращены деньги")

    held = sandbox.held()
    assert installed.payme("queue", "deliver", "--until-empty").code == 0
    assert sandbox.held() == held - 1_500_000
    assert installed.purge().code == 0
    assert not LINUXCASH.exists()


def test_who_removes_it_anyway_is_warned_and_loses_nothing_before_the_purge(installed: Till, sandbox: Sandbox) -> None:
    installed.owe(sandbox)
    before = CONF.read_bytes(), JOURNAL.read_bytes()
    (DATA / "remove-anyway").touch()
    removed = remove(installed)

    assert removed.code == 0
    assert "warning: buyers are still owed money (payments: 1)." in removed.err
    assert (CONF.read_bytes(), JOURNAL.read_bytes()) == before

    (DATA / "remove-anyway").unlink()
    assert installed.purge().code != 0
    assert (CONF.read_bytes(), JOURNAL.read_bytes()) == before
    (DATA / "remove-anyway").touch()
    assert installed.purge().code == 0
    assert not LINUXCASH.exists()


def test_a_permission_to_remove_anyway_counts_once(installed: Till, sandbox: Sandbox) -> None:
    (DATA / "remove-anyway").touch()
    installed.reconfigure()
    installed.owe(sandbox)

    assert_refused(remove(installed), installed, "not removed: buyers are still owed money (payments: 1)")
