"""The goods that ``receipts.create`` names add up to what is charged, to the tiyin, or none is named."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookspecs import Item, ItemFiscal
from payme_plugin.operations.fiscal import detail_of
from virtual_till import open_sale

BREAD = Item(
    name="Хлеб",
    quantity=Decimal(2),
    price=500_000,
    amount=1_000_000,
    fiscal=ItemFiscal(code="01902001009000000", package_code="1520285", vat_percent=12),
)


def is_named(*items: Item, amount: int) -> bool:
    return detail_of(replace(open_sale(amount=amount), items=items), amount) is not None


def discounted(item: Item, discount: int) -> Item:
    assert item.fiscal is not None
    return replace(item, fiscal=replace(item.fiscal, discount=discount))


def test_goods_that_add_up_are_named() -> None:
    assert is_named(BREAD, amount=1_000_000)
    assert is_named(BREAD, discounted(BREAD, 100_000), amount=1_900_000)
    assert is_named(replace(BREAD, quantity=Decimal("0.35"), price=100), amount=35)


@pytest.mark.parametrize(
    ("items", "amount"),
    [
        ((BREAD,), 900_000),
        ((replace(BREAD, amount=900_000),), 900_000),
        ((BREAD,), 1_000_001),
        ((discounted(BREAD, 100_000),), 1_000_000),
        ((replace(BREAD, quantity=Decimal("0.333"), price=100),), 33),
        ((replace(BREAD, quantity=Decimal("0.335"), price=100),), 34),
    ],
    ids=["the whole receipt is cheaper", "the line is", "a tiyin more", "a discount", "rounded down", "rounded up"],
)
def test_goods_that_do_not_add_up_are_not_named(items: tuple[Item, ...], amount: int) -> None:
    assert not is_named(*items, amount=amount)


def test_a_part_too_small_for_any_rounding_is_still_seen() -> None:
    almost = replace(BREAD, quantity=Decimal("0." + "9" * 99), price=1)

    assert not is_named(almost, amount=1)
    assert not is_named(replace(almost, quantity=Decimal("1." + "0" * 200 + "1")), amount=1)


@given(
    lines=st.lists(
        st.tuples(
            st.decimals("0.001", "999.999", places=3),
            st.integers(0, 10**9),
            st.integers(0, 10**6),
        ),
        min_size=1,
        max_size=5,
    ),
    off_by=st.integers(-2, 2),
    digits=st.integers(1, 28),
)
def test_named_is_what_adds_up_exactly_whatever_the_hosts_decimals_round_to(
    lines: list[tuple[Decimal, int, int]], off_by: int, digits: int
) -> None:
    items = [
        discounted(replace(BREAD, quantity=quantity, price=price), discount) for quantity, price, discount in lines
    ]
    exact = sum((Fraction(quantity) * price - discount for quantity, price, discount in lines), Fraction(0))
    amount = int(exact) + off_by

    with localcontext() as context:
        context.prec = digits
        named = is_named(*items, amount=amount)

    assert named == (exact == amount)
