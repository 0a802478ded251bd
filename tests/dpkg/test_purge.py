"""A purge deletes everything, and refuses to while a buyer's money is on its way back."""

from __future__ import annotations

import shutil
from contextlib import closing
from sqlite3 import connect
from typing import TYPE_CHECKING

import pytest

from tests.dpkg.conftest import CONF, DATA, DPKG_OPTIONS, JOURNAL, LINUXCASH

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox
    from tests.dpkg.conftest import SharedInstallation, Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]


@pytest.fixture
def owing(installed: Till, sandbox: Sandbox) -> Till:
    """A till with a cancellation that no worker carries out."""
    installed.owe(sandbox)
    return installed


@pytest.fixture(scope="module")
def removals(
    shared: SharedInstallation, sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], Till]:
    """Return a function that returns a till without the package and with the journal of one closed sale.

    A refused purge leaves the till in this state, so that its tests share one installation.
    """
    copy = tmp_path_factory.mktemp("removed") / DATA.name

    def removed() -> Till:
        till = shared.till
        # A refused purge leaves ``pc`` and deletes the conffiles: only the journal's folder is put back.
        if shared.exists and copy.exists() and till.state in {"rc", "pc"}:
            shutil.rmtree(DATA)
            shutil.copytree(copy, DATA)
        else:
            shared.restored().sell(sandbox.issue_code(), "close")
            till.done("dpkg", *DPKG_OPTIONS, "--remove", "artix-payme")
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(DATA, copy)
        return till

    return removed


@pytest.fixture
def removed(removals: Callable[[], Till]) -> Till:
    """A till without the package and with the journal of one closed sale."""
    return removals()


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


def test_a_removal_warns_of_owed_money_and_a_purge_reads_the_write_ahead_log(owing: Till, tmp_path: Path) -> None:
    journal = JOURNAL.read_bytes()
    removed = owing.run("aptitude", "-y", "remove", "artix-payme")

    assert removed.code == 0
    assert "warning: cancellations not delivered: 1." in removed.out + removed.err
    assert JOURNAL.read_bytes() == journal

    # A till that lost power leaves its last commits in the log beside the journal.
    with closing(connect(JOURNAL, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        connection.execute("UPDATE cancellation SET ended_at = 1, ended_as = 'cancelled'")
        for end in ("", "-wal"):
            shutil.copyfile(f"{JOURNAL}{end}", f"{tmp_path}/copy{end}")
    for end in ("", "-wal"):
        shutil.copyfile(f"{tmp_path}/copy{end}", f"{JOURNAL}{end}")
    with closing(connect(f"file:{JOURNAL}?immutable=1", uri=True)) as connection:
        assert connection.execute("SELECT count(*) FROM cancellation WHERE ended_at IS NULL").fetchone() == (1,)

    assert owing.purge().code == 0
    assert not LINUXCASH.exists()


def test_a_purge_is_refused_with_the_reason_until_the_money_is_back(owing: Till, sandbox: Sandbox) -> None:
    kept = CONF.read_bytes(), JOURNAL.read_bytes()
    refused = owing.run("aptitude", "-y", "purge", "artix-payme")

    assert refused.code != 0
    said = refused.out + refused.err
    assert "journal and settings are not deleted: cancellations not delivered: 1." in said
    assert "aptitude install artix-payme && payme queue deliver --until-empty" in said
    assert f"touch {DATA}/purge-anyway" in said
    assert (CONF.read_bytes(), JOURNAL.read_bytes()) == kept
    for locale in ("ru_RU.UTF-8", "ru_UA"):
        refused = owing.purge(LANG=locale)
        assert "журнал и настройки не удалены: не доставлены отмены оплат: 1." in refused.out + refused.err

    owing.unpack()
    held = sandbox.held()
    assert owing.payme("queue", "deliver", "--until-empty").code == 0
    assert sandbox.held() == held - 1_500_000
    assert owing.purge().code == 0
    assert not LINUXCASH.exists()


@pytest.mark.parametrize("state", ["created", "paying", "paid"])
def test_an_unfinished_payment_counts_as_owed(removed: Till, state: str) -> None:
    with closing(connect(JOURNAL, isolation_level=None)) as journal:
        journal.execute("UPDATE payment SET state = ?", (state,))

    assert "cancellations not delivered: 1." in (refused := removed.purge()).out + refused.err
    assert refused.code != 0
    assert JOURNAL.is_file()


@pytest.mark.parametrize("damage", [b"", b"\x00" * 4096, b"no journal"], ids=["log-alone", "zeros", "text"])
def test_an_unreadable_journal_is_not_deleted(removed: Till, damage: bytes) -> None:
    JOURNAL.write_bytes(damage)
    if not damage:
        JOURNAL.with_name(f"{JOURNAL.name}-wal").write_bytes(b"x" * 100)
    refused = removed.purge()

    assert refused.code != 0
    assert "can't be read: buyers may be owed money" in refused.out + refused.err
    assert JOURNAL.exists()


def test_without_python_the_journal_is_not_deleted_until_the_purge_is_forced(removed: Till, tmp_path: Path) -> None:
    missing = tmp_path / "python3"
    missing.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    missing.chmod(0o755)
    without_python = f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin"
    refused = removed.purge(PATH=without_python)

    assert refused.code != 0
    assert "can't be read" in refused.err
    assert JOURNAL.is_file()

    (DATA / "purge-anyway").touch()
    assert removed.purge(PATH=without_python).code == 0
    assert not LINUXCASH.exists()
    assert removed.state == ""
