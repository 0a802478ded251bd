"""Reading while a till runs, after a power cut, or from a copy sees every commit and changes no byte."""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.clock import VirtualClock
from fakes.journal_rows import contents, intent_of, walk
from faults.journal_process import ask, journal_process
from payme_plugin.ledger.errors import Damaged, Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.floor

HEADER_BYTES = 32
FRAME_BYTES = 24 + 4096


def look(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return every file with its time and its mode."""
    return {
        file.name: (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_mode)
        for file in folder.iterdir()
        if file.is_file()
    }


def read_all(path: Path) -> dict[str, list[tuple[object, ...]]]:
    reader = JournalReader.open_read_only(path)
    assert reader is not None
    with closing(reader):
        assert reader.host_identity == "till-1"
        return contents(reader)


def power_cut(path: Path, *parts: str) -> Path:
    """Copy an open journal and these parts of it; return the copy."""
    folder = path.parent / "after the power cut"
    folder.mkdir()
    for part in ("", *parts):
        shutil.copy2(f"{path}{part}", folder)
    return folder / path.name


def test_a_missing_or_empty_file_is_read_as_no_journal_and_not_created(path: Path) -> None:
    assert JournalReader.open_read_only(path) is None
    assert JournalReader.open_read_only(path.parent / "missing" / "journal.sqlite3") is None
    assert list(path.parent.iterdir()) == []

    with pytest.raises(Unavailable):
        JournalReader.open_read_only(path.parent)
    path.touch()
    assert JournalReader.open_read_only(path) is None
    assert path.read_bytes() == b""
    with closing(Journal(path, host_identity="till-1", clock=VirtualClock())) as journal:
        assert journal.host_identity == "till-1"


@pytest.mark.parametrize(
    "become",
    [
        lambda journal, path: journal.close() or path,
        lambda journal, path: power_cut(path, "-wal", "-shm"),
        lambda journal, path: power_cut(path, "-wal"),
        lambda journal, path: journal.close() or path.rename(path.with_name("журнал?mode=rwc&x#y %41.sqlite3")),
    ],
    ids=["closed", "power cut", "power cut, without its index", "named like an address"],
)
def test_a_journal_that_no_process_has_open_is_read_and_not_changed(
    journal: Journal, path: Path, become: Callable[[Journal, Path], Path]
) -> None:
    walk(journal, PaymentState.UNKNOWN)
    held = contents(journal)
    found = become(journal, path)
    before = look(found.parent)

    assert read_all(found) == held
    assert look(found.parent) == before


def test_beside_a_live_process_its_latest_commit_is_seen_and_nothing_changed(path: Path) -> None:
    with journal_process("store", path) as till:
        ask(till, "p1")
        before = look(path.parent)
        assert set(before) == {path.name, f"{path.name}-wal", f"{path.name}-shm"}
        assert len(read_all(path)["payment"]) == 1
        assert look(path.parent) == before
        reader = JournalReader.open_read_only(path)
        assert reader is not None
        with closing(reader):
            ask(till, "p2")
            assert len(reader.payments()) == 2, "a reader that stays sees what comes"
        ask(till, "p3")
        assert len(read_all(path)["payment"]) == 3


@pytest.mark.parametrize(
    ("kept", "parts"),
    [
        (0, ["-wal"]),
        (HEADER_BYTES - 1, ["-wal", "-shm"]),
        (HEADER_BYTES + 1, ["-wal"]),
        (HEADER_BYTES + FRAME_BYTES, ["-wal", "-shm"]),
    ],
)
def test_a_log_that_was_cut_off_shows_the_commits_before_it_and_the_journal_goes_on(
    journal: Journal, path: Path, kept: int, parts: list[str]
) -> None:
    journal.add_intent(intent_of("in the file"), "first")
    with journal.reading() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    journal.add_intent(intent_of("in the log"), "second")
    copy = power_cut(path, *parts)
    os.truncate(f"{copy}-wal", kept)
    before = look(copy.parent)

    assert [row[0] for row in read_all(copy)["payment"]] == ["in the file"]
    assert {name for name, file in look(copy.parent).items() if before[name] != file} <= {f"{FILE_NAME}-shm"}
    with closing(Journal(copy, host_identity="till-1", clock=VirtualClock())) as again:
        again.add_intent(intent_of("later"), "third")
        assert [row.payment_id for row in again.payments()] == ["later", "in the file"]


def test_a_file_too_short_for_a_database_is_damage_whatever_its_log_holds(journal: Journal, path: Path) -> None:
    walk(journal, PaymentState.PAID)
    copy = power_cut(path, "-wal", "-shm")
    copy.write_bytes(b"a scrap")
    before = look(copy.parent)

    with pytest.raises(Damaged):
        JournalReader.open_read_only(copy)
    with pytest.raises(Damaged):
        Journal(copy, host_identity="till-1", clock=VirtualClock())
    assert look(copy.parent) == before


def test_a_second_connection_of_a_process_takes_nothing_away_from_the_first(path: Path) -> None:
    first = Journal(path, host_identity="till-1", clock=VirtualClock())
    second = Journal(path, host_identity="till-1", clock=VirtualClock())
    with journal_process("store", path) as till:
        ask(till, "theirs")
    # That process has ended. Without locks it would have deleted the log that the first connection still uses.
    assert Path(f"{path}-wal").exists()
    second.close()
    with journal_process("store", path) as till:
        ask(till, "more")
    assert Path(f"{path}-wal").exists()
    assert {row.payment_id for row in first.payments()} == {"theirs", "more"}
    first.close()


def test_a_reader_can_not_write(journal: Journal, path: Path) -> None:
    walk(journal, PaymentState.PAID)
    reader = JournalReader.open_read_only(path)
    assert reader is not None

    with closing(reader), pytest.raises(Unavailable, match="readonly"), reader.reading() as connection:
        connection.execute("DELETE FROM payment")
    assert journal.payment("p1").state is PaymentState.PAID


def test_a_closed_journal_is_unavailable(journal: Journal) -> None:
    journal.close()

    with pytest.raises(Unavailable, match="closed"):
        journal.payments()


def test_payments_are_listed_newest_first_unfinished_ones_oldest_first_and_an_unknown_one_is_none(
    journal: Journal,
) -> None:
    for state in PaymentState:
        walk(journal, state, state.value)

    assert [row.payment_id for row in journal.payments()] == [state.value for state in reversed(PaymentState)]
    assert [row.state.value for row in journal.unfinished()] == ["intent", "created", "paying", "paid"]
    assert (journal.find("nobody"), journal.find_receipt("nobody"), journal.cancellation(99)) == (None, None, None)
    assert journal.events("nobody") == []


def test_an_interrupt_ends_a_query_but_not_a_write(journal: Journal) -> None:
    with journal.reading() as connection:
        connection.create_function("interrupt", 0, journal.interrupt)
    query = "WITH RECURSIVE number(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number LIMIT 1000)"

    with pytest.raises(Unavailable), journal.reading() as connection:
        connection.execute(f"{query} SELECT interrupt() FROM number").fetchall()  # noqa: S608 - our own text

    with journal.writing() as connection:
        insert = f"INSERT INTO about (name, value) {query} SELECT n, coalesce(interrupt(), '') FROM number"  # noqa: S608
        connection.execute(insert)
    with journal.reading() as connection:
        assert connection.execute("SELECT count(*) FROM about WHERE value = ''").fetchone()[0] == 1000
