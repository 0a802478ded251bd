"""How a payment ends: the verdict that is committed first and told afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookspecs import PaymentRecord, PaymentResult, PaymentStatus
from payme_plugin.ledger.errors import Conflict, Damaged, FileMoved, ForeignJournal, JournalError, TooNew
from payme_plugin.ledger.rows import NewCancellation, StoredResult
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import Slip
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.event_log import EventLog
    from payme_plugin.paymego.receipts import ServerReceipt

__all__ = [
    "JOURNAL_NOTICE",
    "NotPaid",
    "Paid",
    "commit",
    "commit_paid",
    "is_ours",
    "journal_notice",
    "paid_result",
    "record_of",
    "refusal",
    "stored_result",
]

_log = Log()

_STATE_OF = {
    PaymentStatus.REFUSED: PaymentState.REFUSED,
    PaymentStatus.ABORTED: PaymentState.ABORTED,
    PaymentStatus.UNKNOWN: PaymentState.UNKNOWN,
}
_STATUS_OF = {state: status for status, state in _STATE_OF.items()}

_PLUGIN = "payme"
_DATA_VERSION = "1"
JOURNAL_NOTICE = "payme.journal"
_NOTICES = {
    Damaged: Text.NOTICE_JOURNAL_DAMAGED,
    FileMoved: Text.NOTICE_JOURNAL_MOVED,
    ForeignJournal: Text.NOTICE_JOURNAL_FOREIGN,
    TooNew: Text.NOTICE_JOURNAL_TOO_NEW,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class NotPaid:
    """A verdict that is not PAID.

    Attributes:
        status: REFUSED, ABORTED or UNKNOWN.
        message: what the cashier reads.
        reason: why, for the payment's story.
        error_code: the server's error code, or None.
        needs_cancellation: the receipt may have been charged or is still open: its cancellation is in the same commit.
        released_code: the code certainly did not leave.
    """

    status: PaymentStatus
    message: str
    reason: str
    error_code: int | None = None
    needs_cancellation: bool = False
    released_code: bool = False


@dataclass(frozen=True, slots=True)
class Paid:
    """The latest answer bound to our receipt said 4.

    Attributes:
        receipt: the server's receipt where the answer brought it; None where only the state came.
    """

    receipt: ServerReceipt | None


def refusal(amount: int, message: str) -> PaymentResult:
    """Return REFUSED for a payment that never became a row."""
    return PaymentResult(status=PaymentStatus.REFUSED, amount=amount, message=message)


def commit(
    context: Context, row: PaymentRow, ending: NotPaid, events: EventLog, fingerprint: str | None = None
) -> PaymentResult:
    """Make a verdict durable, with its cancellation where it needs one, and return what the host is told.

    A verdict that can't be stored after a ``pay`` may have arrived is UNKNOWN: the row in state paying is itself the
    durable intent to cancel.

    Args:
        context: the journal.
        row: the payment as it stands.
        ending: the verdict.
        events: its lines go into the same commit.
        fingerprint: of the code in the last ``pay``; forgotten where the ending says that the code never left.

    Raises:
        Conflict: the payment has moved on meanwhile: read again and obey.

    Money effect: none at once; a cancellation is carried out later.
    """
    try:
        row = context.journal.move(
            row,
            _STATE_OF[ending.status],
            ending.reason,
            released_code=fingerprint if ending.released_code else None,
            verdict=StoredResult(message=ending.message, error_code=ending.error_code),
            cancellation=NewCancellation(cause=Cause.UNRECORDED) if ending.needs_cancellation else None,
            notes=events.take(),
        )
    except Conflict:
        raise
    except JournalError as error:
        return _not_stored(context, row, ending, error)
    context.notice(JOURNAL_NOTICE, None)
    return stored_result(row)


def commit_paid(context: Context, row: PaymentRow, paid: Paid, events: EventLog) -> PaymentRow:
    """Make PAID durable and return the row.

    A PAID that can't be stored is PAID all the same: the row in state paying stays, and the host's word about the sale
    decides later.

    Raises:
        Conflict: the payment has moved on meanwhile: read again and obey.

    Money effect: none.
    """
    said = paid.receipt.pay_time_ms if paid.receipt is not None else None
    paid_at = said if said is not None else context.clock.wall_ms()
    try:
        row = context.journal.move(row, PaymentState.PAID, "Payme says paid (4)", paid_at=paid_at, notes=events.take())
    except Conflict:
        raise
    except JournalError as error:
        _journal_fault(context, row, error)
    else:
        context.notice(JOURNAL_NOTICE, None)
    return row


def journal_notice(error: JournalError) -> Text:
    """Return the notice for a journal that can't be used, by what helps."""
    told = (text for kind, text in _NOTICES.items() if isinstance(error, kind))
    return next(told, Text.NOTICE_JOURNAL_UNWRITABLE)


def stored_result(row: PaymentRow) -> PaymentResult:
    """Return the verdict of a payment that ended REFUSED, ABORTED or UNKNOWN, as it was told the first time."""
    return PaymentResult(
        status=_STATUS_OF[row.state],
        amount=row.amount,
        receipt_id=row.receipt_id,
        message=row.message,
        error_code=row.error_code,
        cancellation_queued=row.cancellation_queued,
    )


def paid_result(context: Context, row: PaymentRow, phone: str | None, slips: tuple[Slip, ...]) -> PaymentResult:
    """Return PAID with all that the host stores, prints and puts onto the fiscal receipt."""
    attributes = {"QRPaymentProvider": str(context.settings.payment_provider), "QRPaymentID": row.receipt_id or ""}
    if phone:
        attributes["PhoneNumber"] = phone
    return PaymentResult(
        status=PaymentStatus.PAID,
        amount=row.amount,
        receipt_id=row.receipt_id,
        payment=record_of(row),
        slips=slips,
        message=context.texts(Text.PAYMENT_PAID),
        receipt_attributes=attributes,
    )


def is_ours(record: PaymentRecord) -> bool:
    """Say whether this plugin took the payment, whatever the tender's number says today."""
    return record.data.get("plugin") == _PLUGIN


def record_of(row: PaymentRow) -> PaymentRecord:
    """Return the payment as the host stores it."""
    return PaymentRecord(
        payment_id=row.payment_id,
        payment_type=row.payment_type,
        amount=row.amount,
        data={
            "v": _DATA_VERSION,
            "plugin": _PLUGIN,
            "receipt_id": row.receipt_id or "",
            "posId": row.pos_id,
            "url": row.url,
            "paid_at": str(row.paid_at or ""),
        },
    )


def _not_stored(context: Context, row: PaymentRow, ending: NotPaid, error: JournalError) -> PaymentResult:
    _journal_fault(context, row, error)
    may_be_charged = row.state is PaymentState.PAYING
    return PaymentResult(
        status=PaymentStatus.UNKNOWN if may_be_charged else ending.status,
        amount=row.amount,
        receipt_id=row.receipt_id,
        message=context.texts(Text.PAYMENT_CHARGE_MAY_HANG) if may_be_charged else ending.message,
        error_code=ending.error_code,
    )


def _journal_fault(context: Context, row: PaymentRow, error: JournalError) -> None:
    _log.error("payment %s: the journal can't store its verdict: %s", row.payment_id, error)
    context.notice(JOURNAL_NOTICE, context.texts(journal_notice(error)))
