"""The goods in ``receipts.create`` add up to the amount exactly."""

from __future__ import annotations

import os
from dataclasses import replace
from decimal import Decimal, localcontext
from fractions import Fraction
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from fakes.till import open_sale
from hookspecs import Item, ItemFiscal, PaymentStatus
from payme_plugin.operations.fiscal import detail_of

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

BREAD = Item(
    name="Хлеб",
    quantity=Decimal(2),
    price=500_000,
    amount=1_000_000,
    fiscal=ItemFiscal(code="01902001009000000", package_code="1520285", vat_percent=12),
)


RECEIPTS = int(os.environ.get("PAYME_RECEIPTS", "300"))
"""How many receipts are generated; 10,000 by hand: see CONTRIBUTING.md."""


def named(*items: Item, amount: int) -> list[dict[str, Any]]:
    """Return the lines that name a sale."""
    detail = detail_of(replace(open_sale(amount=amount), items=items), amount)
    assert detail is not None
    return cast("list[dict[str, Any]]", detail["items"])


def weighed(quantity: str, amount: int) -> Item:
    return replace(BREAD, quantity=Decimal(quantity), price=100, amount=amount)


def discounted(item: Item, discount: int) -> Item:
    assert item.fiscal is not None
    return replace(item, fiscal=replace(item.fiscal, discount=discount))


@pytest.mark.parametrize(
    ("item", "amount", "lines"),
    [
        (replace(BREAD, amount=900_000), 900_000, [(500_000, 2, 100_000)]),
        (BREAD, 900_000, [(500_000, 2, 100_000)]),
        (discounted(replace(BREAD, amount=900_000), 100_000), 900_000, [(500_000, 2, 100_000)]),
        (BREAD, 1_000_001, [(500_000, 1, 0), (500_001, 1, 0)]),
        (weighed("0.335", 33), 33, [(100, 0.33, 0), (200, 0.005, 1)]),
        (weighed("0.335", 34), 34, [(100, 0.33, 0), (200, 0.005, 0)]),
        (weighed("3.335", 334), 334, [(100, 3.33, 0), (200, 0.005, 0)]),
        (weighed("0.004", 1), 1, [(250, 0.004, 0)]),
        (weighed("3.335", 300), 300, [(100, 3.33, 33), (200, 0.005, 1)]),
    ],
    ids=[
        "the host made the line cheaper", "the total is cheaper", "a discount of the line", "the total is rounded up",
        "rounded down", "rounded up", "with whole pieces", "less than whole at its price", "rounded and discounted",
    ],
)  # fmt: skip
def test_a_line_is_named_as_one_or_two_lines_of_whole_tiyin(
    item: Item, amount: int, lines: list[tuple[int, float, int]]
) -> None:
    assert [(line["price"], line["count"], line.get("discount", 0)) for line in named(item, amount=amount)] == lines


def test_a_discount_on_the_total_is_spread_in_proportion() -> None:
    cheap = replace(BREAD, quantity=Decimal(1), price=100_000, amount=100_000)

    discounts = [line.get("discount", 0) for line in named(BREAD, cheap, amount=990_000)]

    assert discounts == [100_000, 10_000]
    already = [line.get("discount") for line in named(BREAD, discounted(BREAD, 100_000), amount=1_900_000)]
    assert already == [None, 100_000]


@pytest.mark.parametrize(
    ("items", "total", "amount"),
    [
        ((BREAD,), 1_000_000, 600_000),
        ((BREAD,), 1_000_101, 1_000_101),
        ((replace(BREAD, price=-1, amount=1),), 1, 1),
        ((replace(BREAD, price=0, amount=0),), 1, 1),
        ((BREAD, discounted(replace(BREAD, amount=-1), 1_000_001)), 999_999, 999_999),
        ((replace(BREAD, quantity=Decimal(10**9), price=10**10),), 1_000_000, 1_000_000),
    ],
    ids=[
        "another tender pays a part", "the lines cost too little", "a price below 0", "free", "a line below 0",
        "a discount beyond 64 bits",
    ],
)  # fmt: skip
def test_goods_that_can_not_add_up_are_not_named(items: tuple[Item, ...], total: int, amount: int) -> None:
    assert detail_of(replace(open_sale(amount=total), items=items), amount) is None


def test_goods_that_all_have_codes_are_named_in_receipts_create(till: HookedWorld) -> None:
    full = ItemFiscal(code="00702001001000001", package_code="1", vat_percent=0, units=241092, discount=1000)
    milk = replace(BREAD, name="Молоко", quantity=Decimal("0.350"), price=2_000_000, amount=699_000, fiscal=full)

    till.sell(items=(BREAD, milk))

    (created,) = [sent.params for sent in till.paymego.sent if sent.method == "receipts.create"]
    assert created["detail"] == {
        "receipt_type": 0,
        "items": [
            {
                "title": "Хлеб", "price": 500_000, "count": 2,
                "code": "01902001009000000", "package_code": "1520285", "vat_percent": 12,
            },
            {
                "title": "Молоко", "price": 2_000_000, "count": 0.35,
                "code": "00702001001000001", "package_code": "1", "vat_percent": 0, "units": 241092, "discount": 1000,
            },
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "count"),
    [("1", 1), ("1.000", 1), ("1E1", 10), ("0.5", 0.5), ("1.25", 1.25), ("0.001", 0.001), ("1234.567", 1234.567)],
)
def test_a_count_is_whole_where_the_quantity_is_and_else_a_fraction(quantity: str, count: float) -> None:
    cost = int(500_000 * Decimal(quantity))

    (line,) = named(replace(BREAD, quantity=Decimal(quantity), amount=cost), amount=cost)

    assert (line["count"], type(line["count"])) == (count, type(count))


@pytest.mark.parametrize(
    "change",
    [
        {"fiscal": None}, {"quantity": Decimal("NaN")}, {"quantity": Decimal("sNaN")},
        {"quantity": Decimal("-Infinity")}, {"quantity": Decimal("1E+999999")}, {"quantity": Decimal("1E-999999")},
        {"quantity": Decimal("0." + "9" * 99)}, {"quantity": Decimal("1." + "0" * 200 + "1")},
    ],
    ids=["no code", "NaN", "sNaN", "infinite", "huge", "tiny", "99 digits", "200 digits"],
)  # fmt: skip
def test_goods_that_payme_could_not_read_are_not_named_and_the_sale_is_paid(
    till: HookedWorld, change: dict[str, Any]
) -> None:
    sale = replace(open_sale(amount=2_000_000), items=(BREAD, replace(BREAD, **change)))

    result = till.pay(till.paymego.code(), receipt=sale, amount=2_000_000)

    (created,) = [sent.params for sent in till.paymego.sent if sent.method == "receipts.create"]
    assert (result.status, created.get("detail")) == (PaymentStatus.PAID, None)


def test_a_name_that_is_not_a_text_does_not_prevent_the_sale(till: HookedWorld) -> None:
    sale = replace(open_sale(amount=1_000_000), items=(replace(BREAD, name="Хлеб \ud800"),))

    assert till.pay(till.paymego.code(), receipt=sale, amount=1_000_000).status is PaymentStatus.PAID


QUANTITIES = (
    st.decimals("0.001", "999.999", places=3)
    | st.integers(1, 999).map(Decimal)
    | st.decimals("0.000001", "9", places=6)
)


@st.composite
def receipts_of(draw: st.DrawFn) -> tuple[tuple[Item, ...], int]:
    """Return lines, each rounded as some till would, and a total that is rounded or cheaper than they are."""
    items = []
    for _ in range(draw(st.integers(1, 6))):
        quantity, price = draw(QUANTITIES), draw(st.integers(1, 10**8))
        exact = Fraction(quantity) * price
        discount = draw(st.just(0) | st.integers(0, int(exact)))
        cost = int(exact) - discount + draw(st.integers(0, 1))
        items.append(replace(discounted(BREAD, discount), quantity=quantity, price=price, amount=cost))
    whole = sum(item.amount for item in items)
    unit = draw(st.sampled_from([1, 100]))
    total = draw(st.sampled_from([whole, whole // unit * unit, -(-whole // unit) * unit, whole * 9 // 10]))
    return tuple(items), total


@settings(max_examples=RECEIPTS, derandomize=True, deadline=None)
@given(receipts_of(), st.integers(1, 28))
def test_what_is_named_costs_what_is_charged_whatever_was_rounded(
    sale: tuple[tuple[Item, ...], int], digits: int
) -> None:
    items, total = sale
    assume(total > 0)
    with localcontext() as context:  # the host's own context may round
        context.prec = digits
        lines = named(*items, amount=total)

    costs = [Fraction(str(line["count"])) * line["price"] for line in lines]
    assert all(cost.denominator == 1 for cost in costs)
    assert sum(costs) - sum(line.get("discount", 0) for line in lines) == total
    assert all(
        line["price"] > 0 and 0 <= line.get("discount", 0) <= cost for line, cost in zip(lines, costs, strict=True)
    )
    assert sum(Fraction(str(line["count"])) for line in lines) == sum(Fraction(item.quantity) for item in items)
    assert len(lines) <= 2 * len(items)
