"""Cancellations and fiscal links as the command shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from payme_plugin.cli.params import REASON

if TYPE_CHECKING:
    from payme_plugin.ledger.rows import CancellationRow, FiscalLinkRow

__all__ = ["age", "age_s", "link_document", "outcome_in_words", "row_document"]

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


reason_option = click.option("--reason", type=REASON, metavar="TEXT", required=True)
"""What an operator says who decides about money."""


def age_s(row: CancellationRow | FiscalLinkRow, now_ms: int) -> int:
    """Return how old a row is, in whole seconds; never below zero."""
    return max(0, now_ms - row.created_at) // 1000


def age(row: CancellationRow | FiscalLinkRow, now_ms: int) -> str:
    """Return how old a row is as people say it: ``42 s``, ``5 min``, ``3 h``, ``2 d``."""
    old_s = age_s(row, now_ms)
    for unit_s, unit in ((_DAY_S, "d"), (_HOUR_S, "h"), (_MINUTE_S, "min")):
        if old_s >= unit_s:
            return f"{old_s // unit_s} {unit}"
    return f"{old_s} s"


def row_document(row: CancellationRow, now_ms: int) -> dict[str, object]:
    """Return a row as JSON lists it."""
    return {
        "id": row.cancellation_id,
        "payment_id": row.payment_id,
        "receipt_id": row.receipt_id,
        "cause": row.cause.value,
        "confirming": row.confirmed_at is not None and row.ended_at is None,
        "age_s": age_s(row, now_ms),
        "attempts": row.attempts,
        "held": None if row.held is None else row.held.value,
        "last_error": row.last_error or None,
    }


def outcome_in_words(row: CancellationRow) -> str | None:
    """Return how a cancellation ended, for people; None while it is live."""
    if row.ended_as is None:
        return None
    if row.closed_reason is not None:
        return f"closed by hand: {row.closed_reason}; last check: {row.last_error}"
    return row.last_error


def link_document(row: FiscalLinkRow, now_ms: int) -> dict[str, object]:
    """Return a fiscal link as JSON lists it."""
    return {
        "id": row.fiscal_link_id,
        "payment_id": row.payment_id,
        "receipt_id": row.receipt_id,
        "link": row.link,
        "age_s": age_s(row, now_ms),
        "attempts": row.attempts,
        "last_error": row.last_error or None,
    }
