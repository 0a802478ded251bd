"""What can't work is refused at once: no row, no request, no scan."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.till import open_sale
from fakes.world import World
from faults.full_disk import full_disk
from hookspecs import PaymentRecord, PaymentStatus, ReceiptKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.hooked_world import HookedWorld


@pytest.mark.parametrize("amount", [0, -1, -1_500_000, 2**63, 10**30])
def test_an_amount_that_no_receipt_can_have_is_refused(world: World, amount: int) -> None:
    ui = world.cashier(world.paymego.code())

    result = world.pay(ui=ui, amount=amount)

    assert (result.status, result.amount) == (PaymentStatus.REFUSED, amount)
    assert result.message == world.text(Text.PAYMENT_AMOUNT_NOT_ALLOWED)
    assert (world.paymego.sent, ui.prompts, world.journal.payments()) == ([], [], [])


def test_what_the_journal_can_not_store_is_not_charged(world: World) -> None:
    ui = world.cashier(world.paymego.code())

    with full_disk():
        result = world.pay(ui=ui)

    assert result.status is PaymentStatus.REFUSED
    assert result.message == world.text(Text.PAYMENT_JOURNAL_UNWRITABLE)
    assert (world.paymego.sent, ui.prompts) == ([], [])
    assert world.host.notices == {"payme.journal": world.text(Text.NOTICE_JOURNAL_UNWRITABLE)}


def test_a_closed_journal_is_refused_without_a_request(till: HookedWorld) -> None:
    till.journal.close()

    result = till.ask(till.paymego.code())

    assert (result.status, result.message) == (PaymentStatus.REFUSED, till.text(Text.PAYMENT_JOURNAL_UNWRITABLE))
    assert till.paymego.sent == []


@pytest.mark.parametrize("kind", [ReceiptKind.REFUND], ids=lambda kind: kind.value)
def test_a_receipt_that_is_not_a_sale_is_refused_before_anything_is_stored(world: World, kind: ReceiptKind) -> None:
    ui = world.cashier(world.paymego.code())

    result = world.pay(ui=ui, receipt=replace(open_sale(), kind=kind))

    assert (result.status, result.message) == (PaymentStatus.REFUSED, world.text(Text.PAYMENT_NOT_A_SALE))
    assert (world.paymego.sent, ui.prompts, world.journal.payments()) == ([], [], [])


@settings(max_examples=60)
@given(total=st.integers(1, 10**9), paid=st.lists(st.integers(1, 10**9), max_size=3), amount=st.integers(1, 2 * 10**9))
def test_an_amount_above_what_the_receipt_owes_is_refused_before_anything_is_stored(
    tmp_path_factory: pytest.TempPathFactory, total: int, paid: list[int], amount: int
) -> None:
    payments = tuple(
        PaymentRecord(payment_id=f"cash-{index}", payment_type=1, amount=each, data={})
        for index, each in enumerate(paid)
    )
    with closing(World(tmp_path_factory.mktemp("owes"))) as world:
        ui = world.cashier(world.paymego.code())

        result = world.pay(ui=ui, amount=amount, receipt=open_sale(amount=total, payments=payments))

        if amount <= total - sum(paid):
            assert result.status is PaymentStatus.PAID
        else:
            assert (result.status, result.message) == (
                PaymentStatus.REFUSED,
                world.text(Text.PAYMENT_AMOUNT_ABOVE_DUE),
            )
            assert (world.paymego.sent, ui.prompts, world.journal.payments()) == ([], [], [])


def test_a_sale_that_no_row_can_hold_is_refused(world: World) -> None:
    result = world.pay(world.paymego.code(), receipt=open_sale(2**70))

    assert result.status is PaymentStatus.REFUSED
    assert world.paymego.sent == []


def test_a_payment_id_of_half_signs_is_refused(till: HookedWorld) -> None:
    result = till.ask(till.paymego.code(), payment_id="p\ud800")

    assert result.status is PaymentStatus.REFUSED
    assert till.paymego.sent == []


@settings(max_examples=60)
@given(amount=st.integers())
def test_an_amount_is_charged_to_the_tiyin_or_refused(tmp_path_factory: pytest.TempPathFactory, amount: int) -> None:
    folder: Path = tmp_path_factory.mktemp("amounts")
    world = World(folder)

    result = world.pay(world.paymego.code(), amount=amount)

    paid = result.status is PaymentStatus.PAID
    assert world.paymego.held() == (amount if paid else 0)
    assert paid or world.live() != [] or world.paymego.count("receipts.pay") == 0
    world.close()
