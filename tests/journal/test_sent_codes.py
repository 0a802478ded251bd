"""A sent code is refused for an hour, recognised by its digest, whatever the wall clock does."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fakes.clock import VirtualClock
from fakes.journal_rows import contents, walk
from payme_plugin.ledger.errors import CodeAlreadySent
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.sent_codes import CODE_MEMORY_MS, SentCodes
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.floor

CODE = "12345678901234567890"


def _send(journal: Journal, payment_id: str, code: str = CODE) -> None:
    row = walk(journal, PaymentState.CREATED, payment_id)
    journal.move(row, PaymentState.PAYING, "the code is about to leave", fingerprint=journal.fingerprint(code))


def test_a_code_leaves_once_an_hour_and_a_refused_one_changes_nothing(journal: Journal, clock: VirtualClock) -> None:
    assert not journal.was_sent(journal.fingerprint(CODE))
    _send(journal, "p1")
    assert journal.was_sent(journal.fingerprint(CODE))
    assert not journal.was_sent(journal.fingerprint(CODE[:-1] + "1"))
    clock.sleep(CODE_MEMORY_MS / 1000 - 0.001)
    second = walk(journal, PaymentState.CREATED, "p2")
    held = contents(journal)

    with pytest.raises(CodeAlreadySent):
        journal.move(second, PaymentState.PAYING, "again", fingerprint=journal.fingerprint(CODE))

    assert contents(journal) == held
    clock.sleep(0.001)
    assert not journal.was_sent(journal.fingerprint(CODE))
    _send(journal, "p3")


@pytest.mark.parametrize("back_ms", [1, 3_600_000, 10 * 365 * 86_400_000])
def test_a_clock_set_back_makes_no_code_young_again(journal: Journal, clock: VirtualClock, back_ms: int) -> None:
    _send(journal, "p1")
    clock.set_wall(-back_ms)

    assert journal.was_sent(journal.fingerprint(CODE))
    with pytest.raises(CodeAlreadySent):
        _send(journal, "p2")


@pytest.mark.parametrize("ahead_ms", [3_600_000, 10 * 365 * 86_400_000])
@pytest.mark.parametrize("restarts", [False, True])
def test_a_clock_set_forward_frees_no_code_before_an_hour_has_passed_nor_does_a_restart(
    journal: Journal, path: Path, clock: VirtualClock, ahead_ms: int, *, restarts: bool
) -> None:
    clock.sleep(2 * CODE_MEMORY_MS / 1000)  # the till has been at work for longer than a code is kept
    _send(journal, "p1")
    clock.set_wall(ahead_ms)
    if restarts:
        journal.close()
        journal = Journal(path, host_identity="till-1", clock=clock)

    assert journal.was_sent(journal.fingerprint(CODE))
    with pytest.raises(CodeAlreadySent):
        _send(journal, "p2")

    clock.sleep(CODE_MEMORY_MS / 1000)
    assert not journal.was_sent(journal.fingerprint(CODE))
    journal.close()


def test_a_code_that_never_left_is_free_and_one_that_left_before_it_is_not(journal: Journal) -> None:
    row = walk(journal, PaymentState.CREATED)
    stale, unsent = journal.fingerprint("111111"), journal.fingerprint("222222")
    row = journal.move(row, PaymentState.PAYING, "the first code leaves", fingerprint=stale)
    row = journal.move(row, PaymentState.CREATED, "stale, state 0 asked after it")
    row = journal.move(row, PaymentState.PAYING, "the second code is about to leave", fingerprint=unsent)

    journal.move(row, PaymentState.REFUSED, "it never left", released_code=unsent)

    assert journal.was_sent(stale)
    assert not journal.was_sent(unsent)


def test_a_code_is_kept_as_a_digest_under_a_key_that_only_this_file_has(
    journal: Journal, tmp_path: Path, clock: VirtualClock, path: Path
) -> None:
    _send(journal, "p1")
    other = Journal(tmp_path / "other" / FILE_NAME, host_identity="till-1", clock=clock)

    assert journal.fingerprint(CODE) == journal.fingerprint(CODE)
    assert journal.fingerprint(CODE) != other.fingerprint(CODE)
    assert CODE not in str(contents(journal))
    journal.close()
    other.close()
    assert CODE.encode() not in path.read_bytes()


def test_a_code_whose_commit_failed_was_not_sent(journal: Journal) -> None:
    _send(journal, "p1", "111111")
    fingerprint = journal.fingerprint(CODE)

    def send_in_vain() -> None:
        with journal.writing() as connection:
            journal._codes.send(connection, fingerprint, "p1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        send_in_vain()
    assert not journal.was_sent(fingerprint)
    _send(journal, "p2")
    assert journal.was_sent(fingerprint)


def test_the_latest_250_codes_are_kept_however_many_are_sent() -> None:
    clock = VirtualClock()
    clock.sleep(2 * CODE_MEMORY_MS / 1000)
    codes = SentCodes(clock)
    clock.sleep(CODE_MEMORY_MS / 1000)
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE code (fingerprint TEXT PRIMARY KEY, payment_id TEXT, sent_at INTEGER)")
        for number in range(3000):
            codes.send(connection, f"{number:032x}", "p1")
        connection.execute("UPDATE code SET sent_at = 0")
        sent = [codes.is_sent(connection, f"{number:032x}") for number in range(3000)]
    assert (sent[:2750], sent[2750:]) == ([False] * 2750, [True] * 250)
