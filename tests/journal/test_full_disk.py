"""Disks that fail and values that can't be stored: nothing is stored, and the caller gets an error."""

from __future__ import annotations

import contextlib
import os
import pwd
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.clock import VirtualClock
from fakes.journal_rows import UNRECORDED, contents, intent_of, note_now, walk
from faults.full_disk import full_disk
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.rows import Event, StoredResult
from payme_plugin.ledger.states import EventKind, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.ledger.rows import Intent, PaymentRow

pytestmark = pytest.mark.floor

BEYOND = 2**63


def _open(path: Path) -> Journal:
    return Journal(path, host_identity="till-1", clock=VirtualClock())


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


def is_refused_to_nobody(path: Path) -> bool:
    """Open a journal as an ordinary user, in a child."""
    nobody = pwd.getpwnam("nobody")
    child = os.fork()
    if child == 0:
        status = 1
        with contextlib.suppress(BaseException):
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
        assert is_refused_to_nobody(path)
        path.parent.chmod(0o755)


@pytest.mark.parametrize(
    "change",
    [
        lambda intent: replace(intent, payment_id="p\ud800"),
        lambda intent: replace(intent, amount=BEYOND),
        lambda intent: replace(intent, number=-BEYOND - 1),
        lambda intent: replace(intent, amount=0),
        lambda intent: replace(intent, amount=-1),
    ],
    ids=["half-sign", "amount", "number", "zero", "negative"],
)
def test_what_a_row_can_not_hold_is_refused_whole(journal: Journal, change: Callable[[Intent], Intent]) -> None:
    with pytest.raises(Unavailable):
        journal.add_intent(change(intent_of()), "begun")

    assert journal.payments() == []
    row = journal.add_intent(replace(intent_of(), amount=BEYOND - 1, number=-BEYOND), "the largest values are stored")
    assert (row.amount, row.number) == (BEYOND - 1, -BEYOND)


def test_half_signs_in_a_result_or_a_note_are_refused_whole(journal: Journal) -> None:
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
