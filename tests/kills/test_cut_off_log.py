"""A power cut may cut SQLite's log off anywhere: the journal opens again, at once, for the till and for the command."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.rows import Intent

if TYPE_CHECKING:
    from pathlib import Path

HEADER_BYTES = 32
FRAME_BYTES = 24 + 4096
SOON_S = 2.0


def intent(payment_id: str) -> Intent:
    return Intent(
        payment_id=payment_id,
        payment_type=7,
        amount=1_500_000,
        till="till-1",
        shift=1,
        number=1,
        pos_id="kassa",
        url="http://127.0.0.1/api",
        owner="owner",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A journal with one payment in its file and another one in its log, as a power cut leaves them."""
    path = tmp_path / FILE_NAME
    former = Journal(path, host_identity="till-1", clock=SystemClock())
    former.add_intent(intent("in the file"), "first")
    former.close()
    journal = Journal(path, host_identity="till-1", clock=SystemClock())
    journal.add_intent(intent("in the log"), "second")
    after = tmp_path / "after the power cut"
    after.mkdir()
    for file in (path, tmp_path / f"{FILE_NAME}-wal", tmp_path / f"{FILE_NAME}-shm"):
        (after / file.name).write_bytes(file.read_bytes())
    journal.close()
    return after


@pytest.mark.parametrize("kept", [0, 1, HEADER_BYTES - 1, HEADER_BYTES, HEADER_BYTES + 1, HEADER_BYTES + FRAME_BYTES])
@pytest.mark.parametrize("has_index", [True, False], ids=["with its index", "without its index"])
def test_a_log_that_was_cut_off_is_no_obstacle(folder: Path, kept: int, has_index: bool) -> None:
    log = folder / f"{FILE_NAME}-wal"
    log.write_bytes(log.read_bytes()[:kept])
    if not has_index:
        (folder / f"{FILE_NAME}-shm").unlink()
    began_at = time.monotonic()

    reader = JournalReader.open_read_only(folder / FILE_NAME)
    assert reader is not None
    assert [row.payment_id for row in reader.payments()] == ["in the file"]
    reader.close()

    journal = Journal(folder / FILE_NAME, host_identity="till-1", clock=SystemClock())
    assert [row.payment_id for row in journal.payments()] == ["in the file"]
    journal.add_intent(intent("later"), "third")
    journal.close()
    assert time.monotonic() - began_at < SOON_S


def test_a_whole_log_brings_back_what_was_committed(folder: Path) -> None:
    reader = JournalReader.open_read_only(folder / FILE_NAME)
    assert reader is not None
    assert [row.payment_id for row in reader.payments()] == ["in the log", "in the file"]
    reader.close()

    journal = Journal(folder / FILE_NAME, host_identity="till-1", clock=SystemClock())
    assert [row.payment_id for row in journal.payments()] == ["in the log", "in the file"]
    journal.close()
