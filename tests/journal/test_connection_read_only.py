"""Reading changes no byte of the journal: beside a live process, after a power cut, and of a copy of either.

A second connection takes nothing away from the first.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.clock import VirtualClock
from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.reader import JournalReader

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.floor

ROOT = Path(__file__).parents[2]
KEEPER = ROOT / "tests" / "support" / "faults" / "journal_keeper.py"


class Keeper:
    """Another process that has the journal open."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def store(self, payment_id: str) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{payment_id}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "stored\n"

    def is_killed(self) -> None:
        self._process.kill()


@contextmanager
def kept_open(path: Path) -> Iterator[Keeper]:
    with subprocess.Popen(  # noqa: S603 - our own script
        [sys.executable, str(KEEPER), str(path), "till-1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(KEEPER.parents[1])))},
    ) as process:
        try:
            yield Keeper(process)
            assert process.stdin is not None
            process.stdin.close()
            process.wait(20)
        finally:
            process.kill()


def digests(folder: Path) -> dict[str, tuple[str, int]]:
    """What every file holds, and when it was last written."""
    return {
        file.name: (hashlib.sha256(file.read_bytes()).hexdigest(), file.stat().st_mtime_ns)
        for file in sorted(folder.iterdir())
    }


def seen(path: Path) -> list[str]:
    reader = JournalReader.open_read_only(path)
    assert reader is not None
    try:
        assert reader.host_identity == "till-1"
        assert len(reader.live_cancellations()) == len(reader.payments())
        return [row.payment_id for row in reader.payments()]
    finally:
        reader.close()


def test_beside_a_live_process_its_latest_commit_is_seen_and_nothing_changed(path: Path) -> None:
    with kept_open(path) as keeper:
        for number in range(1, 4):
            keeper.store(f"p{number}")
            before = digests(path.parent)
            assert set(before) == {path.name, f"{path.name}-wal", f"{path.name}-shm"}
            assert len(seen(path)) == number
            assert digests(path.parent) == before
        reader = JournalReader.open_read_only(path)
        assert reader is not None
        keeper.store("p4")
        assert len(reader.payments()) == 4, "a reader that stays sees what comes"
        reader.close()
        keeper.store("p5")
        assert len(seen(path)) == 5


@pytest.mark.parametrize("left", ["-wal -shm", "-wal", ""])
def test_after_a_power_cut_what_was_committed_is_seen_and_nothing_changed(
    path: Path, tmp_path: Path, left: str
) -> None:
    with kept_open(path) as keeper:
        keeper.store("p1")
        keeper.store("p2")
        keeper.is_killed()
    folder = tmp_path / "copied"
    folder.mkdir()
    for part in ["", *left.split()]:
        shutil.copy2(f"{path}{part}", folder)
    if not left:
        # Without its log the file is what the last checkpoint made of it: an empty one, here.
        assert JournalReader.open_read_only(folder / path.name) is None
        return
    before = digests(folder)

    assert seen(folder / path.name) == ["p2", "p1"]
    assert digests(folder) == before


def test_a_log_that_was_cut_off_in_a_commit_shows_the_commits_before_it(path: Path, tmp_path: Path) -> None:
    with kept_open(path) as keeper:
        keeper.store("p1")
        whole = Path(f"{path}-wal").read_bytes()
        keeper.store("p2")
        longer = Path(f"{path}-wal").read_bytes()
        keeper.is_killed()
    folder = tmp_path / "copied"
    folder.mkdir()
    shutil.copy2(path, folder)
    (folder / f"{path.name}-wal").write_bytes(longer[: len(whole) + 5000])

    before = digests(folder)
    assert seen(folder / path.name) == ["p1"]
    assert digests(folder) == before


def test_a_file_too_short_for_a_database_is_damage_whatever_its_log_holds(path: Path) -> None:
    with kept_open(path) as keeper:
        keeper.store("p1")
        keeper.is_killed()
    path.write_bytes(b"a scrap")
    before = digests(path.parent)

    with pytest.raises(Damaged):
        JournalReader.open_read_only(path)
    with pytest.raises(Damaged):
        Journal(path, host_identity="till-1", clock=VirtualClock())
    assert digests(path.parent) == before


def test_a_second_connection_of_a_process_takes_nothing_away_from_the_first(path: Path) -> None:
    first = Journal(path, host_identity="till-1", clock=VirtualClock())
    second = Journal(path, host_identity="till-1", clock=VirtualClock())
    with kept_open(path) as keeper:
        keeper.store("theirs")
    # That process is gone. Had it thought itself alone, it would have thrown the log away under the first connection.
    assert Path(f"{path}-wal").exists()
    with kept_open(path) as keeper:
        assert len(first.payments()) == 1
        keeper.store("more")
        assert {row.payment_id for row in first.payments()} == {row.payment_id for row in second.payments()}
        assert len(first.payments()) == 2
    first.close()
    second.close()
