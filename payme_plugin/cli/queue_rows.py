"""Cancellations as the command shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from payme_plugin.ledger.rows import CancellationRow

__all__ = ["ROW_NUMBER", "age", "age_s", "row_document"]

ROW_NUMBER = click.IntRange(1, 2**63 - 1)
"""The number of a row, as ``payme queue list`` shows it."""

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3_600, 86_400


def age_s(row: CancellationRow, now_ms: int) -> int:
    """Return how old a row is, in whole seconds; never below zero."""
    return max(0, now_ms - row.created_at) // 1000


def age(row: CancellationRow, now_ms: int) -> str:
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
        "age_s": age_s(row, now_ms),
        "attempts": row.attempts,
        "last_error": row.last_error or None,
    }
