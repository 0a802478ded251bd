"""Repair loses no cancellation: whatever was invalid, each owed payment has one live row."""

from __future__ import annotations

import re
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from fakes.clock import VirtualClock
from fakes.journal_rows import UNRECORDED, walk
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.repair import _MARKER, Repaired, fault_in, repair
from payme_plugin.ledger.rows import CancellationRow, NewCancellation
from payme_plugin.ledger.states import Cause, End, Hold, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.ledger.rows import PaymentRow

pytestmark = pytest.mark.floor

PAGE = 4096
REFUND = NewCancellation(cause=Cause.REFUND, request_id="refund-1")
CANCEL = NewCancellation(cause=Cause.CANCEL)
ERROR = "receipts.check: no usable answer"
COLUMNS = CancellationRow._fields
INVALID_VALUES: tuple[str | bytes | int | None, ...] = (b"\xee\xff", b"x\xd0", "rubbish", "", None, 7)


def open_journal(path: Path) -> Journal:
    return Journal(path, host_identity="till-1", clock=VirtualClock())


def reversing(journal: Journal, payment_id: str, new: NewCancellation, reason: str) -> CancellationRow:
    paid = walk(journal, PaymentState.RECORDED, payment_id)
    journal.move(paid, PaymentState.REVERSING, reason, cancellation=new)
    return Cancellations(journal).live_of(payment_id)


def unknown(journal: Journal, payment_id: str) -> CancellationRow:
    walk(journal, PaymentState.UNKNOWN, payment_id)
    return Cancellations(journal).live_of(payment_id)


def aborted(journal: Journal, payment_id: str) -> CancellationRow:
    walk(journal, PaymentState.ABORTED, payment_id)
    return Cancellations(journal).live_of(payment_id)


def refused(journal: Journal, payment_id: str) -> CancellationRow:
    walk(journal, PaymentState.REFUSED, payment_id)
    return Cancellations(journal).live_of(payment_id)


def refunded(journal: Journal, payment_id: str) -> CancellationRow:
    return reversing(journal, payment_id, REFUND, "the till asks for a refund")


def cancelled(journal: Journal, payment_id: str) -> CancellationRow:
    return reversing(journal, payment_id, CANCEL, "the till asks for a cancel")


def given_up(journal: Journal, payment_id: str) -> CancellationRow:
    return reversing(journal, payment_id, UNRECORDED, "the till does not have it and never will")


OWING = (unknown, refunded, cancelled, given_up)


def stepped(journal: Journal, row: CancellationRow, held: Hold | None = None) -> CancellationRow:
    Cancellations(journal).postpone(row, 1000, ERROR, held=held)
    return Cancellations(journal).live_of(row.payment_id)


def withdraw(journal: Journal, row: CancellationRow) -> None:
    """Let Payme refuse the only ``receipts.cancel`` of a row."""
    Cancellations(journal).begin(row)
    Cancellations(journal).withdraw(row, "error 5 is ignored, state 4 asked after it")


def fill(journal: Journal) -> None:
    """Store payments of every kind: ``owes-`` some money, ``done-`` with the end of a cancellation, ``free-`` none."""
    rows = Cancellations(journal)
    for number, make in enumerate(OWING):
        make(journal, f"owes-{number}")
        stepped(journal, make(journal, f"owes-{number}-stepped"))
    rows.offer(rows.live_of("owes-0-stepped"), 1000, "the host's queue")
    stepped(journal, unknown(journal, "owes-held"), Hold.HOST)
    twice = refunded(journal, "owes-twice")
    withdraw(journal, twice)
    journal._clock.sleep(1)  # the age of the payment's row shows that it was reversed once more
    again = journal.payment("owes-twice")
    journal.move(again, PaymentState.REVERSING, "the till asks for a cancel", cancellation=CANCEL)
    rows.end(unknown(journal, "done-50"), End.CANCELLED, "cancelled (50)")
    rows.end(refunded(journal, "done-reversed"), End.CANCELLED, "cancelled (50)")
    rows.end(unknown(journal, "done-closed"), End.CLOSED, "paid (4)", closed_reason="settled")
    rows.end(cancelled(journal, "done-closed-too"), End.CLOSED, "paid (4)", closed_reason="settled")
    back = refunded(journal, "done-withdrawn")
    withdraw(journal, back)
    for state in (PaymentState.PAYING, PaymentState.PAID, PaymentState.RECORDED, PaymentState.INTENT):
        walk(journal, state, f"free-{state.value}")
    row = walk(journal, PaymentState.CREATED, "free-refused")
    journal.move(row, PaymentState.REFUSED, "it can't have moved")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("filled") / FILE_NAME
    journal = open_journal(path)
    fill(journal)
    journal.close()
    return path


def empty(folder: Path) -> Path:
    """Return the path of a journal in a new folder."""
    return Path(tempfile.mkdtemp(dir=folder)) / FILE_NAME


def corrupt(path: Path, table: str, column: str, value: str | bytes | int | None, where: str = "1") -> None:
    """Put a value into a table that SQLite itself would not let in, as a bad disk does."""
    text = "CAST(? AS TEXT)" if isinstance(value, bytes) else "?"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (table,)).fetchone()
        connection.execute("PRAGMA writable_schema = ON").fetchall()
        loose = re.sub("(?<!IS) NOT NULL", "", sql.replace(") STRICT", ")"))
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (loose, table))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        if column == "ended_at":
            connection.execute("DROP INDEX one_live_cancellation")
        connection.execute(f"UPDATE {table} SET {column} = {text} WHERE {where}", (value,))  # noqa: S608 - our own names
        connection.execute("PRAGMA writable_schema = ON").fetchall()
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, table))


def empty_page(path: Path, table: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    content = path.read_bytes()
    path.write_bytes(content[: (root - 1) * PAGE] + b"\0" * PAGE + content[root * PAGE :])


def repaired(path: Path) -> Repaired:
    outcome = repair(path, "till-1", "now")
    assert outcome is not None
    assert fault_in(path) is None
    return outcome


def live_of(journal: Journal) -> dict[str, CancellationRow]:
    rows = [*journal.live_cancellations(), *journal.confirming_cancellations()]
    found = {row.payment_id: row for row in rows}
    assert len(found) == len(rows), "never two"
    return found


def store(path: Path, how: Callable[[Journal], object]) -> CancellationRow:
    """Write a journal; return its live cancellation, or, if none is live, the ended one."""
    with closing(open_journal(path)) as journal:
        how(journal)
        row = Cancellations(journal).latest_of("p1")
        assert row is not None
        return row


def as_restored(row: CancellationRow) -> CancellationRow:
    """Return a row without what only the lost one knew: it is due at once, and counts from the start."""
    return row._replace(
        due_at=row.created_at, attempts=0, offered_at=None, is_queued=True, last_error="", request_id=""
    )


def after_repair(path: Path) -> tuple[Repaired, CancellationRow, PaymentRow]:
    outcome = repaired(path)
    journal = open_journal(path)
    (row,) = journal.live_cancellations()
    payment = journal.payment(row.payment_id)
    journal.close()
    return outcome, row, payment


@settings(max_examples=50 * settings().max_examples // 100)
@given(
    column=st.sampled_from(COLUMNS),
    number=st.integers(1, 17),
    value=st.sampled_from(INVALID_VALUES),
    corrupts=st.booleans(),
)
@example(column="last_error", number=1, value=b"\xee\xff", corrupts=False)
@example(column="ended_at", number=1, value=7, corrupts=True)
@example(column="payment_id", number=1, value="rubbish", corrupts=True)
def test_money_that_is_owed_has_one_live_row_and_other_money_has_none(
    in_memory: Path,
    filled: Path,
    column: str,
    number: int,
    value: str | bytes | int | None,
    *,
    corrupts: bool,
) -> None:
    path = empty(in_memory)
    path.write_bytes(filled.read_bytes())
    if corrupts:
        if column == "cancellation_id":
            value = 99
        corrupt(path, "cancellation", column, value, f"cancellation_id = {number}")
    else:
        empty_page(path, "cancellation")
    outcome = repair(path, "till-1", "now")
    assert fault_in(path) is None

    journal = open_journal(path)
    live = live_of(journal)
    payments = {row.payment_id: row for row in journal.payments()}
    journal.close()
    assert {name for name in payments if name.startswith("owes-")} == set(live)
    for name, row in live.items():
        payment = payments[name]
        is_invalid = corrupts and row.cancellation_id == number
        if not is_invalid or column not in {"receipt_id", "amount", "pos_id", "url"}:
            assert (row.receipt_id, row.amount) == (payment.receipt_id, payment.amount)
            assert (row.pos_id, row.url) == (payment.pos_id, payment.url)
    if column != "cause" or not corrupts:
        assert (live["owes-0"].cause, live["owes-1"].cause, live["owes-2"].cause, live["owes-3"].cause) == (
            Cause.UNRECORDED, Cause.REFUND, Cause.CANCEL, Cause.UNRECORDED,
        )  # fmt: skip
    if column != "held" and not (outcome and outcome.queued_again):
        assert live["owes-held"].held is Hold.HOST
    if outcome is not None:
        assert outcome.queued_again <= 1 if corrupts else outcome.queued_again == len(live)


@settings(max_examples=60 * settings().max_examples // 100)
@example(pages=[0.625], bits=[(0.9975111542810101, 0)], rubbish=[])
@given(
    pages=st.lists(st.floats(0, 1, exclude_max=True), max_size=6),
    bits=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 7)), max_size=60),
    rubbish=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=600)), max_size=3),
)
def test_whatever_is_damaged_the_new_journal_is_sound_and_nothing_owed_is_without_a_live_row(
    in_memory: Path,
    filled: Path,
    pages: list[float],
    bits: list[tuple[float, int]],
    rubbish: list[tuple[float, bytes]],
) -> None:
    content = bytearray(filled.read_bytes())
    size = len(content)
    for where in pages:
        first = int(where * size) // PAGE * PAGE
        content[first : first + PAGE] = b"\0" * PAGE
    for where, bit in bits:
        content[int(where * size)] ^= 1 << bit
    for where, written in rubbish:
        content[int(where * size) : int(where * size) + len(written)] = written
    damaged = bytes(content[:size])
    assume(not damaged.startswith(_MARKER))  # it says that a repair was cut off, and where the damaged file is
    path = empty(in_memory)
    path.write_bytes(damaged)
    outcome = repair(path, "till-1", "now")

    assert fault_in(path) is None
    assert outcome is None or outcome.set_aside.read_bytes() == damaged
    with closing(open_journal(path)) as journal:
        live = live_of(journal)
        for payment in journal.payments():
            is_owing = payment.state is PaymentState.REVERSING or (
                payment.state.is_not_paid and payment.cancellation_queued
            )
            if payment.payment_id.startswith("owes-") and is_owing:
                # A bit that turned in a receipt id or amount makes it another payment, but not one that is forgotten.
                assert payment.payment_id in live


# ---------------------------------------------------------------------------------------------------------------------
# What is taken from where
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["url", "payment_id", "cause", "every row"])
@pytest.mark.parametrize("make", [*OWING, aborted, refused])
def test_a_lost_or_invalid_row_is_written_anew_from_its_payment_and_only_once(
    path: Path, make: Callable[[Journal, str], CancellationRow], column: str
) -> None:
    written = store(path, lambda journal: stepped(journal, make(journal, "p1")))
    if column == "every row":
        empty_page(path, "cancellation")
    else:
        corrupt(path, "cancellation", column, b"\xee\xff")
    outcome, row, payment = after_repair(path)

    assert as_restored(row) == as_restored(written)
    assert (row.due_at, row.attempts) == (payment.updated_at, 0)
    assert row.is_queued, "the host may have got QUEUED, so it can't be withdrawn"
    assert (outcome.copied["cancellation"], outcome.queued_again, outcome.unreadable) == (0, 1, 1)
    with closing(open_journal(path)) as journal:
        assert journal.events("p1")[-1].text == f"cancellation: queued again by the repair, cause {written.cause.value}"
    assert repair(path, "till-1", "later") is None
    outcome.set_aside.unlink()
    empty_page(path, "payment_by_age")
    assert after_repair(path)[1] == row


def test_a_reversed_payment_whose_row_is_lost_is_confirming_again(path: Path) -> None:
    with closing(open_journal(path)) as journal:
        Cancellations(journal).confirm(refunded(journal, "p1"), "Payme says cancelled (50)")
        reversed_at = journal.payment("p1").updated_at
    empty_page(path, "cancellation")
    repaired(path)

    with closing(open_journal(path)) as journal:
        (confirming,) = journal.confirming_cancellations()
        assert (confirming.cause, confirming.confirmed_at) == (Cause.REFUND, reversed_at)
        assert journal.payment("p1").state is PaymentState.REVERSED


def test_a_lost_row_that_an_acknowledgement_did_not_end_had_begun(path: Path) -> None:
    def begin_and_acknowledge(journal: Journal) -> None:
        paid = walk(journal, PaymentState.PAID, "p1")
        journal.move(paid, PaymentState.REVERSING, "the till does not have it", cancellation=UNRECORDED)
        Cancellations(journal).begin(Cancellations(journal).live_of("p1"))
        journal.acknowledge(journal.payment("p1"))

    store(path, begin_and_acknowledge)
    empty_page(path, "cancellation")
    _, row, payment = after_repair(path)

    assert (row.cause, row.begun_at) == (Cause.UNRECORDED, payment.acknowledged_at)


@pytest.mark.parametrize(
    ("make", "is_closed", "cause"),
    [
        (unknown, False, Cause.UNRECORDED),
        (cancelled, False, Cause.CANCEL),
        (refunded, True, Cause.REFUND),
        (given_up, False, Cause.CANCEL),
    ],
)
def test_without_any_sign_of_the_cause_the_cancellation_goes_on(
    path: Path, make: Callable[[Journal, str], CancellationRow], is_closed: bool, cause: Cause
) -> None:
    def owe(journal: Journal) -> None:
        make(journal, "p1")
        if is_closed:
            journal.acknowledge(journal.payment("p1"), closed_at=5)

    store(path, owe)
    empty_page(path, "event")
    empty_page(path, "cancellation")

    assert after_repair(path)[1].cause is cause


# ---------------------------------------------------------------------------------------------------------------------
# What had ended
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ended_as", "reason"), [(End.CANCELLED, None), (End.CLOSED, "settled"), (End.CANCELLED, "settled")]
)
@pytest.mark.parametrize("lost", ["cancellation", "event", "closed_reason", "url", "ended_at"])
@pytest.mark.parametrize("make", [unknown, refunded])
def test_the_row_or_the_events_show_that_a_cancellation_ended(
    path: Path, make: Callable[[Journal, str], CancellationRow], ended_as: End, reason: str | None, lost: str
) -> None:
    store(path, lambda journal: Cancellations(journal).end(make(journal, "p1"), ended_as, "4", closed_reason=reason))
    if lost in {"cancellation", "event"}:
        empty_page(path, lost)
    else:
        corrupt(path, "cancellation", lost, None if lost == "ended_at" else b"\xee\xff")
    outcome = repaired(path)

    with closing(open_journal(path)) as journal:
        assert (journal.live_cancellations(), outcome.queued_again) == ([], 0)


def withdrawn_and_cancelled(journal: Journal) -> None:
    """Withdraw a first cancellation of a payment, and a second later begin another."""
    withdraw(journal, refunded(journal, "p1"))
    journal._clock.sleep(1)
    journal.move(journal.payment("p1"), PaymentState.REVERSING, "the till asks for a cancel", cancellation=CANCEL)


def test_an_invalid_row_that_had_ended_does_not_become_the_latest(path: Path) -> None:
    written = store(path, withdrawn_and_cancelled)
    corrupt(path, "cancellation", "url", b"\xee\xff", "ended_at IS NOT NULL")
    outcome, row, _ = after_repair(path)

    assert (row, outcome.queued_again) == (written, 0)
    with closing(open_journal(path)) as journal:
        assert Cancellations(journal).latest_of("p1") == written


@pytest.mark.parametrize("lost", ["payment_by_age", "event"])
def test_a_withdrawn_cancellation_does_not_end_a_later_one(path: Path, lost: str) -> None:
    store(path, withdrawn_and_cancelled)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM cancellation WHERE ended_at IS NULL")
    empty_page(path, lost)
    outcome, row, _ = after_repair(path)

    assert (outcome.queued_again, row.cause) == (1, Cause.CANCEL)
    assert "ignored" not in row.last_error, "that was the earlier one"


def test_a_journal_that_reads_well_and_lacks_a_cancellation_is_repaired(path: Path) -> None:
    store(path, lambda journal: refunded(journal, "p1"))
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("DELETE FROM cancellation")
    outcome, row, _ = after_repair(path)

    assert (outcome.fault, outcome.unreadable) == ("a payment that owes money has no live cancellation", 0)
    assert (outcome.queued_again, row.cause) == (1, Cause.REFUND)
