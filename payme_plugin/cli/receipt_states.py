"""The state that Payme gives a receipt: in words, and whether a buyer's money may be in it."""

from __future__ import annotations

from payme_plugin.paymego.states import ReceiptState

__all__ = ["holds_money", "state_in_words"]

_WORDS = {
    ReceiptState.CREATED: "not paid",
    ReceiptState.CHECKING: "waits for the buyer",
    ReceiptState.DEBITING: "is being paid",
    ReceiptState.CLOSING: "is being paid",
    ReceiptState.PAID: "paid",
    ReceiptState.HELD: "held",
    ReceiptState.HOLDING: "is being held",
    ReceiptState.PAUSED: "paused",
    ReceiptState.CANCELLING: "is being cancelled",
    ReceiptState.CLOSING_QUEUED: "is being paid",
    ReceiptState.CANCELLED: "cancelled",
}
_WITHOUT_MONEY = frozenset({ReceiptState.CREATED, ReceiptState.CANCELLED})


def state_in_words(state: int | None) -> str:
    """Return a state in words with its number; None is no usable answer."""
    if state is None:
        return "no usable answer"
    known = state in ReceiptState.__members__.values()
    return f"{_WORDS[ReceiptState(state)]} ({state})" if known else f"state {state}"


def holds_money(state: int | None) -> bool:
    """Say whether a receipt in this state may hold a buyer's money."""
    return state not in _WITHOUT_MONEY
