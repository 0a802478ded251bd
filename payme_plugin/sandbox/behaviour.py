"""What the buyer does with a code, and what Payme does with a cancellation of it: pure data."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

__all__ = ["Behaviour", "BuyerAction", "CancelPlan"]

_SHORTEST_CONFIRMATION_S = 0.01
_LONGEST_WAIT_S = 86_400.0


class BuyerAction(Enum):
    """What happens when ``receipts.pay`` brings the buyer's code."""

    PAYS = "pays"
    CONFIRMS = "confirms"
    DECLINES = "declines"
    LACKS_FUNDS = "lacks-funds"
    NEVER_ANSWERS = "never-answers"
    FAILS = "fails"


def _check_seconds(name: str, value: float, at_least: float = 0.0) -> None:
    if not (math.isfinite(value) and at_least <= value <= _LONGEST_WAIT_S):
        raise ValueError(f"{name} is {value!r}: seconds from {at_least:g} to {_LONGEST_WAIT_S:g} are allowed")


def _check_error_code(name: str, value: int | None) -> None:
    if value is not None and value >= 0:
        raise ValueError(f"{name} is {value!r}: an error code is below zero, -31800 say")


@dataclass(frozen=True)
class CancelPlan:
    """What ``receipts.cancel`` does to a receipt that was paid or is being paid. An unpaid one goes to 50 at once.

    Attributes:
        settle_s: the receipt stays at 21 for so long, then goes to 50 and the money is back. With 0 the answer says 50.
        refused_with: the cancel of a paid receipt is refused with this code, every time; ``None``: accepted.
        turns_back_after_s: the first accepted cancel ends after so long in 4 instead of 50; a later one goes through.
        busy_with: the cancel of a receipt that is still being paid is refused with this code; ``None``: accepted.

    Raises:
        ValueError: a time is negative, infinite or over a day, or an error code is not below zero.
    """

    settle_s: float = 1.0
    refused_with: int | None = None
    turns_back_after_s: float | None = None
    busy_with: int | None = None

    def __post_init__(self) -> None:
        _check_seconds("settle_s", self.settle_s)
        if self.turns_back_after_s is not None:
            _check_seconds("turns_back_after_s", self.turns_back_after_s)
        _check_error_code("refused_with", self.refused_with)
        _check_error_code("busy_with", self.busy_with)


@dataclass(frozen=True)
class Behaviour:
    """The whole fate of a code.

    Attributes:
        action: what the buyer does.
        after_s: CONFIRMS: the receipt is paid so long after ``pay``; DECLINES: it is cancelled so long after ``pay``.
        error_code: FAILS: the code that ``pay`` answers with; the receipt stays at 0.
        cancel: how a cancellation of the receipt goes; ``None``: as the bank's own plan says.

    Raises:
        ValueError: a value that the action can't work with.
    """

    action: BuyerAction = BuyerAction.PAYS
    after_s: float = 0.0
    error_code: int | None = None
    cancel: CancelPlan | None = None

    def __post_init__(self) -> None:
        at_least = _SHORTEST_CONFIRMATION_S if self.action is BuyerAction.CONFIRMS else 0.0
        _check_seconds("after_s", self.after_s, at_least)
        _check_error_code("error_code", self.error_code)
        if (self.action is BuyerAction.FAILS) != (self.error_code is not None):
            raise ValueError("error_code goes with the action 'fails', and with no other")
