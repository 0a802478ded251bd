"""5. Hands: names of goods, tills, cashiers and payments with any text at all."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fakes.hooked_world import HookedWorld
from fakes.till import TENDER
from faults.hook_calls import paid_or_not
from faults.texts import ANY_TEXT, HOSTILE_TEXTS, on_the_screen, on_the_wire, storable
from hookspecs import (
    CancelRequest,
    GoodsKind,
    Item,
    ItemFiscal,
    PaymentRequest,
    PaymentStatus,
    Receipt,
    ReceiptKind,
    ReversalStatus,
)
from payme_plugin.operations.payment_slips import SLIP_NOTICE, PaymentSlips, TemplateCache
from payme_plugin.texts import Text, Texts
from slips.characters import text_width

if TYPE_CHECKING:
    from slips import SlipRenderer

GOODS = Item(name="Хлеб", quantity=Decimal(1), price=1_500_000, amount=1_500_000)
NUMBERS = st.integers(-(2**63), 2**63 - 1)
SLOW_ENOUGH = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def sales(draw: st.DrawFn) -> Receipt:
    """A sale whose every text is any text; its numbers are a till's."""
    items = tuple(
        Item(
            name=draw(ANY_TEXT),
            quantity=draw(st.decimals(allow_nan=True, allow_infinity=True)),
            price=draw(NUMBERS),
            amount=draw(NUMBERS),
            barcode=draw(ANY_TEXT),
            goods=draw(st.sampled_from(GoodsKind)),
            marking=draw(st.none() | ANY_TEXT),
            fiscal=draw(
                st.none()
                | st.builds(
                    ItemFiscal,
                    code=ANY_TEXT,
                    package_code=ANY_TEXT,
                    vat_percent=NUMBERS,
                    units=st.none() | st.integers(-5, 5),
                    discount=st.integers(0, 5),
                )
            ),
        )
        for _ in range(draw(st.integers(0, 3)))
    )
    till = draw(ANY_TEXT)
    return Receipt(
        till=till, shift=draw(NUMBERS), number=draw(NUMBERS), kind=ReceiptKind.SALE, items=items, total=1_500_000
    )


@given(sale=sales(), payment_id=ANY_TEXT, reason=ANY_TEXT)
@SLOW_ENOUGH
def test_any_text_in_a_sale_is_paid_or_refused_at_once_and_can_be_given_back(
    renderer: SlipRenderer, sale: Receipt, payment_id: str, reason: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = HookedWorld(Path(folder))
        world.slips = PaymentSlips(TemplateCache(renderer), None, 32, 2, world.texts, world.host.notice)
        request = PaymentRequest(payment_id=payment_id, payment_type=TENDER, amount=1_500_000, receipt=sale)

        result = paid_or_not(world.dispatcher.pay(request, world.cashier(world.paymego.code())))

        if storable(payment_id) and storable(sale.till):
            assert result.status is PaymentStatus.PAID
            assert result.payment is not None
            assert all(text_width(line) <= 32 and line.isprintable() for slip in result.slips for line in slip.lines)
            assert SLIP_NOTICE not in world.host.notices
            back = world.dispatcher.cancel(
                CancelRequest(payment=result.payment, receipt=sale, reason=reason), world.cashier()
            )
            assert back is not None
            assert back.status in {ReversalStatus.REVERSED, ReversalStatus.QUEUED}
            world.work(60)
        else:
            assert result.status is PaymentStatus.REFUSED
            assert world.paymego.sent == []
        assert world.paymego.held() == 0
        world.close()


@given(name=ANY_TEXT, barcode=ANY_TEXT, code=ANY_TEXT, package_code=ANY_TEXT)
@SLOW_ENOUGH
def test_any_name_of_goods_reaches_payme_whole_but_for_half_characters(
    name: str, barcode: str, code: str, package_code: str
) -> None:
    fiscal = ItemFiscal(code=code, package_code=package_code, vat_percent=12)
    goods = replace(GOODS, name=name, barcode=barcode, fiscal=fiscal)
    with tempfile.TemporaryDirectory() as folder:
        world = HookedWorld(Path(folder))

        sold = world.sell(items=(goods,))

        assert world.paymego.bank.receipt(world.paymego.now_ms, sold.receipt_id).detail == {
            "receipt_type": 0,
            "items": [
                {
                    "title": on_the_wire(name),
                    "price": GOODS.price,
                    "count": 1,
                    "code": on_the_wire(code),
                    "package_code": on_the_wire(package_code),
                    "vat_percent": 12,
                }
            ],
        }
        world.close()


@given(name=ANY_TEXT, other_name=ANY_TEXT, barcode=ANY_TEXT)
@SLOW_ENOUGH
def test_a_refund_of_other_goods_names_both_on_one_line_each_whatever_they_are_called(
    name: str, other_name: str, barcode: str
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = HookedWorld(Path(folder))
        sold = world.sell_and_close(items=(replace(GOODS, name=name, barcode=barcode),))
        other = replace(GOODS, name=other_name, barcode=f"{barcode}0")

        found = world.violations(sold, refund=replace(sold.receipt, kind=ReceiptKind.REFUND, items=(other,)))

        assert [violation.message for violation in found] == [
            f"Вернуть можно только весь чек. Не хватает: {on_the_screen(name)}",
            f"Вернуть можно только весь чек. Лишнее: {on_the_screen(other_name)}",
        ]
        assert world.violations(sold) == []
        world.close()


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_no_text_of_a_host_breaks_its_language_or_its_messages(world: HookedWorld, text: str) -> None:
    assert Texts(text)(Text.PAYMENT_PAID)
    assert len(Texts("ru")(Text.PAYMENT_SETTINGS_BROKEN, fault=text).splitlines()) == 2
