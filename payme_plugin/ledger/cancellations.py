"""The queue of cancellations: which are due, what became of a step, how one ends. A live row is never deleted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.journal import add_event, add_events
from payme_plugin.ledger.rows import CancellationRow
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import FiscalLinkRow, Note

    _Row = TypeVar("_Row", CancellationRow, FiscalLinkRow)

__all__ = [
    "CLOSED_BY_HAND",
    "FARTHEST_DUE_MS",
    "HELD_BY_TILL",
    "SAID_CANCELLED",
    "Cancellations",
    "closing",
    "closing_reason",
    "due_rows",
    "next_due_in_ms",
    "was_told_queued",
]

SAID_CANCELLED = "Payme says cancelled (50)"
"""How a row ends whose money is back."""

HELD_BY_TILL = "the till says that it has this payment"
"""What came of a step that the till's word stopped. A row that says so stays held until the till says otherwise."""

FARTHEST_DUE_MS = 3_600_000
"""One hour: no row is put off for longer, so one that is due later than this from now met a clock that jumped."""

CLOSED_BY_HAND = "closed by hand: "
"""How the outcome of a row begins that a person ended while its money was not back."""

_LIVE = "SELECT * FROM cancellation WHERE ended_at IS NULL"
_LAST_CHECK = "; last check: "


def closing(reason: str, last_check: str) -> str:
    """Return the outcome of a row that a person ends while Payme does not say that its money is back."""
    return f"{CLOSED_BY_HAND}{reason}{_LAST_CHECK}{last_check}"


def closing_reason(row: CancellationRow | None) -> str | None:
    """Return why a person ended a row while its money was not back; None where none did."""
    if row is None or not row.outcome.startswith(CLOSED_BY_HAND):
        return None
    found = row.outcome.removeprefix(CLOSED_BY_HAND)
    return found.rpartition(_LAST_CHECK)[0] or found


def was_told_queued(row: CancellationRow | None) -> bool:
    """Say whether a row was left to whoever comes first, even if it has ended since."""
    return row is not None and bool(row.last_error)


class Cancellations:
    """The cancellations of one journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def live(self) -> list[CancellationRow]:
        """Return all live rows but those that are invalid, oldest first."""
        query = f"{_LIVE} ORDER BY cancellation_id"
        return self._journal.valid_rows(CancellationRow, query)

    def live_of(self, payment_id: str) -> CancellationRow:
        """Return the live row of a payment.

        Raises:
            Conflict: it has none.
        """
        query = "SELECT * FROM cancellation WHERE payment_id = ? AND ended_at IS NULL"
        row = self._journal.one(CancellationRow, query, payment_id)
        if row is None:
            message = f"payment {payment_id} has no live cancellation"
            raise Conflict(message)
        return row

    def latest_of(self, payment_id: str) -> CancellationRow | None:
        """Return the latest row of a payment, live or ended, or None."""
        query = "SELECT * FROM cancellation WHERE payment_id = ? ORDER BY cancellation_id DESC LIMIT 1"
        return self._journal.one(CancellationRow, query, payment_id)

    def due(self, most: int) -> list[CancellationRow]:
        """Return live rows that are due now, the longest due first, at most ``most``; none that is invalid."""
        return due_rows(self._journal, CancellationRow, _LIVE, most)

    def next_due_in_ms(self) -> int | None:
        """Return in how many milliseconds the next row of ``due`` is due, 0 for at once; None: there is none."""
        return next_due_in_ms(self._journal, CancellationRow, _LIVE)

    def backlog(self) -> tuple[int, int | None]:
        """Return how many rows are live and when the oldest was written, Unix milliseconds."""
        with self._journal.reading() as connection:
            found = connection.execute(
                "SELECT count(*) AS live, min(created_at) AS oldest FROM cancellation WHERE ended_at IS NULL"
            ).fetchone()
        return found["live"], found["oldest"]

    def begin(self, row: CancellationRow, *, notes: Sequence[Note] = ()) -> int:
        """Note that ``receipts.cancel`` is about to leave for a row, and return its ``attempts`` by then.

        From then on nobody takes the row back who does not know of that request.

        Args:
            row: a live row.
            notes: lines of its story that came before, and that of the request.

        Raises:
            Conflict: the row has ended meanwhile, and the request must not leave.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            self._change(
                connection,
                row,
                "UPDATE cancellation SET attempts = attempts + 1 WHERE cancellation_id = ? AND ended_at IS NULL",
                (row.cancellation_id,),
            )
            add_events(connection, row.payment_id, notes)
            (attempts,) = connection.execute(
                "SELECT attempts FROM cancellation WHERE cancellation_id = ?", (row.cancellation_id,)
            ).fetchone()
        return int(attempts)

    def postpone(self, row: CancellationRow, pause_ms: int, came: str, *, notes: Sequence[Note] = ()) -> None:
        """Count a step that did not end a row, and set when the next is due.

        A row that the host's queue took is not due before that queue has had it to itself for an hour.

        Args:
            row: the row as it was stepped.
            pause_ms: from now to the next step.
            came: what came of the step; it goes into the story where it differs from the last time.
            notes: lines of the story that came before it; they go there with it.

        Raises:
            Conflict: the row has ended meanwhile.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            self._change(
                connection,
                row,
                # One that the queue took later than now met a clock that was set back: its hour can't be told.
                "UPDATE cancellation SET attempts = max(attempts, ?), last_error = ?,"
                " due_at = max(?, CASE WHEN offered_at <= ? THEN offered_at + ? ELSE 0 END)"
                " WHERE cancellation_id = ? AND ended_at IS NULL",
                (row.attempts + 1, came, now + pause_ms, now, FARTHEST_DUE_MS, row.cancellation_id),
            )
            if came != row.last_error:
                add_events(connection, row.payment_id, notes)
                add_event(connection, row.payment_id, now, None, None, f"cancellation: {came}")

    def leave(self, row: CancellationRow, came: str, *, notes: Sequence[Note] = ()) -> None:
        """Leave a row to whoever comes first; nothing where it has ended. From then on nobody takes it back.

        Args:
            row: the row.
            came: what came of it so far, never empty.
            notes: lines of its story that came before.

        Raises:
            Unavailable: nothing was stored; the row comes due by itself.
        """
        with self._journal.writing() as connection:
            connection.execute(
                "UPDATE cancellation SET due_at = ?, last_error = ? WHERE cancellation_id = ? AND ended_at IS NULL",
                (self._journal.now_ms(), came, row.cancellation_id),
            )
            add_events(connection, row.payment_id, notes)

    def withdraw(self, row: CancellationRow, outcome: str, *, attempts: int, notes: Sequence[Note] = ()) -> None:
        """End a row whose reversal Payme refused: its payment stands, recorded.

        Args:
            row: the row.
            outcome: how it ended, for its story.
            attempts: the row's steps so far, those that sent nothing too, as far as the caller knows.
            notes: lines of its story that came before.

        Raises:
            Conflict: it has ended already, or was stepped or left to the worker meanwhile, or its payment is not
                reversing.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            self._change(
                connection,
                row,
                "UPDATE cancellation SET attempts = attempts"
                " WHERE cancellation_id = ? AND attempts = ? AND last_error = ?",
                (row.cancellation_id, attempts, row.last_error),
            )
            self._finish(connection, row, outcome, now, notes)
            changed = connection.execute(
                "UPDATE payment SET state = ?, updated_at = ? WHERE payment_id = ? AND state = ?",
                (PaymentState.RECORDED.value, now, row.payment_id, PaymentState.REVERSING.value),
            ).rowcount
            if changed != 1:
                message = f"payment {row.payment_id} is not reversing"
                raise Conflict(message)
            add_event(connection, row.payment_id, now, PaymentState.REVERSING, PaymentState.RECORDED, outcome)

    def offer(self, row: CancellationRow, pause_ms: int) -> None:
        """Note that the host's queue took a row; our own worker leaves it alone for ``pause_ms``.

        Raises:
            Conflict: the row has ended meanwhile.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            self._change(
                connection,
                row,
                "UPDATE cancellation SET offered_at = ?, due_at = ? WHERE cancellation_id = ? AND ended_at IS NULL",
                (now, now + pause_ms, row.cancellation_id),
            )
            add_event(connection, row.payment_id, now, None, None, "cancellation: the host's queue took it")

    def end(self, row: CancellationRow, outcome: str, *, reversed_at_payme: bool, notes: Sequence[Note] = ()) -> None:
        """End a row; a payment that was reversing is reversed in the same commit.

        Args:
            row: the row.
            outcome: how it ended, for its story.
            reversed_at_payme: state 50, bound to our receipt, was seen.
            notes: lines of its story that came before.

        Raises:
            Conflict: it has ended already.
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            self._finish(connection, row, outcome, now, notes)
            if reversed_at_payme:
                self._reverse(connection, row.payment_id, now)

    def _finish(
        self, connection: sqlite3.Connection, row: CancellationRow, outcome: str, now: int, notes: Sequence[Note]
    ) -> None:
        self._change(
            connection,
            row,
            "UPDATE cancellation SET attempts = max(attempts, ?), ended_at = ?, outcome = ?"
            " WHERE cancellation_id = ? AND ended_at IS NULL",
            (row.attempts + 1, now, outcome, row.cancellation_id),
        )
        add_events(connection, row.payment_id, notes)
        add_event(connection, row.payment_id, now, None, None, f"cancellation: {outcome}")

    @staticmethod
    def _reverse(connection: sqlite3.Connection, payment_id: str, now: int) -> None:
        changed = connection.execute(
            "UPDATE payment SET state = ?, updated_at = ? WHERE payment_id = ? AND state = ?",
            (PaymentState.REVERSED.value, now, payment_id, PaymentState.REVERSING.value),
        ).rowcount
        if changed:
            add_event(connection, payment_id, now, PaymentState.REVERSING, PaymentState.REVERSED, SAID_CANCELLED)

    @staticmethod
    def _change(
        connection: sqlite3.Connection, row: CancellationRow, statement: str, values: tuple[object, ...]
    ) -> None:
        if connection.execute(statement, values).rowcount != 1:
            message = f"cancellation {row.cancellation_id} has ended"
            raise Conflict(message)


def due_rows(journal: Journal, kind: type[_Row], live: str, most: int) -> list[_Row]:
    """Return live rows that are due now, the longest due first; none that is invalid.

    Args:
        journal: the journal.
        kind: the class of the rows.
        live: the query for the live ones, unsorted; it ends with a condition.
        most: how many rows at most.
    """
    now = journal.now_ms()
    query = f"{live} AND (due_at <= ? OR due_at > ?) ORDER BY due_at"
    return journal.valid_rows(kind, query, now, now + FARTHEST_DUE_MS, most=most)


def next_due_in_ms(journal: Journal, kind: type[_Row], live: str) -> int | None:
    """Return in how many milliseconds the next row of ``due_rows`` is due, 0 for at once; None: there is none."""
    now = journal.now_ms()
    first = journal.valid_rows(kind, f"{live} ORDER BY due_at", most=1)
    last = journal.valid_rows(kind, f"{live} ORDER BY due_at DESC", most=1)
    if not first or not last:
        return None
    return 0 if last[0].due_at > now + FARTHEST_DUE_MS else max(0, first[0].due_at - now)
