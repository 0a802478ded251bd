"""The journal: payments, their events and cancellations, durable before a request is sent.

Every change is one transaction, and every transition a compare-and-set: the caller names the state that it saw, and a
payment that has changed since raises ``Conflict``. No transaction spans a request, a scan or a wait.
"""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from payme_plugin.ledger.connection import BUSY_TIMEOUT_MS, FileIdentity, connect, transaction
from payme_plugin.ledger.errors import Conflict, Damaged, ForeignJournal, JournalError
from payme_plugin.ledger.migration import migrate_file
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.rows import PaymentRow, row_of
from payme_plugin.ledger.sent_codes import SentCodes
from payme_plugin.ledger.states import Cause, End, EventKind, PaymentState, is_allowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from payme_plugin.clock import Clock
    from payme_plugin.ledger.rows import (
        Event,
        Intent,
        NewCancellation,
        ReconciliationRow,
        StoredResult,
    )

FILE_NAME = "journal.sqlite3"

_SHORT_BUSY_TIMEOUT_MS = 50
_FINGERPRINT_BYTES = 16

_TILL_HAS_IT = "the till has it"


class Journal(JournalReader):
    """A connection to the journal's file. Threads may share it; a lock serialises them.

    Attributes:
        files: detects that the file was deleted, moved or replaced.
        before_writing: called before each transaction, with no lock of the journal, e.g. to wait for a sale; or None.
    """

    def __init__(self, path: Path, *, host_identity: str, clock: Clock) -> None:
        """Open the journal at ``path``; create it if there is none.

        Args:
            path: the file, on a local disk.
            host_identity: the till's stable name; a new journal belongs to it.
            clock: wall time for the rows, and a clock that can't be set.

        Raises:
            Unavailable: the disk or its permissions forbid it, or the file system has no write-ahead log.
            Damaged: the file is not a journal.
            TooNew: a newer version wrote it.
            InUse: an earlier version wrote it, and a process works with it.
        """
        migrate_file(path)
        super().__init__(connect(path, host_identity))
        self._clock = clock
        self._codes = SentCodes(clock)
        self.before_writing: Callable[[], None] | None = None
        self._short_until_s = float("-inf")
        self._busy_timeout_ms = BUSY_TIMEOUT_MS
        self._is_writing = False
        try:
            self._fingerprint_key = self._read_fingerprint_key()
            self.files = FileIdentity(path)
        except BaseException:
            self.close()
            raise

    def now_ms(self) -> int:
        """Return the wall time, Unix milliseconds, as rows store it."""
        return self._clock.wall_ms()

    def require_host(self, identity: str) -> None:
        """Require that the journal belongs to this till.

        Raises:
            ForeignJournal: it belongs to another till.
        """
        if self.host_identity != identity:
            message = f"the journal belongs to till {self.host_identity!r}, this is {identity!r}"
            raise ForeignJournal(message)

    def fingerprint(self, code: str) -> str:
        """Return the fingerprint of a buyer's code: a digest keyed with a secret of this file."""
        text = code.encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._fingerprint_key, digest_size=_FINGERPRINT_BYTES).hexdigest()

    def was_sent(self, fingerprint: str) -> bool:
        """Return whether the code was sent within the last hour, even if the wall clock was changed."""
        with self.reading() as connection:
            return self._codes.is_sent(connection, fingerprint)

    def add_intent(self, intent: Intent, note: str) -> PaymentRow:
        """Store a new payment in state intent.

        Args:
            intent: what is to be paid.
            note: text of its first event.

        Raises:
            Conflict: a payment with this id exists.
            Damaged: a part of the file is damaged. Nothing is charged until it is repaired.
            Unavailable: nothing was stored.
        """
        if self.damage is not None:
            raise Damaged(self.damage)
        with self.writing() as connection:
            (attempts,) = connection.execute(
                "SELECT count(*) FROM payment WHERE till = ? AND shift = ? AND number = ?",
                (intent.till, intent.shift, intent.number),
            ).fetchone()
            return self._insert(connection, intent, PaymentState.INTENT, attempts + 1, note)

    def move(
        self,
        row: PaymentRow,
        after: PaymentState,
        reason: str,
        *,
        receipt_id: str | None = None,
        fingerprint: str | None = None,
        released_code: str | None = None,
        result: StoredResult | None = None,
        cancellation: NewCancellation | None = None,
        paid_at: int | None = None,
        closed_at: int | None = None,
        events: Sequence[Event] = (),
        request: Event | None = None,
    ) -> PaymentRow:
        """Move a payment from the state in ``row`` to ``after``, with everything else in one commit.

        Args:
            row: the payment as the caller read it.
            after: the state to enter.
            reason: text of the event.
            receipt_id: Payme's receipt id, once known; no other payment may have it.
            fingerprint: the code that is about to be sent.
            released_code: fingerprint of a code of this payment that was certainly not sent; it is deleted.
            result: what the host gets if it repeats its request.
            cancellation: the cancellation to add.
            paid_at: when Payme took the money, Unix milliseconds.
            closed_at: when the receipt was closed, Unix milliseconds.
            events: added before the transition.
            request: the event of the request that is sent after this commit; it gets the commit's time.

        Returns:
            The payment as stored.

        Raises:
            Conflict: the payment has changed, or the transition is not in the table, or the receipt id belongs to
                another payment. Read it again and act on that.
            CodeAlreadySent: the code was sent within the hour.
            Unavailable: nothing was stored.
        """
        if not is_allowed(row.state, after):
            message = f"a payment can't go from {row.state.value} to {after.value}"
            raise Conflict(message)
        with self.writing() as connection:
            now = self._clock.wall_ms()
            moved = _change_one(
                connection,
                f"payment {row.payment_id} is no longer {row.state.value}, or its receipt belongs to another payment",
                "UPDATE OR IGNORE payment SET state = ?, updated_at = ?, receipt_id = coalesce(?, receipt_id),"
                " paid_at = coalesce(?, paid_at), closed_at = coalesce(?, closed_at), message = coalesce(?, message),"
                " error_code = coalesce(?, error_code), cancellation_queued = cancellation_queued OR ?"
                " WHERE payment_id = ? AND state = ? AND owner = ?",
                (
                    after.value, now, receipt_id, paid_at, closed_at, result.message if result else None,
                    result.error_code if result else None, cancellation is not None, row.payment_id, row.state.value,
                    row.owner,
                ),
            )  # fmt: skip
            add_events(connection, row.payment_id, events)
            add_transition(connection, row.payment_id, now, row.state, after, reason)
            if request is not None:
                add_event(connection, row.payment_id, now, request.kind, request.text)
            if released_code is not None:
                query = "DELETE FROM code WHERE payment_id = ? AND fingerprint = ?"
                connection.execute(query, (row.payment_id, released_code))
            if fingerprint is not None:
                self._codes.send(connection, fingerprint, row.payment_id)
            if cancellation is not None:
                connection.execute(
                    "INSERT INTO cancellation"
                    " (payment_id, receipt_id, amount, pos_id, url, cause, request_id, created_at, due_at)"
                    " SELECT payment_id, receipt_id, amount, pos_id, url, ?, ?, ?, ? FROM payment WHERE payment_id = ?",
                    (cancellation.cause.value, cancellation.request_id, now, now, row.payment_id),
                )
                text = f"cancellation: queued, cause {cancellation.cause.value}"
                add_event(connection, row.payment_id, now, EventKind.CANCELLATION, text, cause=cancellation.cause)
        return moved

    def import_payment(
        self,
        intent: Intent,
        note: str,
        state: PaymentState = PaymentState.RECORDED,
        *,
        receipt_id: str,
        paid_at: int | None = None,
        closed_at: int | None = None,
    ) -> PaymentRow:
        """Store a payment that the journal lost and the host still has.

        Args:
            intent: its data, as the host or Payme has it.
            note: text of its first event.
            state: RECORDED if the host has stored it, PAYING if Payme must be asked for its result.
            receipt_id: Payme's receipt id.
            paid_at: when Payme took the money, Unix milliseconds; None if that is unknown.
            closed_at: when its receipt was closed, Unix milliseconds; None if it is open.

        Raises:
            Conflict: a payment with this id or receipt exists.
            Unavailable: nothing was stored.
        """
        with self.writing() as connection:
            known = {"receipt_id": receipt_id, "paid_at": paid_at, "closed_at": closed_at}
            return self._insert(connection, intent, state, 0, note, **known)

    @property
    def is_ready(self) -> bool:
        """Whether a host has said ``on_ready`` since the file was created or repaired."""
        with self.reading() as connection:
            return connection.execute("SELECT 1 FROM about WHERE name = 'ready'").fetchone() is not None

    def mark_ready(self) -> None:
        """Store that the host has repeated and acknowledged everything that it has.

        Raises:
            Unavailable: nothing was stored.
        """
        if not self.is_ready:
            with self.writing() as connection:
                connection.execute("INSERT OR IGNORE INTO about (name, value) VALUES ('ready', '1')")

    def store_reconciliation(self, row: ReconciliationRow) -> None:
        """Store the result of a finished reconciliation in place of the former one.

        Raises:
            Unavailable: nothing was stored.
        """
        with self.writing() as connection:
            query = "INSERT OR REPLACE INTO about (name, value) VALUES ('reconciliation', ?)"
            connection.execute(query, (row.to_json(),))

    def take_over(self, row: PaymentRow, owner: str, reason: str) -> PaymentRow:
        """Make ``owner`` the process that works on a payment, so that it is not its orphan.

        Raises:
            Conflict: another process took it first, or it has changed.
            Unavailable: nothing was stored.
        """
        with self.writing() as connection:
            now = self._clock.wall_ms()
            taken = _change_one(
                connection,
                f"payment {row.payment_id} was taken by another process",
                "UPDATE payment SET owner = ?, updated_at = ? WHERE payment_id = ? AND state = ? AND owner = ?",
                (owner, now, row.payment_id, row.state.value, row.owner),
            )
            add_event(connection, row.payment_id, now, EventKind.NOTE, reason)
        return taken

    def acknowledge(self, row: PaymentRow, *, closed_at: int | None = None) -> PaymentRow:
        """Store that the host has a payment; a second call changes nothing.

        A paid payment becomes recorded. So does a reversing one, if its cancellation has cause "unrecorded" and no
        ``receipts.cancel`` has begun: it ends. Otherwise only the acknowledgement is stored.

        Args:
            row: the payment; it may have changed since.
            closed_at: when its receipt was closed, Unix milliseconds; None if it is open.

        Returns:
            The payment as stored.

        Raises:
            Unavailable: nothing was stored.
        """
        with self.writing() as connection:
            now = self._clock.wall_ms()
            is_recorded = _end_unrecorded(connection, row.payment_id, now)
            before = connection.execute(
                "SELECT state, coalesce(closed_at, ?) IS NOT closed_at AS closes FROM payment WHERE payment_id = ?"
                " AND (acknowledged_at IS NULL OR state = 'paid' OR closes OR ?)",
                (closed_at, row.payment_id, is_recorded),
            ).fetchone()
            if before is not None:
                state = PaymentState(before["state"])
                is_recorded |= state is PaymentState.PAID
                after = PaymentState.RECORDED if is_recorded else state
                connection.execute(
                    "UPDATE payment SET acknowledged_at = coalesce(acknowledged_at, ?), updated_at = ?,"
                    " closed_at = coalesce(closed_at, ?), state = ? WHERE payment_id = ?",
                    (now, now, closed_at, after.value, row.payment_id),
                )
                text = "the receipt is closed" if before["closes"] else _TILL_HAS_IT
                if is_recorded:
                    add_transition(connection, row.payment_id, now, state, after, text)
                else:
                    add_event(connection, row.payment_id, now, EventKind.NOTE, text)
        return self.payment(row.payment_id)

    def checkpoint(self) -> None:
        """Copy what is committed from the log to the file, so that no sale's commit has to.

        It delays no commit of another connection. If it fails, e.g. on a full disk, nothing is lost, and the next one
        copies the rest. Damage is noted, and stops nothing that can still be read.
        """
        with suppress(JournalError), self.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection inside one immediate transaction. For the other modules of the ledger.

        Wait up to 2 s for another connection's lock. If that write fails, the next ones wait only 50 ms each for 2 s: a
        hook may try several writes and must answer in time, and the plugin's own threads write too.
        """
        if self.before_writing is not None:
            self.before_writing()
        with self.reading() as connection:
            timeout_ms = BUSY_TIMEOUT_MS if self._clock.monotonic() >= self._short_until_s else _SHORT_BUSY_TIMEOUT_MS
            if timeout_ms != self._busy_timeout_ms:
                connection.execute(f"PRAGMA busy_timeout = {timeout_ms}").fetchall()
                self._busy_timeout_ms = timeout_ms
            self._is_writing = True
            try:
                with transaction(connection):
                    yield connection
            except sqlite3.OperationalError:
                if timeout_ms == BUSY_TIMEOUT_MS:
                    self._short_until_s = self._clock.monotonic() + BUSY_TIMEOUT_MS / 1000
                raise
            finally:
                self._is_writing = False

    def interrupt(self) -> None:
        """End a query of another thread, which raises ``Unavailable`` there; what writes goes on."""
        if not self._is_writing:
            super().interrupt()

    def _read_fingerprint_key(self) -> bytes:
        try:
            return bytes.fromhex(self._about("fingerprint_key"))
        except ValueError as error:
            message = "the journal's fingerprint key is damaged"
            raise Damaged(message) from error

    def _insert(
        self,
        connection: sqlite3.Connection,
        intent: Intent,
        state: PaymentState,
        attempt: int,
        note: str,
        **known: str | int | None,
    ) -> PaymentRow:
        """Insert a payment with its first event; columns have the names of the attributes."""
        now = self._clock.wall_ms()
        values = {**intent._asdict(), **known, "state": state.value, "attempt": attempt}
        values |= {"created_at": now, "updated_at": now}
        if state is PaymentState.RECORDED:
            values["acknowledged_at"] = now
        names, marks = ", ".join(values), ", ".join("?" * len(values))
        row = _change_one(
            connection,
            f"payment {intent.payment_id} or its receipt is in the journal already",
            f"INSERT INTO payment ({names}) VALUES ({marks}) ON CONFLICT DO NOTHING",  # noqa: S608 - our own names
            tuple(values.values()),
        )
        add_transition(connection, intent.payment_id, now, None, state, note)
        return row


def _end_unrecorded(connection: sqlite3.Connection, payment_id: str, now: int) -> bool:
    """End the live cancellation of a reversing payment if it has cause "unrecorded" and has not begun."""
    ended = connection.execute(
        "UPDATE cancellation SET ended_at = ?, ended_as = ?, last_error = ? WHERE payment_id = ? AND ended_at IS NULL"
        " AND cause = ? AND begun_at IS NULL"
        " AND EXISTS (SELECT 1 FROM payment WHERE payment_id = cancellation.payment_id AND state = 'reversing')",
        (now, End.RECORDED.value, _TILL_HAS_IT, payment_id, Cause.UNRECORDED.value),
    ).rowcount
    if ended:
        text = f"cancellation: {_TILL_HAS_IT}"
        add_event(connection, payment_id, now, EventKind.CANCELLATION, text, ended_as=End.RECORDED)
    return bool(ended)


def _change_one(
    connection: sqlite3.Connection, conflict: str, statement: str, values: tuple[object, ...]
) -> PaymentRow:
    """Execute a statement that must change one payment; return it as changed, or raise Conflict if there is none."""
    changed = connection.execute(f"{statement} RETURNING *", values).fetchall()
    if not changed:
        raise Conflict(conflict)
    return row_of(PaymentRow, changed[0])


def add_event(
    connection: sqlite3.Connection,
    payment_id: str,
    at_ms: int,
    kind: EventKind,
    text: str,
    *,
    cause: Cause | None = None,
    ended_as: End | None = None,
) -> None:
    """Add an event that is not a transition to a payment, inside the caller's transaction."""
    connection.execute(
        "INSERT INTO event (payment_id, at_ms, kind, cause, ended_as, text) VALUES (?, ?, ?, ?, ?, ?)",
        (payment_id, at_ms, kind.value, cause and cause.value, ended_as and ended_as.value, text),
    )


def add_transition(
    connection: sqlite3.Connection,
    payment_id: str,
    at_ms: int,
    before: PaymentState | None,
    after: PaymentState,
    text: str,
) -> None:
    """Add a transition to the events of a payment, inside the caller's transaction."""
    connection.execute(
        "INSERT INTO event (payment_id, at_ms, kind, before, after, text) VALUES (?, ?, 'transition', ?, ?, ?)",
        (payment_id, at_ms, before and before.value, after.value, text),
    )


def add_events(connection: sqlite3.Connection, payment_id: str, events: Sequence[Event]) -> None:
    """Add events to a payment, inside the caller's transaction."""
    for event in events:
        add_event(connection, payment_id, event.at_ms, event.kind, event.text)
