"""JSON becomes the models of the contract, or one error that names the place and what is allowed there."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookspecs import GoodsKind, Item, ItemFiscal, PaymentRecord
from hookspecs.structure import StructureError, structure, unstructure

FISCAL = {"code": "0190", "package_code": "1520285", "vat_percent": 12}
ITEM: dict[str, Any] = {"name": "Хлеб", "quantity": "0.250", "price": 400, "amount": 100}
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=5,
)


@dataclass(frozen=True, kw_only=True)
class Renamed:
    is_done: bool = field(metadata={"json": "done"})
    amounts: tuple[int, ...] = ()
    after_s: float = 1.0


def test_members_become_fields_and_a_missing_one_its_default() -> None:
    whole = {**ITEM, "barcode": "478", "goods": "Tobacco", "marking": "0104", "fiscal": {**FISCAL, "units": None}}

    assert structure(tuple[Item, ...], [ITEM, whole], "items") == (
        Item(name="Хлеб", quantity=Decimal("0.250"), price=400, amount=100),
        Item(
            name="Хлеб",
            quantity=Decimal("0.250"),
            price=400,
            amount=100,
            barcode="478",
            goods=GoodsKind.TOBACCO,
            marking="0104",
            fiscal=ItemFiscal(code="0190", package_code="1520285", vat_percent=12),
        ),
    )


def test_a_member_may_have_another_name_than_its_field() -> None:
    document = {"done": True, "amounts": [1, 2], "after_s": 0.5}

    assert structure(Renamed, document, "it") == Renamed(is_done=True, amounts=(1, 2), after_s=0.5)
    assert unstructure(Renamed(is_done=True, amounts=(1, 2), after_s=0.5)) == document


def test_a_number_may_be_an_integer_but_not_a_boolean_or_one_that_no_float_holds() -> None:
    assert structure(Renamed, {"done": True, "after_s": 3}, "it").after_s == 3.0
    for value in (True, "3", 10**400):
        with pytest.raises(StructureError, match=r"^it\.after_s: must be a number$"):
            structure(Renamed, {"done": True, "after_s": value}, "it")


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({}, "items: must be an array"),
        ([5], "items[0]: must be an object"),
        ([ITEM, {**ITEM, "price": None}], "items[1].price: must be an integer"),
        ([{**ITEM, "price": 4.0}], "items[0].price: must be an integer"),
        ([{**ITEM, "price": True}], "items[0].price: must be an integer"),
        ([{**ITEM, "price": "4"}], "items[0].price: must be an integer"),
        ([{**ITEM, "name": 5}], "items[0].name: must be a string"),
        ([{**ITEM, "name": None}], "items[0].name: must be a string"),
        ([{**ITEM, "marking": []}], "items[0].marking: must be a string"),
        ([{**ITEM, "quantity": 1}], "items[0].quantity: must be a string"),
        ([{**ITEM, "quantity": "x"}], 'items[0].quantity: must be a decimal number as a string, e.g. "0.250"'),
        ([{**ITEM, "quantity": "NaN"}], 'items[0].quantity: must be a decimal number as a string, e.g. "0.250"'),
        ([{**ITEM, "quantity": "١"}], 'items[0].quantity: must be a decimal number as a string, e.g. "0.250"'),
        (
            [{**ITEM, "goods": "weapons"}],
            "items[0].goods: must be one of ordinary, marked, alcohol, tobacco, shoes, medicine",
        ),
        ([{**ITEM, "fiscal": {"code": "1"}}], "items[0].fiscal: has no package_code"),
        ([{**ITEM, "fiscal": {**FISCAL, "units": "1"}}], "items[0].fiscal.units: must be an integer"),
        (
            [{**ITEM, "fiscal": {**FISCAL, "colour": 1}}],
            "items[0].fiscal: has 'colour'; allowed are code, package_code, vat_percent, units, discount",
        ),
    ],
)
def test_an_error_names_the_place_and_what_is_allowed(document: object, error: str) -> None:
    with pytest.raises(StructureError) as raised:
        structure(tuple[Item, ...], document, "items")

    assert str(raised.value) == error
    assert error.startswith(f"{raised.value.path}: ")


def test_the_values_of_a_mapping_are_checked() -> None:
    record = {"payment_id": "p1", "payment_type": 7, "amount": 1, "data": {"v": 1}}

    with pytest.raises(StructureError, match=r"^record\.data\['v'\]: must be a string$"):
        structure(PaymentRecord, record, "record")


def test_a_name_from_outside_is_escaped_and_cut() -> None:
    with pytest.raises(StructureError) as raised:
        structure(Item, {**ITEM, "\x1b\u202e" + "x" * 100_000: 1}, "item")

    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 300


@given(name=st.sampled_from(sorted({*ITEM, "fiscal", "goods", "marking", "other"})), value=JSON_VALUES)
def test_any_other_value_is_an_error_or_the_value_that_was_meant(name: str, value: object) -> None:
    try:
        item = structure(Item, {**ITEM, name: value}, "item")
    except StructureError:
        return
    meant = Decimal(str(value)) if name == "quantity" else value
    assert json.dumps(getattr(item, name), default=str) == json.dumps(meant, default=str)
