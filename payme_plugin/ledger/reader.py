"""Read the journal, with the plugin's connection or, for the command, without changing a byte.

An invalid row raises ``Damaged`` if the row is requested by its id, or in a list for people. A list of tasks skips it,
so that it does not delay the other rows.

A few rows of a long journal are found by the index that has only them, and then sorted. A ``+`` before a column keeps
SQLite from reading all rows in the column's order instead (https://sqlite.org/optoverview.html, section 2).
"""

from __future__ import annotations

import ctypes
import os
import sqlite3
import threading
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar

from payme_plugin.ledger.connection import translated
from payme_plugin.ledger.errors import Conflict, Damaged, Unavailable
from payme_plugin.ledger.migration import open_reader
from payme_plugin.ledger.rows import CancellationRow, EventRow, FiscalLinkRow, PaymentRow, ReconciliationRow, row_of
from payme_plugin.ledger.states import PaymentState
from payme_plugin.log import Log

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

_log = Log()

_UNACKNOWLEDGED = (
    "SELECT * FROM payment WHERE acknowledged_at IS NULL"
    " AND state IN ('intent', 'created', 'paying', 'paid', 'recorded')"
)

_EARLIEST_MS = -(2**63)

_Row = TypeVar("_Row", PaymentRow, EventRow, CancellationRow, FiscalLinkRow)


_open_journals: set[JournalReader] = set()
"""The journals that are open, also those of a parent process.

The set is never freed, so that the end of a forked child closes none of them: SQLite would change the parent's files.
"""
ctypes.pythonapi.Py_IncRef(ctypes.py_object(_open_journals))


class JournalReader:
    """The reading half of the journal. Only the process that opened it can use it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._damages: dict[str, None] = {}
        _open_journals.add(self)

    @classmethod
    def open_read_only(cls, path: Path) -> JournalReader | None:
        """Open the journal at ``path`` for reading, without changing a byte; None if there is none.

        Raises:
            Damaged: the file is not a journal.
            TooNew: a newer version wrote it.
            Unavailable: it can't be read.
        """
        connection = open_reader(path)
        return None if connection is None else JournalReader(connection)

    @property
    def damage(self) -> str | None:
        """The first damage that was found, or None."""
        return next(iter(self._damages), None)

    @property
    def last_reconciliation(self) -> ReconciliationRow | None:
        """The last finished reconciliation, or None; a repaired or new journal has none."""
        with self.reading() as connection:
            found = connection.execute("SELECT value FROM about WHERE name = 'reconciliation'").fetchone()
        return None if found is None else ReconciliationRow.from_json(found[0])

    @property
    def host_identity(self) -> str:
        """The name of the till that the journal belongs to."""
        return self._about("host_identity")

    def find(self, payment_id: str) -> PaymentRow | None:
        """Return the payment with this id, or None."""
        return self.one(PaymentRow, "SELECT * FROM payment WHERE payment_id = ?", payment_id)

    def find_receipt(self, receipt_id: str) -> PaymentRow | None:
        """Return the payment with this receipt id, or None."""
        return self.one(PaymentRow, "SELECT * FROM payment WHERE receipt_id = ?", receipt_id)

    def payment(self, payment_id: str) -> PaymentRow:
        """Return the payment of this id.

        Raises:
            Conflict: there is none.
        """
        row = self.find(payment_id)
        if row is None:
            message = f"payment {payment_id} is not in the journal"
            raise Conflict(message)
        return row

    def payments(
        self, *, since_ms: int = _EARLIEST_MS, states: Collection[PaymentState] = (), most: int | None = None
    ) -> list[PaymentRow]:
        """Return payments, newest first.

        Args:
            since_ms: without those whose intent was written earlier, Unix milliseconds.
            states: only those in one of these states, and invalid ones; empty: in any state.
            most: how many at most; None: all.
        """
        where, values = _chosen(since_ms, states)
        query = f"SELECT * FROM payment WHERE {where} ORDER BY created_at DESC, rowid DESC LIMIT ?"  # noqa: S608
        return self._every(PaymentRow, query, *values, -1 if most is None else most)

    def count_payments(self, *, since_ms: int = _EARLIEST_MS, states: Collection[PaymentState] = ()) -> int:
        """Return how many payments ``payments`` returns without ``most``."""
        where, values = _chosen(since_ms, states)
        with self.reading() as connection:
            return int(connection.execute(f"SELECT count(*) FROM payment WHERE {where}", values).fetchone()[0])  # noqa: S608

    def oldest_ms(self) -> int | None:
        """Return when the oldest intent was written, Unix milliseconds; None if there is no payment."""
        with self.reading() as connection:
            (found,) = connection.execute("SELECT min(created_at) FROM payment").fetchone()
        return None if found is None else int(found)

    def accounts(self) -> set[str]:
        """Return the posIds of all payments.

        Raises:
            Damaged: one of them can't be read.
        """
        with self.reading() as connection:
            found = {row[0] for row in connection.execute("SELECT DISTINCT pos_id FROM payment")}
            if not all(isinstance(each, str) for each in found):
                message = "a payment is invalid: its pos_id"
                raise Damaged(message)
        return found

    def payments_between(self, begin_ms: int, end_ms: int) -> list[PaymentRow]:
        """Return the payments of a period, by the time of their intent; the end is exclusive."""
        return self._every(
            PaymentRow, "SELECT * FROM payment WHERE created_at >= ? AND created_at < ?", begin_ms, end_ms
        )

    def payments_of_sale(self, till: str, shift: int, number: int) -> list[PaymentRow]:
        """Return the payments for one receipt of the till, oldest first."""
        query = "SELECT * FROM payment WHERE till = ? AND shift = ? AND number = ? ORDER BY rowid"
        return self._every(PaymentRow, query, till, shift, number)

    def events(self, payment_id: str) -> list[EventRow]:
        """Return the events of a payment, oldest first."""
        query = "SELECT * FROM event WHERE payment_id = ? ORDER BY event_id"
        return self._every(EventRow, query, payment_id)

    def live_cancellations(self) -> list[CancellationRow]:
        """Return the cancellations that have not ended, without the confirming ones, oldest first."""
        query = "SELECT * FROM cancellation WHERE ended_at IS NULL AND confirmed_at IS NULL ORDER BY +cancellation_id"
        return self._every(CancellationRow, query)

    def confirming_cancellations(self) -> list[CancellationRow]:
        """Return the live cancellations of which Payme said cancelled (50) once, oldest first."""
        query = "SELECT * FROM cancellation WHERE ended_at IS NULL AND confirmed_at > 0 ORDER BY +cancellation_id"
        return self._every(CancellationRow, query)

    def live_fiscal_links(self) -> list[FiscalLinkRow]:
        """Return the fiscal links that have not ended, oldest first."""
        query = "SELECT * FROM fiscal_link WHERE ended_at IS NULL ORDER BY +fiscal_link_id"
        return self._every(FiscalLinkRow, query)

    def unfinished(self) -> list[PaymentRow]:
        """Return the unfinished payments and those that are paid but not yet recorded, oldest first.

        Invalid rows are left out.
        """
        query = (
            "SELECT * FROM payment WHERE state IN ('intent', 'created', 'paying', 'paid', 'reversing')"
            " AND state <> 'reversing' ORDER BY +created_at, rowid"
        )
        return self.valid_rows(PaymentRow, query)

    def in_open_sales(self) -> list[PaymentRow]:
        """Return the recorded payments whose receipt is not known to be closed, oldest first.

        Invalid rows are left out.
        """
        query = "SELECT * FROM payment WHERE state = 'recorded' AND closed_at IS NULL ORDER BY +created_at, rowid"
        return self.valid_rows(PaymentRow, query)

    def orphans(self, owner: str) -> list[PaymentRow]:
        """Return the payments of other owners that are neither finished nor acknowledged, oldest first.

        Invalid rows are left out.
        """
        query = f"{_UNACKNOWLEDGED} AND owner <> ? ORDER BY +created_at, rowid"
        return self.valid_rows(PaymentRow, query, owner)

    def unacknowledged(self, owner: str) -> list[PaymentRow]:
        """Return the paid payments of an owner that are not acknowledged, oldest first.

        Invalid rows are left out.
        """
        query = f"{_UNACKNOWLEDGED} AND owner = ? AND state IN ('paid', 'recorded') ORDER BY +created_at, rowid"
        return self.valid_rows(PaymentRow, query, owner)

    def cancellation(self, cancellation_id: int) -> CancellationRow | None:
        """Return the cancellation with this number, live or ended, or None."""
        return self.one(CancellationRow, "SELECT * FROM cancellation WHERE cancellation_id = ?", cancellation_id)

    def interrupt(self) -> None:
        """End a query of another thread, which raises ``Unavailable`` there."""
        with suppress(sqlite3.ProgrammingError):  # it is closed
            if not self._is_inherited():
                self._connection.interrupt()

    def close(self, *, inherited: bool = False) -> None:
        """Close the connection.

        Args:
            inherited: only if a parent of this process opened it; else only if this process did.

        Raises:
            Unavailable: the parent used it at the fork.
        """
        if self._is_inherited() is inherited:
            if not self._lock.acquire(blocking=not inherited):
                message = "the journal was in use at the fork: start the till in a program of its own"
                raise Unavailable(message)
            self._connection.close()
            self._lock.release()
            _open_journals.discard(self)

    def _is_inherited(self) -> bool:
        return self._process != os.getpid()

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield the connection to one thread at a time. For the other modules of the ledger."""
        if self._is_inherited():
            message = "the journal belongs to the process that forked this one"
            raise Unavailable(message)
        try:
            with translated(), self._lock:
                yield self._connection
        except Damaged as error:
            self.note_damage(str(error))
            raise

    def one(self, kind: type[_Row], query: str, *values: object) -> _Row | None:
        """Return the first row of a query, or None. For the other modules of the ledger.

        Raises:
            Damaged: it is invalid.
        """
        with self.reading() as connection:
            row = connection.execute(query, values).fetchone()
            return None if row is None else row_of(kind, row)

    def valid_rows(self, kind: type[_Row], query: str, *values: object, most: int | None = None) -> list[_Row]:
        """Return the valid rows of a query; log each invalid one once. For the other modules of the ledger.

        Args:
            kind: the class of the rows.
            query: the query, without a limit.
            values: its values.
            most: how many rows at most; None: all.
        """
        rows: list[_Row] = []
        with self.reading() as connection, closing(connection.execute(query, values)) as found:
            while len(rows) != most and (each := found.fetchone()) is not None:
                try:
                    rows.append(row_of(kind, each))
                except Damaged as error:
                    if str(error) not in self._damages:
                        _log.error("the journal is damaged: %s", error)
                    self.note_damage(str(error))
        return rows

    def note_damage(self, what: str) -> None:
        """Record that a part of the file is invalid or can't be read."""
        self._damages[what] = None

    def _every(self, kind: type[_Row], query: str, *values: object) -> list[_Row]:
        with self.reading() as connection:
            return [row_of(kind, row) for row in connection.execute(query, values)]

    def _about(self, name: str) -> str:
        with self.reading() as connection:
            found = connection.execute("SELECT value FROM about WHERE name = ?", (name,)).fetchone()
            if found is None or not isinstance(found[0], str):
                message = f"the journal's {name} is missing"
                raise Damaged(message)
        return str(found[0])


def _chosen(since_ms: int, states: Collection[PaymentState]) -> tuple[str, tuple[object, ...]]:
    """Return the condition for payments since a time and in some states, and its values.

    The other states are excluded, so that a payment with an invalid one is not overlooked.
    """
    others = [state.value for state in PaymentState if states and state not in states]
    return f"created_at >= ? AND (state IN ({', '.join('?' * len(others))})) IS NOT TRUE", (since_ms, *others)


def close_inherited() -> None:
    """Close the journals of a parent before this process opens one.

    SQLite takes no lock that this process seems to have. With a parent's connection it would lock nothing, and the next
    process to open the file would delete the log under this one.

    Raises:
        Unavailable: one of them can't be closed.
    """
    for journal in list(_open_journals):
        journal.close(inherited=True)
