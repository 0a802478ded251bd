"""A cancel of a sale as if it were still open, and a refund by sale receipt, each accepted once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hookspecs import (
    CancelRequest,
    HookFailed,
    PaymentRecord,
    PaymentStatus,
    RefundRequest,
    RefundViolation,
    ReversalResult,
    ReversalStatus,
)
from payme_plugin.till.errors import NoPlugin, OutcomeUnknown, UnknownPayment
from payme_plugin.till.receipts import BookedReceipt, Refund, Tender
from payme_plugin.till.texts import TillText, text_of

if TYPE_CHECKING:
    from hookspecs import Item, Ui
    from payme_plugin.till.desk import Desk

__all__ = ["Reversal", "cancel_payment", "refund_again", "refund_payment"]

_ALREADY_REVERSED = "already-reversed"
_NOT_CHECKED = "not-checked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """A cancel or a refund and what came of it.

    Attributes:
        payment_id: the payment that was to be given back.
        result: the plugin's verdict, or the till's own REFUSED.
        violations: the rules that forbid it.
    """

    payment_id: str
    result: ReversalResult
    violations: tuple[RefundViolation, ...] = ()


def cancel_payment(desk: Desk, ui: Ui, payment_id: str, reason: str) -> Reversal:
    """Annul the sale of a payment through ``on_cancel``, as if it had not been closed.

    Money effect: may return the whole payment to the buyer.

    Raises:
        FolderUnusable: the book can't be written.
        NoPlugin: no plugin answers for the payment; nothing was returned.
        OutcomeUnknown: a plugin failed; the next start asks again.
        UnknownPayment: the till has no such payment.
    """
    sale, _, record = _cancellable(desk, payment_id)
    if sale.annulled or desk.book.refunds_of(payment_id):
        return _reversed_already(desk, record)
    desk.book.store(replace(sale, cancelling=payment_id))
    request = CancelRequest(payment=record, receipt=sale.for_plugins(desk.identity, as_open=True), reason=reason)
    try:
        result = desk.plugins.on_cancel(request, ui)
    except HookFailed as failure:
        raise OutcomeUnknown(payment_id, str(failure)) from failure
    if result is None or result.status is ReversalStatus.REFUSED:
        desk.book.store(replace(sale, cancelling=None))
    else:
        desk.book.annul(sale.number)
    return _ended(desk, payment_id, result)


def refund_payment(
    desk: Desk,
    ui: Ui,
    payment_id: str,
    *,
    items: tuple[Item, ...] | None,
    manual_selection: bool,
    currency_selection: bool,
) -> Reversal:
    """Refund ``items`` of the sale of a payment (None: all) by ``validate_refund`` and ``on_full_refund``.

    Money effect: may return the whole payment to the buyer.

    Raises:
        FolderUnusable: the book can't be written.
        NoPlugin: no plugin answers for the payment; nothing was returned.
        OutcomeUnknown: a plugin failed; the refund stays open and the next start asks again.
        UnknownPayment: the till has no such payment.
    """
    sale, tender, record = _paid(desk, payment_id)
    begun = desk.book.refunds_of(payment_id)
    if sale.annulled or sale.cancelling or any(not refund.is_open for refund in begun):
        return _reversed_already(desk, record)
    if begun:
        return refund_again(desk, ui, begun[0])
    chosen = sale.items if items is None else items
    refund = Refund(
        refund_id=desk.new_id(),
        sale_number=sale.number,
        payment_id=payment_id,
        amount=tender.amount if items is None else sum(item.amount for item in chosen),
        manual_selection=manual_selection,
        currency_selection=currency_selection,
    )
    receipt = desk.book.open_receipt(chosen, sum(item.amount for item in chosen), refund)
    return _refund(desk, ui, receipt, refund, is_new=True)


def refund_again(desk: Desk, ui: Ui, receipt: BookedReceipt) -> Reversal:
    """Ask again for a refund that had begun, with its own id. It raises and moves money as ``refund_payment`` does."""
    if receipt.refund is None:
        message = f"receipt {receipt.number} is no refund"
        raise ValueError(message)
    return _refund(desk, ui, receipt, receipt.refund, is_new=False)


def _refund(desk: Desk, ui: Ui, receipt: BookedReceipt, refund: Refund, *, is_new: bool) -> Reversal:
    sale, _, record = _paid(desk, refund.payment_id)
    request = RefundRequest(
        refund_id=refund.refund_id,
        payment_type=record.payment_type,
        payment=record,
        sale=sale.for_plugins(desk.identity),
        refund=receipt.for_plugins(desk.identity),
        amount=refund.amount,
        manual_selection=refund.manual_selection,
        currency_selection=refund.currency_selection,
    )
    # One that had begun may have returned the money already: only on_full_refund, by the same rules, knows.
    violations = _violations(desk, request) if is_new else ()
    if violations:
        desk.book.annul(receipt.number)
        return _refused(record, violations)
    try:
        result = desk.plugins.on_full_refund(request, ui)
    except HookFailed as failure:
        raise OutcomeUnknown(refund.payment_id, str(failure)) from failure
    if result is None or result.status is ReversalStatus.REFUSED:
        desk.book.annul(receipt.number)
    else:
        desk.close(receipt)
    return _ended(desk, refund.payment_id, result)


def _violations(desk: Desk, request: RefundRequest) -> tuple[RefundViolation, ...]:
    try:
        return tuple(desk.plugins.validate_refund(request))
    except HookFailed:
        return (RefundViolation(rule=_NOT_CHECKED, message=text_of(TillText.NOT_CHECKED, desk.language)),)


def _paid(desk: Desk, payment_id: str) -> tuple[BookedReceipt, Tender, PaymentRecord]:
    found = desk.book.find(payment_id)
    if found is None or found[1].record is None or found[1].verdict is not PaymentStatus.PAID:
        message = f"this till has no paid payment {payment_id!r}."
        raise UnknownPayment(message)
    return (*found, found[1].record)


def _cancellable(desk: Desk, payment_id: str) -> tuple[BookedReceipt, Tender, PaymentRecord]:
    """Return a paid payment, or one whose result is PENDING; the plugin then knows it by its id."""
    found = desk.book.find(payment_id)
    if found is None or found[1].verdict is not None:
        return _paid(desk, payment_id)
    receipt, tender = found
    record = PaymentRecord(payment_id=payment_id, payment_type=tender.payment_type, amount=tender.amount, data={})
    return receipt, tender, record


def _ended(desk: Desk, payment_id: str, result: ReversalResult | None) -> Reversal:
    if result is None:
        message = f"no plugin in service answers for payment {payment_id}; nothing was returned."
        raise NoPlugin(message)
    for slip in result.slips:
        desk.print_slip(slip)
    return Reversal(payment_id=payment_id, result=result)


def _reversed_already(desk: Desk, record: PaymentRecord) -> Reversal:
    message = text_of(TillText.ALREADY_REVERSED, desk.language)
    return _refused(record, (RefundViolation(rule=_ALREADY_REVERSED, message=message),))


def _refused(record: PaymentRecord, violations: tuple[RefundViolation, ...]) -> Reversal:
    result = ReversalResult(
        status=ReversalStatus.REFUSED,
        receipt_id=record.data.get("receipt_id"),
        message="\n".join(f"{each.message} [{each.rule}]" for each in violations),
    )
    return Reversal(payment_id=record.payment_id, result=result, violations=violations)
