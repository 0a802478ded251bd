"""The host's calls to give a payment back: what is done the first time, and what is answered when asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookspecs import PaymentRecord, ReversalResult, ReversalStatus
from payme_plugin.ledger.cancellations import Cancellations, closing_reason, was_told_queued
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.guards import GuardedUi
from payme_plugin.operations.originals import (
    RETURNED,
    is_cause,
    is_contradicted,
    original_of,
    row_of_cancel,
    violations,
)
from payme_plugin.operations.recording import adopt, paid_by_the_tills_word, says_enough
from payme_plugin.operations.reversal import reverse, tell_reversed
from payme_plugin.operations.reversal_endings import Order, closed_by_hand, refused
from payme_plugin.operations.same_kassa import is_same_kassa
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import CancelRequest, Receipt, RefundRequest, Ui
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.tools import Tools
    from payme_plugin.texts import Texts

__all__ = [
    "cancel_payment",
    "durable_cancel",
    "durable_refund",
    "refund_payment",
]

_log = Log()

_HELD = frozenset({PaymentState.PAYING, PaymentState.PAID, PaymentState.RECORDED})


def cancel_payment(tools: Tools, request: CancelRequest, ui: Ui) -> ReversalResult:
    """Give the payment of an open sale back; asked again, it goes on or tells the same.

    Raises:
        Conflict: the payment has moved on meanwhile, twice.
        Unavailable: nothing was stored, and nothing left that returns money.

    Money effect: may cancel, the whole amount.
    """
    return _obeying(lambda: _cancel_payment(tools, request, ui))


def refund_payment(tools: Tools, request: RefundRequest, ui: Ui) -> ReversalResult:
    """Give the payment of a closed sale back, unless a rule forbids it; asked again, it goes on or tells the same.

    Raises:
        Conflict: the payment has moved on meanwhile, twice.
        Unavailable: nothing was stored, and nothing left that returns money.

    Money effect: may cancel, the whole amount.
    """
    return _obeying(lambda: _refund_payment(tools, request, ui))


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


def _cancel_payment(tools: Tools, request: CancelRequest, ui: Ui) -> ReversalResult:
    row = row_of_cancel(tools.journal, request)
    if is_contradicted(request.payment, row):
        return _not_here(tools, request.payment, Text.REVERSAL_UNKNOWN_PAYMENT)
    order = Order(Cause.CANCEL, "", request.receipt)
    return _give_back(tools, row or _adopted(tools, request.payment, request.receipt, None), order, ui)


def _refund_payment(tools: Tools, request: RefundRequest, ui: Ui) -> ReversalResult:
    original = original_of(tools.journal, request)
    broken = violations(tools.journal, request, original, tools.texts)
    if broken or original is None or request.sale is None:
        return ReversalResult(
            status=ReversalStatus.REFUSED,
            receipt_id=original.record.data.get("receipt_id") if original is not None else None,
            message="\n".join(violation.message for violation in broken),
        )
    # The sale of a refund is closed: recovery must not ask the host about it as about one that is still open.
    closed_at = request.sale.closed_at if request.sale.closed_at is not None else tools.clock.wall_ms()
    order = Order(Cause.REFUND, request.refund_id, request.refund)
    return _give_back(tools, original.row or _adopted(tools, original.record, request.sale, closed_at), order, ui)


def _give_back(tools: Tools, row: PaymentRow | ReversalResult, order: Order, ui: Ui) -> ReversalResult:
    if isinstance(row, ReversalResult):
        return row
    if row.state in RETURNED:
        return _asked_again(tools, row, order, ui)
    if row.state not in _HELD:
        return _never_paid(tools, row)
    if not is_same_kassa(row, tools.settings):
        return refused(tools, row, Text.REVERSAL_OTHER_KASSA)
    if row.state is PaymentState.PAYING:
        row = paid_by_the_tills_word(tools.journal, row)
    return reverse(tools, row, order, GuardedUi(ui))


def _asked_again(tools: Tools, row: PaymentRow, order: Order, ui: Ui) -> ReversalResult:
    if order.cause is Cause.REFUND and not is_cause(tools.journal, row, order.request_id):
        return refused(tools, row, Text.REVERSAL_ALREADY_REVERSED)
    if row.state is PaymentState.REVERSED:
        return (
            tell_reversed(tools, row, order, GuardedUi(ui))
            if is_same_kassa(row, tools.settings)
            else _told(tools, row, order)
        )
    reason = closing_reason(Cancellations(tools.journal).latest_of(row.payment_id))
    if reason is not None:
        return closed_by_hand(tools, row, reason)
    if is_same_kassa(row, tools.settings):
        return reverse(tools, row, order, GuardedUi(ui))
    # Without the key nothing can be asked now, but the cancellation is durable: REFUSED would have the host keep a sale
    # whose money goes back.
    told = _durable(tools.journal, row, tools.texts)
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


def _told(tools: Tools, row: PaymentRow, order: Order) -> ReversalResult:
    return ReversalResult(
        status=ReversalStatus.REVERSED,
        receipt_id=row.receipt_id,
        slips=tools.slips.make(order.operation, row, {}, order.document),
        message=tools.texts(Text.REVERSAL_REVERSED),
        cancellation_queued=was_told_queued(Cancellations(tools.journal).latest_of(row.payment_id)),
    )


def _not_here(tools: Tools, record: PaymentRecord, text: Text) -> ReversalResult:
    """Answer for a record that leads to no payment of the kassa in the settings."""
    return ReversalResult(
        status=ReversalStatus.REFUSED,
        receipt_id=record.data.get("receipt_id") or None,
        message=tools.texts(text),
    )


def _never_paid(tools: Tools, row: PaymentRow) -> ReversalResult:
    """Answer for a payment that the till was told it does not have: its money goes back by itself."""
    latest = Cancellations(tools.journal).latest_of(row.payment_id)
    reason = closing_reason(latest)
    if reason is not None:
        return closed_by_hand(tools, row, reason)
    status = ReversalStatus.QUEUED if latest is not None and latest.ended_at is None else ReversalStatus.REVERSED
    text = Text.REVERSAL_QUEUED if status is ReversalStatus.QUEUED else Text.REVERSAL_REVERSED
    return ReversalResult(status=status, receipt_id=row.receipt_id, message=tools.texts(text))


def _adopted(tools: Tools, record: PaymentRecord, sale: Receipt, closed_at: int | None) -> PaymentRow | ReversalResult:
    """Take the host's word for a payment that the journal lost, where it is of the kassa in the settings."""
    if not says_enough(record):
        return _not_here(tools, record, Text.REVERSAL_UNKNOWN_PAYMENT)
    if (record.data["posId"], record.data["url"]) != (tools.settings.pos_id, tools.settings.url):
        return _not_here(tools, record, Text.REVERSAL_OTHER_KASSA)
    return adopt(tools.journal, tools.owner, record, sale, closed_at)
