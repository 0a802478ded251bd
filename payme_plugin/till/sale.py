"""A sale of the reference till: the press of a tender, the plugin's verdict, the closing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from hookspecs import GoodsKind, HookFailed, Item, PaymentRequest, PaymentResult, PaymentStatus
from payme_plugin.till.errors import NoPlugin, OutcomeUnknown, PaymentMismatch
from payme_plugin.till.receipts import BookedReceipt, Tender

if TYPE_CHECKING:
    from hookspecs import Ui
    from payme_plugin.till.desk import Desk

__all__ = ["Payment", "ask_again", "one_line_sale", "take_payment"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A press of a tender and what came of it.

    Attributes:
        payment_id: its id.
        number: the sale's receipt number.
        result: the plugin's verdict.
    """

    payment_id: str
    number: int
    result: PaymentResult


def take_payment(
    desk: Desk,
    ui: Ui,
    *,
    payment_type: int,
    payment_id: str,
    items: tuple[Item, ...],
    qr_code: str | None,
    fiscal_url: str | None = None,
) -> Payment:
    """Open a sale of ``items``, have it paid by one tender, and close it when it is PAID.

    A payment id that the till knows is asked for in its own sale again, which never charges again. A till has the OFD
    link of its fiscal printer when the receipt closes; here the caller brings it.

    Money effect: may charge the sum of ``items``.

    Raises:
        FolderUnusable: the book can't be written; before the plugin was asked nothing is charged.
        NoPlugin: no plugin answers to the tender.
        OutcomeUnknown: a plugin failed; the sale stays open and the next start asks again.
        PaymentMismatch: the id belongs to a sale of another amount.
    """
    total = sum(item.amount for item in items)
    tender = Tender(payment_id=payment_id, payment_type=payment_type, amount=total)
    found = desk.book.find(payment_id)
    if found is None:
        return _sell_new(desk, ui, items, tender, qr_code, fiscal_url)
    receipt, tender = found
    if tender.amount != total:
        message = f"payment id {payment_id} belongs to a sale of {tender.amount} tiyin, not {total}; take a new id."
        raise PaymentMismatch(message)
    if tender.verdict is PaymentStatus.PAID and not receipt.is_open:
        result = _verdict(desk, ui, receipt, tender, None, repeated=True)
        return Payment(payment_id=payment_id, number=receipt.number, result=result)
    receipt = replace(receipt, annulled=False, fiscal_url=fiscal_url or receipt.fiscal_url)
    return _sell(desk, ui, receipt, tender, None, repeated=True)


def ask_again(desk: Desk, ui: Ui, receipt: BookedReceipt) -> Payment | None:
    """End an open sale after a restart: ask again for every payment in it, then close or annul it.

    Returns:
        The last verdict; None where no tender had been picked.

    Money effect: may charge what the sale asked for, never twice.

    Raises:
        FolderUnusable: the book can't be written.
        NoPlugin: no plugin answers now; the sale stays open.
        OutcomeUnknown: a plugin failed; the sale stays open.
    """
    payment = None
    for tender in receipt.tenders:
        if tender.verdict in (None, PaymentStatus.PAID):
            receipt, payment = _ask(desk, ui, receipt, tender, None, repeated=True)
    _end(desk, receipt)
    return payment


def one_line_sale(name: str, amount: int, goods: GoodsKind = GoodsKind.ORDINARY) -> tuple[Item, ...]:
    """Return the lines of a sale of one piece of ``name`` for ``amount`` tiyin."""
    return (Item(name=name, quantity=Decimal(1), price=amount, amount=amount, goods=goods),)


def _sell_new(
    desk: Desk, ui: Ui, items: tuple[Item, ...], tender: Tender, qr_code: str | None, fiscal_url: str | None
) -> Payment:
    receipt = desk.book.open_receipt(items, tender.amount)
    try:
        return _sell(desk, ui, replace(receipt, fiscal_url=fiscal_url), tender, qr_code, repeated=False)
    except NoPlugin:
        desk.book.annul(receipt.number)
        raise


def _sell(
    desk: Desk, ui: Ui, receipt: BookedReceipt, tender: Tender, qr_code: str | None, *, repeated: bool
) -> Payment:
    desk.acknowledge_all()
    receipt, payment = _ask(desk, ui, receipt, tender, qr_code, repeated=repeated)
    _end(desk, receipt)
    return payment


def _ask(
    desk: Desk, ui: Ui, receipt: BookedReceipt, tender: Tender, qr_code: str | None, *, repeated: bool
) -> tuple[BookedReceipt, Payment]:
    if tender.verdict is not PaymentStatus.PAID:
        tender = replace(tender, verdict=None)
    receipt = receipt.with_tender(tender)
    desk.book.store(receipt)
    result = _verdict(desk, ui, receipt, tender, qr_code, repeated=repeated)
    if result.status is PaymentStatus.PENDING:
        return receipt, Payment(payment_id=tender.payment_id, number=receipt.number, result=result)
    paid = result.status is PaymentStatus.PAID
    if paid and tender.record is None:
        attributes = {**receipt.attributes, **result.receipt_attributes}
        receipt = replace(receipt, attributes=attributes, slips=(*receipt.slips, *result.slips))
    record = result.payment if paid else None
    receipt = receipt.with_tender(replace(tender, verdict=result.status, record=record, acknowledged=False))
    desk.book.store(receipt)
    receipt = desk.acknowledge(receipt)
    return receipt, Payment(payment_id=tender.payment_id, number=receipt.number, result=result)


def _verdict(
    desk: Desk, ui: Ui, receipt: BookedReceipt, tender: Tender, qr_code: str | None, *, repeated: bool
) -> PaymentResult:
    request = PaymentRequest(
        payment_id=tender.payment_id,
        payment_type=tender.payment_type,
        amount=tender.amount,
        receipt=receipt.without_tender(tender.payment_id).for_plugins(desk.identity),
        qr_code=qr_code,
        repeated=repeated,
    )
    try:
        result = desk.plugins.on_payment(request, ui)
    except HookFailed as failure:
        raise OutcomeUnknown(tender.payment_id, str(failure)) from failure
    if result is None:
        message = f"no plugin in service answers to tender {tender.payment_type}; nothing was charged."
        raise NoPlugin(message)
    if result.status is PaymentStatus.PAID and not _fits(result, tender):
        raise OutcomeUnknown(tender.payment_id, "the plugin's record of it does not fit the sale")
    return result


def _fits(result: PaymentResult, tender: Tender) -> bool:
    record = result.payment
    return (
        record is not None
        and record.payment_id == tender.payment_id
        and record.amount == result.amount == tender.amount
    )


def _end(desk: Desk, receipt: BookedReceipt) -> None:
    if receipt.is_pending:
        return
    paid = sum(tender.record.amount for tender in receipt.tenders if tender.record is not None)
    if paid and paid == receipt.total:
        desk.close(receipt)
    else:
        desk.book.annul(receipt.number)
