"""Money hooks of a till on virtual time, called with whatever a test has in its hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld, Sold
    from hookspecs import PaymentResult, ReversalResult


def codes_on_the_wire(world: HookedWorld) -> list[str | None]:
    """Return the codes that left in a ``receipts.pay``, in order."""
    return [sent.code for sent in world.paymego.sent if sent.method == "receipts.pay"]


def paid_or_not(result: PaymentResult | None) -> PaymentResult:
    """Return a result of a payment that is ours."""
    assert result is not None
    return result


def reversal(world: HookedWorld, hook: str, sold: Sold, ui: Any) -> ReversalResult:  # noqa: ANN401 - any thing at all
    """Give a sale back by one of the two hooks."""
    return world.cancel(sold, ui=ui) if hook == "on_cancel" else world.refund(sold, ui=ui)
