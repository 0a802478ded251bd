"""Reading beside the till: every row is seen, and no byte of the journal changes."""

from __future__ import annotations

import os
import sqlite3
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import contents, walk
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.ledger.journal import Journal

pytestmark = pytest.mark.floor


def _look(folder: Path) -> dict[str, tuple[bytes, int, int]]:
    """Return every file with its time and its mode."""
    return {
        file.name: (file.read_bytes(), file.stat().st_mtime_ns, file.stat().st_mode)
        for file in folder.iterdir()
        if file.is_file()
    }


def _read_all(path: Path) -> dict[str, list[tuple[object, ...]]]:
    reader = JournalReader.open_read_only(path)
    assert reader is not None
    assert reader.host_identity == "till-1"
    assert reader.payment("p1").state is PaymentState.UNKNOWN
    assert len(reader.live_cancellations()) == 1
    held = contents(reader)
    reader.close()
    return held


def test_reading_finds_no_journal_and_creates_none(tmp_path: Path) -> None:
    assert JournalReader.open_read_only(tmp_path / "journal.sqlite3") is None
    assert JournalReader.open_read_only(tmp_path / "missing" / "journal.sqlite3") is None
    assert list(tmp_path.iterdir()) == []


def test_an_empty_file_is_not_a_journal_yet(path: Path) -> None:
    path.touch()

    assert JournalReader.open_read_only(path) is None
    assert path.read_bytes() == b""


def test_reading_a_closed_journal_changes_nothing_and_makes_no_file(journal: Journal, path: Path) -> None:
    walk(journal, PaymentState.UNKNOWN)
    held = contents(journal)
    journal.close()
    before = _look(path.parent)
    assert list(before) == [path.name]

    assert _read_all(path) == held

    assert _look(path.parent) == before


def test_reading_beside_a_working_till_sees_its_last_commit_and_changes_nothing(journal: Journal, path: Path) -> None:
    walk(journal, PaymentState.UNKNOWN)
    held = contents(journal)
    before = _look(path.parent)
    assert f"{path.name}-wal" in before

    assert _read_all(path) == held

    assert _look(path.parent) == before


@pytest.mark.parametrize("ends", [("", "-wal", "-shm"), ("", "-wal")], ids=["all-files", "without-the-index"])
def test_reading_after_a_power_cut_sees_the_last_commit_and_changes_nothing(
    journal: Journal, path: Path, ends: tuple[str, ...]
) -> None:
    walk(journal, PaymentState.UNKNOWN)
    held = contents(journal)
    folder = path.parent / "after"
    folder.mkdir()
    for end in ends:
        (folder / f"{path.name}{end}").write_bytes(path.with_name(f"{path.name}{end}").read_bytes())
    before = _look(folder)

    assert _read_all(folder / path.name) == held

    assert _look(folder) == before


def test_a_reader_can_not_write(journal: Journal, path: Path) -> None:
    walk(journal, PaymentState.PAID)
    reader = JournalReader.open_read_only(path)
    assert reader is not None

    with pytest.raises(Unavailable, match="readonly"), reader.reading() as connection:
        connection.execute("DELETE FROM payment")

    reader.close()
    assert journal.payment("p1").state is PaymentState.PAID


def test_a_folder_in_the_place_of_the_file_can_not_be_read(path: Path) -> None:
    path.mkdir()

    with pytest.raises(Unavailable):
        JournalReader.open_read_only(path)


def test_a_name_with_signs_of_an_address_is_read_as_a_name(journal: Journal, path: Path) -> None:
    walk(journal, PaymentState.UNKNOWN)
    journal.close()
    strange = path.with_name("журнал?mode=rwc&x#y %41.sqlite3")
    os.rename(path, strange)  # noqa: PTH104 - the fixture's own path is to stay as it is

    assert _read_all(strange)


def test_a_closed_journal_is_unavailable(journal: Journal) -> None:
    journal.close()

    with pytest.raises(Unavailable, match="closed"):
        journal.payments()


def test_payments_are_listed_newest_first_and_unfinished_ones_oldest_first(journal: Journal) -> None:
    for index, state in enumerate(PaymentState):
        walk(journal, state, f"p{index}-{state.value}")

    assert [row.payment_id for row in journal.payments()] == [
        f"p{index}-{state.value}" for index, state in reversed(list(enumerate(PaymentState)))
    ]
    assert [row.state.value for row in journal.unfinished()] == ["intent", "created", "paying", "paid"]


def test_an_unknown_payment_is_none(journal: Journal) -> None:
    assert journal.find("nobody") is None
    assert journal.find_receipt("nobody") is None
    assert journal.events("nobody") == []
    assert journal.cancellation(1) is None


def test_sqlite_is_new_enough_for_strict_tables() -> None:
    assert sqlite3.sqlite_version_info >= (3, 37)
