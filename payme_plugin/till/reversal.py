"""A cancel of a sale as if it were still open, and a refund by sale receipt. Each payment is returned once."""

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
from payme_plugin.locale import Message, message
from payme_plugin.till.errors import NoPlugin, OutcomeUnknown, UnknownPayment
from payme_plugin.till.receipts import Refund, StoredReceipt
from payme_plugin.till.sale import close

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hookspecs import Item
    from payme_plugin.till.till import Till


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """A cancel or a refund and its result.

    Attributes:
        payment_id: the payment.
        result: what the plugin returned, or the till's own REFUSED.
        violations: the rules that forbid it.
    """

    payment_id: str
    result: ReversalResult
    violations: tuple[RefundViolation, ...] = ()


def cancel_payment(till: Till, payment_id: str, reason: str) -> Reversal:
    """Annul the sale of a payment through ``on_cancel``, as if it had not been closed.

    A payment whose result is PENDING is cancelled too: the plugin knows it by its id.

    Money effect: may return the whole payment to the buyer.

    Raises:
        FolderUnusable: a receipt can't be stored.
        NoPlugin: no plugin answers for the payment; nothing was returned.
        OutcomeUnknown: a plugin failed; the next start asks again.
        UnknownPayment: the till has no such payment.
    """
    sale, record = _paid(till, payment_id, or_pending=True)
    if sale.annulled or till.store.refunds_of(payment_id):
        return _refused(record, [_violation(till, "already-reversed", message("till.already_reversed"))])
    till.store.store(replace(sale, cancelling=payment_id))
    request = CancelRequest(payment=record, receipt=sale.for_plugins(till.identity, as_open=True), reason=reason)
    try:
        result = till.hooks.on_cancel(request, till.ui)
    except HookFailed as failure:
        raise OutcomeUnknown(payment_id, failure) from failure
    if _is_returned(result):
        till.store.annul(sale.number)
    else:
        till.store.store(replace(sale, cancelling=None))
    return _reversal(till, payment_id, result)


def refund_payment(
    till: Till,
    payment_id: str,
    items: tuple[Item, ...] | None,
    *,
    manual_selection: bool,
    currency_selection: bool,
) -> Reversal:
    """Refund ``items`` of the sale of a payment (None: all) by ``validate_refund`` and ``on_full_refund``.

    Money effect: may return the whole payment to the buyer.

    Raises:
        FolderUnusable: a receipt can't be stored.
        NoPlugin: no plugin answers for the payment; nothing was returned.
        OutcomeUnknown: a plugin failed; the refund stays open and the next start asks again.
        UnknownPayment: the till has no such payment.
    """
    sale, record = _paid(till, payment_id)
    begun = till.store.refunds_of(payment_id)
    if sale.annulled or sale.cancelling or any(not refund.is_open for refund in begun):
        return _refused(record, [_violation(till, "already-reversed", message("till.already_reversed"))])
    if begun:
        return finish_refund(till, begun[0])
    chosen = sale.items if items is None else items
    total = sum(item.amount for item in chosen)
    refund = Refund(
        refund_id=till.new_id(),
        sale_number=sale.number,
        payment_id=payment_id,
        amount=record.amount if items is None else total,
        manual_selection=manual_selection,
        currency_selection=currency_selection,
    )
    receipt = till.store.open_receipt(chosen, total, refund)
    try:
        violations = till.hooks.validate_refund(_refund_request(till, receipt))
    except HookFailed:
        violations = [_violation(till, "not-checked", message("till.not_checked"))]
    if violations:
        till.store.annul(receipt.number)
        return _refused(record, violations)
    return finish_refund(till, receipt)


def _refund_request(till: Till, receipt: StoredReceipt) -> RefundRequest:
    refund = receipt.refund
    if refund is None:
        error = f"receipt {receipt.number} is not a refund"
        raise ValueError(error)
    sale, record = _paid(till, refund.payment_id)
    return RefundRequest(
        refund_id=refund.refund_id,
        payment_type=record.payment_type,
        payment=record,
        sale=sale.for_plugins(till.identity),
        refund=receipt.for_plugins(till.identity),
        amount=refund.amount,
        manual_selection=refund.manual_selection,
        currency_selection=refund.currency_selection,
    )


def finish_refund(till: Till, receipt: StoredReceipt) -> Reversal:
    """Carry out a refund that has begun, with its own id. Errors and money effect are those of ``refund_payment``.

    After a restart it is not validated again: it may have returned the money already, which only ``on_full_refund``
    knows.
    """
    request = _refund_request(till, receipt)
    payment_id = receipt.payment_id or ""
    try:
        result = till.hooks.on_full_refund(request, till.ui)
    except HookFailed as failure:
        raise OutcomeUnknown(payment_id, failure) from failure
    if _is_returned(result):
        close(till, receipt)
    else:
        till.store.annul(receipt.number)
    return _reversal(till, payment_id, result)


def _paid(till: Till, payment_id: str, *, or_pending: bool = False) -> tuple[StoredReceipt, PaymentRecord]:
    """Return the sale and the record of a paid payment; of a pending one a record made from its tender."""
    found = till.store.find(payment_id)
    if found is not None:
        sale, tender = found
        if tender.status is PaymentStatus.PAID and tender.record is not None:
            return sale, tender.record
        if or_pending and tender.status is None:
            kind, amount = tender.payment_type, tender.amount
            return sale, PaymentRecord(payment_id=payment_id, payment_type=kind, amount=amount)
    raise UnknownPayment(message("till.unknown_payment", payment_id=payment_id))


def _is_returned(result: ReversalResult | None) -> bool:
    return result is not None and result.status is not ReversalStatus.REFUSED


def _reversal(till: Till, payment_id: str, result: ReversalResult | None) -> Reversal:
    """Print the slips of a reversal and return it."""
    if result is None:
        raise NoPlugin(message("till.no_plugin_for_payment", payment_id=payment_id))
    for slip in result.slips:
        till.print_slip(slip)
    return Reversal(payment_id=payment_id, result=result)


def _violation(till: Till, rule: str, text: Message) -> RefundViolation:
    return RefundViolation(rule=rule, message=text.text(till.text_language))


def _refused(record: PaymentRecord, violations: Sequence[RefundViolation]) -> Reversal:
    result = ReversalResult(
        status=ReversalStatus.REFUSED,
        receipt_id=record.data.get("receipt_id"),
        message="\n".join(f"{each.message} [{each.rule}]" for each in violations),
    )
    return Reversal(payment_id=record.payment_id, result=result, violations=tuple(violations))
