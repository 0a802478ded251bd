"""A paid sale that is kept open, and what the till does every minute."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hookspecs import PaymentStatus
from payme_plugin.till import one_line_sale
from payme_plugin.till.errors import OutcomeUnknown, UnknownPayment
from tests.reference_till.conftest import fail, no_answer, not_paid, paid, pay

if TYPE_CHECKING:
    from payme_plugin.till import Till
    from tests.reference_till.conftest import ScriptedPlugin, TillFolder


def keep_open(till: Till) -> PaymentStatus:
    """Sell one piece of bread and keep the sale open if it is paid."""
    return till.sell(one_line_sale("Bread", 100), payment_id="p1", is_kept_open=True).result.status


def test_a_paid_sale_that_is_kept_open_is_acknowledged_and_neither_closed_nor_printed_before_close(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    with shop.till() as till:
        keep_open(till)
        assert (plugin.hooks, shop.printed) == (["on_payment", "on_payment_recorded", "on_ready"], [])
        assert [receipt.is_open for receipt in shop.receipts] == [True]
        till.close("p1")

    assert plugin.hooks[3:] == ["on_receipt_closed"]
    assert shop.printed == ["PAYME", "150.00", "", "PAYME", "150.00", ""]


def test_the_next_start_closes_a_sale_that_was_kept_open(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        keep_open(till)
    shop.restart()

    assert [receipt.is_open for receipt in shop.receipts] == [False]
    assert plugin.hooks[-2:] == ["on_receipt_closed", "on_ready"]


def test_a_sale_that_is_not_paid_is_not_kept_open(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    plugin.payment = not_paid(PaymentStatus.REFUSED)
    with shop.till() as till:
        assert keep_open(till) is PaymentStatus.REFUSED
        with pytest.raises(UnknownPayment):
            till.close("p1")

    assert [receipt.annulled for receipt in shop.receipts] == [True]


def test_every_minute_the_till_leaves_an_open_sale_and_repeats_what_failed(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    with shop.till() as till:
        plugin.stored = plugin.closed = fail
        pay(till, "p2")
        plugin.payment = fail
        with pytest.raises(OutcomeUnknown):
            pay(till, "p3")
        plugin.payment = paid
        keep_open(till)
        plugin.asked.clear()
        plugin.stored = plugin.closed = no_answer
        till.tick()

        assert [sale.is_open for sale in shop.receipts] == [False, False, True]
        assert [request.payment_id for request in plugin.payments] == ["p3"]
        assert plugin.hooks.count("on_payment_recorded") == 3
        assert plugin.hooks.count("on_receipt_closed") == 2
        assert plugin.hooks[-1] == "on_ready"
        assert till.is_ready
