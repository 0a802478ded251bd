"""The states of a payment and the transitions between them: the table that the journal enforces.

intent ──> created ──> paying ──> paid ──> recorded
   │ │       │  ^        │ ^        │         │  ^
   │ │       │  └────────┤ │        └────┬────┘  │
   │ └───────┼───────────┼─┘             v       │
   v         v           v           reversing ──┘
refused, aborted,    (unknown)           │
                                         v
                                      reversed

A reversed payment becomes reversing again if Payme takes its "cancelled" back while the cancellation is confirming.
"""

from __future__ import annotations

from enum import Enum


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
    """The till doesn't have the payment. Not begun for an acknowledged payment or against the host's veto."""
    CANCEL = "cancel"
    """The host annulled the sale."""
    REFUND = "refund"
    """The host refunded the sale."""


class Hold(Enum):
    """Why the worker does not deliver a live cancellation; the values are stored."""

    HOST = "host"
    """The host said that it has the payment. Until it says otherwise nothing is sent."""
    OLD = "old"
    """By Payme's times the payment is older than a week: people decide."""


class End(Enum):
    """How a cancellation ended; the values are stored."""

    CANCELLED = "cancelled"
    """Payme said cancelled (50)."""
    CLOSED = "closed"
    """An operator closed it before that."""
    WITHDRAWN = "withdrawn"
    """Payme refused it with an error that the settings ignore, before any hook returned QUEUED."""
    RECORDED = "recorded"
    """The host has the payment: it acknowledged it, or answered so before the first ``receipts.cancel``."""


class EventKind(Enum):
    """What an event is about; the values are stored."""

    TRANSITION = "transition"
    """The payment entered a state."""
    REQUEST = "request"
    """A request to Payme."""
    ANSWER = "answer"
    """What came of a request."""
    CANCELLATION = "cancellation"
    """A cancellation: written, held, ended."""
    FISCAL = "fiscal"
    """The fiscal receipt."""
    NOTE = "note"
    """Anything else."""


_UNFINISHED = frozenset({PaymentState.INTENT, PaymentState.CREATED, PaymentState.PAYING})
_NOT_PAID = frozenset({PaymentState.REFUSED, PaymentState.ABORTED, PaymentState.UNKNOWN})

_NEXT = {
    PaymentState.INTENT: frozenset({PaymentState.CREATED, PaymentState.PAYING}) | _NOT_PAID - {PaymentState.UNKNOWN},
    PaymentState.CREATED: frozenset({PaymentState.PAYING}) | _NOT_PAID,
    PaymentState.PAYING: frozenset({PaymentState.CREATED, PaymentState.PAID}) | _NOT_PAID,
    PaymentState.PAID: frozenset({PaymentState.RECORDED, PaymentState.REVERSING}),
    PaymentState.RECORDED: frozenset({PaymentState.REVERSING}),
    PaymentState.REVERSING: frozenset({PaymentState.REVERSED, PaymentState.RECORDED}),
    PaymentState.REVERSED: frozenset({PaymentState.REVERSING}),
}


def is_allowed(before: PaymentState, after: PaymentState) -> bool:
    """Return whether a payment may go from ``before`` to ``after``."""
    return after in _NEXT.get(before, frozenset())
