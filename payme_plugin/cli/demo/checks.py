"""What several scenes check."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hookspecs import PaymentStatus, ReversalStatus
    from payme_plugin.cli.demo.day import Day
    from payme_plugin.cli.demo.outcomes import GivenBack, Sold

__all__ = ["check_given_back", "check_sent_once", "check_verdict", "is_about"]


def check_verdict(day: Day, sold: Sold, status: PaymentStatus) -> None:
    """Check the verdict on a payment."""
    found = sold.payment.result.status
    day.stage.check(f"the verdict is {found.name}", right=found is status)


def check_given_back(day: Day, back: GivenBack, status: ReversalStatus) -> None:
    """Check the verdict on a cancel or a refund."""
    found = back.reversal.result.status
    day.stage.check(f"the verdict is {found.name}", right=found is status)


def check_sent_once(day: Day, sent: int) -> None:
    """Check that one request charged."""
    day.stage.check(f"receipts.pay left the till {'once' if sent == 1 else f'{sent} times'}", right=sent == 1)


def is_about(sold: Sold, expected_s: float, day: Day) -> bool:
    """Say whether the wait was about ``expected_s`` long, and was shown."""
    return expected_s - 0.1 <= sold.elapsed_s <= expected_s + 3.0 and day.cashier.waits > 1
