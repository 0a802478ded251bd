"""The items in a JSON file: what ``payme pay`` sells and ``payme refund`` returns."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from typing import TYPE_CHECKING

import click

from hookspecs import Item, ItemFiscal
from hookspecs.structure import StructureError, structure
from payme_plugin.paymego.jsonrpc import parse_strict

if TYPE_CHECKING:
    from pathlib import Path

_MAX_FILE_BYTES = 1_048_576
_MAX_ITEMS = 1_000
_MAX_CHARACTERS = 1_000
_MAX_INTEGER = 2**63 - 1
_MAX_PERCENT = 100
_MAX_QUANTITY = Decimal(10) ** 12
_QUANTITY_STEP = Decimal(10) ** -9


def items_in(path: Path) -> tuple[Item, ...]:
    """Return the items that a file lists.

    Raises:
        OSError: the file can't be read.
        ValueError: it can't be used; the text has the path of the fault, e.g. ``items[2].price``, and what is allowed.
    """
    with path.open("rb") as file:
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        message = f"it is larger than {_MAX_FILE_BYTES} bytes"
        raise ValueError(message)
    items = structure(tuple[Item, ...], parse_strict(content), "items")
    if len(items) > _MAX_ITEMS:
        raise StructureError("items", f"must have at most {_MAX_ITEMS} items")
    for index, item in enumerate(items):
        _check(item, f"items[{index}]")
    return items


def _check(model: Item | ItemFiscal, path: str) -> None:
    """Refuse what no till sells: long texts, amounts below zero, and quantities that can't be printed."""
    for name in (field.name for field in fields(model)):
        value, place = getattr(model, name), f"{path}.{name}"
        largest = _MAX_PERCENT if name == "vat_percent" else _MAX_INTEGER
        if isinstance(value, ItemFiscal):
            _check(value, place)
        elif isinstance(value, str) and len(value) > _MAX_CHARACTERS:
            raise StructureError(place, f"must have at most {_MAX_CHARACTERS} characters")
        elif isinstance(value, int) and not 0 <= value <= largest:
            raise StructureError(place, f"must be 0 to {largest}")
        elif isinstance(value, Decimal) and (not 0 < value <= _MAX_QUANTITY or value % _QUANTITY_STEP):
            raise StructureError(place, f"must be above 0, at most {_MAX_QUANTITY}, and have at most 9 decimals")


def total_of(items: tuple[Item, ...]) -> int:
    """Return what a sale of ``items`` costs, in tiyin.

    Raises:
        click.UsageError: the amount can't be charged.
    """
    total = sum(item.amount for item in items)
    if not 0 < total <= _MAX_INTEGER:
        message = f"the items come to {total} tiyin; allowed are 1 to {_MAX_INTEGER}."
        raise click.UsageError(message)
    return total
