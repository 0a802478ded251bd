"""What stops the reference till, each as one sentence for the person at the terminal."""

from __future__ import annotations

__all__ = ["FolderUnusable", "NoPlugin", "OutcomeUnknown", "PaymentMismatch", "TillBusy", "TillError", "UnknownPayment"]


class TillError(Exception):
    """The till can't do what it was asked to; its text is one sentence that says what, where and what helps."""


class FolderUnusable(TillError):
    """The till's folder can't be made, read or written."""


class TillBusy(TillError):
    """Another process works with the same folder: a till does one thing at a time."""


class NoPlugin(TillError):
    """No plugin in service answers to the tender or knows the payment; nothing was charged and nothing returned."""


class UnknownPayment(TillError):
    """The till has no paid payment of this id."""


class PaymentMismatch(TillError):
    """The payment id belongs to a sale of another amount; nothing was asked."""


class OutcomeUnknown(TillError):
    """A plugin failed in a hook that moves money; the receipt is kept, and the next start asks again.

    Attributes:
        payment_id: the payment that nobody knows the outcome of.
    """

    def __init__(self, payment_id: str, explanation: str) -> None:
        super().__init__(
            f"payment {payment_id}: {explanation}; its outcome is unknown, and the next command asks again."
        )
        self.payment_id = payment_id
