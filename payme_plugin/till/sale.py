"""A sale at the reference till: a tender is selected, a plugin takes the payment, the receipt closes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from hookspecs import GoodsKind, HookFailed, Item, PaymentRequest, PaymentResult, PaymentStatus
from payme_plugin.locale import message
from payme_plugin.till.errors import NoPlugin, OutcomeUnknown, PaymentMismatch
from payme_plugin.till.host import PAYMENT_TYPE
from payme_plugin.till.receipts import StoredReceipt, Tender

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import Slip
    from payme_plugin.till.till import Till

_log = logging.getLogger("pos.till")


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
    till: Till,
    payment_id: str,
    items: tuple[Item, ...],
    qr_code: str | None,
    url: str | None,
    *,
    is_kept_open: bool = False,
) -> Payment:
    """Open a sale of ``items``, have one tender pay it, and close it if the payment is PAID.

    A payment id that the till knows is repeated in its own sale, which never charges again.

    Args:
        till: the till.
        payment_id: the payment's id.
        items: the lines of the sale.
        qr_code: the buyer's code; None: the plugin asks for a scan.
        url: the OFD link of the closed receipt, or None. A real till has it from its fiscal printer.
        is_kept_open: the sale stays open if it is PAID; ``Till.close`` or the next start closes it.

    Money effect: may charge the sum of ``items``.

    Raises:
        FolderUnusable: a receipt can't be stored; if that is before a plugin was asked, nothing is charged.
        NoPlugin: no plugin answers for the tender.
        OutcomeUnknown: a plugin failed; the sale stays open and the next start asks again.
        PaymentMismatch: the id belongs to a sale of another amount.
    """
    total = sum(item.amount for item in items)
    found = till.store.find(payment_id)
    if found is None:
        tender = Tender(payment_id=payment_id, payment_type=PAYMENT_TYPE, amount=total)
        receipt = replace(till.store.open_receipt(items, total), fiscal_url=url)
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
    acknowledge_all(till)
    try:
        receipt, payment = _pay(till, receipt, tender, qr_code, repeated=found is not None)
    except NoPlugin:
        till.store.annul(receipt.number)
        raise
    if payment.result.status is not PaymentStatus.PAID or not is_kept_open:
        _end(till, receipt)
    return payment


def repeat_payments(till: Till, receipt: StoredReceipt) -> Payment | None:
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
    till: Till, receipt: StoredReceipt, tender: Tender, qr_code: str | None, *, repeated: bool
) -> tuple[StoredReceipt, Payment]:
    """Store the tender, ask for its payment, store the result and acknowledge a paid one."""
    if tender.status is not PaymentStatus.PAID:
        tender = replace(tender, status=None)
    receipt = receipt.with_tender(tender)
    till.store.store(receipt)
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
    till.store.store(receipt)
    return acknowledge(till, receipt), payment


def _result(
    till: Till, receipt: StoredReceipt, tender: Tender, *, qr_code: str | None, repeated: bool
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
        result = till.hooks.on_payment(request, till.ui)
    except HookFailed as failure:
        raise OutcomeUnknown(tender.payment_id, failure) from failure
    if result is None:
        raise NoPlugin(message("till.no_plugin_for_tender", number=tender.payment_type))
    paid = None if result.payment is None else (result.payment.payment_id, result.payment.amount, result.amount)
    if result.status is PaymentStatus.PAID and paid != (tender.payment_id, tender.amount, tender.amount):
        raise OutcomeUnknown(tender.payment_id, message("till.record_misfit"))
    return result


def _end(till: Till, receipt: StoredReceipt) -> None:
    """Close a sale that is paid in full and annul any other, unless a payment in it has no result yet."""
    if receipt.is_pending:
        return
    paid = sum(tender.record.amount for tender in receipt.tenders if tender.record is not None)
    if paid and paid == receipt.total:
        close(till, receipt)
    else:
        till.store.annul(receipt.number)


def acknowledge(till: Till, receipt: StoredReceipt) -> StoredReceipt:
    """Call ``on_payment_recorded`` for the paid tenders in ``receipt``; one that fails is repeated later.

    Raises:
        FolderUnusable: a receipt can't be stored.
    """
    for tender in receipt.tenders:
        if tender.record is None or tender.acknowledged:
            continue
        try:
            till.hooks.on_payment_recorded(tender.record)
        except HookFailed as failure:
            _log.error("payment %s is stored but %s; it is acknowledged again", tender.payment_id, failure)
            continue
        receipt = receipt.with_tender(replace(tender, acknowledged=True))
        till.store.store(receipt)
    return receipt


def acknowledge_all(till: Till) -> bool:
    """Acknowledge the paid tenders of every receipt that isn't annulled; return whether none is left.

    Raises:
        FolderUnusable: a receipt can't be stored.
    """
    kept = [acknowledge(till, receipt) for receipt in till.store.receipts() if not receipt.annulled]
    return all(tender.acknowledged for receipt in kept for tender in receipt.tenders if tender.record is not None)


def close(till: Till, receipt: StoredReceipt) -> None:
    """Close ``receipt`` durably, report it to the plugins, and print its slips. Done once, each also after a crash.

    Afterwards only a refund returns the payments in it.

    Raises:
        FolderUnusable: a receipt can't be stored; the rest is done at the next start.
    """
    if receipt.closed_at is None:
        receipt = replace(receipt, closed_at=till.now_ms())
        till.store.store(receipt)
    if not receipt.reported:
        try:
            till.hooks.on_receipt_closed(receipt.for_plugins(till.identity))
        except HookFailed as failure:
            _log.error("receipt %d is closed but %s; it is reported again", receipt.number, failure)
        else:
            receipt = replace(receipt, reported=True)
            till.store.store(receipt)
    if receipt.slips:
        for slip in receipt.slips:
            till.print_slip(slip)
        till.store.store(replace(receipt, slips=()))


def print_slip(slip: Slip, write_line: Callable[[str], None]) -> None:
    """Write the lines of a slip as often as it asks for, each copy with an empty line at its end."""
    for line in (*slip.lines, "") * slip.copies:
        write_line(line)
