"""How a receipt walks through its states: steps with a time each, planned when something happens to it.

A state at a moment is the last step at or before it, so that a reader changes nothing and no timer is needed.
Source: the Subscribe API's states 0-1-2-3-4 for a payment and 21-50 for a cancellation; from 3 on the money is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox.behaviour import Behaviour, BuyerAction, CancelPlan

__all__ = ["Step", "cancellation_walk", "confirmed_walk", "payment_walk", "staff_step"]

_LONGEST_STEP_MS = 100
_TAKEN = frozenset({ReceiptState.CLOSING, ReceiptState.PAID, ReceiptState.CLOSING_QUEUED})
_UNDECIDED = frozenset({ReceiptState.PAUSED, ReceiptState.CANCELLING})


@dataclass(frozen=True)
class Step:
    """A state that a receipt enters.

    Attributes:
        at_ms: when, Unix milliseconds.
        state: the state's number.
        held: from here on Payme holds the buyer's money for this receipt.
    """

    at_ms: int
    state: int
    held: bool


def payment_walk(behaviour: Behaviour, now_ms: int) -> tuple[Step, ...]:
    """Return the steps of a payment that begins at ``now_ms``; none where the buyer's bank refuses it at once."""
    due_ms = now_ms + _milliseconds(behaviour.after_s)
    checking = Step(now_ms, ReceiptState.CHECKING, held=False)
    if behaviour.action is BuyerAction.PAYS:
        return (checking, *confirmed_walk(now_ms, now_ms))
    if behaviour.action is BuyerAction.CONFIRMS:
        return (checking, *confirmed_walk(now_ms, due_ms))
    if behaviour.action is BuyerAction.DECLINES:
        return (checking, Step(due_ms, ReceiptState.CANCELLED, held=False))
    if behaviour.action is BuyerAction.NEVER_ANSWERS:
        return (checking,)
    return ()


def confirmed_walk(now_ms: int, due_ms: int) -> tuple[Step, ...]:
    """Return the steps after state 1: debited and closed shortly before ``due_ms``, paid exactly then."""
    step_ms = min(_LONGEST_STEP_MS, (due_ms - now_ms) // 4)
    return (
        Step(due_ms - 2 * step_ms, ReceiptState.DEBITING, held=False),
        Step(due_ms - step_ms, ReceiptState.CLOSING, held=True),
        Step(due_ms, ReceiptState.PAID, held=True),
    )


def cancellation_walk(plan: CancelPlan, now_ms: int, *, held: bool, turned_back: bool) -> tuple[Step, ...]:
    """Return the steps of an accepted cancellation of a receipt whose money is ``held`` or not yet.

    With ``turned_back`` an earlier cancellation of the receipt has turned back already, and this one goes through.
    """
    cancelling = Step(now_ms, ReceiptState.CANCELLING, held=held)
    if plan.turns_back_after_s is not None and not turned_back:
        return (cancelling, Step(now_ms + _milliseconds(plan.turns_back_after_s), ReceiptState.PAID, held=True))
    return (cancelling, Step(now_ms + _milliseconds(plan.settle_s), ReceiptState.CANCELLED, held=False))


def staff_step(current: Step, state: int, now_ms: int) -> Step:
    """Return the step that puts a receipt into ``state`` by hand: 3, 4 and 30 hold the money, 50 gives it back.

    Raises:
        ValueError: the receipt is cancelled for good, or the step would hide money that is held.
    """
    if current.state == ReceiptState.CANCELLED:
        raise ValueError("a cancelled receipt stays at 50")
    undecided = state in _UNDECIDED or state not in tuple(ReceiptState)
    held = current.held if undecided else state in _TAKEN
    if current.held and not held and state != ReceiptState.CANCELLED:
        raise ValueError(f"the money of the receipt is held: it leaves by 50 alone, not by {state}")
    return Step(now_ms, state, held=held)


def _milliseconds(duration_s: float) -> int:
    return round(duration_s * 1000)
