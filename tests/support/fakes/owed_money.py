"""Live cancellations in a journal on virtual time, one for each payment, named by the hook that wrote it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.till import open_sale
from hookspecs import PaymentStatus, ReversalStatus
from payme_plugin.sandbox import BuyerAction, FaultKind

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld
    from payme_plugin.ledger.rows import CancellationRow


def owe(till: HookedWorld, payment_id: str = "p1", number: int = 1) -> CancellationRow:
    """Let a payment end without the buyer's answer; Payme holds nothing yet, and the receipt is at state 1."""
    code = till.paymego.code(BuyerAction.NEVER_ANSWERS)
    result = till.pay(code, payment_id=payment_id, receipt=open_sale(number))
    assert result.status is PaymentStatus.UNKNOWN
    return _row(till, payment_id)


def owe_paid(till: HookedWorld, payment_id: str = "p1", number: int = 1) -> CancellationRow:
    """Let Payme charge a payment and lose every answer: Payme holds the money, and the till does not have the sale."""
    till.paymego.inject_fault(FaultKind.SILENT_AFTER_EFFECT, "receipts.pay")
    till.paymego.inject_fault(FaultKind.SILENT, "receipts.check", times=None)
    result = till.pay(till.paymego.code(), payment_id=payment_id, receipt=open_sale(number))
    till.paymego.faults.clear()
    assert result.status is PaymentStatus.UNKNOWN
    return _row(till, payment_id)


def owe_refund(till: HookedWorld, payment_id: str = "p1", number: int = 1) -> CancellationRow:
    """Let a refund's cancel be lost on its way: Payme holds the money."""
    sold = till.sell_and_close(payment_id, number)
    till.paymego.inject_fault(FaultKind.REQUEST_LOST, "receipts.cancel")
    assert till.refund(sold, f"refund-of-{payment_id}").status is ReversalStatus.QUEUED
    return _row(till, payment_id)


def _row(till: HookedWorld, payment_id: str) -> CancellationRow:
    (row,) = till.live(payment_id)
    return row
