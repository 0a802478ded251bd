"""Only the whole sale is ever refunded: any sale, any refund of it, and a second definition, slow and obvious."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.till import TENDER, open_sale
from hookspecs import GoodsKind, Item, PaymentRecord, ReceiptKind, RefundRequest
from payme_plugin.operations.refund_rules import violations_of
from payme_plugin.texts import Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from hypothesis.strategies import DrawFn

RU = Texts("ru")
Goods = tuple[str, str, int, str]


@dataclass(frozen=True)
class Line:
    """A line in whole numbers: thousandths of the goods, and tiyin."""

    name: str
    barcode: str
    price: int
    marking: str
    thousandths: int
    tiyin: int
    kind: GoodsKind = GoodsKind.ORDINARY
    zeros: int = 3

    def item(self) -> Item:
        """Return it as a receipt has it, with so many digits after the point as ``zeros`` says, or more if it must."""
        exact = Decimal(self.thousandths).scaleb(-3)
        shown = exact.normalize() if self.zeros < 3 else exact.quantize(Decimal(1).scaleb(-self.zeros))
        return Item(
            name=self.name,
            quantity=shown,
            price=self.price,
            amount=self.tiyin,
            barcode=self.barcode,
            goods=self.kind,
            marking=self.marking or None,
        )


def is_whole(sale: list[Line], refund: list[Line]) -> bool:
    """Say whether every thousandth and every tiyin of every goods that was sold comes back, and nothing else."""

    def counted(lines: list[Line], what: Callable[[Line], int]) -> Counter[Goods]:
        heap: Counter[Goods] = Counter()
        for line in lines:
            heap[line.name, line.barcode, line.price, line.marking] += what(line)
        return heap

    def thousandths(line: Line) -> int:
        return line.thousandths

    def tiyin(line: Line) -> int:
        return line.tiyin

    return counted(sale, thousandths) == counted(refund, thousandths) and counted(sale, tiyin) == counted(refund, tiyin)


def expected_rules(
    sale: list[Line], refund: list[Line], *, paid: int, asked: int, by_hand: bool, other_tender: bool
) -> set[str]:
    """Return the rules that are broken, by the words of the manual."""
    broken = set()
    if not is_whole(sale, refund) or paid != asked:
        broken.add("partial-refund")
    if any(line.marking or line.kind is not GoodsKind.ORDINARY for line in sale):
        if not by_hand:
            broken.add("manual-selection-required")
        if other_tender:
            broken.add("currency-selection-forbidden")
    return broken


def lines() -> st.SearchStrategy[Line]:
    return st.builds(
        Line,
        name=st.sampled_from(["Хлеб", "Молоко", "Кефир"]),
        barcode=st.sampled_from(["", "478001"]),
        price=st.sampled_from([100, 250_000]),
        marking=st.sampled_from(["", "", "0104"]),
        thousandths=st.integers(1, 3000),
        tiyin=st.integers(1, 5000),
        kind=st.sampled_from([GoodsKind.ORDINARY, *GoodsKind]),
        zeros=st.integers(0, 9),
    )


@st.composite
def sales(draw: DrawFn) -> list[Line]:
    return draw(st.lists(lines(), min_size=1, max_size=4))


@st.composite
def written_otherwise(draw: DrawFn, sold: list[Line]) -> list[Line]:
    """Return the same goods: split, in another order, and with other zeros."""
    written = []
    for line in sold:
        parts = [line]
        if line.thousandths > 1 and line.tiyin > 1 and draw(st.booleans()):
            first = replace(
                line,
                thousandths=draw(st.integers(1, line.thousandths - 1)),
                tiyin=draw(st.integers(1, line.tiyin - 1)),
            )
            rest = replace(line, thousandths=line.thousandths - first.thousandths, tiyin=line.tiyin - first.tiyin)
            parts = [first, rest]
        written += [replace(part, zeros=draw(st.integers(0, 9))) for part in parts]
    return draw(st.permutations(written))


@st.composite
def spoiled(draw: DrawFn, whole: list[Line]) -> list[Line]:
    """Return a refund in which something may be missing, exchanged, or too much."""
    kept = [line for line in whole if draw(st.integers(0, 4)) > 0]
    changed = [draw(_slightly_other(line)) if draw(st.integers(0, 3)) == 0 else line for line in kept]
    return changed + draw(st.lists(lines(), max_size=1)) if draw(st.booleans()) else changed


def _slightly_other(line: Line) -> st.SearchStrategy[Line]:
    return st.one_of(
        st.sampled_from(["Хлеб", "Кефир"]).map(lambda name: replace(line, name=name)),
        st.sampled_from(["", "478001"]).map(lambda barcode: replace(line, barcode=barcode)),
        st.sampled_from(["", "0104"]).map(lambda marking: replace(line, marking=marking)),
        st.integers(1, 3000).map(lambda thousandths: replace(line, thousandths=thousandths)),
        st.integers(1, 5000).map(lambda tiyin: replace(line, tiyin=tiyin)),
        st.sampled_from([100, 250_000]).map(lambda price: replace(line, price=price)),
    )


def rules_of(
    sold: list[Line], given_back: list[Line], *, paid: int, asked: int, by_hand: bool, other_tender: bool
) -> set[str]:
    sale = replace(open_sale(), items=tuple(line.item() for line in sold), closed_at=1)
    refund = replace(sale, number=900, kind=ReceiptKind.REFUND, items=tuple(line.item() for line in given_back))
    payment = PaymentRecord(payment_id="p1", payment_type=TENDER, amount=paid, data={"plugin": "payme"})
    request = RefundRequest(
        refund_id="f1",
        payment_type=TENDER,
        payment=payment,
        sale=sale,
        refund=refund,
        amount=asked,
        manual_selection=by_hand,
        currency_selection=other_tender,
    )
    return {violation.rule for violation in violations_of(request, payment, RU, is_reversed=False)}


@settings(max_examples=400)
@given(data=st.data(), sold=sales(), paid=st.integers(1, 9999), by_hand=st.booleans(), other_tender=st.booleans())
def test_the_verdict_is_that_of_the_slow_definition(
    data: st.DataObject, sold: list[Line], paid: int, by_hand: bool, other_tender: bool
) -> None:
    whole = data.draw(written_otherwise(sold), "the same goods")
    given_back = data.draw(st.one_of(st.just(whole), spoiled(whole)), "the refund")
    asked = data.draw(st.one_of(st.just(paid), st.integers(0, 9999)), "the amount")

    found = rules_of(sold, given_back, paid=paid, asked=asked, by_hand=by_hand, other_tender=other_tender)

    assert found == expected_rules(sold, given_back, paid=paid, asked=asked, by_hand=by_hand, other_tender=other_tender)


@settings(max_examples=150)
@given(data=st.data(), sold=sales())
def test_the_whole_sale_is_allowed_however_it_is_written(data: st.DataObject, sold: list[Line]) -> None:
    whole = data.draw(written_otherwise(sold))

    assert rules_of(sold, whole, paid=500, asked=500, by_hand=True, other_tender=False) == set()


@settings(max_examples=150)
@given(data=st.data(), sold=sales())
def test_no_selection_of_a_part_ever_passes(data: st.DataObject, sold: list[Line]) -> None:
    whole = data.draw(written_otherwise(sold))
    chosen = data.draw(st.lists(st.sampled_from(range(len(whole))), unique=True, max_size=len(whole) - 1))
    part = [whole[number] for number in chosen]

    assert "partial-refund" in rules_of(sold, part, paid=500, asked=500, by_hand=True, other_tender=False)
