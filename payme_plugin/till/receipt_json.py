"""A booked receipt as JSON: what the reference till writes into its folder, and reads back after a restart."""

from __future__ import annotations

import json
from dataclasses import asdict
from decimal import Decimal
from enum import Enum
from typing import TypeVar

from hookspecs import GoodsKind, Item, ItemFiscal, PaymentRecord, PaymentStatus, ReceiptKind, Slip
from payme_plugin.till.receipts import BookedReceipt, Refund, Tender

__all__ = ["dumps", "loads"]

_VERSION = 1

_Kind = TypeVar("_Kind")


def dumps(receipt: BookedReceipt) -> str:
    """Return ``receipt`` as one JSON object."""
    return json.dumps({"version": _VERSION, **asdict(receipt)}, default=_plain, indent=1)


def loads(text: str) -> BookedReceipt:
    """Return the receipt that ``dumps`` wrote.

    Raises:
        ValueError: it is none, or of another version.
    """
    try:
        page = _Page(json.loads(text))
        if page.take("version", int) != _VERSION:
            message = f"version {page.take('version', int)}, this program knows version {_VERSION}"
            raise ValueError(message)
        return _receipt(page)
    except (ArithmeticError, LookupError, RecursionError, TypeError) as error:
        message = f"not a receipt of this till ({type(error).__name__}: {error})"
        raise ValueError(message) from error


def _plain(value: object) -> str:
    if isinstance(value, Enum):
        return value.name
    if isinstance(value, Decimal):
        return str(value)
    message = f"{type(value).__name__} has no place in a receipt"
    raise TypeError(message)


class _Page:
    """A JSON object whose members are of the type that is asked for, or a ``TypeError``."""

    def __init__(self, document: object) -> None:
        if not isinstance(document, dict):
            raise TypeError("an object is missing")
        self._members: dict[str, object] = document

    def has(self, name: str) -> bool:
        """Say whether there is a member ``name``: a page of an earlier version may lack it."""
        return name in self._members

    def take(self, name: str, kind: type[_Kind]) -> _Kind:
        """Return the member ``name``, of ``kind``."""
        return _require(self._members[name], kind)

    def take_or_none(self, name: str, kind: type[_Kind]) -> _Kind | None:
        """Return the member ``name``, of ``kind`` or null."""
        return None if self._members[name] is None else self.take(name, kind)

    def page_or_none(self, name: str) -> _Page | None:
        """Return the member ``name``, an object or null."""
        return None if self._members[name] is None else _Page(self._members[name])

    def pages(self, name: str) -> list[_Page]:
        """Return the member ``name``, a list of objects."""
        return [_Page(each) for each in self.take(name, list)]

    def texts(self, name: str) -> dict[str, str]:
        """Return the member ``name``, an object of texts."""
        return {key: _require(value, str) for key, value in self.take(name, dict).items()}


def _require(value: object, kind: type[_Kind]) -> _Kind:
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        message = f"{type(value).__name__} where {kind.__name__} is expected"
        raise TypeError(message)
    return value


def _receipt(page: _Page) -> BookedReceipt:
    refund = page.page_or_none("refund")
    return BookedReceipt(
        number=page.take("number", int),
        kind=ReceiptKind[page.take("kind", str)],
        items=tuple(_item(each) for each in page.pages("items")),
        total=page.take("total", int),
        tenders=tuple(_tender(each) for each in page.pages("tenders")),
        attributes=page.texts("attributes"),
        slips=tuple(_slip(each) for each in page.pages("slips")),
        closed_at=page.take_or_none("closed_at", int),
        annulled=page.take("annulled", bool),
        told=page.take("told", bool),
        cancelling=page.take_or_none("cancelling", str),
        refund=None if refund is None else _refund(refund),
        fiscal_url=page.take_or_none("fiscal_url", str) if page.has("fiscal_url") else None,
    )


def _tender(page: _Page) -> Tender:
    verdict = page.take_or_none("verdict", str)
    record = page.page_or_none("record")
    return Tender(
        payment_id=page.take("payment_id", str),
        payment_type=page.take("payment_type", int),
        amount=page.take("amount", int),
        verdict=None if verdict is None else PaymentStatus[verdict],
        record=None if record is None else _record(record),
        acknowledged=page.take("acknowledged", bool) if page.has("acknowledged") else False,
    )


def _record(page: _Page) -> PaymentRecord:
    return PaymentRecord(
        payment_id=page.take("payment_id", str),
        payment_type=page.take("payment_type", int),
        amount=page.take("amount", int),
        data=page.texts("data"),
    )


def _refund(page: _Page) -> Refund:
    return Refund(
        refund_id=page.take("refund_id", str),
        sale_number=page.take("sale_number", int),
        payment_id=page.take("payment_id", str),
        amount=page.take("amount", int),
        manual_selection=page.take("manual_selection", bool),
        currency_selection=page.take("currency_selection", bool),
    )


def _slip(page: _Page) -> Slip:
    return Slip(
        xml=page.take("xml", str),
        lines=tuple(_require(line, str) for line in page.take("lines", list)),
        copies=page.take("copies", int),
    )


def _item(page: _Page) -> Item:
    fiscal = page.page_or_none("fiscal")
    return Item(
        name=page.take("name", str),
        quantity=Decimal(page.take("quantity", str)),
        price=page.take("price", int),
        amount=page.take("amount", int),
        barcode=page.take("barcode", str),
        goods=GoodsKind[page.take("goods", str)],
        marking=page.take_or_none("marking", str),
        fiscal=None if fiscal is None else _fiscal(fiscal),
    )


def _fiscal(page: _Page) -> ItemFiscal:
    return ItemFiscal(
        code=page.take("code", str),
        package_code=page.take("package_code", str),
        vat_percent=page.take("vat_percent", int),
        units=page.take_or_none("units", int),
        discount=page.take("discount", int),
    )
