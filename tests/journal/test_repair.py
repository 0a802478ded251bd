"""Repair saves what can be read and keeps the damaged file. It does not change a valid journal."""

from __future__ import annotations

import functools
import os
import sqlite3
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.clock import VirtualClock
from fakes.journal_rows import contents, corrupt, intent_of, walk
from fakes.long_journal import make_long_journal
from faults.boundaries import killed_at
from faults.full_disk import full_disk
from faults.journal_process import journal_process
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Damaged, ForeignJournal, InUse, TooNew, Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import LEADER, USERS, Leases
from payme_plugin.ledger.migration import open_reader
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.repair import Repaired, fault_in, repair
from payme_plugin.ledger.salvage import is_valid
from payme_plugin.ledger.schema import SCHEMA_VERSION
from payme_plugin.ledger.states import End, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.floor

PAGE = 4096
PAYMENTS = 240
STATES = (PaymentState.RECORDED, PaymentState.UNKNOWN, PaymentState.PAYING)
TABLES = ("payment", "event", "cancellation", "fiscal_link")

Rows = dict[str, list[tuple[object, ...]]]


@dataclass(frozen=True)
class Sound:
    """A sound journal of some pages: its bytes, its rows, and the first page of each table and index."""

    content: bytes
    rows: Rows
    roots: dict[str, int]

    @property
    def pages(self) -> int:
        return len(self.content) // PAGE

    def without(self, page: int, filling: bytes = b"\xff") -> bytes:
        """Return the bytes with a page that holds rubbish; pages count from 1."""
        return self.content[: (page - 1) * PAGE] + filling * PAGE + self.content[page * PAGE :]


def open_journal(path: Path) -> Journal:
    return Journal(path, host_identity="till-1", clock=VirtualClock())


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Sound:
    path = tmp_path_factory.mktemp("sound") / FILE_NAME
    with closing(open_journal(path)) as journal:
        for number in range(PAYMENTS):
            walk(journal, STATES[number % len(STATES)], f"p{number}")
        rows = contents(journal)
    with closing(sqlite3.connect(path)) as connection:
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_master").fetchall())
    return Sound(path.read_bytes(), rows, roots)


def repaired(path: Path, content: bytes) -> tuple[Repaired, Rows]:
    """Repair ``content``; return what came of it and the rows of the new journal, which is sound and takes payments."""
    path.write_bytes(content)
    outcome = repair(path, "till-1", "now")
    assert outcome is not None
    assert fault_in(path) is None
    assert outcome.set_aside.read_bytes() == content
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, f"{path.name}.damaged-now", "leases"]
    assert path.stat().st_mode & 0o777 == 0o600
    journal = open_journal(path)
    rows = contents(journal)
    journal.require_host("till-1")
    walk(journal, PaymentState.RECORDED, "after")
    journal.close()
    return outcome, rows


def lost(sound: Sound, rows: Rows) -> dict[str, int]:
    return {table: count for table in TABLES if (count := len(set(sound.rows[table]) - set(rows[table])))}


def test_a_sound_journal_with_a_log_of_a_power_cut_is_left_as_it_is(path: Path, journal: Journal) -> None:
    walk(journal, PaymentState.PAID)
    folder = path.parent / "copied"
    folder.mkdir()
    for part in ("", "-wal", "-shm"):
        (folder / f"{path.name}{part}").write_bytes(Path(f"{path}{part}").read_bytes())
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    assert repair(folder / path.name, "till-1", "now") is None
    assert {file.name: file.read_bytes() for file in folder.iterdir() if file.name != "leases"} == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives a file to another user")
def test_a_repair_by_root_leaves_both_files_to_the_tills_user(path: Path, sound: Sound) -> None:
    path.write_bytes(sound.without(2))
    os.chown(path, 4321, 8765)

    outcome = repair(path, "till-1", "now")

    assert outcome is not None
    assert [(file.stat().st_uid, file.stat().st_gid) for file in (path, outcome.set_aside)] == 2 * [(4321, 8765)]


@pytest.mark.parametrize("index", ["payment_by_age", "one_live_cancellation"])
def test_with_a_damaged_index_every_row_is_saved(path: Path, sound: Sound, index: str) -> None:
    outcome, rows = repaired(path, sound.without(sound.roots[index]))

    assert rows == sound.rows
    assert outcome.copied == {table: len(found) for table, found in sound.rows.items()} | {"about": 1}
    assert outcome.unreadable == 0


@pytest.mark.parametrize("table", TABLES)
def test_with_the_root_of_a_table_damaged_the_other_tables_are_saved(path: Path, sound: Sound, table: str) -> None:
    outcome, rows = repaired(path, sound.without(sound.roots[table]))

    assert lost(sound, rows).keys() <= {table}
    assert outcome.unreadable == 1
    live = {row[1] for row in sound.rows["cancellation"]}
    assert {row[1] for row in rows["cancellation"]} == live
    assert live <= {row[0] for row in rows["payment"]}


def test_with_a_damaged_page_in_the_middle_the_other_rows_are_saved(path: Path, sound: Sound) -> None:
    for page in range(max(sound.roots.values()) + 1, sound.pages + 1, 8):
        folder = path.parent / str(page)
        folder.mkdir()
        outcome, rows = repaired(folder / path.name, sound.without(page))

        gone = lost(sound, rows)
        assert len(gone) <= 1, "a page holds rows of one table"
        assert sum(gone.values()) <= 120
        assert bool(gone or outcome.queued_again) is (outcome.unreadable > 0)
        known = {row[0] for row in sound.rows["payment"]}
        assert {row[0] for row in rows["payment"]} <= known


@pytest.mark.parametrize(
    "damage",
    [
        lambda sound: sound.without(1, b"\0"),
        lambda sound: sound.without(1),
        lambda sound: b"this is no database" * 1000,
        lambda sound: b"short",
    ],
    ids=["zeroes", "ones", "text", "short"],
)
def test_without_its_first_page_nothing_of_a_file_is_read(
    path: Path, sound: Sound, damage: Callable[[Sound], bytes]
) -> None:
    outcome, rows = repaired(path, damage(sound))

    assert not any(outcome.copied.values())
    assert rows["payment"] == []
    assert outcome.fault.endswith("file is not a database")
    assert outcome.unreadable == len(TABLES)


def test_another_programs_database_is_kept_beside_the_new_journal(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE photo (name TEXT)")
    outcome, _ = repaired(path, path.read_bytes())

    assert "another program's" in outcome.fault


@pytest.mark.parametrize(("table", "turned"), [("payment", b"Z"), ("about", b"\x80"), ("code", b"Z")])
def test_with_a_column_renamed_by_a_turned_bit_nothing_is_read(
    path: Path, sound: Sound, table: str, turned: bytes
) -> None:
    at = sound.content.index(f"CREATE TABLE {table} (".encode()) + len(f"CREATE TABLE {table} (\n    ")
    outcome, rows = repaired(path, sound.content[:at] + turned + sound.content[at + 1 :])

    assert not any(outcome.copied.values())
    assert rows["payment"] == []
    assert outcome.unreadable == len(TABLES)


@pytest.mark.parametrize("turned", [b"CHECK (jind IN", b"CHECK (kind IO", b"CHECK (kind IN ('uransition'"])
def test_a_bit_that_turned_in_a_rule_of_a_table_is_a_fault_and_the_new_journal_takes_payments(
    path: Path, sound: Sound, turned: bytes
) -> None:
    rule = b"CHECK (kind IN ('transition'"[: len(turned)]
    assert rule in sound.content
    repaired(path, sound.content.replace(rule, turned))

    assert fault_in(path) is None
    with closing(Journal(path, host_identity="till-1", clock=VirtualClock())) as journal:
        assert journal.add_intent(intent_of("p-new", number=99), "a new one").payment_id == "p-new"


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("payment", "message", b"\xd0"),
        ("event", "after", "lost"),
        ("event", "text", b"\xff\xfe"),
    ],
)
def test_a_row_that_is_invalid_is_a_fault_and_is_left_out(
    path: Path, sound: Sound, table: str, column: str, value: str | bytes
) -> None:
    path.write_bytes(sound.content)
    corrupt(path, table, column, value, "rowid = 7")
    outcome = repair(path, "till-1", "now")

    assert outcome is not None
    assert outcome.fault == f"a row of {table} is invalid"
    assert (outcome.unreadable, outcome.copied[table]) == (1, len(sound.rows[table]) - 1)


@pytest.mark.parametrize("table", [*TABLES, "code", "about"])
def test_what_makes_a_row_invalid_is_a_fault_in_whichever_column(in_memory: Path, table: str) -> None:
    path = make_long_journal(in_memory / table, 100)
    content = path.read_bytes()
    with closing(sqlite3.connect(path)) as connection:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
    key = columns[0]
    invalid = 0
    for column in columns:
        for value in ("rubbish", b"\xd0"):
            path.write_bytes(content)
            with suppress(sqlite3.IntegrityError):  # of an integer
                corrupt(path, table, column, value, f"{key} = (SELECT max({key}) FROM {table})")  # noqa: S608
            reader = open_reader(path)
            assert reader is not None
            with closing(reader):
                is_invalid = not all(is_valid(table, row) for row in reader.execute(f"SELECT * FROM {table}"))  # noqa: S608
            assert (fault_in(path) == f"a row of {table} is invalid") is is_invalid, (column, value)
            invalid += is_invalid
    assert invalid >= columns.count("payment_id") + columns.count("text")


def test_an_invalid_row_is_found_behind_ten_thousand_others(in_memory: Path) -> None:
    path = make_long_journal(in_memory / "long", 1_100)
    corrupt(path, "event", "text", b"\xd0", "event_id = (SELECT max(event_id) FROM event)")
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT max(event_id) FROM event").fetchone()[0] > 10_000

    assert fault_in(path) == "a row of event is invalid"


def test_an_invalid_state_is_taken_from_the_events_of_the_payment(path: Path, sound: Sound) -> None:
    path.write_bytes(sound.content)
    corrupt(path, "payment", "state", "paie", "rowid % 3 = 0")
    outcome = repair(path, "till-1", "now")

    assert outcome is not None
    assert outcome.fault == "a row of payment is invalid"
    assert outcome.unreadable == PAYMENTS // 3
    assert outcome.copied["payment"] == PAYMENTS
    journal = open_journal(path)
    assert set(contents(journal)["payment"]) == set(sound.rows["payment"])
    journal.close()


def test_no_state_is_taken_from_events_that_are_not_complete(path: Path, sound: Sound) -> None:
    path.write_bytes(sound.content)
    corrupt(path, "payment", "state", "paie", "payment_id = 'p6'")
    corrupt(path, "event", "after", "lost", "rowid = 1")
    outcome = repair(path, "till-1", "now")

    assert outcome is not None
    assert (outcome.unreadable, outcome.copied["payment"]) == (2, PAYMENTS - 1)


def test_a_live_cancellation_whose_payment_is_gone_can_still_be_ended(path: Path, sound: Sound) -> None:
    path.write_bytes(sound.content)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("DELETE FROM payment WHERE payment_id = 'p1'")
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE payment SET state = 'x' WHERE payment_id = 'p0'")
    assert repair(path, "till-1", "now") is not None

    journal = open_journal(path)
    rebuilt = journal.payment("p1")
    assert (rebuilt.state, rebuilt.receipt_id, rebuilt.amount) == (PaymentState.REVERSING, "receipt-of-p1", 1_500_000)
    rows = Cancellations(journal)
    rows.end(rows.live_of("p1"), End.CANCELLED, "Payme says cancelled (50)")
    assert journal.payment("p1").state is PaymentState.REVERSED
    assert [event.text for event in journal.events("p1")][-1] == "Payme says cancelled (50)"
    journal.close()


def test_commits_that_wait_in_the_log_are_saved_with_the_rest(journal: Journal, path: Path) -> None:
    for number in range(60):
        walk(journal, PaymentState.UNKNOWN, f"p{number}")
    with journal.reading() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    walk(journal, PaymentState.UNKNOWN, "late")
    content, log = bytearray(path.read_bytes()), Path(f"{path}-wal").read_bytes()
    content[19 * PAGE : 20 * PAGE] = b"\xff" * PAGE
    damaged = path.parent / "damaged" / path.name
    damaged.parent.mkdir()
    damaged.write_bytes(content)
    Path(f"{damaged}-wal").write_bytes(log)
    outcome = repair(damaged, "till-1", "now")

    assert outcome is not None
    assert Path(f"{outcome.set_aside}-wal").read_bytes() == log
    assert not Path(f"{damaged}-wal").exists()
    with closing(open_journal(damaged)) as again:
        assert again.find("late") is not None


# ---------------------------------------------------------------------------------------------------------------------
# Whose it is, and who is at work
# ---------------------------------------------------------------------------------------------------------------------


def unchanged(path: Path, content: bytes) -> bool:
    return path.read_bytes() == content and not list(path.parent.glob(f"{path.name}.*"))


def test_the_journal_of_another_till_or_of_a_newer_version_is_left_as_it_is(path: Path, sound: Sound) -> None:
    damaged = sound.without(sound.roots["payment_by_age"])
    path.write_bytes(damaged)
    with pytest.raises(ForeignJournal, match="belongs to till 'till-1', this is 'till-2'"):
        repair(path, "till-2", "now")
    assert unchanged(path, damaged)

    path.write_bytes(sound.content)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    content = path.read_bytes()
    with pytest.raises(TooNew):
        repair(path, "till-1", "now")
    assert unchanged(path, content)


def test_a_journal_that_does_not_name_its_till_is_repaired_only_if_the_caller_is_certain(
    path: Path, sound: Sound
) -> None:
    content = sound.without(sound.roots["about"])
    path.write_bytes(content)
    with pytest.raises(ForeignJournal, match="does not name the till"):
        repair(path, "till-1", "now", is_certain=False)
    assert unchanged(path, content)

    _, rows = repaired(path, content)
    assert lost(sound, rows) == {}


@pytest.mark.parametrize(("number", "is_shared"), [(USERS, True), (LEADER, False)], ids=["a user", "the leader"])
def test_beside_a_process_that_uses_it_nothing_is_repaired(
    path: Path, sound: Sound, number: int, is_shared: bool
) -> None:
    content = sound.without(sound.roots["payment_by_age"])
    path.write_bytes(content)

    with Leases(path.parent).try_acquire(number, shared=is_shared), pytest.raises(InUse):
        repair(path, "till-1", "now")
    assert unchanged(path, content)
    assert repair(path, "till-1", "now") is not None


def test_beside_any_process_that_has_the_file_open_nothing_is_repaired(path: Path, sound: Sound) -> None:
    content = sound.without(sound.roots["payment_by_age"])
    path.write_bytes(content)
    with journal_process("open", path), pytest.raises(InUse):
        repair(path, "till-1", "now")
    assert path.read_bytes() == content


# ---------------------------------------------------------------------------------------------------------------------
# Disks and power cuts
# ---------------------------------------------------------------------------------------------------------------------


def test_on_a_full_disk_the_damaged_journal_stays_and_nothing_is_left_beside_it(path: Path, sound: Sound) -> None:
    content = sound.without(sound.roots["payment_by_age"])
    path.write_bytes(content)

    with full_disk(), pytest.raises(Unavailable):
        repair(path, "till-1", "now")
    assert unchanged(path, content)
    assert repair(path, "till-1", "now") is not None


def test_nothing_that_was_set_aside_before_is_overwritten(path: Path, sound: Sound) -> None:
    content = sound.without(sound.roots["payment_by_age"])
    repaired(path, content)
    path.write_bytes(content)

    with pytest.raises(Unavailable, match="already exists"):
        repair(path, "till-1", "now")
    assert path.read_bytes() == content
    assert path.with_name(f"{path.name}.damaged-now").read_bytes() == content


def test_killed_at_any_step_it_leaves_a_journal_that_is_complete_or_unusable(in_memory: Path, sound: Sound) -> None:
    damaged = sound.without(sound.roots["payment_by_age"])
    expected, step = sound.rows, 0
    is_killed = True
    while is_killed:
        step += 1
        folder = in_memory / str(step)
        folder.mkdir()
        journal = folder / FILE_NAME
        journal.write_bytes(damaged)
        Path(f"{journal}-wal").write_bytes(b"\0" * 64)
        is_killed = killed_at(step, functools.partial(repair, journal, "till-1", "cut"))

        assert journal.exists(), "a till that finds none begins a new one"
        if fault_in(journal) is not None:
            if journal.read_bytes() != damaged:
                with pytest.raises(Damaged):
                    open_journal(journal)
            assert repair(journal, "till-1", "again") is not None
        kept = [file for file in folder.glob("*.damaged-*") if not file.name.endswith(("-wal", "-shm"))]
        assert damaged in {file.read_bytes() for file in kept}
        assert not [file for file in folder.iterdir() if ".repaired-" in file.name or ".mark-" in file.name]
        reader = JournalReader.open_read_only(journal)
        assert reader is not None
        assert contents(reader) == expected
        reader.close()
    assert step > 7
