"""A journal of version 1 is migrated once, completely or not at all, and only while no process uses it.

``version1/journal.sql`` was made by version 1 itself (commit c2f6eec): payments in every state, cancellations of all
kinds.
"""

from __future__ import annotations

import fcntl
import sqlite3
import stat
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.clock import VirtualClock
from fakes.journal_rows import corrupt
from fakes.paymego import VirtualPaymeGo
from fakes.till import VirtualHost
from faults.boundaries import killed_at
from faults.full_disk import full_disk
from faults.journal_process import journal_process
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.doctor.journal import look_at_journal
from payme_plugin.ledger.errors import Damaged, InUse, Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.repair import fault_in, repair
from payme_plugin.ledger.schema import SCHEMA_VERSION
from payme_plugin.ledger.states import Cause, End, EventKind, Hold, PaymentState
from payme_plugin.operations.cancellation import MerchantClient
from payme_plugin.operations.context import Limits
from payme_plugin.operations.recovery import cancel_orphans
from payme_plugin.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payme_plugin.ledger.rows import CancellationRow

SOURCE = Path(__file__).parent / "version1" / "journal.sql"
COPY = "journal-v1.bak"
AT_50 = frozenset({"reversed", "closed-and-back"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / FILE_NAME
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.executescript(SOURCE.read_text(encoding="utf-8"))
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    return file


@pytest.fixture
def clock() -> VirtualClock:
    clock = VirtualClock()
    clock.sleep(7200)
    return clock


@pytest.fixture
def open_journal(path: Path, clock: VirtualClock) -> Iterator[Callable[[], Journal]]:
    opened: list[Journal] = []

    def open_() -> Journal:
        opened.append(Journal(path, host_identity="till-1", clock=clock))
        return opened[-1]

    yield open_
    for each in opened:
        each.close()


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def dump(path: Path) -> list[str]:
    with closing(sqlite3.connect(path)) as connection:
        return list(connection.iterdump())


def cancellations_by_payment(journal: JournalReader) -> dict[str, CancellationRow]:
    with journal.reading() as connection:
        found = connection.execute("SELECT cancellation_id, payment_id FROM cancellation ORDER BY 1").fetchall()
    rows = {name: journal.cancellation(number) for number, name in found}
    return {name: row for name, row in rows.items() if row is not None}


# ---------------------------------------------------------------------------------------------------------------------
# Texts of version 1 become columns
# ---------------------------------------------------------------------------------------------------------------------


def test_what_the_host_had_is_acknowledged_and_nothing_else(open_journal: Callable[[], Journal]) -> None:
    payments = open_journal().payments()

    assert {row.payment_id for row in payments if row.acknowledged_at is not None} == {
        "recorded", "closed", "withdrawn", "refund-queued", "closed-by-hand",
    }  # fmt: skip
    assert [row.payment_id for row in payments][-3:] == ["paying", "created", "intent"], "in their order"


def test_how_a_cancellation_stands_or_ended_is_typed(open_journal: Callable[[], Journal]) -> None:
    rows = cancellations_by_payment(open_journal())

    assert {name: row.ended_as for name, row in rows.items() if row.ended_at is not None} == {
        "reversed": End.CANCELLED,
        "closed-by-hand": End.CLOSED,
        "closed-and-back": End.CANCELLED,
        "withdrawn": End.WITHDRAWN,
    }
    assert {name: row.closed_reason for name, row in rows.items() if row.closed_reason is not None} == {
        "closed-by-hand": "paid in cash; last check: none; last check: paid (4)",
    }
    assert {name for name, row in rows.items() if row.begun_at is not None} == {
        "orphan-begun", "refund-queued", "withdrawn",
    }  # fmt: skip
    assert {name: row.held for name, row in rows.items() if row.held is not None} == {"orphan-held": Hold.HOST}
    assert rows["refund-queued"].is_queued
    assert not rows["cancel"].is_queued
    assert [name for name, row in rows.items() if row.offered_at is not None] == ["unknown"]


def test_events_have_kinds_causes_and_ends(open_journal: Callable[[], Journal]) -> None:
    events = open_journal().events("refund-queued")

    assert {event.kind for event in events} == {EventKind.TRANSITION, EventKind.NOTE}
    assert all((event.kind is EventKind.TRANSITION) is (event.after is not None) for event in events)
    assert [event.cause for event in events if event.cause is not None] == [Cause.REFUND]
    ended = open_journal().events("closed-by-hand")
    assert [event.ended_as for event in ended if event.ended_as is not None] == [End.CLOSED]


@pytest.mark.parametrize("words", ["paid in cash, cause mistake", "paid in cash, cause refund", "x, cause cancel"])
def test_an_operators_reason_is_only_words(open_journal: Callable[[], Journal], path: Path, words: str) -> None:
    text = f"cancellation: Payme says cancelled (50); closed by hand: {words}"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("INSERT INTO event (payment_id, at_ms, text) VALUES ('closed-by-hand', 9, ?)", (text,))

    (event,) = [each for each in open_journal().events("closed-by-hand") if each.text == text]

    assert (event.kind, event.cause, event.ended_as) == (EventKind.NOTE, None, End.CANCELLED)


@pytest.mark.parametrize("clock_set_back_ms", [0, 3_600_000])
def test_a_cancellation_has_begun_only_by_a_cancel_after_it_was_written(
    open_journal: Callable[[], Journal], path: Path, clock_set_back_ms: int
) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(  # of an earlier cancellation, which was withdrawn
            "INSERT INTO event (payment_id, at_ms, text) SELECT payment_id, created_at - 5 + ?,"
            " 'request receipts.cancel' FROM cancellation WHERE payment_id = 'orphan'",
            (clock_set_back_ms,),
        )
        connection.execute(
            "UPDATE event SET event_id = (SELECT max(event_id) + 1 FROM event)"
            " WHERE payment_id = 'orphan' AND text GLOB 'cancellation: queued, cause *'"
        )
    journal = open_journal()
    assert cancellations_by_payment(journal)["orphan"].begun_at is None

    journal.acknowledge(journal.payment("orphan"))

    assert (journal.payment("orphan").state, cancellations_by_payment(journal)["orphan"].ended_as) == (
        PaymentState.RECORDED,
        End.RECORDED,
    )


# ---------------------------------------------------------------------------------------------------------------------
# Once, with a copy
# ---------------------------------------------------------------------------------------------------------------------


def test_the_copy_is_the_journal_as_it_was_and_only_its_owner_reads_it(
    open_journal: Callable[[], Journal], path: Path
) -> None:
    before = dump(path)
    open_journal().close()
    copy, migrated = path.with_name(COPY), dump(path)

    assert version_of(copy) == 1
    assert dump(copy) == before
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.glob("journal*bak*")] == [COPY]

    copied_at = copy.stat().st_mtime_ns
    open_journal().close()
    assert (dump(path), copy.stat().st_mtime_ns) == (migrated, copied_at), "only once"
    copy.replace(path)
    open_journal().close()
    assert dump(path) == migrated, "the copy that is put back is migrated again"


# ---------------------------------------------------------------------------------------------------------------------
# Only while no process uses it
# ---------------------------------------------------------------------------------------------------------------------


@contextmanager
def locked_owner(path: Path) -> Iterator[None]:
    """Hold the lock of a running process of version 1."""
    (path.parent / "owners").mkdir()
    with (path.parent / "owners" / "0123.owner").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@pytest.mark.parametrize(
    ("holding", "error"),
    [
        (locked_owner, InUse),
        (lambda path: Leases(path.parent).try_acquire(0), InUse),
        (lambda path: Leases(path.parent).try_acquire(2**62), InUse),
        (lambda path: journal_process("open", path), InUse),
        (lambda path: full_disk(), Unavailable),
    ],
    ids=["a process of version 1", "the first lock", "the last lock", "any process", "a full disk"],
)
def test_while_it_is_used_or_the_disk_is_full_it_stays_as_it_was(
    open_journal: Callable[[], Journal],
    path: Path,
    holding: Callable[[Path], AbstractContextManager[object]],
    error: type[Exception],
) -> None:
    before = path.read_bytes()
    with holding(path), pytest.raises(error):
        open_journal()
    assert path.read_bytes() == before
    assert list(path.parent.glob("journal*bak*")) == []

    assert open_journal().is_ready
    assert (version_of(path), fault_in(path)) == (SCHEMA_VERSION, None)


# ---------------------------------------------------------------------------------------------------------------------
# Completely or not at all
# ---------------------------------------------------------------------------------------------------------------------


def test_an_invalid_row_leaves_it_as_it_was(open_journal: Callable[[], Journal], path: Path) -> None:
    corrupt(path, "payment", "state", "paie", "payment_id = 'refused'")
    with pytest.raises(Damaged):
        open_journal()

    assert version_of(path) == 1
    assert fault_in(path) is not None


def test_killed_at_any_step_it_opens_and_nothing_is_lost(path: Path, in_memory: Path, clock: VirtualClock) -> None:
    whole = path.read_bytes()
    path = in_memory / FILE_NAME
    path.write_bytes(whole)

    def open_and_close() -> None:
        Journal(path, host_identity="till-1", clock=clock).close()

    open_and_close()
    expected, step, is_killed = dump(path), 0, True
    while is_killed:
        step += 1
        for file in path.parent.glob("journal*"):
            file.unlink()
        path.write_bytes(whole)
        is_killed = killed_at(step, open_and_close, changes=True)
        open_and_close()
        assert dump(path) == expected, f"killed at step {step}"
        assert version_of(path.with_name(COPY)) == 1
    assert step > 30


# ---------------------------------------------------------------------------------------------------------------------
# Read and repaired
# ---------------------------------------------------------------------------------------------------------------------


def test_a_reader_sees_it_migrated_and_changes_nothing(path: Path) -> None:
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    reader = JournalReader.open_read_only(path)
    assert reader is not None

    assert cancellations_by_payment(reader)["orphan-held"].held is Hold.HOST
    assert (fault_in(path), look_at_journal(path).trouble) == (None, None)
    reader.close()
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before


def test_a_damaged_one_is_repaired_into_this_version(path: Path, open_journal: Callable[[], Journal]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE payment SET state = 'paie' WHERE payment_id = 'refused'")
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = 'cancellation'").fetchone()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    content = bytearray(path.read_bytes())
    content[(root - 1) * size : root * size] = bytes(size)
    path.write_bytes(content)

    assert repair(path, "till-1", "now") is not None

    journal = open_journal()
    live = {row.payment_id: row.cause for row in journal.live_cancellations()}
    owing = {
        "refused", "aborted", "unknown", "orphan", "orphan-tried", "orphan-held", "orphan-begun", "cancel",
        "refund-queued",
    }  # fmt: skip
    assert live.keys() == owing
    assert live["refund-queued"] is Cause.REFUND
    assert {row.payment_id for row in journal.live_cancellations() if row.begun_at} == {"orphan-begun", "refund-queued"}
    assert journal.payment("refused").state is PaymentState.REFUSED


# ---------------------------------------------------------------------------------------------------------------------
# Every cancellation is delivered
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("is_recorded", [True, False, None])
def test_the_worker_brings_every_row_to_its_end(
    open_journal: Callable[[], Journal], path: Path, clock: VirtualClock, is_recorded: bool | None
) -> None:
    journal, paymego = open_journal(), VirtualPaymeGo(clock)
    for row in journal.payments():
        if row.receipt_id is not None:
            charge(paymego, row.receipt_id, row.amount, 50 if row.payment_id in AT_50 else 4)
    cancel_orphans(journal, "another process", (), Texts("en"))
    merchant = MerchantClient(
        "kassa", "http://localhost/api", paymego.client(), Limits(timeout_s=5, duration_s=20, frequency_s=1)
    )
    host = VirtualHost(path.parent, recorded={"orphan-held": is_recorded})
    processor = CancellationProcessor(journal, Leases(path.parent), host, clock, lambda: 0.0)
    for _ in range(20):
        clock.sleep(900)
        processor.deliver_due({"kassa": merchant})

    keeps = {"recorded", "closed", "closed-by-hand", "withdrawn"} | (
        {"orphan-held"} if is_recorded is not False else set()
    )
    charged = {
        row.payment_id for row in journal.payments() if row.receipt_id is not None and paymego.held(row.receipt_id)
    }
    assert charged == keeps
    live = [*journal.live_cancellations(), *journal.confirming_cancellations()]
    assert [row.payment_id for row in live] == ([] if is_recorded is not None else ["orphan-held"])
    ends = {row.payment_id: row.state.value for row in journal.payments()}
    assert ends == {
        "intent": "refused", "created": "refused", "paying": "unknown", "paid": "reversed", "recorded": "recorded",
        "closed": "recorded", "refused": "refused", "aborted": "aborted", "unknown": "unknown", "orphan": "reversed",
        "orphan-tried": "reversed", "orphan-begun": "reversed", "cancel": "reversed", "refund-queued": "reversed",
        "reversed": "reversed", "closed-by-hand": "reversing", "closed-and-back": "reversed", "withdrawn": "recorded",
        "orphan-held": {True: "recorded", False: "reversed", None: "reversing"}[is_recorded],
    }  # fmt: skip


def charge(paymego: VirtualPaymeGo, receipt_id: str, amount: int, state: int) -> None:
    """Let the bank have a receipt that it did not create in this test."""
    made = paymego.bank.call(paymego.now_ms, "receipts.create", {"amount": amount, "account": {"order_id": "1"}})
    number = made["receipt"]["_id"]  # type: ignore[call-overload,index]
    receipts = paymego.bank._receipts
    receipts[receipt_id] = replace(receipts.pop(number), receipt_id=receipt_id)
    paymego.bank.put_state(paymego.now_ms, receipt_id, 4)
    if state != 4:
        paymego.bank.put_state(paymego.now_ms, receipt_id, state)
