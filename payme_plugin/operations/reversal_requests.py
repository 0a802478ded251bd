"""The host's cancels and refunds: find the payment, check the rules, reverse it or repeat the result."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hookspecs import PaymentRecord, RefundRequest, ReversalResult, ReversalStatus
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.states import Cause, End, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.acknowledgement import conflicts_with, import_from_host, is_complete
from payme_plugin.operations.answers import RETURNED, REVERSIBLE, reversal_answer
from payme_plugin.operations.host_guard import GuardedUi
from payme_plugin.operations.refund_rules import FOREIGN_PAYMENT, violations_of
from payme_plugin.operations.results import is_ours, record_of
from payme_plugin.operations.reversal import Order, refused, reverse
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import CancelRequest, Receipt, RefundViolation, Ui
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.texts import Texts

_log = Log()


class Original(NamedTuple):
    """The payment that a cancel or refund is about.

    Attributes:
        record: as the host stored it, or as the journal has it if the host lost it.
        row: the journal's row, or None if the journal lost it.
    """

    record: PaymentRecord
    row: PaymentRow | None

    @property
    def payment_id(self) -> str:
        """The id under which the journal has it, or will have it."""
        return self.record.payment_id if self.row is None else self.row.payment_id


class ReversalContext(NamedTuple):
    """What a cancel or refund may use; it needs neither settings nor the network to be QUEUED.

    Attributes:
        journal: the journal.
        owner: this process's token.
        clock: time.
        texts: the cashier's language.
        merchant: for Payme; None if the settings can't be used.
    """

    journal: Journal
    owner: str
    clock: Clock
    texts: Texts
    merchant: Context | None

    def for_row(self, row: PaymentRow) -> Context | None:
        """Return what may ask Payme about a payment, or None without usable settings or its account's key."""
        return None if self.merchant is None else self.merchant.for_row(row)


# ---------------------------------------------------------------------------------------------------------------------
# Cancel and refund
# ---------------------------------------------------------------------------------------------------------------------


def return_payment(context: ReversalContext, request: CancelRequest | RefundRequest, ui: Ui) -> ReversalResult:
    """Return the payment of an open sale, or of a closed one unless a rule forbids it.

    A repeated request continues or gets the same result. Without usable settings, or without the key of the payment's
    merchant account, the worker returns the money later.

    Raises:
        Conflict: the payment has changed meanwhile, twice.
        Unavailable: nothing was stored, and no request was sent that returns money.

    Money effect: may cancel, the whole amount.
    """
    try:
        return _return_once(context, request, ui)
    except Conflict:  # another process or thread has changed the payment
        return _return_once(context, request, ui)


def _return_once(context: ReversalContext, request: CancelRequest | RefundRequest, ui: Ui) -> ReversalResult:
    if isinstance(request, RefundRequest):
        return _refund(context, request, ui)
    row = row_of_cancel(context.journal, request)
    if conflicts_with(request.payment, row):
        return _refused_record(context, request.payment, Text.REVERSAL_UNKNOWN_PAYMENT)
    order = Order(Cause.CANCEL, "", request.receipt)
    sale = replace(request.receipt, closed_at=None)
    return _return_payment(context, Original(request.payment, row), sale, order, ui)


def _refund(context: ReversalContext, request: RefundRequest, ui: Ui) -> ReversalResult:
    original = original_of(context.journal, request)
    broken = violations(context.journal, request, original, context.texts)
    if broken or original is None or request.sale is None:
        return ReversalResult(
            status=ReversalStatus.REFUSED,
            receipt_id=original.record.data.get("receipt_id") if original is not None else None,
            message="\n".join(violation.message for violation in broken),
        )
    # The sale of a refund is closed, so the host must not be asked about it as about an open one.
    closed_at = request.sale.closed_at if request.sale.closed_at is not None else context.clock.wall_ms()
    order = Order(Cause.REFUND, request.refund_id, request.refund)
    return _return_payment(context, original, replace(request.sale, closed_at=closed_at), order, ui)


def _refused_record(context: ReversalContext, record: PaymentRecord, text: Text) -> ReversalResult:
    return refused(context.texts, text, record.data.get("receipt_id") or None)


def _return_payment(
    context: ReversalContext, original: Original, sale: Receipt, order: Order, ui: Ui
) -> ReversalResult:
    """Reverse a payment if it can be reversed now, else answer from the journal.

    Args:
        context: as for a payment.
        original: the payment.
        sale: the sale that it is in, in case the journal lost the payment.
        order: what the host requests.
        ui: the cashier.

    Money effect: may cancel, the whole amount.
    """
    journal, row, record = context.journal, original.row, original.record
    if row is None:
        if not is_complete(record):
            return _refused_record(context, record, Text.REVERSAL_UNKNOWN_PAYMENT)
        row = import_from_host(journal, context.owner, record, sale)
    if order.cause is Cause.REFUND and row.state in RETURNED and not _was_caused_by(journal, row, order.request_id):
        return refused(context.texts, Text.REVERSAL_ALREADY_REVERSED, row.receipt_id)
    row, is_closed = _taken_for_host(journal, row, order)
    if row.state in {*REVERSIBLE, *RETURNED} and not is_closed:
        account = context.for_row(row)
        if account is not None:
            result = reverse(account, row, order, GuardedUi(ui))
            if result is not None:
                return result
        elif row.state in REVERSIBLE:
            order.commit(journal, row)
        row = journal.payment(row.payment_id)
    answer = reversal_answer(journal, row, context.texts)
    if row.state is PaymentState.REVERSED and context.merchant is not None:
        return replace(answer, slips=context.merchant.slips.render(order.operation, row, {}, order.document))
    return answer


def _taken_for_host(journal: Journal, row: PaymentRow, order: Order) -> tuple[PaymentRow, bool]:
    """Make the host's request the cause of what is under way; return also whether an operator ended it.

    A payment without a result counts as paid, because the host wants it back. Payme is asked for the state before
    anything is cancelled.
    """
    if row.state is PaymentState.PAYING:
        row = journal.move(row, PaymentState.PAID, "the till returns a payment that has no result")
    rows = Cancellations(journal)
    latest = None if row.state in REVERSIBLE else rows.latest_of(row.payment_id)
    if order.cause is Cause.CANCEL and latest is not None and latest.ended_at is None:
        rows.take_for_host(latest)
    return row, row.state is PaymentState.REVERSING and latest is not None and latest.ended_as is End.CLOSED


# ---------------------------------------------------------------------------------------------------------------------
# Which payment is meant
# ---------------------------------------------------------------------------------------------------------------------


def row_of(journal: Journal, request: CancelRequest | RefundRequest) -> PaymentRow | None:
    """Return the payment of a cancel, or the payment that this refund has returned, or None.

    Raises:
        JournalError: the journal can't be read.
    """
    if not isinstance(request, RefundRequest):
        return row_of_cancel(journal, request)
    original = original_of(journal, request)
    row = original.row if original is not None else None
    return row if row is not None and _was_caused_by(journal, row, request.refund_id) else None


def row_of_cancel(journal: Journal, request: CancelRequest) -> PaymentRow | None:
    """Return our payment that a cancel names; None if the journal does not have it.

    Args:
        journal: searched by payment id and tender if the record lost its data.
        request: the cancel.

    Raises:
        JournalError: the journal can't be read.
    """
    record = request.payment
    if record.data:
        return _row_of_record(journal, record) if is_ours(record) else None
    row = journal.find(record.payment_id)
    return row if row is not None and row.payment_type == record.payment_type else None


def original_of(journal: Journal, request: RefundRequest) -> Original | None:
    """Return our payment that a refund names, or None.

    Args:
        journal: if the host lost the payment, the only payment of our tender in that sale is returned.
        request: the refund.

    Raises:
        JournalError: the journal can't be read.
    """
    record = request.payment
    if record is not None and record.data:
        row = _row_of_record(journal, record)
        return Original(record, row) if is_ours(record) and not conflicts_with(record, row) else None
    if request.sale is None:
        return None
    rows = [
        row
        for row in journal.payments_of_sale(request.sale.till, request.sale.shift, request.sale.number)
        if row.payment_type == request.payment_type
        and row.state in {PaymentState.PAID, PaymentState.RECORDED, *RETURNED}
        and (record is None or record.payment_id == row.payment_id)
    ]
    return Original(record_of(rows[0]), rows[0]) if len(rows) == 1 else None


def _row_of_record(journal: Journal, record: PaymentRecord) -> PaymentRow | None:
    row = journal.find(record.payment_id)
    if row is None and record.data.get("receipt_id"):
        row = journal.find_receipt(record.data["receipt_id"])
    return row


def _was_caused_by(journal: Journal, row: PaymentRow, refund_id: str) -> bool:
    """Return whether this refund has returned a payment or is returning it."""
    latest = Cancellations(journal).latest_of(row.payment_id)
    return latest is not None and latest.cause is Cause.REFUND and latest.request_id == refund_id


# ---------------------------------------------------------------------------------------------------------------------
# What forbids a refund
# ---------------------------------------------------------------------------------------------------------------------


def violations(
    journal: Journal, request: RefundRequest, original: Original | None, texts: Texts
) -> list[RefundViolation]:
    """Return the rules that forbid a refund of our tender or of our payment; may be empty.

    Raises:
        JournalError: the journal can't be read.
    """
    row = original.row if original is not None else None
    is_reversed = row is not None and row.state in RETURNED and not _was_caused_by(journal, row, request.refund_id)
    record = original.record if original is not None else None
    # If the journal has the payment, it has the charged amount.
    known = record_of(row) if row is not None else record
    return list(violations_of(request, known, texts, is_reversed=is_reversed))


def violations_without_journal(request: RefundRequest, texts: Texts) -> list[RefundViolation]:
    """Return the rules that forbid a refund, as far as they can be checked without the journal.

    Only the journal has payments that the host lost, and which payments were returned.
    """
    record = request.payment if is_ours(request.payment) else None
    found = violations_of(request, record, texts, is_reversed=False)
    is_lost = request.payment is None or not request.payment.data
    return [each for each in found if not (is_lost and each.rule == FOREIGN_PAYMENT)]
