"""What a money hook answers about a payment in the journal if it can't act on it.

It can't act if the journal can't be written, another process works on the payment, the plugin has failed, or nothing is
left to do. ``otherwise`` is the caller's own result, used only if nothing was charged and nothing is being returned.
For a repeated payment it is PENDING, which is also used if it may be charged. If another hook runs, the settings are
broken or the journal can't be read, the dispatcher answers REFUSED to a new payment and PENDING to a repeated one.

| The journal's payment            | ``payment_answer``              | ``reversal_answer`` | without ``otherwise`` |
|----------------------------------|---------------------------------|---------------------|-----------------------|
| none                             | ``otherwise``: no code was sent | -                   | -                     |
| is of another amount or sale     | REFUSED: the id is reused       | -                   | -                     |
| intent, created                  | ``otherwise``: no code was sent | ``otherwise``       | by its cancellation   |
| paying                           | UNKNOWN, or PENDING             | ``otherwise``       | ``Conflict``          |
| paid, recorded in an open sale   | UNKNOWN, or PENDING             | ``otherwise``       | ``Conflict``          |
| recorded in a closed sale        | REFUSED: the id is reused       | ``otherwise``       | ``Conflict``          |
| refused, aborted, unknown        | the stored result               | ``otherwise``       | by its cancellation   |
| reversing, its cancellation live | REFUSED: money is returned      | QUEUED              | QUEUED                |
| reversing, closed by an operator | REFUSED: money is returned      | ``otherwise``       | REFUSED, the reason   |
| reversed                         | REFUSED: money is returned      | REVERSED            | REVERSED              |

By its cancellation: live is QUEUED, closed by an operator REFUSED with the reason, none or done REVERSED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookspecs import PaymentResult, PaymentStatus, ReversalResult, ReversalStatus
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.states import End, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.results import is_paid_in, is_same_sale, refused_result, stored_result
from payme_plugin.operations.reversal import refused
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import PaymentRequest
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.texts import Texts

_log = Log()

REVERSIBLE = frozenset({PaymentState.PAYING, PaymentState.PAID, PaymentState.RECORDED})
"""Payments that a cancel or a refund may return."""

RETURNED = frozenset({PaymentState.REVERSING, PaymentState.REVERSED})
"""Payments whose money is being returned, or was."""

_ANSWERED_MEANWHILE = "the host got QUEUED while another hook or process worked on it"


def payment_answer(
    texts: Texts, request: PaymentRequest, row: PaymentRow | None, otherwise: PaymentResult
) -> PaymentResult:
    """Return the answer for a payment that this call can't continue.

    Args:
        texts: the cashier's language.
        request: what the host asks for.
        row: the payment as last read, or None.
        otherwise: the caller's result.
    """
    if row is None:
        return otherwise
    if not is_same_sale(request, row):
        return refused_result(request.amount, texts(Text.PAYMENT_ID_REUSED))
    if row.state in {PaymentState.INTENT, PaymentState.CREATED}:
        return otherwise
    if row.state is PaymentState.PAYING or is_paid_in(request, row):
        if otherwise.status is PaymentStatus.PENDING:
            return otherwise
        message = texts(Text.PAYMENT_CHARGE_MAY_HANG)
        return PaymentResult(status=PaymentStatus.UNKNOWN, amount=request.amount, message=message)
    if row.state.is_not_paid:
        return stored_result(row)
    is_reused = row.state is PaymentState.RECORDED
    text = Text.PAYMENT_ID_REUSED if is_reused else Text.PAYMENT_ALREADY_REVERSED
    return refused_result(request.amount, texts(text))


def reversal_answer(
    journal: Journal, row: PaymentRow, texts: Texts, otherwise: ReversalResult | None = None
) -> ReversalResult:
    """Return the answer for a cancel or refund that this call can't carry out, or that is done.

    Before QUEUED for a reversing payment its cancellation is marked, so that no hook withdraws it, not even one that is
    working on it. If the mark can't be stored, that is logged.

    Args:
        journal: the journal.
        row: the payment as last read.
        texts: the cashier's language.
        otherwise: the caller's refusal. A host that gets it keeps the sale, so it is not returned while the money is
            being returned.

    Raises:
        Conflict: the payment has changed. Read it again.
        JournalError: the journal can't be read.
    """
    if otherwise is not None and row.state not in RETURNED:
        return otherwise
    rows = Cancellations(journal)
    latest = rows.latest_of(row.payment_id)
    if row.state is PaymentState.REVERSING and latest is not None and latest.ended_at is None:
        try:
            rows.leave(latest, latest.last_error or _ANSWERED_MEANWHILE)
        except JournalError as error:
            _log.error("payment %s: %s", row.payment_id, error)
        row, latest = journal.payment(row.payment_id), rows.latest_of(row.payment_id)
    status, text = ReversalStatus.REVERSED, Text.REVERSAL_REVERSED
    if row.state is not PaymentState.REVERSED:
        if latest is not None and latest.ended_at is None and latest.confirmed_at is None:
            status, text = ReversalStatus.QUEUED, Text.REVERSAL_QUEUED
        elif otherwise is not None:
            return otherwise
        elif latest is not None and latest.ended_as is End.CLOSED:
            return refused(texts, Text.REVERSAL_CLOSED_BY_HAND, row.receipt_id, text=latest.closed_reason)
        elif row.state in REVERSIBLE or row.state is PaymentState.REVERSING:
            message = f"payment {row.payment_id} has changed meanwhile"
            raise Conflict(message)
    return ReversalResult(
        status=status,
        receipt_id=row.receipt_id,
        message=texts(text),
        cancellation_queued=row.state in RETURNED and latest is not None and latest.is_queued,
    )
