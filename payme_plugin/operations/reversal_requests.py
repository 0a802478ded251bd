"""The host's calls to give a payment back: what is done the first time, and what is answered when asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookspecs import PaymentRecord, ReversalResult, ReversalStatus
from payme_plugin.ledger.cancellations import Cancellations, closing_reason, was_told_queued
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.closed_receipts import adopt, paid_by_the_tills_word, says_enough
from payme_plugin.operations.context import is_same_account
from payme_plugin.operations.host_guard import GuardedUi
from payme_plugin.operations.originals import (
    RETURNED,
    is_cause,
    is_contradicted,
    original_of,
    row_of_cancel,
    violations,
)
from payme_plugin.operations.reversal import reverse, tell_reversed
from payme_plugin.operations.reversal_endings import Order, closed_by_hand, refused
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import CancelRequest, Receipt, RefundRequest, Ui
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.texts import Texts

__all__ = [
    "cancel_payment",
    "durable_cancel",
    "durable_refund",
    "refund_payment",
]

_log = Log()

_HELD = frozenset({PaymentState.PAYING, PaymentState.PAID, PaymentState.RECORDED})


def cancel_payment(context: Context, request: CancelRequest, ui: Ui) -> ReversalResult:
    """Give the payment of an open sale back; asked again, it goes on or tells the same.

    Raises:
        Conflict: the payment has moved on meanwhile, twice.
        Unavailable: nothing was stored, and nothing left that returns money.

    Money effect: may cancel, the whole amount.
    """
    return _obeying(lambda: _cancel_payment(context, request, ui))


def refund_payment(context: Context, request: RefundRequest, ui: Ui) -> ReversalResult:
    """Give the payment of a closed sale back, unless a rule forbids it; asked again, it goes on or tells the same.

    Raises:
        Conflict: the payment has moved on meanwhile, twice.
        Unavailable: nothing was stored, and nothing left that returns money.

    Money effect: may cancel, the whole amount.
    """
    return _obeying(lambda: _refund_payment(context, request, ui))


def durable_cancel(journal: Journal, request: CancelRequest, texts: Texts) -> ReversalResult | None:
    """Return what is durable of a cancel that can't be carried on now; None: nothing is, and the payment stands.

    Raises:
        JournalError: the journal can't be read.

    Money effect: none.
    """
    row = row_of_cancel(journal, request)
    return None if row is None else _durable(journal, row, texts)


def durable_refund(journal: Journal, request: RefundRequest, texts: Texts) -> ReversalResult | None:
    """Return what is durable of a refund that can't be carried on now; None: nothing is, and the payment stands.

    Raises:
        JournalError: the journal can't be read.

    Money effect: none.
    """
    original = original_of(journal, request)
    row = original.row if original is not None else None
    if row is None or not is_cause(journal, row, request.refund_id):
        return None
    return _durable(journal, row, texts)


def _obeying(operation: Callable[[], ReversalResult]) -> ReversalResult:
    """Run an operation; where another process or thread has moved its payment on, read again and obey."""
    try:
        return operation()
    except Conflict:
        return operation()


def _cancel_payment(context: Context, request: CancelRequest, ui: Ui) -> ReversalResult:
    row = row_of_cancel(context.journal, request)
    if is_contradicted(request.payment, row):
        return _not_here(context, request.payment, Text.REVERSAL_UNKNOWN_PAYMENT)
    order = Order(Cause.CANCEL, "", request.receipt)
    return _give_back(context, row or _adopted(context, request.payment, request.receipt, None), order, ui)


def _refund_payment(context: Context, request: RefundRequest, ui: Ui) -> ReversalResult:
    original = original_of(context.journal, request)
    broken = violations(context.journal, request, original, context.texts)
    if broken or original is None or request.sale is None:
        return ReversalResult(
            status=ReversalStatus.REFUSED,
            receipt_id=original.record.data.get("receipt_id") if original is not None else None,
            message="\n".join(violation.message for violation in broken),
        )
    # The sale of a refund is closed: recovery must not ask the host about it as about one that is still open.
    closed_at = request.sale.closed_at if request.sale.closed_at is not None else context.clock.wall_ms()
    order = Order(Cause.REFUND, request.refund_id, request.refund)
    return _give_back(context, original.row or _adopted(context, original.record, request.sale, closed_at), order, ui)


def _give_back(context: Context, row: PaymentRow | ReversalResult, order: Order, ui: Ui) -> ReversalResult:
    if isinstance(row, ReversalResult):
        return row
    if row.state in RETURNED:
        return _asked_again(context, row, order, ui)
    if row.state not in _HELD:
        return _never_paid(context, row)
    if not is_same_account(row, context.settings):
        return refused(context, row, Text.REVERSAL_OTHER_KASSA)
    if row.state is PaymentState.PAYING:
        row = paid_by_the_tills_word(context.journal, row)
    return reverse(context, row, order, GuardedUi(ui))


def _asked_again(context: Context, row: PaymentRow, order: Order, ui: Ui) -> ReversalResult:
    if order.cause is Cause.REFUND and not is_cause(context.journal, row, order.request_id):
        return refused(context, row, Text.REVERSAL_ALREADY_REVERSED)
    if row.state is PaymentState.REVERSED:
        return (
            tell_reversed(context, row, order, GuardedUi(ui))
            if is_same_account(row, context.settings)
            else _told(context, row, order)
        )
    reason = closing_reason(Cancellations(context.journal).latest_of(row.payment_id))
    if reason is not None:
        return closed_by_hand(context, row, reason)
    if is_same_account(row, context.settings):
        return reverse(context, row, order, GuardedUi(ui))
    # Without the key nothing can be asked now, but the cancellation is durable: REFUSED would have the host keep a sale
    # whose money goes back.
    told = _durable(context.journal, row, context.texts)
    if told is None:
        message = f"payment {row.payment_id} is no longer reversing"
        raise Conflict(message)
    return told


def _durable(journal: Journal, row: PaymentRow, texts: Texts) -> ReversalResult | None:
    """Return what is durable of a payment's return; None: nothing is.

    What is told as QUEUED here is not taken back any more, not even by a hook that is under way.
    """
    rows = Cancellations(journal)
    latest = rows.latest_of(row.payment_id)
    if row.state is PaymentState.REVERSING and latest is not None and latest.ended_at is None:
        try:
            rows.leave(latest, latest.last_error or "told to the till while it was under way")
        except JournalError as error:
            _log.error("payment %s: %s", row.payment_id, error)
        row, latest = journal.payment(row.payment_id), rows.latest_of(row.payment_id)
    if row.state is PaymentState.REVERSED:
        status, text = ReversalStatus.REVERSED, Text.REVERSAL_REVERSED
    elif row.state is PaymentState.REVERSING and latest is not None and latest.ended_at is None:
        status, text = ReversalStatus.QUEUED, Text.REVERSAL_QUEUED
    else:
        return None
    return ReversalResult(
        status=status, receipt_id=row.receipt_id, message=texts(text), cancellation_queued=was_told_queued(latest)
    )


def _told(context: Context, row: PaymentRow, order: Order) -> ReversalResult:
    return ReversalResult(
        status=ReversalStatus.REVERSED,
        receipt_id=row.receipt_id,
        slips=context.slips.render(order.operation, row, {}, order.document),
        message=context.texts(Text.REVERSAL_REVERSED),
        cancellation_queued=was_told_queued(Cancellations(context.journal).latest_of(row.payment_id)),
    )


def _not_here(context: Context, record: PaymentRecord, text: Text) -> ReversalResult:
    """Answer for a record that leads to no payment of the kassa in the settings."""
    return ReversalResult(
        status=ReversalStatus.REFUSED,
        receipt_id=record.data.get("receipt_id") or None,
        message=context.texts(text),
    )


def _never_paid(context: Context, row: PaymentRow) -> ReversalResult:
    """Answer for a payment that the till was told it does not have: its money goes back by itself."""
    latest = Cancellations(context.journal).latest_of(row.payment_id)
    reason = closing_reason(latest)
    if reason is not None:
        return closed_by_hand(context, row, reason)
    status = ReversalStatus.QUEUED if latest is not None and latest.ended_at is None else ReversalStatus.REVERSED
    text = Text.REVERSAL_QUEUED if status is ReversalStatus.QUEUED else Text.REVERSAL_REVERSED
    return ReversalResult(status=status, receipt_id=row.receipt_id, message=context.texts(text))


def _adopted(
    context: Context, record: PaymentRecord, sale: Receipt, closed_at: int | None
) -> PaymentRow | ReversalResult:
    """Take the host's word for a payment that the journal lost, where it is of the kassa in the settings."""
    if not says_enough(record):
        return _not_here(context, record, Text.REVERSAL_UNKNOWN_PAYMENT)
    if (record.data["posId"], record.data["url"]) != (context.settings.pos_id, context.settings.url):
        return _not_here(context, record, Text.REVERSAL_OTHER_KASSA)
    return adopt(context.journal, context.owner, record, sale, closed_at)
