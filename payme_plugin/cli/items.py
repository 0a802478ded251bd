"""Goods given as a file or as a word: what ``payme pay`` sells and ``payme refund`` gives back."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import click

from hookspecs import GoodsKind, Item, ItemFiscal
from payme_plugin.paymego.jsonrpc import parse_strict

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["items_in", "total_of"]

_LARGEST_FILE = 1_048_576
_MOST_ITEMS = 1_000
_LONGEST_TEXT = 1_000
_LARGEST = 2**63 - 1
_LARGEST_QUANTITY = Decimal(10) ** 12
_FINEST_QUANTITY = Decimal(10) ** -9
_REQUIRED = frozenset({"name", "quantity", "price", "amount"})
_MEMBERS = _REQUIRED | {"barcode", "fiscal", "goods", "marking"}
_FISCAL_REQUIRED = frozenset({"code", "package_code", "vat_percent"})
_FISCAL_MEMBERS = _FISCAL_REQUIRED | {"discount", "units"}
_MOST_PERCENT = 100
_KINDS = tuple(kind.value.lower() for kind in GoodsKind)


def items_in(path: Path) -> tuple[Item, ...]:
    """Return the items that a JSON file lists.

    Raises:
        OSError: it can't be read.
        ValueError: it can't be used; the text names the item, the member, and what is allowed.
    """
    return _items(_content(path))


def total_of(items: tuple[Item, ...]) -> int:
    """Return what a sale of ``items`` costs, in tiyin.

    Raises:
        click.UsageError: it is no sum that can be charged.
    """
    total = sum(item.amount for item in items)
    if not 0 < total <= _LARGEST:
        message = f"the items come to {total} tiyin; allowed are 1 to {_LARGEST}."
        raise click.UsageError(message)
    return total


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_LARGEST_FILE + 1)
    if len(content) > _LARGEST_FILE:
        message = f"it is larger than {_LARGEST_FILE} bytes"
        raise ValueError(message)
    return content


def _items(content: bytes) -> tuple[Item, ...]:
    document = parse_strict(content)
    if not isinstance(document, list) or len(document) > _MOST_ITEMS:
        message = f"allowed is a list of at most {_MOST_ITEMS} items"
        raise ValueError(message)
    return tuple(_item(f"item {number}", each) for number, each in enumerate(document, start=1))


def _item(place: str, document: object) -> Item:
    members = _members(place, document, _REQUIRED, _MEMBERS)
    try:
        return Item(
            name=_text("name", members["name"]),
            quantity=_quantity(members["quantity"]),
            price=_tiyin("price", members["price"]),
            amount=_tiyin("amount", members["amount"]),
            barcode=_text("barcode", members.get("barcode", "")),
            goods=_kind(members.get("goods", GoodsKind.ORDINARY.value)),
            marking=None if members.get("marking") is None else _text("marking", members["marking"]),
            fiscal=None if members.get("fiscal") is None else _fiscal(members["fiscal"]),
        )
    except ValueError as error:
        message = f"{place}: {error}"
        raise ValueError(message) from error


def _fiscal(document: object) -> ItemFiscal:
    members = _members("fiscal", document, _FISCAL_REQUIRED, _FISCAL_MEMBERS)
    return ItemFiscal(
        code=_text("fiscal.code", members["code"]),
        package_code=_text("fiscal.package_code", members["package_code"]),
        vat_percent=_whole("fiscal.vat_percent", members["vat_percent"], _MOST_PERCENT),
        units=None if members.get("units") is None else _whole("fiscal.units", members["units"], _LARGEST),
        discount=_tiyin("fiscal.discount", members.get("discount", 0)),
    )


def _members(place: str, document: object, required: frozenset[str], allowed: frozenset[str]) -> dict[str, object]:
    members: dict[str, object] = document if isinstance(document, dict) else {}
    for name in sorted(required - members.keys()):
        message = f"{place} has no {name}"
        raise ValueError(message)
    for name in sorted(members.keys() - allowed):
        message = f"{place} has {name[:_LONGEST_TEXT]!r}; allowed are {', '.join(sorted(allowed))}"
        raise ValueError(message)
    return members


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        message = f"{name} must be a text of at most {_LONGEST_TEXT} characters"
        raise ValueError(message)
    return value


def _tiyin(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _LARGEST:
        message = f"{name} must be whole tiyin, 0 to {_LARGEST}; 15000.00 sums are 1500000"
        raise ValueError(message)
    return value


def _whole(name: str, value: object, largest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= largest:
        message = f"{name} must be a whole number, 0 to {largest}"
        raise ValueError(message)
    return value


def _quantity(value: object) -> Decimal:
    message = 'quantity must be a number above zero as a text, "1" or "0.250" say'
    if not isinstance(value, str) or not value.isascii():
        raise ValueError(message)
    try:
        quantity = Decimal(value)
    except InvalidOperation:
        raise ValueError(message) from None
    if not quantity.is_finite() or not 0 < quantity <= _LARGEST_QUANTITY or quantity % _FINEST_QUANTITY:
        raise ValueError(message)
    return quantity


def _kind(value: object) -> GoodsKind:
    found = value.upper() if isinstance(value, str) else ""
    if found not in GoodsKind.__members__:
        message = f"goods must be one of {', '.join(_KINDS)}"
        raise ValueError(message)
    return GoodsKind[found]
