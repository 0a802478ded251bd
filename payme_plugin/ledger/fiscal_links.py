"""Fiscal receipts to send to Payme: one per payment, live until Payme accepts or refuses it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.cancellations import due_rows, next_due_in_ms
from payme_plugin.ledger.journal import add_event
from payme_plugin.ledger.rows import FiscalLinkRow
from payme_plugin.ledger.states import EventKind

if TYPE_CHECKING:
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow

_LIVE = "SELECT * FROM fiscal_link WHERE ended_at IS NULL"


class FiscalLinks:
    """The fiscal links of one journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def add(self, payment: PaymentRow, link: str) -> None:
        """Store the link of a payment's sale; do nothing if it is stored.

        Raises:
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            added = connection.execute(
                "INSERT INTO fiscal_link (payment_id, receipt_id, pos_id, url, link, created_at, due_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                (payment.payment_id, payment.receipt_id, payment.pos_id, payment.url, link, now, now),
            ).rowcount
            if added:
                add_event(connection, payment.payment_id, now, EventKind.FISCAL, "fiscal receipt: to be sent to Payme")

    def live(self) -> list[FiscalLinkRow]:
        """Return all valid live rows, oldest first."""
        return self._journal.valid_rows(FiscalLinkRow, f"{_LIVE} ORDER BY +fiscal_link_id")

    def due(self, most: int | None = None) -> list[FiscalLinkRow]:
        """Return at most ``most`` valid live rows that are due, the longest due first."""
        return due_rows(self._journal, FiscalLinkRow, _LIVE, most)

    def next_due_in_ms(self) -> int | None:
        """Return in how many milliseconds the next row is due, 0 for at once, or None."""
        return next_due_in_ms(self._journal, FiscalLinkRow, _LIVE)

    def is_live(self, row: FiscalLinkRow) -> bool:
        """Return whether a row is live."""
        return self._journal.one(FiscalLinkRow, f"{_LIVE} AND fiscal_link_id = ?", row.fiscal_link_id) is not None

    def postpone(self, row: FiscalLinkRow, pause_ms: int, result: str) -> None:
        """Count a step that did not end a row, and set when the next one is due.

        Raises:
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            connection.execute(
                "UPDATE fiscal_link SET attempts = attempts + 1, last_error = ?, due_at = ?"
                " WHERE fiscal_link_id = ? AND ended_at IS NULL",
                (result, self._journal.now_ms() + pause_ms, row.fiscal_link_id),
            )

    def end(self, row: FiscalLinkRow, outcome: str) -> None:
        """End a row; do nothing if it has ended.

        Raises:
            Unavailable: nothing was stored.
        """
        with self._journal.writing() as connection:
            now = self._journal.now_ms()
            ended = connection.execute(
                "UPDATE fiscal_link SET attempts = attempts + 1, ended_at = ?, outcome = ?"
                " WHERE fiscal_link_id = ? AND ended_at IS NULL",
                (now, outcome, row.fiscal_link_id),
            ).rowcount
            if ended:
                add_event(connection, row.payment_id, now, EventKind.FISCAL, f"fiscal receipt: {outcome}")
