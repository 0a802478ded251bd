"""Recovery of unfinished payments, and of paid ones whose receipt has not closed.

The host is asked whether it has them. Payme is not asked here: a payment that the host does not have becomes a
cancellation, and the worker asks for the state first. The host is asked about a recorded payment until its receipt
closes, because a host that repeats ``on_payment`` after a restart removes the payment if the answer is not PAID, e.g.
with broken settings.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.retention import age_ms
from payme_plugin.ledger.rows import NewCancellation, StoredResult
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.closed_receipts import mark_paid_per_host
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.texts import Texts

__all__ = ["OLDEST_TO_CANCEL_MS", "Outcome", "abandon", "recover"]

_log = Log()

OLDEST_TO_CANCEL_MS = 7 * 24 * 3_600_000
"""A payment older than a week is shown instead of cancelled, because people have settled it by then.

A payment of unknown age is cancelled. Its age is unknown if the clock was wrong when it was made.
"""


class Outcome(Enum):
    """What recovery decided about a payment."""

    RECORDED = "recorded"
    """The host has it."""
    CANCELLED = "cancelled"
    """The host does not have it: no money moved, or a cancellation returns it."""
    KEPT = "kept"
    """It can't be decided yet."""
    TOO_OLD = "too old, an operator must decide"
    """The host does not have it, and it is older than a week."""


def recover(
    journal: Journal,
    may_decide: Callable[[PaymentRow], bool],
    is_recorded: Callable[[PaymentRow], bool | None],
    texts: Texts,
) -> Mapping[Outcome, list[PaymentRow]]:
    """Decide every unfinished payment for which ``may_decide`` is true.

    The caller is the leader, and the journal belongs to this till.

    Args:
        journal: the journal.
        may_decide: returns whether its process has ended, or its ``on_payment`` has returned and the host has stored
            the result.
        is_recorded: the host's answer about a payment.
        texts: for the result that a host may ask for later.

    Returns:
        The payments by what was decided; a payment that stays as it is, without a question left, is in none.

    Raises:
        JournalError: a decision could not be stored; that payment is as it was.
    """
    outcomes: dict[Outcome, list[PaymentRow]] = {outcome: [] for outcome in Outcome}
    for row in (*journal.unfinished(), *journal.in_open_sales()):
        if not may_decide(row):
            continue
        try:
            outcome = _decide(journal, row, is_recorded(row), texts)
        except Conflict:
            continue
        if outcome is None:
            continue
        outcomes[outcome].append(row)
        _log.info("recovery: payment %s, %s: %s", row.payment_id, row.state.value, outcome.value)
    return outcomes


def abandon(journal: Journal, row: PaymentRow, reason: str, texts: Texts) -> None:
    """End a payment that the host does not have, with a cancellation if money may have moved.

    Args:
        journal: the journal.
        row: the payment: without a result, paid, or recorded in a sale that is still open.
        reason: text of its event.
        texts: for the result that a host may ask for later.

    Raises:
        Conflict: the payment has changed.
        Unavailable: nothing was stored.
    """
    if row.state in {PaymentState.PAID, PaymentState.RECORDED}:
        journal.move(row, PaymentState.REVERSING, reason, cancellation=NewCancellation(cause=Cause.UNRECORDED))
        return
    may_be_charged = row.state is PaymentState.PAYING
    journal.move(
        row,
        PaymentState.UNKNOWN if may_be_charged else PaymentState.REFUSED,
        reason,
        result=StoredResult(
            message=texts(Text.PAYMENT_UNKNOWN if may_be_charged else Text.PAYMENT_RECEIPT_NOT_CREATED)
        ),
        cancellation=None if row.state is PaymentState.INTENT else NewCancellation(cause=Cause.UNRECORDED),
    )


def _decide(journal: Journal, row: PaymentRow, recorded: bool | None, texts: Texts) -> Outcome | None:
    """Decide one payment and store the decision; return None if its state stays."""
    if recorded is True:
        return _recorded(journal, row)
    if recorded is None:
        return None if row.state is PaymentState.RECORDED else Outcome.KEPT
    age = age_ms(journal, row)
    if age is not None and age >= OLDEST_TO_CANCEL_MS:
        return Outcome.TOO_OLD
    abandon(journal, row, "the till does not have it and never will", texts)
    return Outcome.CANCELLED


def _recorded(journal: Journal, row: PaymentRow) -> Outcome | None:
    if row.state is PaymentState.RECORDED:
        return None
    row = mark_paid_per_host(journal, row)
    if row.state is not PaymentState.PAID:
        return Outcome.KEPT
    journal.move(row, PaymentState.RECORDED, "the till has it")
    return Outcome.RECORDED
