"""What an earlier run left behind: payments without a verdict, and paid ones whose receipt has not closed.

The host is asked whether it has them. Payme is not asked here: a payment that the till does not have becomes a
cancellation, and its worker asks for the state first. A recorded payment is asked about until its receipt closes: a
host that asks ``on_payment`` again after a restart removes it where that could not answer PAID, with broken settings
say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.retention import age_ms
from payme_plugin.ledger.rows import NewCancellation, StoredResult
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.closed_receipts import paid_by_the_tills_word
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.texts import Texts

__all__ = ["OLDEST_TO_CANCEL_MS", "Recovered", "give_up", "recover"]

_log = Log()

OLDEST_TO_CANCEL_MS = 7 * 24 * 3_600_000
"""A payment older than a week is shown instead of cancelled: by then people have settled it, one way or another.

One whose age nothing tells is cancelled: the clock was wrong when it was made.
"""


class _Fate(Enum):
    RECORDED = "recorded"
    CANCELLED = "cancelled"
    KEPT = "kept"
    TOO_OLD = "too old to be cancelled without a person's word"


@dataclass(frozen=True, slots=True)
class Recovered:
    """What became of the payments that were found.

    Attributes:
        recorded: how many the till has.
        cancelled: how many it does not have: no money moved, or it goes back.
        kept: those that nobody can tell about yet.
        too_old: those that the till does not have and that are older than a week: a person decides.
    """

    recorded: int
    cancelled: int
    kept: tuple[PaymentRow, ...]
    too_old: tuple[PaymentRow, ...]


def recover(
    journal: Journal,
    may_decide: Callable[[PaymentRow], bool],
    is_recorded: Callable[[PaymentRow], bool | None],
    texts: Texts,
) -> Recovered:
    """Decide about every unfinished payment that may be decided about.

    The caller holds the journal's owner lock, and the journal is this till's own.

    Args:
        journal: where they are.
        may_decide: says so of a payment: its owner is dead, or its ``on_payment`` has returned and the host recorded
            what it was told.
        is_recorded: the host's answer about a payment.
        texts: for the verdict that a host may ask for later.

    Returns:
        What became of them.

    Raises:
        JournalError: a decision could not be stored; that payment is as it was.

    Money effect: none at once; cancellations are carried out later.
    """
    fates: dict[_Fate, list[PaymentRow]] = {fate: [] for fate in _Fate}
    for row in (*journal.unfinished(), *journal.in_open_sales()):
        if not may_decide(row):
            continue
        try:
            fate = _decide(journal, row, is_recorded(row), texts)
        except Conflict:
            continue
        if fate is None:
            continue
        fates[fate].append(row)
        _log.info("recovery: payment %s, %s: %s", row.payment_id, row.state.value, fate.value)
    return Recovered(
        recorded=len(fates[_Fate.RECORDED]),
        cancelled=len(fates[_Fate.CANCELLED]),
        kept=tuple(fates[_Fate.KEPT]),
        too_old=tuple(fates[_Fate.TOO_OLD]),
    )


def give_up(journal: Journal, row: PaymentRow, reason: str, texts: Texts) -> None:
    """End a payment that the till does not have; its money, if it moved, goes back.

    Args:
        journal: where it is.
        row: the payment: without a verdict, paid, or recorded in a sale that is still open.
        reason: why, for its story.
        texts: for the verdict that a host may ask for later.

    Raises:
        Conflict: it has moved on.
        Unavailable: nothing was stored.

    Money effect: none at once; the cancellation is carried out later, the whole amount.
    """
    if row.state in {PaymentState.PAID, PaymentState.RECORDED}:
        journal.move(row, PaymentState.REVERSING, reason, cancellation=NewCancellation(cause=Cause.UNRECORDED))
        return
    may_be_charged = row.state is PaymentState.PAYING
    journal.move(
        row,
        PaymentState.UNKNOWN if may_be_charged else PaymentState.REFUSED,
        reason,
        verdict=StoredResult(
            message=texts(Text.PAYMENT_UNKNOWN if may_be_charged else Text.PAYMENT_RECEIPT_NOT_CREATED)
        ),
        cancellation=None if row.state is PaymentState.INTENT else NewCancellation(cause=Cause.UNRECORDED),
    )


def _decide(journal: Journal, row: PaymentRow, recorded: bool | None, texts: Texts) -> _Fate | None:
    """Decide about one payment, and store it; None: it stays as it is, and that is how it should be."""
    if recorded is True:
        return _recorded(journal, row)
    if recorded is None:
        return None if row.state is PaymentState.RECORDED else _Fate.KEPT
    age = age_ms(journal, row)
    if age is not None and age >= OLDEST_TO_CANCEL_MS:
        return _Fate.TOO_OLD
    give_up(journal, row, "the till does not have it and never will", texts)
    return _Fate.CANCELLED


def _recorded(journal: Journal, row: PaymentRow) -> _Fate | None:
    if row.state is PaymentState.RECORDED:
        return None
    if row.state is PaymentState.PAYING:
        row = paid_by_the_tills_word(journal, row)
    if row.state is not PaymentState.PAID:
        return _Fate.KEPT
    journal.move(row, PaymentState.RECORDED, "the till has it")
    return _Fate.RECORDED
