"""The plugin as a host has it, over real HTTP to the sandbox, on a real disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.fixtures import new_till, running, sandbox
from fakes.hooked_world import HookedWorld, Sold
from fakes.till import ScriptedUi, open_sale
from hookspecs import CancelRequest
from payme_plugin.clock import SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.served_till import ServedTill
    from hookspecs import PaymentRecord, PosPlugins
    from payme_plugin.plugin import PaymePlugin

__all__ = ["hooks_about", "new_till", "running", "sandbox", "till"]


@pytest.fixture
def till(new_till: Callable[..., ServedTill]) -> ServedTill:
    return new_till()


def hooks_about(
    record: PaymentRecord, *others: PaymentRecord
) -> dict[str, Callable[[PaymePlugin | PosPlugins], object]]:
    """Return the hooks that name a payment; the receipt that closes has the others too."""
    records = (record, *others)
    sale, ui = open_sale(payments=(record,), closed_at=777), ScriptedUi(SystemClock())
    closed = open_sale(amount=sum(each.amount for each in records), payments=records, closed_at=777)
    refund = HookedWorld.refund_of(Sold(record, sale))
    return {
        "on_payment_recorded": lambda plugin: plugin.on_payment_recorded(record),
        "on_cancel": lambda plugin: plugin.on_cancel(CancelRequest(payment=record, receipt=sale), ui),
        "validate_refund": lambda plugin: plugin.validate_refund(refund),
        "on_full_refund": lambda plugin: plugin.on_full_refund(refund, ui),
        "on_receipt_closed": lambda plugin: plugin.on_receipt_closed(closed),
    }
