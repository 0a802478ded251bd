"""The checks of a real journal: its health, its users and what is pending. They change no byte of it."""

from __future__ import annotations

import hashlib
import os
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
from payme_plugin.doctor import Check, Finding, Level
from payme_plugin.doctor.journal import check_journal, check_locks, look_at_journal
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.states import PaymentState
from tests.command.conftest import environment
from tests.command.conftest import payme as run
from tests.doctor.conftest import examined, finding, unchecked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.doctor.conftest import DoctorTill

NOBODY = 65534
PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / FILE_NAME


@pytest.fixture
def journal(path: Path) -> Iterator[Journal]:
    opened = Journal(path, host_identity="till-1", clock=SystemClock())
    yield opened
    opened.close()


def judged(path: Path) -> Finding:
    return check_journal(look_at_journal(path))[0]


def digests(folder: Path) -> dict[str, tuple[str, int]]:
    return {
        file.name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


@pytest.mark.parametrize("is_open", [True, False])
def test_what_is_pending_is_found_and_not_a_byte_of_the_folder_changes(
    till: DoctorTill, journal: Journal, is_open: bool
) -> None:
    walk(journal, PaymentState.UNKNOWN)
    walk(journal, PaymentState.RECORDED, "p2")
    with Leases(till.folder).try_acquire(LEADER):
        pass
    if is_open:
        journal.find("p2")  # a reader notes in the -shm which commit it sees, unless another one has noted it
    else:
        journal.close()
    path = till.folder / FILE_NAME
    path.chmod(0o644)
    before = digests(till.folder)
    report = examined(till)

    assert digests(till.folder) == before
    assert "is sound: till till-1, payments: 2." in str(finding(report, Check.JOURNAL).text)
    assert "Pending cancellations: 1" in str(finding(report, Check.QUEUE).text)
    accounts = str(finding(report, Check.ACCOUNTS).text)
    assert accounts.startswith("The settings have no key for merchant account account-1.")
    assert "can't be delivered: 1, payments that can't be refunded: 1." in accounts
    assert str(finding(report, Check.MODES).remedy) == f"chmod 0600 {path}"


def test_a_damaged_journal_is_a_fault_and_its_repair_is_named(till: DoctorTill, journal: Journal) -> None:
    walk(journal, PaymentState.RECORDED)
    journal.close()
    path = till.folder / FILE_NAME
    whole = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'payment_by_age'").fetchone()
    path.write_bytes(whole[: (root - 1) * PAGE] + b"\xff" * PAGE + whole[root * PAGE :])
    report = examined(till)

    found = finding(report, Check.JOURNAL)
    assert (found.level, "is damaged" in str(found.text)) == (Level.FAULT, True)
    assert "payme journal repair" in str(found.remedy)
    assert unchecked(report)[Check.QUEUE] == unchecked(report)[Check.LOCKS] == "the journal can't be used"


def test_the_journal_of_a_newer_version_is_a_fault(path: Path, journal: Journal) -> None:
    journal.close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    found = judged(path)

    assert (found.level, "version 99" in str(found.text)) == (Level.FAULT, True)
    assert "Install that version" in str(found.remedy)


@pytest.mark.parametrize(
    ("closed", "is_named"), [("data", False), ("data/payme", True)], ids=["a folder above it", "the folder itself"]
)
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
        user = os.geteuid()
        try:
            if user == 0:  # permissions do not count for root
                os.seteuid(NOBODY)
            ended = run(*command)
        finally:
            os.seteuid(user)
            (root / closed).chmod(0o700)

    found = {each["name"]: (each["level"], each["text"]) for each in ended.document["findings"]}
    assert (ended.code, ended.err) == (1, "")
    assert found["journal"] == ("fault", f"This user may not read {folder / FILE_NAME}.")
    assert found["disk"] == ("warning", f"This user can't write to {folder}.")


# ---------------------------------------------------------------------------------------------------------------------
# Processes that use it
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
def running_till(path: Path) -> Iterator[str]:
    """Run a till that is the leader; yield how its process is named, without what may be a secret."""
    script = path.parent.parent / "till.py"
    script.write_text(_TILL, encoding="utf-8")
    with subprocess.Popen(  # noqa: S603 - our own code
        [sys.executable, str(script), "--qr", "01770000000000000001", str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield f"Process {process.pid} ({sys.executable} {script})"


def users(path: Path) -> list[str]:
    return [str(each.text) for each in check_locks(look_at_journal(path))]


def test_processes_are_named_by_what_their_locks_mean_and_keep_them(path: Path, journal: Journal) -> None:
    walk(journal, PaymentState.UNKNOWN)
    (row,) = journal.live_cancellations()
    leases = Leases(path.parent)
    with leases.try_acquire(row.cancellation_id):
        (text,) = users(path)
        with leases.try_acquire(row.cancellation_id) as is_held_twice:
            assert not is_held_twice

    assert text.startswith(f"Process {os.getpid()} (")
    assert text.endswith(f") works on cancellation {row.cancellation_id}.")
    assert "works on" not in users(path)[0]


def test_the_till_is_named_without_what_may_be_a_secret_on_its_command_line(path: Path) -> None:
    with running_till(path) as process:
        assert users(path) == [f"{process} is the till and takes payments."]
        assert judged(path).level is Level.OK

    assert users(path) == ["No process uses the journal."]


def delete(file: Path) -> None:
    file.unlink()


def move_away(file: Path) -> None:
    file.rename(file.parent.parent / "elsewhere")


def replace(file: Path) -> None:
    content = file.read_bytes()
    file.unlink()
    file.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        (FILE_NAME, delete),
        (FILE_NAME, move_away),
        (FILE_NAME, replace),
        (f"{FILE_NAME}-wal", delete),
        ("leases", delete),
    ],
)
def test_a_file_of_the_journal_that_is_not_where_a_running_till_has_it_open_is_a_fault(
    path: Path, name: str, change: Callable[[Path], None]
) -> None:
    with running_till(path) as process:
        change(path.with_name(name))
        found = judged(path)

    assert found.level is Level.FAULT
    assert str(found.text).startswith(
        f"{process} has {path.with_name(name)} open, which was deleted, moved or replaced"
    )
