"""Which live rows are due. ``due_at`` is wall time, which may jump: what is due too far from now is due at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import CancellationRow, FiscalLinkRow

    _Row = TypeVar("_Row", CancellationRow, FiscalLinkRow)

__all__ = ["FARTHEST_DUE_MS", "due_rows", "next_due_in_ms"]

FARTHEST_DUE_MS = 3_600_000
"""One hour: no row is put off for longer, so one that is due later than this from now met a clock that jumped."""


def due_rows(journal: Journal, kind: type[_Row], live: str, most: int) -> list[_Row]:
    """Return live rows that are due now, the longest due first; none that makes no sense.

    Args:
        journal: the journal.
        kind: the class of the rows.
        live: the query for the live ones, unsorted; it ends with a condition.
        most: how many rows at most.
    """
    now = journal.now_ms()
    query = f"{live} AND (due_at <= ? OR due_at > ?) ORDER BY due_at"
    return journal.sensible(kind, query, now, now + FARTHEST_DUE_MS, most=most)


def next_due_in_ms(journal: Journal, kind: type[_Row], live: str) -> int | None:
    """Return in how many milliseconds the next row of ``due_rows`` is due, 0 for at once; None: there is none."""
    now = journal.now_ms()
    first = journal.sensible(kind, f"{live} ORDER BY due_at", most=1)
    last = journal.sensible(kind, f"{live} ORDER BY due_at DESC", most=1)
    if not first or not last:
        return None
    return 0 if last[0].due_at > now + FARTHEST_DUE_MS else max(0, first[0].due_at - now)
