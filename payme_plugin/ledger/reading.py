"""What can be read from the journal: by the plugin from its own connection, by the command without changing a byte."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Damaged, StateMoved
from payme_plugin.ledger.rows import CancellationRow, EventRow, PaymentRow
from payme_plugin.ledger.schema import connect_read_only, translated
from payme_plugin.ledger.states import Cause, PaymentState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["JournalReader", "cancellation_of"]


class JournalReader:
    """The reading half of the journal."""

    def __init__(self, connection: sqlite3.Connection, lock: threading.Lock) -> None:
        self._connection = connection
        self._lock = lock

    @classmethod
    def open_read_only(cls, path: Path) -> JournalReader | None:
        """Open the journal at ``path`` for reading; None where there is none. Not a byte of it changes.

        Raises:
            Damaged: the file is no journal.
            TooNew: a newer version wrote it.
            Unwritable: it can't be read.
        """
        connection = connect_read_only(path)
        return None if connection is None else JournalReader(connection, threading.Lock())

    @property
    def host_identity(self) -> str:
        """The name of the till that the journal belongs to."""
        return self._about("host_identity")

    def find(self, payment_id: str) -> PaymentRow | None:
        """Return the payment of this id, or None."""
        return self._one_payment("SELECT * FROM payment WHERE payment_id = ?", payment_id)

    def find_receipt(self, receipt_id: str) -> PaymentRow | None:
        """Return the payment that has this receipt id, or None."""
        return self._one_payment("SELECT * FROM payment WHERE receipt_id = ?", receipt_id)

    def payment(self, payment_id: str) -> PaymentRow:
        """Return the payment of this id.

        Raises:
            StateMoved: there is none.
        """
        row = self.find(payment_id)
        if row is None:
            message = f"payment {payment_id} is not in the journal"
            raise StateMoved(message)
        return row

    def payments(self) -> list[PaymentRow]:
        """Return all payments, newest first."""
        with self.reading() as connection:
            rows = connection.execute("SELECT * FROM payment ORDER BY created_at DESC, rowid DESC").fetchall()
        return [_payment(row) for row in rows]

    def payments_of_sale(self, till: str, shift: int, number: int) -> list[PaymentRow]:
        """Return the payments for one receipt of the till, oldest first."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM payment WHERE till = ? AND shift = ? AND number = ? ORDER BY rowid",
                (till, shift, number),
            ).fetchall()
        return [_payment(row) for row in rows]

    def events(self, payment_id: str) -> list[EventRow]:
        """Return the story of a payment, in order."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT at_ms, before, after, text FROM event WHERE payment_id = ? ORDER BY event_id", (payment_id,)
            ).fetchall()
        return [
            EventRow(
                at_ms=at_ms,
                before=PaymentState(before) if before else None,
                after=PaymentState(after) if after else None,
                text=text,
            )
            for at_ms, before, after, text in rows
        ]

    def live_cancellations(self) -> list[CancellationRow]:
        """Return the cancellations that have not ended, oldest first."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM cancellation WHERE ended_at IS NULL ORDER BY cancellation_id"
            ).fetchall()
        return [cancellation_of(row) for row in rows]

    def unfinished(self) -> list[PaymentRow]:
        """Return the payments without a verdict and those that are paid but not yet recorded, oldest first."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM payment WHERE state IN ('intent', 'created', 'paying', 'paid')"
                " ORDER BY created_at, rowid"
            ).fetchall()
        return [_payment(row) for row in rows]

    def in_open_sales(self) -> list[PaymentRow]:
        """Return the recorded payments whose receipt is not known to have closed, oldest first."""
        with self.reading() as connection:
            rows = connection.execute(
                "SELECT * FROM payment WHERE state = 'recorded' AND closed_at IS NULL ORDER BY created_at, rowid"
            ).fetchall()
        return [_payment(row) for row in rows]

    def cancellation(self, cancellation_id: int) -> CancellationRow | None:
        """Return the cancellation of this number, live or ended, or None."""
        with self.reading() as connection:
            row = connection.execute(
                "SELECT * FROM cancellation WHERE cancellation_id = ?", (cancellation_id,)
            ).fetchone()
        return None if row is None else cancellation_of(row)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection to one thread at a time; for the rooms of the ledger."""
        with translated(), self._lock:
            yield self._connection

    def _about(self, name: str) -> str:
        with self.reading() as connection:
            found = connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
        if found is None:
            message = f"the journal does not say its {name}"
            raise Damaged(message)
        return str(found[0])

    def _one_payment(self, query: str, value: str) -> PaymentRow | None:
        with self.reading() as connection:
            row = connection.execute(query, (value,)).fetchone()
        return None if row is None else _payment(row)


def _payment(row: sqlite3.Row) -> PaymentRow:
    values = dict(row)
    values["state"] = PaymentState(values["state"])
    values["cancellation_queued"] = bool(values["cancellation_queued"])
    return PaymentRow(**values)


def cancellation_of(row: sqlite3.Row) -> CancellationRow:
    """Return a row of the table of cancellations as data."""
    values = dict(row)
    values["cause"] = Cause(values["cause"])
    return CancellationRow(**values)
