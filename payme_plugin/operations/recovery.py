"""Payments that an ended process left: the orphans, which the host neither has nor asks for again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.rows import NewCancellation, StoredResult
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Collection

    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.texts import Texts

_log = Log()


def cancel_orphans(journal: Journal, owner: str, pending: Collection[str], texts: Texts) -> int:
    """End every payment of an earlier process that the host has not acknowledged; return how many.

    The caller is the leader, so every other process that began payments has ended. The host has repeated what it had
    begun, and acknowledged what it has.

    Args:
        journal: the journal.
        owner: this process's token.
        pending: ids of payments whose decision waits for the host's next request.
        texts: for the result that a host may ask for later.

    Raises:
        JournalError: a decision could not be stored; that payment is as it was.

    Money effect: leaves a cancellation for each payment that may be charged.
    """
    ended = 0
    for row in journal.orphans(owner):
        if row.payment_id in pending:
            continue
        try:
            end_without_sale(journal, row, "the till does not have it", texts)
        except Conflict:
            continue
        ended += 1
        _log.info("payment %s, %s, is an orphan of an earlier run: it is cancelled", row.payment_id, row.state.value)
    return ended


def end_without_sale(journal: Journal, row: PaymentRow, reason: str, texts: Texts) -> None:
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
    cancellation = NewCancellation(cause=Cause.UNRECORDED)
    if row.state in {PaymentState.PAID, PaymentState.RECORDED}:
        journal.move(row, PaymentState.REVERSING, reason, cancellation=cancellation)
        return
    may_be_charged = row.state is PaymentState.PAYING
    journal.move(
        row,
        PaymentState.UNKNOWN if may_be_charged else PaymentState.REFUSED,
        reason,
        result=StoredResult(message=texts(Text.PAYMENT_UNKNOWN if may_be_charged else Text.PAYMENT_NOT_SENT)),
        cancellation=None if row.state is PaymentState.INTENT else cancellation,
    )
