"""Scenes of money that goes back: a cancel, a full refund, and what the rules of a refund refuse."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from hookspecs import GoodsKind, Item, PaymentStatus, ReversalStatus
from payme_plugin.cli.demo.checks import check_given_back, check_verdict

if TYPE_CHECKING:
    from payme_plugin.cli.demo.day import Day
    from payme_plugin.cli.demo.outcomes import GivenBack

__all__ = ["cancel", "full_refund", "marked_goods", "partial_refund"]

_BREAD = Item(name="Хлеб", quantity=Decimal(2), price=400_000, amount=800_000, barcode="4780000000011")
_MILK = Item(name="Молоко", quantity=Decimal(1), price=1_400_000, amount=1_400_000, barcode="4780000000028")
_CIGARETTES = Item(
    name="Сигареты",
    quantity=Decimal(1),
    price=2_500_000,
    amount=2_500_000,
    barcode="4780000000035",
    goods=GoodsKind.TOBACCO,
)


def cancel(day: Day) -> None:
    """A sale is annulled before it closes."""
    day.stage.tell("6 000.00 sums. The buyer changes his mind before the receipt closes", "(payme cancel ID).")
    sold = day.sell("annulled", 600_000, day.buyer())
    check_verdict(day, sold, PaymentStatus.PAID)
    back = day.cancel(sold)
    _check_reversed(day, back)
    day.stage.check("a second cancel is refused, no request leaves", right=_is_refused_alone(day.cancel(sold)))


def full_refund(day: Day) -> None:
    """A closed sale comes back as a whole."""
    day.stage.tell("22 000.00 sums for bread and milk. The buyer brings everything back", "(payme refund ID).")
    sold = day.sell_items("refunded", (_BREAD, _MILK), day.buyer())
    check_verdict(day, sold, PaymentStatus.PAID)
    _check_reversed(day, day.refund(sold))


def partial_refund(day: Day) -> None:
    """A part of a closed sale can't come back."""
    day.stage.tell("22 000.00 sums. The buyer wants to give back the bread alone", "(payme refund ID --items FILE).")
    sold = day.sell_items("partial refund refused", (_BREAD, _MILK), day.buyer())
    back = day.refund(sold, items=(_BREAD,))
    check_given_back(day, back, ReversalStatus.REFUSED)
    rules = {each.rule for each in back.reversal.violations}
    day.stage.check(f"the rule is {', '.join(sorted(rules))}", right=rules == {"partial-refund"})
    day.stage.check("no request left the till", right=not back.wire)


def marked_goods(day: Day) -> None:
    """Excise goods come back only when the cashier put the refund together by hand."""
    day.stage.tell("25 000.00 sums for cigarettes. The cashier refunds the receipt with one key.")
    sold = day.sell_items("marked goods refunded", (_CIGARETTES,), day.buyer())
    refused = day.refund(sold)
    check_given_back(day, refused, ReversalStatus.REFUSED)
    day.stage.check("no request left the till", right=not refused.wire)
    day.stage.blank()
    day.stage.tell("Now the cashier scans them again, one by one (--manual-selection).")
    _check_reversed(day, day.refund(sold, manual_selection=True))


def _check_reversed(day: Day, back: GivenBack) -> None:
    for slip in back.slips:
        day.stage.slip(slip, shortened=True)
    check_given_back(day, back, ReversalStatus.REVERSED)
    receipt_id = back.reversal.result.receipt_id
    held = day.sandbox.held(receipt_id)
    day.stage.check("the money is back, and the slip is printed twice", right=_printed_twice(back) and held == 0)


def _printed_twice(back: GivenBack) -> bool:
    return [slip.copies for slip in back.slips] == [2]


def _is_refused_alone(back: GivenBack) -> bool:
    return back.reversal.result.status is ReversalStatus.REFUSED and not back.wire
