"""The results of a payment: its outcomes, their commit, and what is returned to the host."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

from hookspecs import PaymentRecord, PaymentResult, PaymentStatus
from payme_plugin import PLUGIN_NAME
from payme_plugin.ledger.errors import Conflict, Damaged, FileMoved, ForeignJournal, InUse, JournalError, TooNew
from payme_plugin.ledger.rows import NewCancellation, StoredResult
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.recovery import end_without_sale
from payme_plugin.paymego.errors import Fault, NotSent, ServerError
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import PaymentRequest
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.event_log import EventLog
    from payme_plugin.paymego.errors import CallFailed
    from payme_plugin.paymego.receipts import ServerReceipt
    from payme_plugin.texts import Texts

_log = Log()

JOURNAL_NOTICE = "payme.journal"
SALE_NOTICE = "payme.sale"
"""A sale that holds no money of ours, or may hold none."""
_NOTICES = {
    Damaged: Text.NOTICE_JOURNAL_DAMAGED,
    FileMoved: Text.NOTICE_JOURNAL_MOVED,
    ForeignJournal: Text.NOTICE_JOURNAL_FOREIGN,
    InUse: Text.NOTICE_JOURNAL_IN_USE,
    TooNew: Text.NOTICE_JOURNAL_TOO_NEW,
}
_NOT_SENT = {
    Fault.NAME_NOT_FOUND: Text.PAYMENT_NO_CONNECTION_NAME_NOT_FOUND,
    Fault.TLS: Text.PAYMENT_NO_CONNECTION_TLS,
    Fault.TIME_OVER: Text.PAYMENT_NO_CONNECTION_TIME_OVER,
}
_DATA_VERSION = "1"


class NotPaid(NamedTuple):
    """The outcome of a payment that is not PAID.

    Attributes:
        status: REFUSED, ABORTED or UNKNOWN.
        message: what the cashier reads.
        reason: why, for the payment's events.
        error_code: the server's error code, or None.
        needs_cancellation: the receipt may be charged or is still open; a cancellation is in the same commit.
        released_code: the code was certainly not sent.
    """

    status: PaymentStatus
    message: str
    reason: str
    error_code: int | None = None
    needs_cancellation: bool = False
    released_code: bool = False


class Paid(NamedTuple):
    """The outcome of a payment whose latest bound answer has state 4.

    Attributes:
        receipt: the server's receipt if the answer held it; None if it held only the state.
    """

    receipt: ServerReceipt | None


def is_same_sale(request: PaymentRequest, row: PaymentRow) -> bool:
    """Return whether a request has the amount and the sale of a payment."""
    sale = request.receipt
    return (request.amount, sale.till, sale.shift, sale.number) == (row.amount, row.till, row.shift, row.number)


def is_paid_in(request: PaymentRequest, row: PaymentRow) -> bool:
    """Return whether a payment is paid and its sale is open according to the journal and the request."""
    is_open = row.closed_at is None and request.receipt.closed_at is None
    return row.state is PaymentState.PAID or (row.state is PaymentState.RECORDED and is_open)


def refused_result(amount: int, message: str) -> PaymentResult:
    """Return REFUSED for a payment that has no row."""
    return PaymentResult(status=PaymentStatus.REFUSED, amount=amount, message=message)


def to_cancel(texts: Texts, status: PaymentStatus, text: Text, reason: str) -> NotPaid:
    """Return an outcome that leaves a cancellation, because the receipt may be charged or is still open."""
    return NotPaid(status=status, message=texts(text), reason=reason, needs_cancellation=True)


def pending_result(texts: Texts, amount: int) -> PaymentResult:
    """Return PENDING for a repeated request that can't be decided now."""
    return PaymentResult(status=PaymentStatus.PENDING, amount=amount, message=texts(Text.PAYMENT_PENDING))


def stored_result(row: PaymentRow) -> PaymentResult:
    """Return the stored result of a payment that ended REFUSED, ABORTED or UNKNOWN."""
    return PaymentResult(
        status=PaymentStatus[row.state.name],
        amount=row.amount,
        receipt_id=row.receipt_id,
        message=row.message,
        error_code=row.error_code,
        cancellation_queued=row.cancellation_queued,
    )


def paid_result(context: Context, row: PaymentRow, receipt: ServerReceipt | None) -> PaymentResult:
    """Return PAID with what the host stores, prints and adds to the fiscal receipt."""
    attributes = {"QRPaymentProvider": str(context.settings.payment_provider), "QRPaymentID": row.receipt_id or ""}
    if receipt is not None and receipt.phone:
        attributes["PhoneNumber"] = receipt.phone
    return PaymentResult(
        status=PaymentStatus.PAID,
        amount=row.amount,
        receipt_id=row.receipt_id,
        payment=record_of(row),
        slips=context.slips.render("pay", row, {} if receipt is None else receipt.raw),
        message=context.texts(Text.PAYMENT_PAID),
        receipt_attributes=attributes,
    )


def commit(
    context: Context,
    row: PaymentRow,
    outcome: NotPaid | Paid,
    events: EventLog,
    fingerprint: str | None,
    receipt_id: str | None,
) -> PaymentRow:
    """Commit the outcome and its cancellation, if any.

    Args:
        context: journal, clock, texts and notices.
        row: the payment as last read.
        outcome: the outcome to store.
        events: stored in the same commit.
        fingerprint: of the code in the last ``pay``; it is released if ``released_code`` is set.
        receipt_id: Payme's receipt id if ``row`` does not have it yet.

    Raises:
        Conflict: the payment has changed. Read it again and act on that.
        JournalError: the outcome must not be returned, because it may not be stored.
    """
    if isinstance(outcome, Paid):
        paid_at = outcome.receipt.pay_time_ms if outcome.receipt is not None else None
        row = context.journal.move(
            row,
            PaymentState.PAID,
            "Payme says paid (4)",
            paid_at=context.clock.wall_ms() if paid_at is None else paid_at,
            events=events.take(),
        )
        if row.acknowledged_at is not None:
            row = context.journal.acknowledge(row)
        context.notice(JOURNAL_NOTICE, None)
    else:
        row = context.journal.move(
            row,
            PaymentState[outcome.status.name],
            outcome.reason,
            receipt_id=receipt_id if row.receipt_id is None else None,
            released_code=fingerprint if outcome.released_code else None,
            result=StoredResult(message=outcome.message, error_code=outcome.error_code),
            cancellation=NewCancellation(cause=Cause.UNRECORDED) if outcome.needs_cancellation else None,
            events=events.take(),
        )
    return row


def store_unstored(journal: Journal, payment_id: str, texts: Texts) -> None:
    """End a payment whose result could not be stored; do nothing if the payment has a result by now.

    Args:
        journal: the journal.
        payment_id: the payment.
        texts: for the result that a host may ask for later.

    Raises:
        JournalError: it can't be stored now.
    """
    row = journal.find(payment_id)
    if row is not None and row.state is PaymentState.PAID and row.acknowledged_at is not None:
        journal.acknowledge(row)
    elif row is not None and (row.state.is_unfinished or row.state is PaymentState.PAID):
        with suppress(Conflict):
            end_without_sale(journal, row, "returned without a result that could be stored", texts)


def report_journal_fault(context: Context, payment_id: str, error: JournalError) -> None:
    """Log that the journal can't store a payment or its result, and show a notice."""
    _log.error("payment %s: the journal can't store it: %s", payment_id, error)
    context.notice(JOURNAL_NOTICE, context.texts(journal_notice(error)))


def journal_notice(error: JournalError) -> Text:
    """Return the notice for a journal error; it says what the operator must do."""
    return _NOTICES.get(type(error), Text.NOTICE_JOURNAL_UNWRITABLE)


def nothing_charged(texts: Texts, failure: CallFailed, *, stopped: bool) -> NotPaid:
    """Return the outcome for a failed request that certainly charged nothing."""
    if stopped:
        message = texts(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
    elif isinstance(failure, ServerError):
        message = message_of(texts, failure)
    elif isinstance(failure, NotSent):
        message = texts(_NOT_SENT.get(failure.fault, Text.PAYMENT_NO_CONNECTION))
    else:
        message = texts(Text.PAYMENT_RECEIPT_NOT_CREATED)
    return NotPaid(
        status=PaymentStatus.ABORTED if stopped else PaymentStatus.REFUSED,
        message=message,
        reason=failure.explanation,
        error_code=failure.code if isinstance(failure, ServerError) else None,
    )


def message_of(texts: Texts, error: ServerError) -> str:
    """Return our text for a server's error code, or the server's text if we have none."""
    return texts.of_error(error.code, error.text.in_language(texts.language))


def is_ours(record: PaymentRecord | None) -> bool:
    """Return whether this plugin took the payment, even if the tender's number has changed."""
    return record is not None and record.data.get("plugin") == PLUGIN_NAME


def record_of(row: PaymentRow) -> PaymentRecord:
    """Return the payment as the host stores it."""
    return PaymentRecord(
        payment_id=row.payment_id,
        payment_type=row.payment_type,
        amount=row.amount,
        data={
            "v": _DATA_VERSION,
            "plugin": PLUGIN_NAME,
            "receipt_id": row.receipt_id or "",
            "posId": row.pos_id,
            "url": row.url,
            "paid_at": str(row.paid_at or ""),
        },
    )
