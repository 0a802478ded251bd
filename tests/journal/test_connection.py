"""The journal's file: how it is opened, what a failed commit leaves, and whether it is still in place."""

from __future__ import annotations

import os
import pwd
import shutil
import sqlite3
import stat
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from fakes.clock import VirtualClock
from fakes.journal_rows import UNRECORDED, contents, intent_of, note_now, walk
from faults.full_disk import full_disk
from payme_plugin.ledger.connection import FileIdentity, transaction
from payme_plugin.ledger.errors import Damaged, FileMoved, ForeignJournal, TooNew, Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.repair import fault_in
from payme_plugin.ledger.rows import Event, StoredResult
from payme_plugin.ledger.schema import SCHEMA_VERSION
from payme_plugin.ledger.states import EventKind, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payme_plugin.ledger.rows import Intent, PaymentRow

pytestmark = pytest.mark.floor

# ---------------------------------------------------------------------------------------------------------------------
# How the file is opened. A file that can't be used is refused without a change.
# ---------------------------------------------------------------------------------------------------------------------


def _open(path: Path, identity: str = "till-1") -> Journal:
    return Journal(path, host_identity=identity, clock=VirtualClock())


def _files(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.name.endswith("-shm")}


def _sqlite(path: Path, *statements: str) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def _schema(path: Path) -> set[object]:
    with closing(sqlite3.connect(path)) as connection:
        return {sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master")}


def test_every_commit_is_on_the_disk_and_every_reference_holds(journal: Journal) -> None:
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 2000}
    with journal.reading() as connection:
        assert {name: connection.execute(f"PRAGMA {name}").fetchone()[0] for name in expected} == expected


def test_a_journal_of_an_earlier_build_is_intact_without_the_latest_index(path: Path) -> None:
    _open(path).close()
    _sqlite(path, "DROP INDEX cancellation_of_payment")
    before = _schema(path)

    _open(path).close()

    assert (fault_in(path), _schema(path)) == (None, before)
    _sqlite(path, "DROP INDEX one_live_cancellation")
    assert fault_in(path) == "its tables are not those of a journal"


def test_no_commit_makes_a_checkpoint_before_the_log_has_16_mb_and_the_worker_makes_it_earlier(
    journal: Journal, path: Path
) -> None:
    before = path.stat().st_size

    def fill(name: str, pages: int) -> None:
        with journal.writing() as connection:
            connection.execute("INSERT INTO about VALUES (?, ?)", (name, "x" * 4096 * pages))

    fill("a", 3000)
    assert path.stat().st_size == before
    journal.checkpoint()
    assert path.stat().st_size > 3000 * 4096
    fill("b", 3900)
    assert path.stat().st_size < 6900 * 4096
    fill("c", 200)
    assert path.stat().st_size > 7000 * 4096


def test_a_checkpoint_of_a_damaged_file_stops_nobody_and_the_damage_is_known(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = Mock()
    broken.execute.side_effect = sqlite3.DatabaseError("database disk image is malformed")
    with monkeypatch.context() as patch:
        patch.setattr(journal, "_connection", broken)
        journal.checkpoint()

    assert journal.damage is not None


def test_a_place_without_a_write_ahead_log_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # SQLite keeps a database of this name in memory, where it can have no such log.
    monkeypatch.chdir(tmp_path)

    with pytest.raises(Unavailable, match="journal_mode is 'memory' where 'wal' is needed"):
        _open(type(tmp_path)(":memory:"))


def test_only_their_owner_can_read_the_files_and_a_folder_that_was_made(tmp_path: Path) -> None:
    folder = tmp_path / "payme"
    with closing(_open(folder / FILE_NAME)) as journal:
        walk(journal, PaymentState.PAID)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}

    assert modes == dict.fromkeys((FILE_NAME, f"{FILE_NAME}-wal", f"{FILE_NAME}-shm"), 0o600)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_journal_belongs_to_the_till_that_made_it_and_keeps_what_it_stored(journal: Journal, path: Path) -> None:
    walk(journal, PaymentState.UNKNOWN)
    held = contents(journal)
    journal.require_host("till-1")
    journal.close()

    other = _open(path, "till-2")

    assert (other.host_identity, contents(other)) == ("till-1", held)
    with pytest.raises(ForeignJournal, match="belongs to till 'till-1', this is 'till-2'"):
        other.require_host("till-2")
    other.close()


@pytest.mark.parametrize("is_killed", [False, True])
def test_a_newer_journal_is_refused_untouched(journal: Journal, path: Path, *, is_killed: bool) -> None:
    with journal.reading() as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    walk(journal, PaymentState.PAID)
    if not is_killed:
        journal.close()
    folder = path.parent / "copy"
    folder.mkdir()
    for file in path.parent.glob(f"{path.name}*"):
        shutil.copy2(file, folder)
    before = _files(folder)

    with pytest.raises(TooNew, match=f"version {SCHEMA_VERSION + 1}.*up to {SCHEMA_VERSION}"):
        _open(folder / path.name)
    with pytest.raises(TooNew):
        JournalReader.open_read_only(folder / path.name)
    assert _files(folder) == before


@pytest.mark.parametrize(("mode", "version"), [("DELETE", 0), ("WAL", SCHEMA_VERSION), ("WAL", SCHEMA_VERSION + 1)])
def test_another_programs_database_is_refused_untouched(path: Path, mode: str, version: int) -> None:
    _sqlite(
        path,
        f"PRAGMA journal_mode = {mode}",
        "CREATE TABLE photo (name TEXT)",
        "INSERT INTO photo VALUES ('sea')",
        f"PRAGMA user_version = {version}",
    )
    before = _files(path.parent)

    with pytest.raises(Damaged, match="another program's"):
        _open(path)
    with pytest.raises(Damaged, match="another program's"):
        JournalReader.open_read_only(path)

    assert _files(path.parent) == before


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: b"not a database at all, but long enough to look at" * 20,
        lambda whole: b"\0" * len(whole),
        lambda whole: whole[:16] + b"\xff" * 84 + whole[100:],
        lambda whole: whole[:100] + b"\xff" * (len(whole) - 100),
    ],
    ids=["text", "zeroes", "header", "pages"],
)
def test_a_damaged_file_is_not_taken_for_a_full_disk_and_not_changed(
    journal: Journal, path: Path, damage: Callable[[bytes], bytes]
) -> None:
    walk(journal, PaymentState.PAID)
    journal.close()
    path.write_bytes(damage(path.read_bytes()))
    before = _files(path.parent)

    with pytest.raises(Damaged):
        _open(path)

    assert _files(path.parent)[path.name] == before[path.name]


# ---------------------------------------------------------------------------------------------------------------------
# After a failed commit the journal is as durable as before.
# ---------------------------------------------------------------------------------------------------------------------


FRAMES = 1000
"""The pages in the write-ahead log at which SQLite copies it into the file."""


class FailingConnection(sqlite3.Connection):
    """A connection whose next COMMIT fails."""

    fails = False

    def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
        if sql == "COMMIT" and self.fails:
            self.fails = False
            message = "disk I/O error"
            raise sqlite3.OperationalError(message)
        return super().execute(sql, *values)  # type: ignore[arg-type]


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[FailingConnection]:
    made = sqlite3.connect(tmp_path / "file", isolation_level=None, factory=FailingConnection)
    with closing(made) as connection:
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("CREATE TABLE about (name TEXT PRIMARY KEY, value TEXT NOT NULL)")
        yield connection


def fail_once(connection: FailingConnection) -> None:
    connection.fails = True
    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"), transaction(connection):
        connection.execute("INSERT INTO about VALUES ('a', 'b')")


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_child_that_is_forked_inside_a_transaction_does_not_end_it(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        try:
            with transaction(connection):
                child = os.fork()
                if child == 0:
                    raise KeyError
        except KeyError:
            os._exit(int(not connection.in_transaction))

    assert os.waitpid(child, 0)[1] == 0


def test_a_failed_commit_is_counted_and_what_comes_after_it_is_synced_again(connection: FailingConnection) -> None:
    for _ in range(12):
        fail_once(connection)

    assert connection.execute("SELECT * FROM about").fetchall() == [("failed_commits", "12")]
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA wal_autocheckpoint").fetchone() == (FRAMES,)
    assert not connection.in_transaction


def test_a_full_log_is_not_copied_into_the_file_without_a_sync(connection: FailingConnection, tmp_path: Path) -> None:
    connection.execute("PRAGMA wal_autocheckpoint = 0").fetchall()
    for number in range(FRAMES + 1):
        with transaction(connection):
            connection.execute("INSERT OR REPLACE INTO about VALUES ('before', ?)", (str(number),))
    connection.execute(f"PRAGMA wal_autocheckpoint = {FRAMES}").fetchall()
    before = (tmp_path / "file").read_bytes()

    fail_once(connection)

    assert (tmp_path / "file").read_bytes() == before


def test_a_failed_overwrite_is_logged_and_the_first_fault_is_raised(
    connection: FailingConnection, caplog: pytest.LogCaptureFixture
) -> None:
    connection.execute("DROP TABLE about")
    connection.fails = True

    with pytest.raises(sqlite3.OperationalError, match="disk I/O error"), transaction(connection):
        connection.execute("CREATE TABLE other (name)")

    assert "could not be overwritten" in caplog.text
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert not connection.in_transaction


# ---------------------------------------------------------------------------------------------------------------------
# Identity of the open files
# ---------------------------------------------------------------------------------------------------------------------


PARTS = ["", "-wal", "-shm"]


def test_writing_and_reading_leave_the_files_in_place(journal: Journal, path: Path, clock: VirtualClock) -> None:
    place = FileIdentity(path)
    walk(journal, PaymentState.UNKNOWN, "p1")
    with journal.reading() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    walk(journal, PaymentState.UNKNOWN, "p2")
    Journal(path, host_identity="till-1", clock=clock).close()
    reader = JournalReader.open_read_only(path)
    assert reader is not None
    reader.close()

    place.require()
    assert {file.name for file in path.parent.iterdir()} == {FILE_NAME + part for part in PARTS}


@pytest.mark.parametrize("part", PARTS)
def test_a_file_that_is_moved_or_replaced_is_detected_until_it_is_back(journal: Journal, path: Path, part: str) -> None:
    place = FileIdentity(path)
    file = path.with_name(path.name + part)
    away = file.with_name("away")
    file.rename(away)
    with pytest.raises(FileMoved, match="was deleted or moved while it was open") as missed:
        place.require()
    assert not missed.value.is_replaced
    assert str(file) in str(missed.value)

    shutil.copy2(away, file)
    with pytest.raises(FileMoved, match="was replaced while it was open") as missed:
        place.require()
    assert missed.value.is_replaced

    away.rename(file)
    place.require()
    assert journal.payments() == []


@pytest.mark.usefixtures("journal")
def test_a_folder_that_is_moved_away_is_detected(path: Path) -> None:
    place = FileIdentity(path)
    path.parent.rename(path.parent.with_name(f"{path.parent.name} away"))

    with pytest.raises(FileMoved):
        place.require()
    path.parent.write_text("a file in its place")
    with pytest.raises(FileMoved):
        place.require()
    path.parent.unlink()
    path.parent.with_name(f"{path.parent.name} away").rename(path.parent)
    place.require()


# ---------------------------------------------------------------------------------------------------------------------
# Full disks and values that can't be stored: nothing is stored, and the caller gets an error.
# ---------------------------------------------------------------------------------------------------------------------

BEYOND = 2**63


@pytest.mark.parametrize(
    "change",
    [
        lambda journal, row: journal.add_intent(intent_of("p2"), "another"),
        lambda journal, row: journal.move(row, PaymentState.UNKNOWN, "over", cancellation=UNRECORDED),
        lambda journal, row: journal.take_over(row, "process-2", "again"),
        lambda journal, row: note_now(journal, "p1", [Event(at_ms=1, kind=EventKind.NOTE, text="a note")]),
    ],
    ids=["intent", "unknown", "take-over", "notes"],
)
def test_on_a_full_disk_nothing_is_stored_and_with_room_again_everything_is(
    journal: Journal, change: Callable[[Journal, PaymentRow], object]
) -> None:
    row = walk(journal, PaymentState.PAYING)
    held = contents(journal)

    with full_disk():
        with pytest.raises(Unavailable):
            change(journal, row)
        assert contents(journal) == held, "what was stored can be read"
    change(journal, row)
    assert contents(journal) != held


def test_a_new_journal_on_a_full_disk_is_refused_and_made_once_there_is_room(path: Path) -> None:
    with full_disk(), pytest.raises(Unavailable):
        _open(path)

    journal = _open(path)
    assert journal.payments() == []
    journal.close()


def test_a_place_that_takes_no_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "payme").write_text("a file in the place of the folder")
    # The kernel's own folder takes none from anybody, whatever rights the tests run with.
    for folder in (tmp_path / "payme", Path("/proc")):
        with pytest.raises(Unavailable):
            _open(folder / FILE_NAME)


def is_unusable_for_nobody(path: Path) -> bool:
    """Return whether the user ``nobody`` can't open a journal; a child process tries."""
    nobody = pwd.getpwnam("nobody")
    child = os.fork()
    if child == 0:
        status = 1
        with suppress(BaseException):
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(nobody.pw_gid)
                os.setuid(nobody.pw_uid)
            try:
                _open(path)
            except Unavailable:
                status = 0
        os._exit(status)
    return os.waitpid(child, 0)[1] == 0


@pytest.mark.parametrize("has_journal", [False, True])
def test_a_read_only_folder_is_refused(*, has_journal: bool) -> None:
    # Beside pytest's own folders, which are closed to other users.
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / FILE_NAME
        if has_journal:
            _open(path).close()
            path.chmod(0o444)
        path.parent.chmod(0o555)
        assert is_unusable_for_nobody(path)
        path.parent.chmod(0o755)


@pytest.mark.parametrize(
    "change",
    [
        lambda intent: intent._replace(payment_id="p\ud800"),
        lambda intent: intent._replace(amount=BEYOND),
        lambda intent: intent._replace(number=-BEYOND - 1),
        lambda intent: intent._replace(amount=0),
        lambda intent: intent._replace(amount=-1),
    ],
    ids=["surrogate", "amount", "number", "zero", "negative"],
)
def test_what_a_row_can_not_hold_is_refused_whole(journal: Journal, change: Callable[[Intent], Intent]) -> None:
    with pytest.raises(Unavailable):
        journal.add_intent(change(intent_of()), "begun")

    assert journal.payments() == []
    row = journal.add_intent(intent_of()._replace(amount=BEYOND - 1, number=-BEYOND), "the largest values are stored")
    assert (row.amount, row.number) == (BEYOND - 1, -BEYOND)


def test_lone_surrogates_in_a_result_or_a_note_are_refused_whole(journal: Journal) -> None:
    row = walk(journal, PaymentState.PAYING)
    held = contents(journal)

    with pytest.raises(Unavailable):
        journal.move(row, PaymentState.REFUSED, "no", result=StoredResult(message="\ud83d"), cancellation=UNRECORDED)
    with pytest.raises(Unavailable):
        note_now(
            journal,
            "p1",
            [Event(at_ms=1, kind=EventKind.NOTE, text="sound"), Event(at_ms=2, kind=EventKind.NOTE, text="\udc00")],
        )
    with pytest.raises(Unavailable):
        journal.find("\ud800")

    assert contents(journal) == held
