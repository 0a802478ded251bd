"""The journal's file as the checks read it: plain SQL on a connection of its own, none of the ledger's code."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_FILE = "journal.sqlite3"
_TABLES = ("about", "payment", "event", "code", "cancellation", "fiscal_link")


@dataclass(frozen=True)
class PaymentLook:
    """What the checks want to know of a payment; the names are the columns'."""

    payment_id: str
    state: str
    owner: str
    receipt_id: str | None
    amount: int
    pos_id: str
    number: int
    attempt: int
    created_at: int
    acknowledged_at: int | None
    closed_at: int | None


@dataclass(frozen=True)
class CancellationLook:
    """What the checks want to know of a cancellation; the names are the columns'."""

    cancellation_id: int
    payment_id: str
    receipt_id: str
    cause: str
    request_id: str
    created_at: int
    due_at: int
    offered_at: int | None
    begun_at: int | None
    held: str | None
    confirmed_at: int | None
    reopened_at: int | None
    attempts: int
    ended_at: int | None
    ended_as: str | None


_PAYMENT = f"SELECT {', '.join(PaymentLook.__dataclass_fields__)} FROM payment"  # noqa: S608 - our own names
_CANCELLATION = f"SELECT {', '.join(CancellationLook.__dataclass_fields__)} FROM cancellation"  # noqa: S608 - the same


class Rows:
    """One journal, read from its file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _FILE
        self._opened: sqlite3.Connection | None = None
        self._key = b""

    def close(self) -> None:
        """Close the file."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    def payment(self, payment_id: str) -> PaymentLook | None:
        """Return a payment, or None."""
        return self._one_payment("payment_id = ?", payment_id)

    def of_receipt(self, receipt_id: str) -> PaymentLook | None:
        """Return the payment that has a receipt id, or None."""
        return self._one_payment("receipt_id = ?", receipt_id)

    def payments(self) -> list[PaymentLook]:
        """Return all payments."""
        return [PaymentLook(*row) for row in self._all(f"{_PAYMENT} ORDER BY rowid")]

    def of_sale(self, number: int, attempt: int) -> PaymentLook | None:
        """Return a sale's payment of that attempt, or None."""
        return self._one_payment("number = ? AND attempt = ?", number, attempt)

    def has_code(self, code: str, payment_id: str) -> bool:
        """Say whether the fingerprint of a code is there for a payment."""
        if not self._key:
            ((key,),) = self._all("SELECT value FROM about WHERE name = 'fingerprint_key'")
            self._key = bytes.fromhex(str(key))
        fingerprint = hashlib.blake2b(code.encode(), key=self._key, digest_size=16).hexdigest()
        return bool(
            list(self._all("SELECT 1 FROM code WHERE fingerprint = ? AND payment_id = ?", fingerprint, payment_id))
        )

    def live_of_receipt(self, receipt_id: str) -> CancellationLook | None:
        """Return the live cancellation of a receipt, or None."""
        query = f"{_CANCELLATION} WHERE receipt_id = ? AND ended_at IS NULL"
        return next((CancellationLook(*row) for row in self._all(query, receipt_id)), None)

    def cancellations(self) -> list[CancellationLook]:
        """Return all cancellations."""
        return [CancellationLook(*row) for row in self._all(f"{_CANCELLATION} ORDER BY cancellation_id")]

    def cancellation(self, cancellation_id: object) -> CancellationLook | None:
        """Return a cancellation, or None."""
        query = f"{_CANCELLATION} WHERE cancellation_id = ?"
        return next((CancellationLook(*row) for row in self._all(query, cancellation_id)), None)

    def cancellations_of(self, payment_id: str) -> list[CancellationLook]:
        """Return the cancellations of a payment."""
        return [CancellationLook(*row) for row in self._all(f"{_CANCELLATION} WHERE payment_id = ?", payment_id)]

    def events_after(self, event_id: int) -> list[tuple[int, str, str | None, str | None, str]]:
        """Return the events after one: its number, payment, both states, and text."""
        query = "SELECT event_id, payment_id, before, after, text FROM event WHERE event_id > ? ORDER BY event_id"
        return list(self._all(query, event_id))

    def dump(self) -> str:
        """Return everything that is written in the file but the key of the fingerprints."""
        return "\n".join(str(row) for table in _TABLES for row in self._all(f"SELECT * FROM {table}"))  # noqa: S608

    def _one_payment(self, where: str, *values: object) -> PaymentLook | None:
        rows = list(self._all(f"{_PAYMENT} WHERE {where}", *values))
        return PaymentLook(*rows[0]) if rows else None

    def _all(self, query: str, *values: object) -> Iterator[Any]:
        connection = self._connection()
        if connection is not None:
            yield from connection.execute(query, values).fetchall()

    def _connection(self) -> sqlite3.Connection | None:
        if self._opened is None and self._path.exists():
            self._opened = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        return self._opened
