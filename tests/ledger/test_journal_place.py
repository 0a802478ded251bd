"""Whether an open journal is still where it was opened: its files have their names, and nobody else's have."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from journal_walks import walk
from payme_plugin.ledger.connection import Place
from payme_plugin.ledger.errors import Moved
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from pathlib import Path

    from virtual_clock import VirtualClock

pytestmark = pytest.mark.floor

PARTS = ["", "-wal", "-shm"]


def test_work_on_it_and_looks_at_it_leave_it_where_it_is(journal: Journal, path: Path, clock: VirtualClock) -> None:
    place = Place(path)
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
def test_a_part_that_is_deleted_or_moved_is_missed_until_it_is_back(journal: Journal, path: Path, part: str) -> None:
    place = Place(path)
    file = path.with_name(path.name + part)
    file.rename(file.with_name("away"))

    with pytest.raises(Moved, match="was deleted or moved while it was open") as missed:
        place.require()
    assert not missed.value.is_replaced
    assert str(file) in str(missed.value)
    file.with_name("away").rename(file)
    place.require()
    assert journal.payments() == []


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.usefixtures("journal")
def test_another_file_in_its_place_is_not_it_whatever_it_holds(path: Path, part: str) -> None:
    place = Place(path)
    file = path.with_name(path.name + part)
    shutil.copy2(file, file.with_name("copy"))
    file.with_name("copy").replace(file)

    with pytest.raises(Moved, match="was replaced while it was open") as missed:
        place.require()
    assert missed.value.is_replaced


@pytest.mark.usefixtures("journal")
def test_a_folder_that_is_gone_takes_it_away(path: Path) -> None:
    place = Place(path)
    path.parent.rename(path.parent.with_name(f"{path.parent.name} away"))

    with pytest.raises(Moved):
        place.require()
    path.parent.write_text("a file in its place")
    with pytest.raises(Moved):
        place.require()
    path.parent.unlink()
    path.parent.with_name(f"{path.parent.name} away").rename(path.parent)
    place.require()
