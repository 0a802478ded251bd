"""The host's calls to give a payment back: which payment it is, whether it may, and what was answered before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookspecs import PaymentRecord, ReversalResult, ReversalStatus
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.rows import Adopted
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.operations.endings import is_ours, record_of
from payme_plugin.operations.guards import GuardedUi
from payme_plugin.operations.refund_rules import violations_of
from payme_plugin.operations.reversal import Order, refused, reverse, tell_reversed
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import CancelRequest, Receipt, RefundRequest, RefundViolation, Ui
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.tools import Tools
    from payme_plugin.texts import Texts

__all__ = ["Original", "cancel_payment", "original_of", "refund_payment", "violations", "violations_without_journal"]

_BACK = frozenset({PaymentState.REVERSING, PaymentState.REVERSED})


@dataclass(frozen=True, slots=True)
class Original:
    """The payment that a refund is about.

    Attributes:
        record: as the host stored it, or as the journal has it where the host lost it.
        row: the journal's row, or None where the journal lost it.
    """

    record: PaymentRecord
    row: PaymentRow | None


def original_of(journal: Journal, request: RefundRequest) -> Original | None:
    """Return the payment of ours that a refund is about; None where there is none.

    Args:
        journal: asked where the host lost the payment: it is the one of our tender in that sale.
        request: the refund.

    Raises:
        JournalError: the journal can't be read.
    """
    record = request.payment
    if record is not None and record.data:
        return Original(record, _row_of(journal, record)) if is_ours(record) else None
    if request.sale is None:
        return None
    rows = [
        row
        for row in journal.payments_of_sale(request.sale.till, request.sale.shift, request.sale.number)
        if row.payment_type == request.payment_type
        and row.state in {PaymentState.PAID, PaymentState.RECORDED, *_BACK}
        and (record is None or record.payment_id == row.payment_id)
    ]
    return Original(record_of(rows[0]), rows[0]) if len(rows) == 1 else None


def violations(
    journal: Journal, request: RefundRequest, original: Original | None, texts: Texts
) -> list[RefundViolation]:
    """Return what forbids a refund of our tender or of a payment of ours; an empty list: nothing.

    Raises:
        JournalError: the journal can't be read.

    Money effect: none.
    """
    row = original.row if original is not None else None
    is_reversed = row is not None and row.state in _BACK and not _is_cause(journal, row, request.refund_id)
    return violations_of(request, original.record if original else None, texts, is_reversed=is_reversed)


def violations_without_journal(request: RefundRequest, texts: Texts) -> list[RefundViolation]:
    """Return what forbids a refund as far as that can be told while the journal can't be read.

    Money effect: none.
    """
    record = request.payment if request.payment is not None and is_ours(request.payment) else None
    return violations_of(request, record, texts, is_reversed=False)


def cancel_payment(tools: Tools, request: CancelRequest, ui: Ui) -> ReversalResult:
    """Give the payment of an open sale back; asked again, it goes on or tells the same.

    Raises:
        StateMoved: the payment has moved on meanwhile.
        Unwritable: nothing was stored, and nothing left that returns money.

    Money effect: may cancel, the whole amount.
    """
    order = Order(Cause.CANCEL, "", request.receipt)
    row = _row_of(tools.journal, request.payment) or _adopted(tools, request.payment, request.receipt)
    return _give_back(tools, row, order, ui)


def refund_payment(tools: Tools, request: RefundRequest, ui: Ui) -> ReversalResult:
    """Give the payment of a closed sale back, unless a rule forbids it; asked again, it goes on or tells the same.

    Raises:
        StateMoved: the payment has moved on meanwhile.
        Unwritable: nothing was stored, and nothing left that returns money.

    Money effect: may cancel, the whole amount.
    """
    original = original_of(tools.journal, request)
    broken = violations(tools.journal, request, original, tools.texts)
    if broken or original is None or request.sale is None:
        return ReversalResult(
            status=ReversalStatus.REFUSED,
            receipt_id=original.record.data.get("receipt_id") if original is not None else None,
            message="\n".join(violation.message for violation in broken),
        )
    row = original.row or _adopted(tools, original.record, request.sale)
    return _give_back(tools, row, Order(Cause.REFUND, request.refund_id, request.refund), ui)


def _give_back(tools: Tools, row: PaymentRow, order: Order, ui: Ui) -> ReversalResult:
    if (row.pos_id, row.url) != (tools.settings.pos_id, tools.settings.url):
        return refused(tools, row, Text.REVERSAL_OTHER_KASSA)
    if row.state is PaymentState.PAYING:
        # The host has it, so it was PAID and the journal could not store that then.
        row = tools.journal.move(row, PaymentState.PAID, "the till has the payment that could not be stored as paid")
    if row.state in {PaymentState.PAID, PaymentState.RECORDED}:
        return reverse(tools, row, order, GuardedUi(ui))
    if row.state in _BACK:
        return _asked_again(tools, row, order, ui)
    return _never_paid(tools, row)


def _asked_again(tools: Tools, row: PaymentRow, order: Order, ui: Ui) -> ReversalResult:
    if order.cause is Cause.REFUND and not _is_cause(tools.journal, row, order.request_id):
        return refused(tools, row, Text.REVERSAL_ALREADY_REVERSED)
    if row.state is PaymentState.REVERSING:
        return reverse(tools, row, order, GuardedUi(ui))
    return tell_reversed(tools, row, order, GuardedUi(ui))


def _never_paid(tools: Tools, row: PaymentRow) -> ReversalResult:
    """Answer for a payment that the till was told it does not have: its money goes back by itself."""
    latest = Cancellations(tools.journal).latest_of(row.payment_id)
    status = ReversalStatus.QUEUED if latest is not None and latest.ended_at is None else ReversalStatus.REVERSED
    text = Text.REVERSAL_QUEUED if status is ReversalStatus.QUEUED else Text.REVERSAL_REVERSED
    return ReversalResult(status=status, receipt_id=row.receipt_id, message=tools.texts(text))


def _is_cause(journal: Journal, row: PaymentRow, refund_id: str) -> bool:
    latest = Cancellations(journal).latest_of(row.payment_id)
    return latest is not None and latest.cause is Cause.REFUND and latest.request_id == refund_id


def _row_of(journal: Journal, record: PaymentRecord) -> PaymentRow | None:
    row = journal.find(record.payment_id)
    if row is None and record.data.get("receipt_id"):
        row = journal.find_receipt(record.data["receipt_id"])
    return row


def _adopted(tools: Tools, record: PaymentRecord, sale: Receipt) -> PaymentRow:
    paid_at = record.data.get("paid_at", "")
    return tools.journal.adopt(
        Adopted(
            payment_id=record.payment_id,
            payment_type=record.payment_type,
            amount=record.amount,
            till=sale.till,
            shift=sale.shift,
            number=sale.number,
            pos_id=record.data.get("posId", ""),
            url=record.data.get("url", ""),
            owner=tools.owner,
            receipt_id=record.data.get("receipt_id", ""),
            paid_at=int(paid_at) if paid_at.isascii() and paid_at.isdigit() else None,
        ),
        "from the till's record; the journal did not have it",
    )
