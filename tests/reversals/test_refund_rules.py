"""The rules that refuse a refund, each with its text, compared with a second, simpler definition."""

from __future__ import annotations

import decimal
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.till import TENDER, open_sale
from hookspecs import GoodsKind, Item, PaymentRecord, Receipt, ReceiptKind, RefundRequest
from payme_plugin.operations.refund_rules import violations_of
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from hypothesis.strategies import DrawFn

RU = Texts("ru")
PARTIAL, MANUAL, CURRENCY = "partial-refund", "manual-selection-required", "currency-selection-forbidden"
BREAD = Item(name="Хлеб", quantity=Decimal(2), price=400_000, amount=800_000, barcode="478001")
MILK = Item(name="Молоко", quantity=Decimal(1), price=700_000, amount=700_000, barcode="478002", marking="")
TOBACCO = replace(MILK, goods=GoodsKind.TOBACCO)
OUR_PART = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=1_500_000, data={"plugin": "payme"})


def sale_of(*items: Item) -> Receipt:
    return replace(open_sale(), items=items, total=sum(item.amount for item in items), closed_at=1)


def refund_of(sale: Receipt | None, *items: Item, **changes: object) -> RefundRequest:
    """Return the refund of our whole part of a sale with these goods, but for some changes."""
    request = RefundRequest(
        refund_id="f1",
        payment_type=TENDER,
        payment=OUR_PART,
        sale=sale,
        refund=replace(sale_of(*items), number=900, kind=ReceiptKind.REFUND),
        amount=OUR_PART.amount,
        manual_selection=False,
        currency_selection=False,
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def broken_by(
    request: RefundRequest, payment: PaymentRecord | None = OUR_PART, *, is_reversed: bool = False
) -> list[tuple[str, str]]:
    return [(each.rule, each.message) for each in violations_of(request, payment, RU, is_reversed=is_reversed)]


def rules(found: list[tuple[str, str]]) -> list[str]:
    return [rule for rule, _ in found]


def missing(goods: str) -> tuple[str, str]:
    return PARTIAL, RU(Text.REFUND_PARTIAL_LINES, missing=goods)


def extra(goods: str) -> tuple[str, str]:
    return PARTIAL, RU(Text.REFUND_FOREIGN_LINES, extra=goods)


GOODS = [replace(BREAD, name=f"Товар {number}") for number in range(1, 6)]


@pytest.mark.parametrize(
    ("sold", "returned", "found"),
    [
        ((BREAD, MILK), (BREAD,), [missing("Молоко")]),
        ((BREAD, MILK), (), [missing("Хлеб, Молоко")]),
        (GOODS, (), [missing("Товар 1, Товар 2, Товар 3 (+2)")]),
        ((BREAD, MILK), (replace(BREAD, quantity=Decimal(1), amount=400_000), MILK), [missing("Хлеб")]),
        ((BREAD, MILK), (replace(BREAD, amount=799_999), MILK), [missing("Хлеб")]),
        ((BREAD, MILK), (replace(BREAD, quantity=Decimal("1.999")), MILK), [missing("Хлеб")]),
        ((BREAD, MILK), (BREAD, MILK, MILK), [extra("Молоко")]),
        ((BREAD, MILK), (BREAD, replace(MILK, amount=700_001)), [extra("Молоко")]),
        ((BREAD, MILK), (BREAD, replace(MILK, name="Кефир")), [missing("Молоко"), extra("Кефир")]),
        ((BREAD, MILK), (BREAD, replace(MILK, barcode="478003")), [missing("Молоко"), extra("Молоко")]),
        ((BREAD, MILK), (BREAD, replace(MILK, marking="010478")), [missing("Молоко"), extra("Молоко")]),
    ],
    ids=[
        "milk", "both", "many", "half the bread", "cheaper bread", "less bread", "milk twice", "dearer milk",
        "another name", "another barcode", "another marking",
    ],
)  # fmt: skip
def test_anything_but_the_whole_sale_is_a_partial_refund_that_names_the_goods(
    sold: tuple[Item, ...], returned: tuple[Item, ...], found: list[tuple[str, str]]
) -> None:
    assert broken_by(refund_of(sale_of(*sold), *returned)) == found


@pytest.mark.parametrize(
    "returned",
    [
        (MILK, BREAD),
        (
            replace(BREAD, quantity=Decimal("0.5"), amount=1),
            MILK,
            replace(BREAD, quantity=Decimal("1.5"), amount=799_999),
        ),
        (replace(BREAD, quantity=Decimal("2E0")), replace(MILK, quantity=Decimal("1.000"))),
        (replace(BREAD, goods=GoodsKind.MARKED), replace(MILK, marking=None)),
    ],
    ids=["order", "split", "zeros and exponents", "kind and no marking"],
)
def test_the_same_goods_written_differently_are_the_whole_sale(returned: tuple[Item, ...]) -> None:
    assert broken_by(refund_of(sale_of(BREAD, MILK), *returned)) == []


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (1, "0.01"),
        (1_500_001, "15 000.01"),
        (-1_500_000, "-15 000.00"),
        (10**17, "1 000 000 000 000 000.00"),
        (10**17 + 1, "> 1 000 000 000 000 000.00"),
        (10**5000, "> 1 000 000 000 000 000.00"),
        (-(10**5000), "< -1 000 000 000 000 000.00"),
    ],
    ids=["a tiyin", "too much", "below zero", "large", "larger", "beyond writing", "far below"],
)
def test_less_or_more_than_our_payment_is_a_partial_refund(amount: int, shown: str) -> None:
    message = RU(Text.REFUND_PARTIAL_AMOUNT, expected="15 000.00", asked=shown)

    assert broken_by(refund_of(sale_of(BREAD, MILK), BREAD, MILK, amount=amount)) == [(PARTIAL, message)]


def test_a_sale_paid_with_two_tenders_refunds_our_part_in_full() -> None:
    lines = (BREAD, MILK, MILK)
    sale = replace(sale_of(*lines), payments=(OUR_PART,))

    assert sale.total > OUR_PART.amount
    assert broken_by(refund_of(sale, *lines)) == []
    assert rules(broken_by(refund_of(sale, *lines, amount=sale.total))) == [PARTIAL]


@pytest.mark.parametrize(
    "item",
    [
        *(replace(MILK, goods=kind) for kind in GoodsKind if kind is not GoodsKind.ORDINARY),
        replace(MILK, marking="0104780000000017215abc"),
    ],
    ids=lambda item: item.goods.value,
)
def test_marked_and_excise_goods_are_refunded_by_hand_only_and_in_no_other_tender(item: Item) -> None:
    sale = sale_of(BREAD, item)
    by_hand, other_tender = RU(Text.REFUND_MANUAL_SELECTION_REQUIRED), RU(Text.REFUND_CURRENCY_SELECTION_FORBIDDEN)

    assert broken_by(refund_of(sale, BREAD, item)) == [(MANUAL, by_hand)]
    assert broken_by(refund_of(sale, BREAD, item, manual_selection=True)) == []
    request = refund_of(sale, BREAD, item, manual_selection=True, currency_selection=True)
    assert broken_by(request) == [(CURRENCY, other_tender)]


def test_without_a_sale_or_a_payment_of_ours_or_for_one_that_goes_back_already_it_is_refused() -> None:
    whole = refund_of(sale_of(BREAD, MILK), BREAD, MILK)

    assert broken_by(replace(whole, sale=None)) == [("no-sale-receipt", RU(Text.REFUND_NO_SALE_RECEIPT))]
    assert broken_by(replace(whole, payment=None), None) == [("foreign-payment", RU(Text.REFUND_FOREIGN_PAYMENT))]
    assert broken_by(whole, is_reversed=True) == [("already-reversed", RU(Text.REFUND_ALREADY_REVERSED))]


def test_only_the_sale_decides_what_is_marked_and_an_empty_marking_does_not_count() -> None:
    assert rules(broken_by(refund_of(sale_of(BREAD, TOBACCO), BREAD))) == [PARTIAL, MANUAL]
    assert broken_by(refund_of(sale_of(BREAD, MILK), BREAD, TOBACCO, currency_selection=True)) == []


def test_all_violations_come_at_once() -> None:
    request = refund_of(sale_of(BREAD, TOBACCO), replace(MILK, name="Кефир"), amount=5, currency_selection=True)

    found = rules(broken_by(request, is_reversed=True))
    assert found == ["already-reversed", PARTIAL, PARTIAL, PARTIAL, MANUAL, CURRENCY]
    assert rules(broken_by(refund_of(None, amount=5, payment=None), None)) == ["no-sale-receipt", "foreign-payment"]


@pytest.mark.parametrize("quantity", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_a_quantity_that_is_not_a_number_is_never_the_whole_sale(quantity: str) -> None:
    lines = (BREAD, replace(MILK, quantity=Decimal(quantity)))

    assert PARTIAL in rules(broken_by(refund_of(sale_of(BREAD, MILK), *lines)))
    assert PARTIAL in rules(broken_by(refund_of(sale_of(*lines), BREAD, MILK)))
    assert PARTIAL in rules(broken_by(refund_of(sale_of(*lines), *lines)))


def test_a_host_that_counts_with_few_digits_changes_no_result() -> None:
    sugar = replace(BREAD, quantity=Decimal("1234567.891"))
    most = (
        replace(sugar, quantity=Decimal(1234567), amount=1),
        replace(sugar, quantity=Decimal("0.89"), amount=799_999),
    )
    rest = replace(sugar, quantity=Decimal("0.001"), amount=0)
    with decimal.localcontext(decimal.Context(prec=3, traps=[decimal.Inexact])):
        short = broken_by(refund_of(sale_of(sugar), *most))
        whole = broken_by(refund_of(sale_of(sugar), *most, rest))

    assert (rules(short), whole) == ([PARTIAL], [])


# The same rules by the words of the manual, for any sale and any refund of it.


def counted(lines: list[Item]) -> Counter[tuple[object, ...]]:
    """Return how much of each of the goods there is, and how many tiyin they cost."""
    heap: Counter[tuple[object, ...]] = Counter()
    for line in lines:
        for what, count in (("quantity", Fraction(line.quantity)), ("tiyin", line.amount)):
            heap[line.name, line.barcode, line.price, line.marking or "", what] += count  # type: ignore[assignment]
    return heap


QUANTITIES = st.builds(Decimal, st.integers(1, 3000)).map(lambda thousandths: thousandths.scaleb(-3))
LINES = st.builds(
    Item,
    name=st.sampled_from(["Хлеб", "Молоко", "Кефир"]),
    barcode=st.sampled_from(["", "478001"]),
    price=st.sampled_from([100, 250_000]),
    marking=st.sampled_from(["", None, "0104"]),
    quantity=QUANTITIES,
    amount=st.integers(1, 5000),
    goods=st.sampled_from([GoodsKind.ORDINARY, *GoodsKind]),
)


@st.composite
def written_otherwise(draw: DrawFn, sold: list[Item]) -> list[Item]:
    """Return the same goods: split, in another order, and with other zeros."""
    written = []
    for line in sold:
        parts = [line]
        if line.quantity > Decimal("0.001") and line.amount > 1 and draw(st.booleans()):
            quantity = Decimal(draw(st.integers(1, int(line.quantity * 1000) - 1))).scaleb(-3)
            amount = draw(st.integers(1, line.amount - 1))
            rest = replace(line, quantity=line.quantity - quantity, amount=line.amount - amount)
            parts = [replace(line, quantity=quantity, amount=amount), rest]
        digits = Decimal(1).scaleb(-draw(st.integers(3, 9)))
        written += [replace(part, quantity=part.quantity.quantize(digits)) for part in parts]
    return draw(st.permutations(written))


@st.composite
def spoiled(draw: DrawFn, whole: list[Item]) -> list[Item]:
    """Return a refund in which something may be missing, exchanged, or too much."""
    changed = []
    for line in whole:
        other = draw(LINES)
        field = draw(st.sampled_from(["name", "barcode", "price", "marking", "quantity", "amount"]))
        one = draw(st.sampled_from([line, line, replace(line, **{field: getattr(other, field)}), None]))
        changed += [] if one is None else [one]
    return changed + draw(st.lists(LINES, max_size=1))


@settings(max_examples=400)
@given(data=st.data(), paid=st.integers(1, 9999), by_hand=st.booleans(), other_tender=st.booleans())
def test_any_refund_is_judged_as_by_the_slow_definition(
    data: st.DataObject, paid: int, by_hand: bool, other_tender: bool
) -> None:
    sold = data.draw(st.lists(LINES, min_size=1, max_size=4), "the sale")
    whole = data.draw(written_otherwise(sold), "the same goods")
    returned = data.draw(st.one_of(st.just(whole), spoiled(whole)), "the refund")
    asked = data.draw(st.one_of(st.just(paid), st.integers(0, 9999)), "the amount")
    expected = set()
    if counted(sold) != counted(returned) or paid != asked:
        expected.add(PARTIAL)
    if any(line.marking or line.goods is not GoodsKind.ORDINARY for line in sold):
        expected |= ({MANUAL} if not by_hand else set()) | ({CURRENCY} if other_tender else set())

    payment = replace(OUR_PART, amount=paid)
    selected = {"manual_selection": by_hand, "currency_selection": other_tender}
    request = refund_of(sale_of(*sold), *returned, payment=payment, amount=asked, **selected)

    assert set(rules(broken_by(request, payment))) == expected
