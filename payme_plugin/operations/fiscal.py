"""The goods in ``receipts.create``, and the fiscal receipt in ``receipts.set_fiscal_data``.

Sources: the Subscribe API's pages of both methods. An OFD link has the terminal (t), the receipt's number (r), the date
(c) and the fiscal sign (s).
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.log import Log
from payme_plugin.operations.cancellation import pause_ms
from payme_plugin.operations.context import is_same_account
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from hookspecs import Item, Receipt
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import FiscalLinkRow, PaymentRow
    from payme_plugin.operations.cancellation import MerchantClient

__all__ = ["detail_of", "fiscal_data_of", "send_fiscal_link", "store_link"]

_log = Log()

_SALE = 0
_ACCEPTED = 0
_LONGEST_LINK = 1000
_LONGEST_PART = 64
_LARGEST_NUMBER = 2**63 - 1
_DIGITS = 100
_SMALLEST_QUANTITY, _LARGEST_QUANTITY = Decimal("0.000001"), Decimal(10**9)


def detail_of(receipt: Receipt, amount: int) -> Mapping[str, object] | None:
    """Return the ``detail`` of ``receipts.create``.

    Args:
        receipt: the open sale.
        amount: tiyin that are charged.

    Returns:
        The goods with their codes; None if one of them has no code or no valid quantity, or if they do not add up to
        the amount, e.g. another tender pays a part of the sale, or a discount is in no line.
    """
    goods = [_goods(item) for item in receipt.items]
    if not goods or None in goods or _exact_total(receipt.items) != amount:
        return None
    return {"receipt_type": _SALE, "items": goods}


def fiscal_data_of(link: str) -> Mapping[str, object] | None:
    """Return the ``fiscal_data`` of ``receipts.set_fiscal_data``; None if the OFD link is invalid."""
    if len(link) > _LONGEST_LINK or not (link.isascii() and link.isprintable()):
        return None
    try:
        query = parse_qs(urlsplit(link).query, max_num_fields=16)
    except ValueError:
        return None
    parts = {name: query.get(name, [""])[0] for name in "trcs"}
    sound = all(0 < len(part) <= _LONGEST_PART and part.isascii() and part.isalnum() for part in parts.values())
    if not sound or not parts["r"].isdigit() or int(parts["r"]) > _LARGEST_NUMBER:
        return None
    return {
        "receipt_id": int(parts["r"]),
        "qr_code_url": link,
        "status_code": _ACCEPTED,
        "message": "accepted",
        "terminal_id": parts["t"],
        "date": parts["c"],
        "fiscal_sign": parts["s"],
    }


def store_link(journal: Journal, row: PaymentRow, link: str) -> None:
    """Store the fiscal receipt of a payment, to be sent to Payme.

    Raises:
        JournalError: nothing was stored.
    """
    if fiscal_data_of(link) is None:
        _log.error("payment %s: its fiscal link is not an OFD link with t, r, c and s", row.payment_id)
        return
    FiscalLinks(journal).add(row, link)


def send_fiscal_link(
    journal: Journal, row: FiscalLinkRow, merchant: MerchantClient, clock: Clock, jitter: float
) -> None:
    """Send a fiscal receipt to Payme once, and store the result. The caller holds the row's lease.

    Success ends the row, and so does an error code in an answer that repeats our request's id. Anything else is tried
    again later: a fault of the network or of the server, another answer.

    Raises:
        JournalError: the result could not be stored; the fiscal receipt is sent again.
    """
    links = FiscalLinks(journal)
    data = fiscal_data_of(row.link)
    if data is None:
        links.end(row, "it is not the link of a fiscal receipt")
        return
    later = partial(links.postpone, row, pause_ms(row.attempts, jitter))
    if not is_same_account(row, merchant):
        later(f"the settings hold no key of merchant account {row.pos_id}")
        return
    deadline = clock.monotonic() + merchant.limits.timeout_s
    params = receipts.set_fiscal_data(row.receipt_id, data)
    try:
        answer = merchant.client.begin("receipts.set_fiscal_data", params, deadline).answer()
    except ServerError as refusal:
        if not refusal.bound:
            later(f"{refusal.explanation}, perhaps of another request")
            return
        _log.error("payment %s: Payme refuses the fiscal receipt, error %d", row.payment_id, refusal.code)
        links.end(row, f"Payme refuses it, error {refusal.code}")
    except CallFailed as failure:
        later(failure.explanation)
    else:
        if answer.bound and isinstance(answer.result, Mapping) and answer.result.get("success") is True:
            links.end(row, "Payme has it")
        else:
            later("the answer does not confirm it")


def _exact_total(items: Iterable[Item]) -> Decimal | None:
    """Return what goods cost in tiyin, by price, quantity and discount; None if that is not exact."""
    # The host's own context may round.
    exact = Context(prec=_DIGITS, traps=[Inexact, InvalidOperation])
    total = Decimal(0)
    try:
        for item in items:
            discount = item.fiscal.discount if item.fiscal is not None else 0
            cost = exact.multiply(Decimal(item.price), item.quantity)
            total = exact.add(total, exact.subtract(cost, Decimal(discount)))
    except (Inexact, InvalidOperation):
        return None
    return total


def _goods(item: Item) -> Mapping[str, object] | None:
    fiscal, quantity = item.fiscal, item.quantity
    if fiscal is None or not quantity.is_finite() or not _SMALLEST_QUANTITY <= quantity <= _LARGEST_QUANTITY:
        return None
    goods: dict[str, object] = {
        "title": item.name,
        "price": item.price,
        "count": int(quantity) if quantity == quantity.to_integral_value() else float(quantity),
        "code": fiscal.code,
        "package_code": fiscal.package_code,
        "vat_percent": fiscal.vat_percent,
    }
    if fiscal.units is not None:
        goods["units"] = fiscal.units
    if fiscal.discount:
        goods["discount"] = fiscal.discount
    return goods
