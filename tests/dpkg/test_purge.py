"""A purge deletes everything, and refuses to while a buyer's money is on its way back."""

from __future__ import annotations

import shutil
from contextlib import closing
from sqlite3 import connect
from typing import TYPE_CHECKING

import pytest

from payme_plugin.sandbox import Behaviour, BuyerAction
from tests.dpkg.conftest import CONF, DATA, JOURNAL, LINUXCASH

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox
    from tests.dpkg.conftest import Ended, Till

pytestmark = [pytest.mark.dpkg, pytest.mark.timeout(600)]


def purge(till: Till, **environment: str) -> Ended:
    return till.run("dpkg", "--no-triggers", "--purge", "artix-payme", **environment)


@pytest.fixture
def owing(till: Till, sandbox: Sandbox, answers: dict[str, str]) -> Till:
    """A till whose buyer did not answer: the cancellation is written, and nobody carries it out."""
    till.preseed(**answers)
    till.unpack()
    assert till.payme("settings", "set", "runWorker=0", "payDuration=300", "frequency=100").code == 0
    assert till.sell(sandbox.issue_code(Behaviour(BuyerAction.NEVER_ANSWERS)))["status"] == "UNKNOWN"
    assert len(till.payme("--json", "queue", "list").document) == 1
    return till


def test_what_others_keep_beside_it_stays(till: Till) -> None:
    others = [CONF.with_name("ncash.ini"), LINUXCASH / "cash/reports/uzofd_sale.xml", DATA.parent / "tmp/check.img"]
    for path in others:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("theirs", encoding="utf-8")
    till.unpack()
    assert purge(till).code == 0

    assert all(path.read_text(encoding="utf-8") == "theirs" for path in others)
    assert {path for path in LINUXCASH.rglob("*") if path.is_file()} == set(others)


def test_a_removal_says_that_money_is_owed_and_keeps_the_journal(owing: Till) -> None:
    journal = JOURNAL.read_bytes()
    removed = owing.run("aptitude", "-y", "remove", "artix-payme")

    assert removed.code == 0
    assert "warning: cancellations not delivered: 1." in removed.out + removed.err
    assert JOURNAL.read_bytes() == journal


def test_a_purge_is_refused_with_the_reason_until_the_money_is_back(owing: Till, sandbox: Sandbox) -> None:
    kept = CONF.read_bytes(), JOURNAL.read_bytes()
    refused = owing.run("aptitude", "-y", "purge", "artix-payme")

    assert refused.code != 0
    said = refused.out + refused.err
    assert "journal and settings are not deleted: cancellations not delivered: 1." in said
    assert "aptitude install artix-payme && payme queue deliver --until-empty" in said
    assert f"touch {DATA}/purge-anyway" in said
    assert (CONF.read_bytes(), JOURNAL.read_bytes()) == kept

    owing.unpack()
    assert owing.payme("queue", "deliver", "--until-empty").code == 0
    assert sandbox.held() == 0
    assert purge(owing).code == 0
    assert not LINUXCASH.exists()


@pytest.mark.parametrize("locale", ["ru_RU.UTF-8", "ru_UA"])
def test_a_russian_till_is_told_in_russian(owing: Till, locale: str) -> None:
    refused = purge(owing, LANG=locale)

    assert "журнал и настройки не удалены: не доставлены отмены оплат: 1." in refused.out + refused.err


def test_a_purge_can_be_forced(owing: Till) -> None:
    assert purge(owing).code != 0
    (DATA / "purge-anyway").touch()
    assert purge(owing).code == 0
    assert not LINUXCASH.exists()
    assert owing.state == ""


@pytest.mark.parametrize("state", ["created", "paying", "paid"])
def test_a_payment_that_was_cut_off_counts_as_owed(
    till: Till, sandbox: Sandbox, answers: dict[str, str], state: str
) -> None:
    till.preseed(**answers)
    till.unpack()
    till.sell(sandbox.issue_code(), "close")
    with closing(connect(JOURNAL, isolation_level=None)) as journal:
        journal.execute("UPDATE payment SET state = ?", (state,))

    assert "cancellations not delivered: 1." in (refused := purge(till)).out + refused.err
    assert refused.code != 0
    assert JOURNAL.is_file()


def test_rows_that_are_in_the_log_beside_the_journal_count(owing: Till, tmp_path: Path) -> None:
    # A till that was cut off leaves its last commits there.
    shutil.copytree(DATA, tmp_path / "kept")
    with closing(connect(JOURNAL, isolation_level=None)) as journal:
        journal.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
        journal.execute("UPDATE cancellation SET ended_at = 1")
        for end in ("", "-wal"):
            shutil.copyfile(f"{JOURNAL}{end}", f"{tmp_path}/copy{end}")
    for end in ("", "-wal"):
        shutil.copyfile(f"{tmp_path}/copy{end}", f"{JOURNAL}{end}")

    assert purge(owing).code == 0
    assert not LINUXCASH.exists()


@pytest.mark.parametrize("damage", [b"", b"\x00" * 4096, b"no journal"], ids=["log-alone", "zeros", "text"])
def test_a_journal_that_can_not_be_read_is_not_deleted(till: Till, damage: bytes) -> None:
    till.unpack()
    JOURNAL.write_bytes(damage)
    if not damage:
        JOURNAL.with_name(f"{JOURNAL.name}-wal").write_bytes(b"x" * 100)
    refused = purge(till)

    assert refused.code != 0
    assert "can't be read: buyers may be owed money" in refused.out + refused.err
    assert JOURNAL.exists()


def test_without_python_the_journal_is_not_deleted(
    till: Till, sandbox: Sandbox, answers: dict[str, str], tmp_path: Path
) -> None:
    till.preseed(**answers)
    till.unpack()
    till.sell(sandbox.issue_code(), "close")
    till.done("dpkg", "--no-triggers", "--remove", "artix-payme")
    missing = tmp_path / "python3"
    missing.write_text("#!/bin/sh\nexit 127\n", encoding="utf-8")
    missing.chmod(0o755)
    refused = purge(till, PATH=f"{tmp_path}:/usr/sbin:/usr/bin:/sbin:/bin")

    assert refused.code != 0
    assert "can't be read" in refused.err
    assert JOURNAL.is_file()


def test_an_empty_journal_owes_nothing(till: Till) -> None:
    till.unpack()
    JOURNAL.touch()

    assert purge(till).code == 0
    assert not LINUXCASH.exists()
