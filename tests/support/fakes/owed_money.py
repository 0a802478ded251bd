"""Money that must go back, in a journal on virtual time: one row for a payment, by the road that wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.till import open_sale
from hookspecs import PaymentStatus, ReversalStatus
from payme_plugin.sandbox import BuyerAction, FaultKind

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld
    from payme_plugin.ledger.rows import CancellationRow


def owe(world: HookedWorld, payment_id: str = "p1", number: int = 1) -> CancellationRow:
    """Let a payment end without the buyer's answer; Payme holds nothing yet, and the receipt is at state 1."""
    code = world.paymego.code(BuyerAction.NEVER_ANSWERS)
    result = world.pay(code, payment_id=payment_id, receipt=open_sale(number))
    assert result.status is PaymentStatus.UNKNOWN
    return _row(world, payment_id)


def owe_paid(world: HookedWorld, payment_id: str = "p1", number: int = 1) -> CancellationRow:
    """Let a payment be paid while nobody hears it: Payme holds the money, and the till does not have the sale."""
    world.paymego.befall(FaultKind.SILENT_AFTER_EFFECT, "receipts.pay")
    world.paymego.befall(FaultKind.SILENT, "receipts.check", times=None)
    result = world.pay(world.paymego.code(), payment_id=payment_id, receipt=open_sale(number))
    world.paymego.faults.clear()
    assert result.status is PaymentStatus.UNKNOWN
    return _row(world, payment_id)


def owe_refund(world: HookedWorld, payment_id: str = "p1", number: int = 1) -> CancellationRow:
    """Let a refund's cancel be lost on its way: Payme holds the money."""
    sold = world.sell_and_close(payment_id, number)
    world.paymego.befall(FaultKind.REQUEST_LOST, "receipts.cancel")
    assert world.refund(sold, f"refund-of-{payment_id}").status is ReversalStatus.QUEUED
    return _row(world, payment_id)


def _row(world: HookedWorld, payment_id: str) -> CancellationRow:
    (row,) = world.live(payment_id)
    return row
