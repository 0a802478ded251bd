"""Cancellations: the due rows, the result of a step, the end of a row. Live rows are never deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.journal import add_event, add_events, add_transition
from payme_plugin.ledger.rows import CancellationRow
from payme_plugin.ledger.states import Cause, End, EventKind, Hold, PaymentState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import Event, FiscalLinkRow

    _Row = TypeVar("_Row", CancellationRow, FiscalLinkRow)

FARTHEST_DUE_MS = 3_600_000
"""No row is postponed for longer than one hour.

A row that is due later was written before the clock was set back.
"""

_MOST_RECALLED = 1_000
"""The others wait until their hour is over, so that a sale never waits long for this commit."""

CONFIRMING_MS = 600_000
"""A row ends when Payme says cancelled (50) twice, at least ten minutes apart. In between it is *confirming*."""

_LIVE = "SELECT * FROM cancellation WHERE ended_at IS NULL"
_RETURNING = f"{_LIVE} AND confirmed_at IS NULL"
_WORKED_ON = f"{_LIVE} AND held IS NOT 'old'"
_MAY_BEGIN = """
ended_at IS NULL AND (cause <> 'unrecorded' OR begun_at IS NOT NULL OR NOT EXISTS (
    SELECT 1 FROM payment
    WHERE payment_id = cancellation.payment_id AND acknowledged_at IS NOT NULL AND state = 'reversing'
))
"""


class Cancellations:
    """The cancellations of one journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def live(self) -> list[CancellationRow]:
        """Return all valid live rows but the confirming ones, oldest first."""
        return self._journal.valid_rows(CancellationRow, f"{_RETURNING} ORDER BY +cancellation_id")

    def live_of(self, payment_id: str) -> CancellationRow:
        """Return the live row of a payment that is not confirming.

        Raises:
            Conflict: it has none.
        """
        return self._require(f"the live cancellation of payment {payment_id}", "payment_id = ?", payment_id)

    def still_live(self, row: CancellationRow) -> CancellationRow:
        """Read a live row again.

        Raises:
            Conflict: it has ended, or is confirming.
        """
        return self._require(f"cancellation {row.cancellation_id}", "cancellation_id = ?", row.cancellation_id)

    def _require(self, what: str, where: str, value: object) -> CancellationRow:
        row = self._journal.one(CancellationRow, f"{_RETURNING} AND {where}", value)
        if row is None:
            message = f"{what} has ended or is confirming"
            raise Conflict(message)
        return row

    def latest_of(self, payment_id: str) -> CancellationRow | None:
        """Return the latest row of a payment, live or ended, or None."""
        query = "SELECT * FROM cancellation WHERE payment_id = ? ORDER BY cancellation_id DESC LIMIT 1"
        return self._journal.one(CancellationRow, query, payment_id)

    def due(self, most: int | None = None) -> list[CancellationRow]:
        """Return at most ``most`` valid live rows that are due, the longest due first; without those held as old."""
        return due_rows(self._journal, CancellationRow, _WORKED_ON, most)

    def next_due_in_ms(self) -> int | None:
        """Return in how many milliseconds the next row is due, 0 for at once, or None."""
        return next_due_in_ms(self._journal, CancellationRow, _WORKED_ON)

    def backlog(self) -> tuple[int, int | None, int]:
        """Return how many rows are live, when the oldest was written, and how many were reopened.

        Confirming rows don't count. The time is in Unix milliseconds.
        """
        with self._journal.reading() as connection:
            query = _RETURNING.replace("*", "count(*), min(created_at), count(reopened_at)")
            live, oldest, reopened = connection.execute(query).fetchone()
        return live, oldest, reopened

    def accounts(self) -> set[str]:
        """Return the posIds of the merchant accounts that have money to return, without invalid ones."""
        with self._journal.reading() as connection:
            rows = connection.execute(_RETURNING.replace("*", "DISTINCT pos_id"))
            return {row[0] for row in rows if isinstance(row[0], str)}

    def recall(self) -> set[str]:
        """Make rows due that wait for the outcome of another worker, because nobody has listened for it.

        Returns:
            The posIds of their merchant accounts.

        Raises:
            Unavailable: nothing was stored.
        """
        now = self._journal.now_ms()
        query = f"{_RETURNING} AND offered_at BETWEEN ? AND ? AND due_at > ? LIMIT {_MOST_RECALLED}"
        rows = self._journal.valid_rows(CancellationRow, query, now - FARTHEST_DUE_MS, now, now)
        if rows:
            with self._journal.writing() as connection:
                for row in rows:
                    connection.execute(
                        "UPDATE cancellation SET due_at = ? WHERE cancellation_id = ? AND due_at = ?",
                        (now, row.cancellation_id, row.due_at),
                    )
        return {row.pos_id for row in rows}

    def held(self, why: Hold) -> int:
        """Return how many live rows are held for this reason."""
        query = "SELECT count(*) FROM cancellation WHERE ended_at IS NULL AND held = ?"
        with self._journal.reading() as connection:
            return int(connection.execute(query, (why.value,)).fetchone()[0])

    def begin(self, row: CancellationRow, *, events: Sequence[Event] = ()) -> None:
        """Record that ``receipts.cancel`` is about to be sent for a row.

        Args:
            row: a live row.
            events: earlier events, and the event of the request.

        Raises:
            Conflict: the row has ended, or the host has acknowledged its payment, so the request must not be sent.
            FileMoved: another file is in the journal's place. What is stored in a deleted one is lost when this process
                ends, so its cancellations are delivered now.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            changes = "attempts = attempts + 1, begun_at = coalesce(begun_at, ?), held = NULL"
            self._update(connection, row, changes, self._journal.now_ms(), where=_MAY_BEGIN)
            add_events(connection, row.payment_id, events)
        self._journal.files.require(may_be_deleted=True)

    def take_for_host(self, row: CancellationRow) -> None:
        """Make a live row of cause "unrecorded" a cancel of the host's, so that nothing ends it or holds it any more.

        Raises:
            Conflict: it has ended.
            Unavailable: nothing was stored.
        """
        if row.cause is not Cause.UNRECORDED:
            return
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            self._update(connection, row, "cause = ?, held = NULL, due_at = ?", Cause.CANCEL.value, now)
            text = "cancellation: the till asks for it"
            add_event(connection, row.payment_id, now, EventKind.CANCELLATION, text, cause=Cause.CANCEL)

    def postpone(
        self,
        row: CancellationRow,
        pause_ms: int,
        result: str,
        *,
        held: Hold | None = None,
        events: Sequence[Event] = (),
    ) -> None:
        """Count a step that did not end a row, and set when the next one is due.

        For an hour after the host's queue took a row, only that queue works on it.

        Args:
            row: the row as it was read before the step.
            pause_ms: from now to the next step.
            result: the result of the step; an event if it differs from the last one.
            held: why the worker does not deliver the row, or None.
            events: events before it; stored only if it is.

        Raises:
            Conflict: the row has ended.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            # If the queue took it later than now, the clock was set back and its hour can't be measured.
            due_at = "max(?, CASE WHEN offered_at <= ? THEN offered_at + ? ELSE 0 END)"
            # The host may have taken it over since it was read.
            held_now = "CASE cause WHEN 'unrecorded' THEN ? END"
            changes = f"attempts = max(attempts, ?), last_error = ?, held = {held_now}, due_at = {due_at}"
            values = (row.attempts + 1, result, held and held.value, now + pause_ms, now, FARTHEST_DUE_MS)
            self._update(connection, row, changes, *values)
            if result != row.last_error:
                add_events(connection, row.payment_id, events)
                add_event(connection, row.payment_id, now, EventKind.CANCELLATION, f"cancellation: {result}")

    def leave(self, row: CancellationRow, result: str, *, events: Sequence[Event] = ()) -> None:
        """Leave a row to the worker; do nothing if it has ended. It can't be withdrawn afterwards.

        Args:
            row: the row.
            result: the result so far.
            events: earlier events.

        Raises:
            Unavailable: nothing was stored; the worker still finds the row.
        """
        with self._journal.writing() as connection:
            connection.execute(
                "UPDATE cancellation SET is_queued = 1, due_at = ?, last_error = ?"
                " WHERE cancellation_id = ? AND ended_at IS NULL",
                (self._journal.now_ms(), result, row.cancellation_id),
            )
            add_events(connection, row.payment_id, events)

    def withdraw(self, row: CancellationRow, result: str, *, events: Sequence[Event] = ()) -> None:
        """End a row whose reversal Payme refused; its payment becomes recorded.

        Args:
            row: the row as it was read before its only ``receipts.cancel``, the one that Payme refused.
            result: what Payme answered, for people.
            events: earlier events.

        Raises:
            Conflict: it has ended, an earlier ``receipts.cancel`` has begun, a hook may have returned QUEUED, or its
                payment is not reversing.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            where = f"ended_at IS NULL AND is_queued = 0 AND attempts = {row.attempts + 1}"
            now = self._finish(connection, row, End.WITHDRAWN, result, events, where=where)
            if not _move(connection, row.payment_id, PaymentState.REVERSING, PaymentState.RECORDED, now, result):
                message = f"payment {row.payment_id} is not reversing"
                raise Conflict(message)

    def offer(self, row: CancellationRow, pause_ms: int, taker: str) -> None:
        """Record that the host's queue or a chain's broker took a row; our worker skips it for ``pause_ms``.

        Args:
            row: the row.
            pause_ms: from now to the next step.
            taker: who took it, for people.

        Raises:
            Conflict: the row has ended.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            self._update(connection, row, "offered_at = ?, due_at = ?", now, now + pause_ms)
            text = f"cancellation: {taker} took it"
            add_event(connection, row.payment_id, now, EventKind.CANCELLATION, text)

    def confirm(self, row: CancellationRow, result: str, *, events: Sequence[Event] = ()) -> None:
        """Store that Payme said cancelled (50): the first time for a row, or at least ten minutes later, which ends it.

        The first time a reversing payment becomes reversed in the same commit.

        Args:
            row: the row as it was read before.
            result: what Payme said, for people.
            events: earlier events.

        Raises:
            Conflict: it has ended or changed.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            query = "SELECT confirmed_at FROM cancellation WHERE cancellation_id = ? AND ended_at IS NULL"
            stored = connection.execute(query, (row.cancellation_id,)).fetchone()
            if stored is None:
                raise _ended(row)
            confirmed_at = stored["confirmed_at"]  # it may have been reopened since it was read
            # A later time was stored before the clock was set back.
            first = now if confirmed_at is None or confirmed_at > now else confirmed_at
            if now - first >= CONFIRMING_MS:
                self._finish(connection, row, End.CANCELLED, result, events)
                return
            changes = "attempts = max(attempts, ?), last_error = ?, held = NULL, confirmed_at = ?, due_at = ?"
            self._update(connection, row, changes, row.attempts + 1, result, first, first + CONFIRMING_MS)
            if confirmed_at is None:
                add_events(connection, row.payment_id, events)
                add_event(connection, row.payment_id, now, EventKind.CANCELLATION, f"cancellation: {result}")
                _move(connection, row.payment_id, PaymentState.REVERSING, PaymentState.REVERSED, now, result)

    def reopen(self, row: CancellationRow, result: str, *, events: Sequence[Event] = ()) -> None:
        """Make a confirming row an ordinary one that is due: Payme no longer says cancelled (50).

        A reversed payment becomes reversing in the same commit.

        Args:
            row: the row as it was read before.
            result: what Payme said, for people.
            events: events before it.

        Raises:
            Conflict: it has ended or is not confirming.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            where = "ended_at IS NULL AND confirmed_at IS NOT NULL"
            changes = "confirmed_at = NULL, reopened_at = ?, last_error = ?, due_at = ?"
            self._update(connection, row, changes, now, result, now, where=where)
            add_events(connection, row.payment_id, events)
            add_event(connection, row.payment_id, now, EventKind.CANCELLATION, f"cancellation: {result}")
            _move(connection, row.payment_id, PaymentState.REVERSED, PaymentState.REVERSING, now, result)

    def end(self, row: CancellationRow, ended_as: End, result: str, *, closed_reason: str | None = None) -> None:
        """End a row; if Payme said cancelled (50), a reversing payment becomes reversed in the same commit.

        Args:
            row: the row.
            ended_as: how it ended.
            result: what Payme answered last, for people.
            closed_reason: why an operator ended it, or None.

        Raises:
            Conflict: it has ended already.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._finish(connection, row, ended_as, result, closed_reason=closed_reason)
            if ended_as is End.CANCELLED:
                _move(connection, row.payment_id, PaymentState.REVERSING, PaymentState.REVERSED, now, result)

    def _finish(
        self,
        connection: sqlite3.Connection,
        row: CancellationRow,
        ended_as: End,
        result: str,
        events: Sequence[Event] = (),
        *,
        closed_reason: str | None = None,
        where: str = "ended_at IS NULL",
    ) -> int:
        """End a row inside the caller's transaction; return when."""
        now = self._journal.now_ms()
        changes = "attempts = max(attempts, ?), ended_at = ?, ended_as = ?, last_error = ?, closed_reason = ?"
        values = (row.attempts + 1, now, ended_as.value, result, closed_reason)
        self._update(connection, row, changes, *values, where=where)
        add_events(connection, row.payment_id, events)
        text = result if closed_reason is None else f"closed by hand: {closed_reason}; last check: {result}"
        add_event(connection, row.payment_id, now, EventKind.CANCELLATION, f"cancellation: {text}", ended_as=ended_as)
        return now

    @staticmethod
    def _update(
        connection: sqlite3.Connection,
        row: CancellationRow,
        changes: str,
        *values: object,
        where: str = "ended_at IS NULL",
    ) -> None:
        query = f"UPDATE cancellation SET {changes} WHERE cancellation_id = ? AND {where}"  # noqa: S608 - our own texts
        if connection.execute(query, (*values, row.cancellation_id)).rowcount != 1:
            message = f"cancellation {row.cancellation_id} has ended"
            raise Conflict(message)


def _move(
    connection: sqlite3.Connection, payment_id: str, before: PaymentState, after: PaymentState, now: int, reason: str
) -> bool:
    """Move a payment to another state if it is in ``before``; return whether it was."""
    changed = connection.execute(
        "UPDATE payment SET state = ?, updated_at = ? WHERE payment_id = ? AND state = ?",
        (after.value, now, payment_id, before.value),
    ).rowcount
    if changed:
        add_transition(connection, payment_id, now, before, after, reason)
    return bool(changed)


def _ended(row: CancellationRow) -> Conflict:
    return Conflict(f"cancellation {row.cancellation_id} has ended")


def due_rows(journal: Journal, kind: type[_Row], live: str, most: int | None) -> list[_Row]:
    """Return valid live rows that are due, the longest due first.

    Args:
        journal: the journal.
        kind: the class of the rows.
        live: the query for the live rows, unsorted; it ends with a condition.
        most: how many rows at most; None: all.
    """
    now = journal.now_ms()
    query = f"{live} AND (due_at <= ? OR due_at > ?) ORDER BY due_at"
    return journal.valid_rows(kind, query, now, now + FARTHEST_DUE_MS, most=most)


def next_due_in_ms(journal: Journal, kind: type[_Row], live: str) -> int | None:
    """Return in how many milliseconds the next row is due, 0 for at once, or None."""
    if due_rows(journal, kind, live, most=1):
        return 0
    first = journal.valid_rows(kind, f"{live} ORDER BY due_at", most=1)
    return max(0, first[0].due_at - journal.now_ms()) if first else None
