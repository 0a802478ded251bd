"""A sale at the reference till: a tender is selected, a plugin takes the payment, the receipt closes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from hookspecs import GoodsKind, HookFailed, Item, PaymentRequest, PaymentResult, PaymentStatus
from payme_plugin.locale import message
from payme_plugin.till.context import NoPlugin, OutcomeUnknown, PaymentMismatch
from payme_plugin.till.receipts import StoredReceipt, Tender

if TYPE_CHECKING:
    from payme_plugin.till.context import TillContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment and its result.

    Attributes:
        payment_id: its id.
        number: the sale's receipt number.
        result: what the plugin returned.
    """

    payment_id: str
    number: int
    result: PaymentResult


def one_line_sale(name: str, amount: int, goods: GoodsKind = GoodsKind.ORDINARY) -> tuple[Item, ...]:
    """Return the lines of a sale of one piece of ``name`` for ``amount`` tiyin."""
    return (Item(name=name, quantity=Decimal(1), price=amount, amount=amount, goods=goods),)


def take_payment(
    till: TillContext, payment_type: int, payment_id: str, items: tuple[Item, ...], qr_code: str | None, url: str | None
) -> Payment:
    """Open a sale of ``items``, have one tender pay it, and close it if the payment is PAID.

    A payment id that the till knows is repeated in its own sale, which never charges again.

    Args:
        till: the till.
        payment_type: the tender's number.
        payment_id: the payment's id.
        items: the lines of the sale.
        qr_code: the buyer's code; None: the plugin asks for a scan.
        url: the OFD link of the closed receipt, or None. A real till has it from its fiscal printer.

    Money effect: may charge the sum of ``items``.

    Raises:
        FolderUnusable: a receipt can't be stored; if that is before a plugin was asked, nothing is charged.
        NoPlugin: no plugin answers for the tender.
        OutcomeUnknown: a plugin failed; the sale stays open and the next start asks again.
        PaymentMismatch: the id belongs to a sale of another amount.
    """
    total = sum(item.amount for item in items)
    found = till.receipts.find(payment_id)
    if found is None:
        tender = Tender(payment_id=payment_id, payment_type=payment_type, amount=total)
        receipt = replace(till.receipts.open_receipt(items, total), fiscal_url=url)
    else:
        receipt, tender = found
        if tender.amount != total:
            raise PaymentMismatch(
                message("till.payment_mismatch", payment_id=payment_id, amount=tender.amount, total=total)
            )
        if tender.status is PaymentStatus.PAID and not receipt.is_open:
            result = _result(till, receipt, tender, qr_code=None, repeated=True)
            return Payment(payment_id=payment_id, number=receipt.number, result=result)
        receipt, qr_code = replace(receipt, annulled=False, fiscal_url=url or receipt.fiscal_url), None
    till.acknowledge_all()
    try:
        receipt, payment = _pay(till, receipt, tender, qr_code, repeated=found is not None)
    except NoPlugin:
        till.receipts.annul(receipt.number)
        raise
    _end(till, receipt)
    return payment


def repeat_payments(till: TillContext, receipt: StoredReceipt) -> Payment | None:
    """Finish an open sale of an earlier run: repeat its payments, then close or annul it.

    Returns:
        The last payment; None if no tender was selected.

    Money effect: may charge what the sale asked for, never twice.

    Raises:
        FolderUnusable: a receipt can't be stored.
        OutcomeUnknown: a plugin failed or none answers; the sale stays open.
    """
    payment = None
    for tender in receipt.tenders:
        if tender.status in (None, PaymentStatus.PAID):
            receipt, payment = _pay(till, receipt, tender, None, repeated=True)
    _end(till, receipt)
    return payment


def _pay(
    till: TillContext, receipt: StoredReceipt, tender: Tender, qr_code: str | None, *, repeated: bool
) -> tuple[StoredReceipt, Payment]:
    """Store the tender, ask for its payment, store the result and acknowledge a paid one."""
    if tender.status is not PaymentStatus.PAID:
        tender = replace(tender, status=None)
    receipt = receipt.with_tender(tender)
    till.receipts.store(receipt)
    result = _result(till, receipt, tender, qr_code=qr_code, repeated=repeated)
    payment = Payment(payment_id=tender.payment_id, number=receipt.number, result=result)
    if result.status is PaymentStatus.PENDING:
        return receipt, payment
    is_paid = result.status is PaymentStatus.PAID
    if is_paid and tender.record is None:
        attributes = {**receipt.attributes, **result.receipt_attributes}
        receipt = replace(receipt, attributes=attributes, slips=(*receipt.slips, *result.slips))
    record = result.payment if is_paid else None
    receipt = receipt.with_tender(replace(tender, status=result.status, record=record, acknowledged=False))
    till.receipts.store(receipt)
    return till.acknowledge(receipt), payment


def _result(
    till: TillContext, receipt: StoredReceipt, tender: Tender, *, qr_code: str | None, repeated: bool
) -> PaymentResult:
    request = PaymentRequest(
        payment_id=tender.payment_id,
        payment_type=tender.payment_type,
        amount=tender.amount,
        receipt=receipt.for_plugins(till.identity, without=tender.payment_id),
        qr_code=qr_code,
        repeated=repeated,
    )
    try:
        result = till.plugins.on_payment(request, till.ui)
    except HookFailed as failure:
        raise OutcomeUnknown(tender.payment_id, failure) from failure
    if result is None:
        raise NoPlugin(message("till.no_plugin_for_tender", number=tender.payment_type))
    paid = None if result.payment is None else (result.payment.payment_id, result.payment.amount, result.amount)
    if result.status is PaymentStatus.PAID and paid != (tender.payment_id, tender.amount, tender.amount):
        raise OutcomeUnknown(tender.payment_id, message("till.record_misfit"))
    return result


def _end(till: TillContext, receipt: StoredReceipt) -> None:
    """Close a sale that is paid in full and annul any other, unless a payment in it has no result yet."""
    if receipt.is_pending:
        return
    paid = sum(tender.record.amount for tender in receipt.tenders if tender.record is not None)
    if paid and paid == receipt.total:
        till.close(receipt)
    else:
        till.receipts.annul(receipt.number)
