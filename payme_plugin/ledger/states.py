"""The states of a payment and the transitions between them: the table that the journal enforces.

intent ──> created ──> paying ──> paid ──> recorded
   │ │       │  ^        │ ^        │         │  ^
   │ │       │  └────────┤ │        └────┬────┘  │
   │ └───────┼───────────┼─┘             v       │
   v         v           v           reversing ──┘
refused, aborted,    (unknown)           │
                                         v
                                      reversed
"""

from __future__ import annotations

from enum import Enum

__all__ = ["Cause", "PaymentState", "is_allowed"]


class PaymentState(Enum):
    """How far a payment has come; the values are stored."""

    INTENT = "intent"
    CREATED = "created"
    PAYING = "paying"
    PAID = "paid"
    RECORDED = "recorded"
    REFUSED = "refused"
    ABORTED = "aborted"
    UNKNOWN = "unknown"
    REVERSING = "reversing"
    REVERSED = "reversed"

    @property
    def is_unfinished(self) -> bool:
        """Return whether the payment has no result yet."""
        return self in _UNFINISHED

    @property
    def is_not_paid(self) -> bool:
        """Return whether it ended without a tender in the sale."""
        return self in _NOT_PAID


class Cause(Enum):
    """Why a cancellation exists; the values are stored."""

    UNRECORDED = "unrecorded"
    """The till doesn't have the payment. Not carried out while the host says that it has."""
    CANCEL = "cancel"
    """The host annulled the sale."""
    REFUND = "refund"
    """The host refunded the sale."""


_UNFINISHED = frozenset({PaymentState.INTENT, PaymentState.CREATED, PaymentState.PAYING})
_NOT_PAID = frozenset({PaymentState.REFUSED, PaymentState.ABORTED, PaymentState.UNKNOWN})

_NEXT = {
    PaymentState.INTENT: frozenset({PaymentState.CREATED, PaymentState.PAYING, PaymentState.REFUSED, PaymentState.ABORTED}),
    PaymentState.CREATED: frozenset({PaymentState.PAYING}) | _NOT_PAID,
    PaymentState.PAYING: frozenset({PaymentState.CREATED, PaymentState.PAID}) | _NOT_PAID,
    PaymentState.PAID: frozenset({PaymentState.RECORDED, PaymentState.REVERSING}),
    PaymentState.RECORDED: frozenset({PaymentState.REVERSING}),
    PaymentState.REVERSING: frozenset({PaymentState.REVERSED, PaymentState.RECORDED}),
}


def is_allowed(before: PaymentState, after: PaymentState) -> bool:
    """Return whether a payment may go from ``before`` to ``after``."""
    return after in _NEXT.get(before, frozenset())
