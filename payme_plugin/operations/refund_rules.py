"""The rules of a refund by sale receipt, as pure functions from the request to all violations.

Payme returns whole payments only, so a refund must be the whole sale: every line, its whole quantity, and our whole
part of the money. Marked and excise goods are scanned again piece by piece, so the cashier selects them by hand, and
the money is returned in the same tender only. Source: the manual of the module.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import TYPE_CHECKING, NamedTuple

from hookspecs import GoodsKind, RefundViolation
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from hookspecs import Item, PaymentRecord, Receipt, RefundRequest
    from payme_plugin.texts import Texts

PARTIAL_REFUND = "partial-refund"
MANUAL_SELECTION_REQUIRED = "manual-selection-required"
CURRENCY_SELECTION_FORBIDDEN = "currency-selection-forbidden"
NO_SALE_RECEIPT = "no-sale-receipt"
ALREADY_REVERSED = "already-reversed"
FOREIGN_PAYMENT = "foreign-payment"

_MOST_NAMES = 3
_DIGITS = 100
_LARGEST_SHOWN = 10**17
_NOT_LESS = (Decimal(0), Decimal(1))


class _Goods(NamedTuple):
    """Identity of goods: lines of the same goods are added up, other goods of the same price are not."""

    name: str
    barcode: str
    price: int
    marking: str | None


@dataclass(slots=True)
class _Sum:
    quantity: Decimal = Decimal(0)
    amount: int = 0


def violations_of(
    request: RefundRequest, payment: PaymentRecord | None, texts: Texts, *, is_reversed: bool
) -> Iterator[RefundViolation]:
    """Yield every rule that a refund breaks, in the order in which the cashier corrects them.

    Args:
        request: the refund, which is of our tender or of a payment of ours.
        payment: the original payment; None if no payment of ours is known.
        texts: the cashier's language.
        is_reversed: the payment is reversed or reversing, but not by this refund.
    """
    if request.sale is None:
        yield RefundViolation(rule=NO_SALE_RECEIPT, message=texts(Text.REFUND_NO_SALE_RECEIPT))
    if payment is None:
        yield RefundViolation(rule=FOREIGN_PAYMENT, message=texts(Text.REFUND_FOREIGN_PAYMENT))
    if is_reversed:
        yield RefundViolation(rule=ALREADY_REVERSED, message=texts(Text.REFUND_ALREADY_REVERSED))
    if request.sale is not None:
        yield from _partial_lines(request.sale, request.refund, texts)
    if payment is not None and request.amount != payment.amount:
        message = texts(Text.REFUND_PARTIAL_AMOUNT, expected=sums(payment.amount), asked=sums(request.amount))
        yield RefundViolation(rule=PARTIAL_REFUND, message=message)
    if request.sale is not None and any(_is_marked(item) for item in request.sale.items):
        yield from _marked(request, texts)


def _marked(request: RefundRequest, texts: Texts) -> Iterator[RefundViolation]:
    if not request.manual_selection:
        message = texts(Text.REFUND_MANUAL_SELECTION_REQUIRED)
        yield RefundViolation(rule=MANUAL_SELECTION_REQUIRED, message=message)
    if request.currency_selection:
        message = texts(Text.REFUND_CURRENCY_SELECTION_FORBIDDEN)
        yield RefundViolation(rule=CURRENCY_SELECTION_FORBIDDEN, message=message)


def _partial_lines(sale: Receipt, refund: Receipt, texts: Texts) -> Iterator[RefundViolation]:
    sold, given_back = _added_up(sale.items), _added_up(refund.items)
    missing = [goods for goods in sold if _falls_short(given_back.get(goods), sold[goods])]
    extra = [goods for goods in given_back if _falls_short(sold.get(goods), given_back[goods])]
    if missing:
        message = texts(Text.REFUND_PARTIAL_LINES, missing=_names(missing))
        yield RefundViolation(rule=PARTIAL_REFUND, message=message)
    if extra:
        message = texts(Text.REFUND_FOREIGN_LINES, extra=_names(extra))
        yield RefundViolation(rule=PARTIAL_REFUND, message=message)


def _exact() -> Context:
    # The host's own context may round, and may raise for NaN; here NaN only differs from every number.
    return Context(prec=_DIGITS, traps=[])


def _added_up(items: Iterable[Item]) -> dict[_Goods, _Sum]:
    sums: defaultdict[_Goods, _Sum] = defaultdict(_Sum)
    for item in items:
        line = sums[_Goods(item.name, item.barcode, item.price, item.marking or None)]
        line.quantity = _exact().add(line.quantity, item.quantity)
        line.amount += item.amount
    return dict(sums)


def _falls_short(line: _Sum | None, whole: _Sum) -> bool:
    return line is None or line.amount < whole.amount or not _reaches(line.quantity, whole.quantity)


def _reaches(quantity: Decimal, whole: Decimal) -> bool:
    return quantity.is_finite() and _exact().compare(quantity, whole) in _NOT_LESS


def _is_marked(item: Item) -> bool:
    return item.goods is not GoodsKind.ORDINARY or bool(item.marking)


def _names(goods: list[_Goods]) -> str:
    names = list(dict.fromkeys(each.name for each in goods))
    return ", ".join(names[:_MOST_NAMES]) + (f" (+{len(names) - _MOST_NAMES})" if len(names) > _MOST_NAMES else "")


def sums(amount: int) -> str:
    """Return an amount in tiyin as sums with spaces between thousands: 1500000 as ``15 000.00``."""
    if abs(amount) > _LARGEST_SHOWN:
        # Nobody reads more, and Python refuses to print thousands of digits.
        return f"> {sums(_LARGEST_SHOWN)}" if amount > 0 else f"< {sums(-_LARGEST_SHOWN)}"
    whole, tiyin = divmod(abs(amount), 100)
    return f"{'-' if amount < 0 else ''}{whole:,}.{tiyin:02d}".replace(",", " ")
