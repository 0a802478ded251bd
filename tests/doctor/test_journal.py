"""The journal, looked at for real: its health and its queue, and not a byte of it changed."""

from __future__ import annotations

import hashlib
import os
import platform
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import walk
from payme_plugin.clock import SystemClock
from payme_plugin.doctor import Check, Level
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.states import PaymentState
from tests.command.conftest import environment
from tests.command.conftest import payme as run
from tests.doctor.conftest import finding, findings, level, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.doctor.conftest import Payme, Till

HOUR_MS = 3_600_000
NOBODY = 65534
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


def execute(till: Till, statement: str) -> None:
    with closing(sqlite3.connect(till.folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute(statement)


def test_a_sound_journal_is_told_with_its_till(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.RECORDED)
    report = till.examined()

    found = finding(report, Check.JOURNAL)
    assert found.level is Level.OK
    assert "is sound: till till-1, payments: 1." in str(found.text)
    assert str(finding(report, Check.QUEUE).text) == "No pending cancellations."


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
    assert "There is no journal" in str(finding(report, Check.JOURNAL).text)
    assert not till.folder.exists()


def test_a_till_at_work_is_seen_by_its_lock_which_it_keeps(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.PAID)
    with Leases(till.folder).try_acquire(LEADER) as is_held:
        assert is_held
        report = till.examined()
        with Leases(till.folder).try_acquire(LEADER) as is_held_twice:
            assert not is_held_twice

    assert level(report, Check.JOURNAL) is Level.OK
    assert str(finding(report, Check.LOCKS).text).startswith(f"Process {os.getpid()} (")
    assert str(finding(report, Check.LOCKS).text).endswith(") is the till and takes payments.")


def test_a_cancellation_that_a_process_works_on_is_told_with_its_process(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.UNKNOWN)
    (row,) = journal.live_cancellations()
    with Leases(till.folder).try_acquire(row.cancellation_id):
        text = str(finding(till.examined(), Check.LOCKS).text)

    assert text.startswith(f"Process {os.getpid()} (")
    assert text.endswith(f") works on cancellation {row.cancellation_id}.")
    assert "works on" not in str(finding(till.examined(), Check.LOCKS).text)


# ---------------------------------------------------------------------------------------------------------------------
# A till at work, in a process of its own
# ---------------------------------------------------------------------------------------------------------------------

_TILL = """
import sys
from pathlib import Path
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.locks import LEADER, Leases
path = Path(sys.argv[-1])
journal = Journal(path, host_identity="till-1", clock=SystemClock())
with Leases(path.parent).try_acquire(LEADER):
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextmanager
def running_till(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    script = folder.parent / "till.py"
    script.write_text(_TILL, encoding="utf-8")
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, str(script), *options, str(folder / FILE_NAME)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process


@pytest.mark.usefixtures("payme")
def test_the_process_of_the_till_is_named_without_what_may_be_a_secret_on_its_command_line(till: Till) -> None:
    with running_till(till.folder, "--qr", "01770000000000000001") as process:
        text = str(finding(till.examined(), Check.LOCKS).text)

    command = f"{sys.executable} {till.folder.parent / 'till.py'}"
    assert text == f"Process {process.pid} ({command}) is the till and takes payments."
    assert str(finding(till.examined(), Check.LOCKS).text) == "No process uses the journal."


def delete(file: Path) -> None:
    file.unlink()


def move_within_the_folder(file: Path) -> None:
    file.rename(file.with_suffix(".old"))


def move_away(file: Path) -> None:
    file.rename(file.parent.parent / "elsewhere")


def replace(file: Path) -> None:
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)


@pytest.mark.usefixtures("payme")
@pytest.mark.parametrize("change", [delete, move_within_the_folder, move_away, replace])
def test_a_journal_that_is_not_where_a_running_till_has_it_open_is_a_fault(
    till: Till, change: Callable[[Path], None]
) -> None:
    with running_till(till.folder) as process:
        assert level(till.examined(), Check.JOURNAL) is Level.OK
        change(till.folder / FILE_NAME)
        found = findings(till.examined(), Check.JOURNAL)[0]

    assert found.level is Level.FAULT
    assert str(found.text).startswith(f"Process {process.pid} (")
    assert f"has {till.folder / FILE_NAME} open, which was deleted, moved or replaced" in str(found.text)


@pytest.mark.usefixtures("payme")
@pytest.mark.parametrize("name", [f"{FILE_NAME}-wal", f"{FILE_NAME}-shm", "leases"])
def test_so_is_each_file_beside_it(till: Till, name: str) -> None:
    with running_till(till.folder):
        (till.folder / name).unlink()
        found = findings(till.examined(), Check.JOURNAL)[0]

    assert found.level is Level.FAULT
    assert f"has {till.folder / name} open, which was deleted" in str(found.text)


@pytest.mark.usefixtures("journal")
def test_the_journal_of_the_reference_till_of_another_machine_is_a_fault(till: Till) -> None:
    execute(till, "UPDATE about SET value = 'reference-till@shop-7' WHERE name = 'host_identity'")
    (found,) = findings(till.examined(), Check.JOURNAL)
    execute(till, f"UPDATE about SET value = 'reference-till@{platform.node()}' WHERE name = 'host_identity'")  # noqa: S608

    assert found.level is Level.FAULT
    assert f"comes from the machine shop-7, and this machine is {platform.node()}" in str(found.text)
    assert level(till.examined(), Check.JOURNAL) is Level.OK


# ---------------------------------------------------------------------------------------------------------------------
# Another user
# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def as_another_user() -> Iterator[None]:
    """Permissions do not count for root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("is_named", [True, False], ids=["named", "the till's"])
@pytest.mark.parametrize("closed", ["data", "data/payme"], ids=["a folder above it", "the folder itself"])
def test_a_data_folder_that_this_user_may_not_enter_is_a_finding(
    monkeypatch: pytest.MonkeyPatch, closed: str, is_named: bool
) -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        folder = root / "data" / "payme"
        folder.mkdir(parents=True)
        Journal(folder / FILE_NAME, host_identity="till-1", clock=SystemClock()).close()
        monkeypatch.setattr("payme_plugin.cli.options._DATA_DIR", folder)
        place = ("--data-dir", str(folder)) if is_named else ()
        command = ("--conf", str(root / "payme.go.conf"), *place, "--json", "doctor")
        run(*command)  # what it imports may be closed to another user
        (root / closed).chmod(0o000)
        try:
            with as_another_user():
                ended = run(*command)
        finally:
            (root / closed).chmod(0o700)

    told = {each["name"]: (each["level"], each["text"]) for each in ended.document["findings"]}
    assert (ended.code, ended.err) == (1, "")
    assert told["journal"] == ("fault", f"This user may not read {folder / FILE_NAME}.")
    assert told["disk"] == ("warning", f"This user can't write to {folder}.")


# ---------------------------------------------------------------------------------------------------------------------
# What is in it
# ---------------------------------------------------------------------------------------------------------------------


def test_payments_that_nobody_settles_are_a_warning(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.PAYING)
    found = finding(till.examined(), Check.JOURNAL)

    assert found.level is Level.WARNING
    assert str(found.text) == "Unfinished payments: 1, and no till is running."


@pytest.mark.usefixtures("journal")
def test_the_journal_of_another_till_is_a_fault_where_the_till_is_named(till: Till) -> None:
    assert level(till.examined(till="till-1"), Check.JOURNAL) is Level.OK
    (found,) = findings(till.examined(till="till-2"), Check.JOURNAL)

    assert found.level is Level.FAULT
    assert "belongs to till till-1, not to till-2" in str(found.text)


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
    assert "is damaged" in str(found.text)
    assert "payme journal repair" in str(found.remedy)
    assert unchecked(report)[Check.QUEUE] == "the journal can't be used"


@pytest.mark.usefixtures("payme")
def test_a_file_that_is_no_journal_is_a_fault(till: Till) -> None:
    till.folder.mkdir()
    (till.folder / FILE_NAME).write_bytes(b"nothing at all" * 1000)

    assert level(till.examined(), Check.JOURNAL) is Level.FAULT


def test_the_journal_of_a_newer_version_is_a_fault(till: Till, journal: Journal) -> None:
    journal.close()
    execute(till, "PRAGMA user_version = 99")
    found = finding(till.examined(), Check.JOURNAL)

    assert found.level is Level.FAULT
    assert "version 99" in str(found.text)
    assert "Install that version" in str(found.remedy)


@pytest.mark.parametrize(("age_h", "wanted"), [(0, Level.OK), (2, Level.WARNING), (48, Level.FAULT)])
def test_the_age_of_the_oldest_cancellation_counts(till: Till, journal: Journal, age_h: int, wanted: Level) -> None:
    walk(journal, PaymentState.UNKNOWN)
    execute(till, f"UPDATE cancellation SET created_at = created_at - {age_h * HOUR_MS}")  # noqa: S608 - our own number
    found = finding(till.examined(), Check.QUEUE)

    assert found.level is wanted
    assert "Pending cancellations: 1" in str(found.text)


def test_a_journal_that_others_can_read_is_a_warning(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.RECORDED)
    (till.folder / FILE_NAME).chmod(0o644)

    assert str(finding(till.examined(), Check.MODES).remedy) == f"chmod 0600 {till.folder / FILE_NAME}"


def test_a_cancellation_whose_key_is_missing_is_a_fault(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.UNKNOWN)
    execute(till, "UPDATE cancellation SET pos_id = 'former'")
    found = finding(till.examined(), Check.ACCOUNTS)

    assert found.level is Level.FAULT
    assert str(found.text).startswith("The settings have no key for merchant account former.")
    assert "can't be delivered: 1, payments that can't be refunded: 0." in str(found.text)
    assert "[Account former]" in str(found.remedy)


def test_payments_that_could_not_be_refunded_because_their_key_is_missing_are_a_warning(
    till: Till, journal: Journal, payme: Payme
) -> None:
    walk(journal, PaymentState.RECORDED)
    execute(till, "UPDATE payment SET pos_id = 'former'")
    found = finding(till.examined(), Check.ACCOUNTS)
    till.configure(payme.url)
    with till.conf.open("a", encoding="utf-8") as file:
        file.write(f'[Account former]\nurl = "{payme.url}"\nposKey = "another"\n')

    assert found.level is Level.WARNING
    assert "can't be delivered: 0, payments that can't be refunded: 1." in str(found.text)
    assert findings(till.examined(), Check.ACCOUNTS) == []


def test_another_host_in_url_while_money_waits_is_a_warning(till: Till, journal: Journal) -> None:
    walk(journal, PaymentState.UNKNOWN)
    execute(till, "UPDATE cancellation SET pos_id = '65aa00112233445566778899', url = 'https://old.example/api'")

    found = finding(till.examined(), Check.ACCOUNTS)

    assert found.level is Level.WARNING
    assert "made at another host, old.example" in str(found.text)
