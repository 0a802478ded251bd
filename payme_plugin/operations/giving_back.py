"""The host's calls to give a payment back: which payment it is, whether it may, and what was answered before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookspecs import PaymentRecord, ReversalResult, ReversalStatus
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import StateMoved
from payme_plugin.ledger.rows import Adopted
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.operations.endings import is_ours, record_of
from payme_plugin.operations.guards import GuardedUi
from payme_plugin.operations.refund_rules import violations_of
from payme_plugin.operations.reversal import Order, refused, reverse, tell_reversed
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import CancelRequest, Receipt, RefundRequest, RefundViolation, Ui
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.tools import Tools
    from payme_plugin.texts import Texts

__all__ = [
    "Original",
    "cancel_payment",
    "durable_cancel",
    "durable_refund",
    "original_of",
    "refund_payment",
    "violations",
    "violations_without_journal",
]

_HELD = frozenset({PaymentState.PAYING, PaymentState.PAID, PaymentState.RECORDED})
_BACK = frozenset({PaymentState.REVERSING, PaymentState.REVERSED})
_LONGEST_TIME = 15


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
        row = _row_of(journal, record)
        return Original(record, row) if is_ours(record) and not _is_contradicted(record, row) else None
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
    record = original.record if original is not None else None
    # What was charged is what the journal says, where it says anything.
    known = record_of(row) if row is not None else record
    return violations_of(request, known, texts, is_reversed=is_reversed)


def violations_without_journal(request: RefundRequest, texts: Texts) -> list[RefundViolation]:
    """Return what forbids a refund as far as that can be told while the journal can't be read.

    Money effect: none.
    """
    record = request.payment if request.payment is not None and is_ours(request.payment) else None
    return violations_of(request, record, texts, is_reversed=False)


def cancel_payment(tools: Tools, request: CancelRequest, ui: Ui) -> ReversalResult:
    """Give the payment of an open sale back; asked again, it goes on or tells the same.

    Raises:
        StateMoved: the payment has moved on meanwhile, twice.
        Unwritable: nothing was stored, and nothing left that returns money.

    Money effect: may cancel, the whole amount.
    """
    return _obeying(lambda: _cancel_payment(tools, request, ui))


def refund_payment(tools: Tools, request: RefundRequest, ui: Ui) -> ReversalResult:
    """Give the payment of a closed sale back, unless a rule forbids it; asked again, it goes on or tells the same.

    Raises:
        StateMoved: the payment has moved on meanwhile, twice.
        Unwritable: nothing was stored, and nothing left that returns money.

    Money effect: may cancel, the whole amount.
    """
    return _obeying(lambda: _refund_payment(tools, request, ui))


def durable_cancel(journal: Journal, request: CancelRequest, texts: Texts) -> ReversalResult | None:
    """Return what is durable of a cancel that can't be carried on now; None: nothing is, and the payment stands.

    Raises:
        JournalError: the journal can't be read.

    Money effect: none.
    """
    row = _row_of(journal, request.payment)
    if row is None or not (row.state is PaymentState.REVERSED or _is_live(journal, row)):
        return None
    return _told_by_journal(row, texts)


def durable_refund(journal: Journal, request: RefundRequest, texts: Texts) -> ReversalResult | None:
    """Return what is durable of a refund that can't be carried on now; None: nothing is, and the payment stands.

    Raises:
        JournalError: the journal can't be read.

    Money effect: none.
    """
    original = original_of(journal, request)
    row = original.row if original is not None else None
    if row is None or not _is_cause(journal, row, request.refund_id):
        return None
    is_durable = row.state is PaymentState.REVERSED or _is_live(journal, row)
    return _told_by_journal(row, texts) if is_durable else None


def _obeying(operation: Callable[[], ReversalResult]) -> ReversalResult:
    """Run an operation; where another process or thread has moved its payment on, read again and obey."""
    try:
        return operation()
    except StateMoved:
        return operation()


def _cancel_payment(tools: Tools, request: CancelRequest, ui: Ui) -> ReversalResult:
    order = Order(Cause.CANCEL, "", request.receipt)
    row = _row_of(tools.journal, request.payment)
    if _is_contradicted(request.payment, row):
        return _not_here(tools, request.payment)
    row = row or _adopted(tools, request.payment, request.receipt, None)
    return _not_here(tools, request.payment) if row is None else _give_back(tools, row, order, ui)


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
    row = original.row or _adopted(tools, original.record, request.sale, closed_at)
    order = Order(Cause.REFUND, request.refund_id, request.refund)
    return _not_here(tools, original.record) if row is None else _give_back(tools, row, order, ui)


def _give_back(tools: Tools, row: PaymentRow, order: Order, ui: Ui) -> ReversalResult:
    if row.state in _BACK:
        return _asked_again(tools, row, order, ui)
    if row.state not in _HELD:
        return _never_paid(tools, row)
    if not _has_key(tools, row):
        return refused(tools, row, Text.REVERSAL_OTHER_KASSA)
    if row.state is PaymentState.PAYING:
        # The host has it, so it was PAID and the journal could not store that then.
        row = tools.journal.move(row, PaymentState.PAID, "the till has the payment that could not be stored as paid")
    return reverse(tools, row, order, GuardedUi(ui))


def _asked_again(tools: Tools, row: PaymentRow, order: Order, ui: Ui) -> ReversalResult:
    if order.cause is Cause.REFUND and not _is_cause(tools.journal, row, order.request_id):
        return refused(tools, row, Text.REVERSAL_ALREADY_REVERSED)
    if row.state is PaymentState.REVERSED:
        return tell_reversed(tools, row, order, GuardedUi(ui)) if _has_key(tools, row) else _told(tools, row, order)
    # Without the key nothing can be asked now, but the cancellation is durable: REFUSED would have the host keep a sale
    # whose money goes back.
    return reverse(tools, row, order, GuardedUi(ui)) if _has_key(tools, row) else _told_by_journal(row, tools.texts)


def _is_live(journal: Journal, row: PaymentRow) -> bool:
    latest = Cancellations(journal).latest_of(row.payment_id)
    return row.state is PaymentState.REVERSING and latest is not None and latest.ended_at is None


def _told_by_journal(row: PaymentRow, texts: Texts) -> ReversalResult:
    is_done = row.state is PaymentState.REVERSED
    return ReversalResult(
        status=ReversalStatus.REVERSED if is_done else ReversalStatus.QUEUED,
        receipt_id=row.receipt_id,
        message=texts(Text.REVERSAL_REVERSED if is_done else Text.REVERSAL_QUEUED),
        cancellation_queued=not is_done,
    )


def _has_key(tools: Tools, row: PaymentRow) -> bool:
    return (row.pos_id, row.url) == (tools.settings.pos_id, tools.settings.url)


def _told(tools: Tools, row: PaymentRow, order: Order) -> ReversalResult:
    return ReversalResult(
        status=ReversalStatus.REVERSED,
        receipt_id=row.receipt_id,
        slips=tools.slips.make(order.operation, row, {}, order.document),
        message=tools.texts(Text.REVERSAL_REVERSED),
    )


def _not_here(tools: Tools, record: PaymentRecord) -> ReversalResult:
    """Answer for a record that leads to no payment of the kassa in the settings."""
    return ReversalResult(
        status=ReversalStatus.REFUSED,
        receipt_id=record.data.get("receipt_id") or None,
        message=tools.texts(Text.REVERSAL_OTHER_KASSA),
    )


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


def _is_contradicted(record: PaymentRecord, row: PaymentRow | None) -> bool:
    """Say whether the journal has another receipt of Payme's for the record's payment: nobody knows which is meant."""
    receipt_id = record.data.get("receipt_id")
    return row is not None and bool(receipt_id) and row.receipt_id != receipt_id


def _adopted(tools: Tools, record: PaymentRecord, sale: Receipt, closed_at: int | None) -> PaymentRow | None:
    """Take the host's word for a payment that the journal lost; None where it is not of the kassa in the settings."""
    kassa = (record.data.get("posId"), record.data.get("url"))
    receipt_id = record.data.get("receipt_id")
    if kassa != (tools.settings.pos_id, tools.settings.url) or not receipt_id:
        return None
    paid_at = record.data.get("paid_at", "")
    is_time = paid_at.isascii() and paid_at.isdigit() and len(paid_at) <= _LONGEST_TIME
    return tools.journal.adopt(
        Adopted(
            payment_id=record.payment_id,
            payment_type=record.payment_type,
            amount=record.amount,
            till=sale.till,
            shift=sale.shift,
            number=sale.number,
            pos_id=tools.settings.pos_id,
            url=tools.settings.url,
            owner=tools.owner,
            receipt_id=receipt_id,
            paid_at=int(paid_at) if is_time else None,
            closed_at=closed_at,
        ),
        "from the till's record; the journal did not have it",
    )
