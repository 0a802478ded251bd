"""What forbids a refund: every rule with its text, and all of them at once."""

from __future__ import annotations

import decimal
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from fakes.till import TENDER, open_sale
from hookspecs import GoodsKind, Item, PaymentRecord, Receipt, ReceiptKind, RefundRequest
from payme_plugin.operations.refund_rules import sums, violations_of
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from hookspecs import RefundViolation

RU = Texts("ru")

PARTIAL = "partial-refund"
MANUAL = "manual-selection-required"
CURRENCY = "currency-selection-forbidden"

BREAD = Item(name="Хлеб", quantity=Decimal(2), price=400_000, amount=800_000, barcode="478001")
MILK = Item(name="Молоко", quantity=Decimal(1), price=700_000, amount=700_000, barcode="478002")
OUR_PART = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=1_500_000, data={"plugin": "payme"})


def sale_of(*items: Item) -> Receipt:
    return replace(open_sale(), items=items, total=sum(item.amount for item in items), closed_at=1)


def refund_of(sale: Receipt | None, *items: Item, amount: int = OUR_PART.amount, **changes: object) -> RefundRequest:
    receipt = replace(sale_of(*items), number=900, kind=ReceiptKind.REFUND)
    request = RefundRequest(
        refund_id="f1",
        payment_type=TENDER,
        payment=OUR_PART,
        sale=sale,
        refund=receipt,
        amount=amount,
        manual_selection=False,
        currency_selection=False,
    )
    return replace(request, **changes)  # type: ignore[arg-type]


def broken_by(
    request: RefundRequest, payment: PaymentRecord | None = OUR_PART, texts: Texts = RU, *, is_reversed: bool = False
) -> list[RefundViolation]:
    return list(violations_of(request, payment, texts, is_reversed=is_reversed))


def missing(goods: str) -> str:
    return RU(Text.REFUND_PARTIAL_LINES, missing=goods)


def extra(goods: str) -> str:
    return RU(Text.REFUND_FOREIGN_LINES, extra=goods)


def rules(found: list[RefundViolation]) -> list[str]:
    return [violation.rule for violation in found]


def test_the_whole_sale_may_be_refunded() -> None:
    assert broken_by(refund_of(sale_of(BREAD, MILK), BREAD, MILK)) == []


@pytest.mark.parametrize(
    ("given_back", "message"),
    [
        ((BREAD,), missing("Молоко")),
        ((), missing("Хлеб, Молоко")),
        ((replace(BREAD, quantity=Decimal(1), amount=400_000), MILK), missing("Хлеб")),
        ((replace(BREAD, amount=799_999), MILK), missing("Хлеб")),
        ((replace(BREAD, quantity=Decimal("1.999")), MILK), missing("Хлеб")),
        ((BREAD, MILK, MILK), extra("Молоко")),
        ((BREAD, replace(MILK, amount=700_001)), extra("Молоко")),
    ],
    ids=["milk", "both", "half the bread", "cheaper bread", "less bread", "milk twice", "dearer milk"],
)
def test_anything_but_the_whole_sale_is_a_partial_refund_that_names_the_goods(
    given_back: tuple[Item, ...], message: str
) -> None:
    (violation,) = broken_by(refund_of(sale_of(BREAD, MILK), *given_back))

    assert (violation.rule, violation.message) == (PARTIAL, message)


@pytest.mark.parametrize(
    "other",
    [
        replace(MILK, name="Кефир"),
        replace(MILK, barcode="478003"),
        replace(MILK, marking="010478"),
        replace(MILK, price=350_000, quantity=Decimal(2)),
    ],
    ids=["name", "barcode", "marking", "price"],
)
def test_other_goods_of_the_same_money_are_a_difference_both_ways(other: Item) -> None:
    found = broken_by(refund_of(sale_of(BREAD, MILK), BREAD, other))

    assert [violation.message for violation in found] == [
        missing("Молоко"),
        extra(other.name),
    ]


@pytest.mark.parametrize(
    "given_back",
    [
        (MILK, BREAD),
        (replace(BREAD, quantity=Decimal(1), amount=400_000),) * 2 + (MILK,),
        (
            replace(BREAD, quantity=Decimal("0.5"), amount=1),
            MILK,
            replace(BREAD, quantity=Decimal("1.5"), amount=799_999),
        ),
        (replace(BREAD, quantity=Decimal("2.000")), replace(MILK, quantity=Decimal("1.0"))),
        (replace(BREAD, quantity=Decimal("2E0")), replace(MILK, quantity=Decimal("10E-1"))),
        (replace(BREAD, goods=GoodsKind.MARKED), MILK),
    ],
    ids=["order", "split", "split in parts", "zeros", "exponents", "kind"],
)
def test_the_same_goods_written_otherwise_are_no_difference(given_back: tuple[Item, ...]) -> None:
    assert broken_by(refund_of(sale_of(BREAD, MILK), *given_back)) == []


def test_lines_that_were_split_at_the_sale_are_one_at_the_refund() -> None:
    half = replace(BREAD, quantity=Decimal(1), amount=400_000)

    assert broken_by(refund_of(sale_of(half, MILK, half), BREAD, MILK)) == []


def test_many_missing_goods_are_named_by_the_first_three_and_counted() -> None:
    goods = [replace(BREAD, name=f"Товар {number}") for number in range(1, 6)]

    (violation,) = broken_by(refund_of(sale_of(*goods), amount=OUR_PART.amount))

    assert violation.message == missing("Товар 1, Товар 2, Товар 3 (+2)")


@pytest.mark.parametrize("amount", [1, 1_499_999, 1_500_001, 2_000_000, 0, -1_500_000])
def test_less_or_more_than_our_payment_is_a_partial_refund(amount: int) -> None:
    (violation,) = broken_by(refund_of(sale_of(BREAD, MILK), BREAD, MILK, amount=amount))

    assert violation.rule == PARTIAL
    assert violation.message == RU(Text.REFUND_PARTIAL_AMOUNT, expected="15 000.00", asked=sums(amount))


@pytest.mark.parametrize(
    ("amount", "shown"),
    [
        (10**17, "1 000 000 000 000 000.00"),
        (10**17 + 1, "> 1 000 000 000 000 000.00"),
        (10**5000, "> 1 000 000 000 000 000.00"),
        (-(10**5000), "< -1 000 000 000 000 000.00"),
    ],
    ids=["large", "larger", "beyond writing", "far below zero"],
)
def test_an_amount_that_nobody_could_read_is_told_by_its_bound(amount: int, shown: str) -> None:
    (violation,) = broken_by(refund_of(sale_of(BREAD, MILK), BREAD, MILK, amount=amount))

    assert violation.rule == PARTIAL
    assert violation.message == RU(Text.REFUND_PARTIAL_AMOUNT, expected="15 000.00", asked=shown)


def test_a_sale_paid_with_two_tenders_refunds_our_part_in_full() -> None:
    sale = replace(sale_of(BREAD, MILK, MILK), payments=(OUR_PART,))
    lines = (BREAD, MILK, MILK)

    assert sale.total > OUR_PART.amount
    assert broken_by(refund_of(sale, *lines, amount=OUR_PART.amount)) == []
    assert rules(broken_by(refund_of(sale, *lines, amount=sale.total))) == [PARTIAL]
    assert rules(broken_by(refund_of(sale, *lines, amount=700_000))) == [PARTIAL]


@pytest.mark.parametrize(
    "kind", [kind for kind in GoodsKind if kind is not GoodsKind.ORDINARY], ids=lambda kind: kind.value
)
def test_marked_and_excise_goods_of_every_kind_are_refunded_by_hand_alone(kind: GoodsKind) -> None:
    lines = (BREAD, replace(MILK, goods=kind))
    sale = sale_of(*lines)

    assert [(each.rule, each.message) for each in broken_by(refund_of(sale, *lines))] == [
        (MANUAL, RU(Text.REFUND_MANUAL_SELECTION_REQUIRED))
    ]
    assert broken_by(refund_of(sale, *lines, manual_selection=True)) == []


@pytest.mark.parametrize("kind", list(GoodsKind), ids=lambda kind: kind.value)
def test_an_item_that_carries_a_marking_is_marked_whatever_its_kind(kind: GoodsKind) -> None:
    lines = (replace(MILK, goods=kind, marking="0104780000000017215abc"),)

    assert rules(broken_by(refund_of(sale_of(*lines), *lines))) == [MANUAL]


def test_ordinary_goods_need_no_hand_and_an_empty_marking_is_none() -> None:
    lines = (BREAD, replace(MILK, marking=""))

    assert broken_by(refund_of(sale_of(*lines), *lines, currency_selection=True)) == []


def test_marked_goods_go_out_in_no_other_tender() -> None:
    lines = (replace(MILK, goods=GoodsKind.TOBACCO),)
    request = refund_of(sale_of(*lines), *lines, manual_selection=True, currency_selection=True)

    assert [(each.rule, each.message) for each in broken_by(request)] == [
        (CURRENCY, RU(Text.REFUND_CURRENCY_SELECTION_FORBIDDEN))
    ]


def test_it_is_the_sale_that_says_what_is_marked() -> None:
    marked = replace(MILK, goods=GoodsKind.MEDICINE)

    assert rules(broken_by(refund_of(sale_of(BREAD, marked), BREAD))) == [PARTIAL, MANUAL]
    assert rules(broken_by(refund_of(sale_of(BREAD, MILK), BREAD, marked))) == []


def test_a_refund_without_a_sale_receipt_is_refused() -> None:
    (violation,) = broken_by(refund_of(None, BREAD, MILK))

    assert (violation.rule, violation.message) == ("no-sale-receipt", RU(Text.REFUND_NO_SALE_RECEIPT))


def test_a_payment_that_is_not_ours_is_refused() -> None:
    (violation,) = broken_by(refund_of(sale_of(BREAD), BREAD, payment=None), None)

    assert (violation.rule, violation.message) == ("foreign-payment", RU(Text.REFUND_FOREIGN_PAYMENT))


def test_a_payment_that_goes_back_already_is_refused() -> None:
    (violation,) = broken_by(refund_of(sale_of(BREAD, MILK), BREAD, MILK), is_reversed=True)

    assert (violation.rule, violation.message) == ("already-reversed", RU(Text.REFUND_ALREADY_REVERSED))


def test_all_violations_come_at_once() -> None:
    sale = sale_of(BREAD, replace(MILK, goods=GoodsKind.SHOES))
    request = refund_of(sale, replace(MILK, name="Кефир"), amount=5, currency_selection=True)

    assert rules(broken_by(request, is_reversed=True)) == [
        "already-reversed",
        PARTIAL,
        PARTIAL,
        PARTIAL,
        MANUAL,
        CURRENCY,
    ]
    assert rules(broken_by(refund_of(None, amount=5, payment=None), None)) == ["no-sale-receipt", "foreign-payment"]


@pytest.mark.parametrize("language", ["ru", "uz", "en"])
def test_every_text_is_there_in_every_language(language: str) -> None:
    sale = sale_of(BREAD, replace(MILK, goods=GoodsKind.SHOES))
    request = refund_of(sale, MILK, replace(MILK, name="X"), amount=5, currency_selection=True)
    texts = Texts(language)

    found = broken_by(request, None, texts, is_reversed=True) + broken_by(request, OUR_PART, texts)

    assert len({violation.message for violation in found}) == 7
    assert all(violation.message.strip() and "{" not in violation.message for violation in found)


@pytest.mark.parametrize("quantity", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_a_quantity_that_is_no_number_is_never_the_whole_sale(quantity: str) -> None:
    lines = (BREAD, replace(MILK, quantity=Decimal(quantity)))

    assert PARTIAL in rules(broken_by(refund_of(sale_of(BREAD, MILK), *lines)))
    assert PARTIAL in rules(broken_by(refund_of(sale_of(*lines), BREAD, MILK)))
    assert PARTIAL in rules(broken_by(refund_of(sale_of(*lines), *lines)))


def test_a_host_that_counts_with_few_digits_changes_no_verdict() -> None:
    sugar = replace(BREAD, quantity=Decimal("1234567.891"))
    most = (
        replace(sugar, quantity=Decimal(1234567), amount=1),
        replace(sugar, quantity=Decimal("0.89"), amount=799_999),
    )
    rest = replace(sugar, quantity=Decimal("0.001"), amount=0)
    with decimal.localcontext(decimal.Context(prec=3, traps=[decimal.Inexact])):
        short = broken_by(refund_of(sale_of(sugar), *most))
        whole = broken_by(refund_of(sale_of(sugar), *most, rest))

    assert (rules(short), rules(whole)) == ([PARTIAL], [])


def test_no_marking_and_an_empty_one_are_the_same() -> None:
    assert broken_by(refund_of(sale_of(BREAD, MILK), BREAD, replace(MILK, marking=""))) == []
