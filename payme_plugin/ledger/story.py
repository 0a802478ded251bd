"""The story of a payment in the journal: what happened to it, line by line, in the transaction that made it happen."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Sequence

    from payme_plugin.ledger.rows import Note
    from payme_plugin.ledger.states import PaymentState

__all__ = ["tell", "tell_notes"]


def tell(
    connection: sqlite3.Connection,
    payment_id: str,
    at_ms: int,
    before: PaymentState | None,
    after: PaymentState | None,
    text: str,
) -> None:
    """Add an event to a payment's story, inside the caller's transaction."""
    connection.execute(
        "INSERT INTO event (payment_id, at_ms, before, after, text) VALUES (?, ?, ?, ?, ?)",
        (payment_id, at_ms, before.value if before else None, after.value if after else None, text),
    )


def tell_notes(connection: sqlite3.Connection, payment_id: str, notes: Sequence[Note]) -> None:
    """Add lines to a payment's story, inside the caller's transaction."""
    connection.executemany(
        "INSERT INTO event (payment_id, at_ms, text) VALUES (?, ?, ?)",
        [(payment_id, note.at_ms, note.text) for note in notes],
    )
