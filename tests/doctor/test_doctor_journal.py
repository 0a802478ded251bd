"""The journal, looked at for real: its health and its queue, and not a byte of it changed."""

from __future__ import annotations

import hashlib
import os
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from journal_walks import walk
from payme_plugin.clock import SystemClock
from payme_plugin.doctor import Check, Level
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.states import PaymentState
from tests.doctor.conftest import finding, findings, level, unchecked

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.doctor.conftest import Payme, Till

HOUR_MS = 3_600_000
PAGE = 4096


@pytest.fixture
def journal(till: Till, payme: Payme) -> Iterator[Journal]:
    till.configure(payme.url)
    opened = Journal(till.folder / FILE_NAME, host_identity="till-1", clock=SystemClock())
    yield opened
    opened.close()


def digests(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        file.name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def change(till: Till, statement: str) -> None:
    with closing(sqlite3.connect(till.folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_sound_journal_is_told_with_its_till_and_its_schema(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.RECORDED)
    report = till.examined()

    found = finding(report, Check.JOURNAL)
    assert found.level is Level.OK
    assert "is sound: till till-1, schema 2, payments: 1; no till works with it now" in found.text
    assert finding(report, Check.QUEUE).text == "No cancellation waits."


@pytest.mark.parametrize("is_open", [True, False])
def test_not_a_byte_of_the_data_folder_changes(till: Till, journal: Journal, is_open: bool) -> None:
    walk(journal, PaymentState.UNKNOWN)
    with Leases(till.folder).try_acquire(LEADER):
        pass
    if not is_open:
        journal.close()
    before = digests(till.folder)
    till.examined()

    assert digests(till.folder) == before


def test_where_there_is_no_journal_none_is_made(till: Till, payme: Payme) -> None:
    till.configure(payme.url)
    report = till.examined()

    assert level(report, Check.JOURNAL) is Level.OK
    assert "There is no journal" in finding(report, Check.JOURNAL).text
    assert not till.folder.exists()


def test_a_till_at_work_is_seen_by_its_lock_which_it_keeps(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.PAID)
    with Leases(till.folder).try_acquire(LEADER) as is_held:
        assert is_held
        report = till.examined()
        with Leases(till.folder).try_acquire(LEADER) as is_held_twice:
            assert not is_held_twice

    assert level(report, Check.JOURNAL) is Level.OK
    assert f"the till works with it now, process {os.getpid()}" in finding(report, Check.JOURNAL).text


def test_a_cancellation_that_a_process_works_on_is_told_with_its_process(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.UNKNOWN)
    (row,) = journal.live_cancellations()
    with Leases(till.folder).try_acquire(row.cancellation_id):
        text = finding(till.examined(), Check.QUEUE).text

    assert f"Process {os.getpid()} works on cancellation {row.cancellation_id}." in text
    assert "works on" not in finding(till.examined(), Check.QUEUE).text


def test_payments_that_nobody_settles_are_a_warning(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.PAYING)
    found = finding(till.examined(), Check.JOURNAL)

    assert found.level is Level.WARNING
    assert found.text.startswith("1 payments wait for the till")


@pytest.mark.usefixtures("journal")
def test_the_journal_of_another_till_is_a_fault_where_the_till_is_named(till: Till) -> None:
    assert level(till.examined(till="till-1"), Check.JOURNAL) is Level.OK
    (found,) = findings(till.examined(till="till-2"), Check.JOURNAL)

    assert found.level is Level.FAULT
    assert "belongs to till 'till-1', not to 'till-2'" in found.text


def test_a_damaged_journal_is_a_fault_and_its_repair_is_named(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.RECORDED)
    journal.close()
    path = till.folder / FILE_NAME
    whole = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'payment_by_age'").fetchone()
    path.write_bytes(whole[: (root - 1) * PAGE] + b"\xff" * PAGE + whole[root * PAGE :])
    report = till.examined()

    found = finding(report, Check.JOURNAL)
    assert found.level is Level.FAULT
    assert "is damaged" in found.text
    assert "payme journal repair" in found.remedy
    assert unchecked(report)[Check.QUEUE] == "the journal can't be used"


@pytest.mark.usefixtures("payme")
def test_a_file_that_is_no_journal_is_a_fault(till: Till) -> None:
    till.folder.mkdir()
    (till.folder / FILE_NAME).write_bytes(b"nothing at all" * 1000)

    assert level(till.examined(), Check.JOURNAL) is Level.FAULT


def test_the_journal_of_a_newer_version_is_a_fault(till: Till, journal: Journal) -> None:
    journal.close()
    change(till, "PRAGMA user_version = 99")
    found = finding(till.examined(), Check.JOURNAL)

    assert found.level is Level.FAULT
    assert "version 99" in found.text
    assert "Install the version" in found.remedy


@pytest.mark.parametrize(("age_h", "wanted"), [(0, Level.OK), (2, Level.WARNING), (48, Level.FAULT)])
def test_the_age_of_the_oldest_cancellation_counts(till: Till, journal: Journal, age_h: int, wanted: Level) -> None:
    walk(journal, PaymentState.UNKNOWN)
    change(till, f"UPDATE cancellation SET created_at = created_at - {age_h * HOUR_MS}")  # noqa: S608 - our own number
    found = finding(till.examined(), Check.QUEUE)

    assert found.level is wanted
    assert "Cancellations that wait: 1" in found.text


def test_a_journal_that_others_can_read_is_a_warning(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.RECORDED)
    (till.folder / FILE_NAME).chmod(0o644)

    assert finding(till.examined(), Check.MODES).remedy == f"chmod 0600 {till.folder / FILE_NAME}"


def test_money_that_waits_for_a_key_is_named(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.UNKNOWN)
    change(till, "UPDATE cancellation SET pos_id = 'former'")

    found = finding(till.examined(), Check.ACCOUNTS)

    assert found.level is Level.WARNING
    assert "[Account former]" in found.remedy


def test_another_host_in_url_while_money_waits_is_a_warning(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.UNKNOWN)
    change(till, "UPDATE cancellation SET pos_id = '65aa00112233445566778899', url = 'https://old.example/api'")

    found = finding(till.examined(), Check.ACCOUNTS)

    assert found.level is Level.WARNING
    assert "made at old.example" in found.text
