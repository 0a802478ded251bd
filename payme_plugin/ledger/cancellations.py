"""The queue of cancellations: which are due, what became of a step, how one ends. A live row is never deleted.

``due_at`` is wall time, which may jump: a row that is due later than the longest pause from now is due at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import StateMoved
from payme_plugin.ledger.journal import tell
from payme_plugin.ledger.reading import cancellation_of
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    import sqlite3

    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import CancellationRow

__all__ = ["LONGEST_PAUSE_MS", "Cancellations"]

LONGEST_PAUSE_MS = 3_600_000
"""One hour: no row is put off for longer, so one that is due later than this from now met a clock that jumped."""


class Cancellations:
    """The cancellations of one journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def live(self) -> list[CancellationRow]:
        """Return all live rows, oldest first."""
        return self._journal.live_cancellations()

    def live_of(self, payment_id: str) -> CancellationRow:
        """Return the live row of a payment.

        Raises:
            StateMoved: it has none.
        """
        with self._journal.reading() as connection:
            row = connection.execute(
                "SELECT * FROM cancellation WHERE payment_id = ? AND ended_at IS NULL", (payment_id,)
            ).fetchone()
        if row is None:
            message = f"payment {payment_id} has no live cancellation"
            raise StateMoved(message)
        return cancellation_of(row)

    def latest_of(self, payment_id: str) -> CancellationRow | None:
        """Return the latest row of a payment, live or ended, or None."""
        with self._journal.reading() as connection:
            row = connection.execute(
                "SELECT * FROM cancellation WHERE payment_id = ? ORDER BY cancellation_id DESC LIMIT 1", (payment_id,)
            ).fetchone()
        return None if row is None else cancellation_of(row)

    def due(self, most: int) -> list[CancellationRow]:
        """Return live rows that are due now, the longest due first, at most ``most``."""
        now = self._journal.now_ms()
        with self._journal.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM cancellation WHERE ended_at IS NULL AND (due_at <= ? OR due_at > ?)"
                " ORDER BY due_at LIMIT ?",
                (now, now + LONGEST_PAUSE_MS, most),
            ).fetchall()
        return [cancellation_of(row) for row in rows]

    def next_due_in_ms(self) -> int | None:
        """Return in how many milliseconds the next live row is due, 0 for at once; None: there is none."""
        now = self._journal.now_ms()
        with self._journal.reading() as connection:
            found = connection.execute(
                "SELECT min(due_at) AS first, max(due_at) AS last FROM cancellation WHERE ended_at IS NULL"
            ).fetchone()
        if found["first"] is None:
            return None
        return 0 if found["last"] > now + LONGEST_PAUSE_MS else max(0, found["first"] - now)

    def backlog(self) -> tuple[int, int | None]:
        """Return how many rows are live and when the oldest was written, Unix milliseconds."""
        with self._journal.reading() as connection:
            found = connection.execute(
                "SELECT count(*) AS live, min(created_at) AS oldest FROM cancellation WHERE ended_at IS NULL"
            ).fetchone()
        return found["live"], found["oldest"]

    def begin(self, row: CancellationRow) -> int:
        """Note that ``receipts.cancel`` is about to leave for a row, and return how often one has left by then.

        From then on nobody takes the row back who does not know of that request.

        Raises:
            StateMoved: the row has ended meanwhile, and the request must not leave.
            Unwritable: nothing was stored.
        """
        with self._journal.writing() as connection:
            self._change(
                connection,
                row,
                "UPDATE cancellation SET attempts = attempts + 1 WHERE cancellation_id = ? AND ended_at IS NULL",
                (row.cancellation_id,),
            )
            (attempts,) = connection.execute(
                "SELECT attempts FROM cancellation WHERE cancellation_id = ?", (row.cancellation_id,)
            ).fetchone()
        return int(attempts)

    def postpone(self, row: CancellationRow, pause_ms: int, came: str) -> None:
        """Count a step that did not end a row, and set when the next is due.

        Args:
            row: the row as it was stepped.
            pause_ms: from now to the next step.
            came: what came of the step; it goes into the story where it differs from the last time.

        Raises:
            StateMoved: the row has ended meanwhile.
            Unwritable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            self._change(
                connection,
                row,
                "UPDATE cancellation SET attempts = max(attempts, ?), last_error = ?, due_at = ?"
                " WHERE cancellation_id = ? AND ended_at IS NULL",
                (row.attempts + 1, came, now + pause_ms, row.cancellation_id),
            )
            if came != row.last_error:
                tell(connection, row.payment_id, now, None, None, f"cancellation: {came}")

    def make_due(self, row: CancellationRow) -> None:
        """Leave a row to whoever comes first; nothing where it has ended.

        Raises:
            Unwritable: nothing was stored; the row comes due by itself.
        """
        with self._journal.writing() as connection:
            connection.execute(
                "UPDATE cancellation SET due_at = ? WHERE cancellation_id = ? AND ended_at IS NULL",
                (self._journal.now_ms(), row.cancellation_id),
            )

    def withdraw(self, row: CancellationRow, outcome: str, *, attempts: int) -> None:
        """End a row whose reversal Payme refused: its payment stands, recorded.

        Args:
            row: the row.
            outcome: how it ended, for its story.
            attempts: how often ``receipts.cancel`` has left for it, as far as the caller knows.

        Raises:
            StateMoved: it has ended already, or ``receipts.cancel`` has left for it once more meanwhile, or its payment
                is not reversing.
            Unwritable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            self._change(
                connection,
                row,
                "UPDATE cancellation SET attempts = attempts WHERE cancellation_id = ? AND attempts = ?",
                (row.cancellation_id, attempts),
            )
            self._finish(connection, row, outcome, now)
            changed = connection.execute(
                "UPDATE payment SET state = ?, updated_at = ? WHERE payment_id = ? AND state = ?",
                (PaymentState.RECORDED.value, now, row.payment_id, PaymentState.REVERSING.value),
            ).rowcount
            if changed != 1:
                message = f"payment {row.payment_id} is not reversing"
                raise StateMoved(message)
            tell(connection, row.payment_id, now, PaymentState.REVERSING, PaymentState.RECORDED, outcome)

    def offer(self, row: CancellationRow, pause_ms: int) -> None:
        """Note that the host's queue took a row; our own worker leaves it alone for ``pause_ms``.

        Raises:
            StateMoved: the row has ended meanwhile.
            Unwritable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            self._change(
                connection,
                row,
                "UPDATE cancellation SET offered_at = ?, due_at = ? WHERE cancellation_id = ? AND ended_at IS NULL",
                (now, now + pause_ms, row.cancellation_id),
            )
            tell(connection, row.payment_id, now, None, None, "cancellation: the host's queue took it")

    def end(self, row: CancellationRow, outcome: str, *, reversed_at_payme: bool) -> None:
        """End a row; a payment that was reversing is reversed in the same commit.

        Args:
            row: the row.
            outcome: how it ended, for its story.
            reversed_at_payme: state 50, bound to our receipt, was seen.

        Raises:
            StateMoved: it has ended already.
            Unwritable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            self._finish(connection, row, outcome, now)
            if reversed_at_payme:
                self._reverse(connection, row.payment_id, now)

    def _finish(self, connection: sqlite3.Connection, row: CancellationRow, outcome: str, now: int) -> None:
        self._change(
            connection,
            row,
            "UPDATE cancellation SET attempts = max(attempts, ?), ended_at = ?, outcome = ?"
            " WHERE cancellation_id = ? AND ended_at IS NULL",
            (row.attempts + 1, now, outcome, row.cancellation_id),
        )
        tell(connection, row.payment_id, now, None, None, f"cancellation: {outcome}")

    @staticmethod
    def _reverse(connection: sqlite3.Connection, payment_id: str, now: int) -> None:
        changed = connection.execute(
            "UPDATE payment SET state = ?, updated_at = ? WHERE payment_id = ? AND state = ?",
            (PaymentState.REVERSED.value, now, payment_id, PaymentState.REVERSING.value),
        ).rowcount
        if changed:
            tell(
                connection, payment_id, now, PaymentState.REVERSING, PaymentState.REVERSED, "Payme says cancelled (50)"
            )

    @staticmethod
    def _change(
        connection: sqlite3.Connection, row: CancellationRow, statement: str, values: tuple[object, ...]
    ) -> None:
        if connection.execute(statement, values).rowcount != 1:
            message = f"cancellation {row.cancellation_id} has ended"
            raise StateMoved(message)
