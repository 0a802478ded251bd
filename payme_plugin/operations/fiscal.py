"""The goods in ``receipts.create``, and the fiscal receipt in ``receipts.set_fiscal_data``.

Sources: the Subscribe API's pages of both methods. An OFD link has the terminal (t), the receipt's number (r), the date
(c) and the fiscal sign (s).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import partial
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.log import Log
from payme_plugin.operations.cancellation import pause_ms
from payme_plugin.paymego import receipts
from payme_plugin.paymego.codes import is_transient
from payme_plugin.paymego.errors import CallFailed, ServerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hookspecs import Item, Receipt
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import FiscalLinkRow, PaymentRow
    from payme_plugin.operations.cancellation import MerchantClient

_log = Log()

_SALE = 0
_PATIENCE_MS = 3 * 86_400_000
_ACCEPTED = 0
_LONGEST_LINK = 1000
_LONGEST_PART = 64
_LARGEST_NUMBER = 2**63 - 1
_MAX_ROUNDING = 100
"""How much more than a line costs the total may be for each line, in tiyin."""

_SMALLEST_QUANTITY, _LARGEST_QUANTITY = Decimal("0.000001"), Decimal(10**9)


def detail_of(receipt: Receipt, amount: int) -> Mapping[str, object] | None:
    """Return the ``detail`` of ``receipts.create``; its items cost exactly the amount.

    Args:
        receipt: the open sale.
        amount: tiyin that are charged.

    Returns:
        The goods with their codes; None if one of them has no code or no valid quantity, if another tender pays a part
        of the sale, or if the sale costs more than its lines do.
    """
    if amount != receipt.total or not receipt.items or not all(map(_can_be_named, receipt.items)):
        return None
    costs = _costs_of(receipt.items, amount)
    items = [line for item, cost in zip(receipt.items, costs, strict=False) for line in _lines_of(item, cost)]
    return {"receipt_type": _SALE, "items": items} if items else None


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
    journal: Journal, row: FiscalLinkRow, merchant: MerchantClient | None, clock: Clock, jitter: float
) -> bool:
    """Send a fiscal receipt to Payme once, and store the result. The caller holds the row's lease.

    Success ends the row, and so does an error code in an answer that repeats our request's id, unless the code is
    transient. Anything else is tried again later. An answer that does not end it after 3 days is the last.

    Returns:
        Whether the row ended for that reason.

    Raises:
        JournalError: the result could not be stored; the fiscal receipt is sent again.
    """
    links = FiscalLinks(journal)
    data = fiscal_data_of(row.link)
    if data is None:
        links.end(row, "it is not the link of a fiscal receipt")
        return False
    later = partial(links.postpone, row, pause_ms(row.attempts, jitter))
    if merchant is None:
        later(f"the settings hold no key of merchant account {row.pos_id}")
        return False
    deadline = clock.monotonic() + merchant.limits.timeout_s
    params = receipts.set_fiscal_data(row.receipt_id, data)
    has_answer, has_it = True, False
    try:
        answer = merchant.client.begin("receipts.set_fiscal_data", params, deadline).answer()
        is_final = has_it = isinstance(answer.result, Mapping) and answer.result.get("success") is True
        result = "Payme has it" if has_it else "the answer does not confirm it"
    except CallFailed as failure:
        has_answer, result = isinstance(failure, ServerError), failure.explanation
        is_final = isinstance(failure, ServerError) and failure.bound and not is_transient(failure.code)
    is_last = has_answer and clock.wall_ms() - row.created_at >= _PATIENCE_MS
    if is_final or is_last:
        if not has_it:
            _log.error("payment %s: the fiscal receipt is not sent again: %s", row.payment_id, result)
        links.end(row, result if is_final else f"Payme did not take it in 3 days, {result}")
    else:
        later(result)
    return is_last and not is_final


def _can_be_named(item: Item) -> bool:
    quantity = item.quantity
    is_valid = quantity.is_finite() and _SMALLEST_QUANTITY <= quantity <= _LARGEST_QUANTITY
    if not is_valid or item.fiscal is None or not 0 <= Fraction(quantity) * item.price <= _LARGEST_NUMBER:
        return False
    # A quantity goes into JSON as a float.
    return Decimal(repr(float(quantity))) == quantity


def _costs_of(items: Sequence[Item], amount: int) -> list[int]:
    """Return what each line costs in tiyin, together the amount; nothing if they cost less by more than a rounding.

    That is the host's amount of each line, unless only price times quantity less the discount adds up. What is left,
    e.g. because the host rounds the total or gives a discount on it, is spread in proportion.
    """
    costs = [item.amount for item in items]
    discounts = [item.fiscal.discount if item.fiscal is not None else 0 for item in items]
    exact = [Fraction(item.quantity) * item.price - off for item, off in zip(items, discounts, strict=True)]
    if sum(costs) != amount == sum(exact):
        costs = [math.floor(cost) for cost in exact]
    total = sum(costs)
    if min(costs) < 0 or not 0 < total >= amount - _MAX_ROUNDING * len(costs):
        return []
    ends = [cost * amount // total for cost in accumulate(costs, initial=0)]
    return [end - begin for begin, end in pairwise(ends)]


def _lines_of(item: Item, cost: int) -> Iterator[Mapping[str, object]]:
    """Yield one or two lines of whole tiyin that cost ``cost`` together, for the item's whole quantity.

    The first has the item's price, for as much of the quantity as costs whole tiyin at that price. The second has what
    is left of quantity and cost. Its price is the lowest that makes it cost whole tiyin, and what that is too much is
    its discount.
    """
    whole, parts = Fraction(item.quantity).as_integer_ratio()
    step = parts // math.gcd(item.price, parts)
    first = whole - whole % step
    if first == whole and first * item.price // parts < cost:
        first -= step
    first_cost = first * item.price // parts
    left = max(cost - first_cost, 0)
    if first:
        yield _line(item, Fraction(first, parts), item.price, first_cost + left - cost)
    if first < whole:
        rest = Fraction(whole - first, parts)
        times = max(math.ceil(Fraction(left, rest.numerator)), 1)
        yield _line(item, rest, times * rest.denominator, times * rest.numerator - left)


def _line(item: Item, count: Fraction, price: int, discount: int) -> Mapping[str, object]:
    fiscal = item.fiscal
    line: dict[str, object] = {"title": item.name, "price": price}
    line["count"] = count.numerator if count.denominator == 1 else float(count)
    if fiscal is not None:
        line |= {"code": fiscal.code, "package_code": fiscal.package_code, "vat_percent": fiscal.vat_percent}
        line |= {"units": fiscal.units} if fiscal.units is not None else {}
    return line | {"discount": discount} if discount else line
