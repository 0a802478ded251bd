"""What a buyer does with a code, and what Payme does with a cancellation: pure data, and codes that spell it.

A code that spells its behaviour needs no earlier call. It has 20 digits, e.g. ``00770100003000000001``: the buyer
confirms after 3 seconds. It counts as issued when the bank first sees it, and works once, as every code does.

    0077 AA NNNNN SSSSSSSSS
    |    |  |     any nine digits that make the code a new one
    |    |  seconds, or an error code without its minus sign
    |    the behaviour
    the sandbox's mark; the zeros must survive the way from the scanner to the server

    AA  the buyer pays                                               NNNNN
    00  at once                                                      00000
    01  after N seconds, by confirming on the phone                  seconds
    02  never: declines after N seconds                              seconds
    03  never: has not enough money (-31630)                         00000
    04  never: does not answer, the receipt stays in state 1         00000
    05  never: ``receipts.pay`` is refused with error -N             error code
    06  at once; a cancellation stays in state 21 for N seconds      seconds
    07  at once; a cancellation is refused with error -N             error code
    08  at once; the first cancellation ends in 4 after N seconds    seconds
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

MARK = "0077"
_CODE_LENGTH = 20
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
        raise ValueError(f"{name} is {value!r}: an error code is negative, e.g. -31800")


@dataclass(frozen=True)
class CancelPlan:
    """What ``receipts.cancel`` does to a receipt that was paid or is being paid. An unpaid one goes to 50 at once.

    Attributes:
        settle_s: seconds in state 21, then 50 and the money is back. With 0 the answer says 50.
        refused_with: error code that refuses every cancellation of a paid receipt; ``None``: it is accepted.
        turns_back_after_s: the first accepted cancellation ends in 4 instead of 50 after so many seconds; later ones
            go through.
        busy_with: error code that refuses the cancellation of a receipt still being paid; ``None``: it is accepted.

    Raises:
        ValueError: a time is negative, infinite or over a day, or an error code is not negative.
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
    """What becomes of a code and of the receipt that it pays.

    Attributes:
        action: what the buyer does.
        after_s: seconds after ``receipts.pay`` at which the buyer CONFIRMS or DECLINES.
        error_code: FAILS: the error that ``receipts.pay`` answers with; the receipt stays in state 0.
        cancel: how the receipt is cancelled; ``None``: by the bank's own plan.

    Raises:
        ValueError: a value that the action can't work with.
    """

    action: BuyerAction = field(default=BuyerAction.PAYS, metadata={"json": "behaviour"})
    after_s: float = 0.0
    error_code: int | None = None
    cancel: CancelPlan | None = None

    def __post_init__(self) -> None:
        at_least = _SHORTEST_CONFIRMATION_S if self.action is BuyerAction.CONFIRMS else 0.0
        _check_seconds("after_s", self.after_s, at_least)
        _check_error_code("error_code", self.error_code)
        if self.action is BuyerAction.FAILS and self.error_code is None:
            raise ValueError("error_code is required with the behaviour 'fails': a negative number, e.g. -31400")
        if self.action is not BuyerAction.FAILS and self.error_code is not None:
            raise ValueError("error_code goes with the behaviour 'fails' only")


def read_code(code: str) -> Behaviour | None:
    """Return the behaviour that ``code`` spells; ``None`` if it does not spell one."""
    if len(code) != _CODE_LENGTH or not code.startswith(MARK) or not (code.isascii() and code.isdigit()):
        return None
    try:
        return _behaviour(code[4:6], int(code[6:11]))
    except ValueError:
        return None


def _behaviour(action: str, number: int) -> Behaviour | None:
    plain = {"00": BuyerAction.PAYS, "03": BuyerAction.LACKS_FUNDS, "04": BuyerAction.NEVER_ANSWERS}
    timed = {"01": BuyerAction.CONFIRMS, "02": BuyerAction.DECLINES}
    if action in plain:
        return Behaviour(plain[action]) if number == 0 else None
    if action in timed:
        return Behaviour(timed[action], after_s=float(number))
    if action == "05":
        return Behaviour(BuyerAction.FAILS, error_code=-number)
    if action == "06":
        return Behaviour(cancel=CancelPlan(settle_s=float(number)))
    if action == "07":
        return Behaviour(cancel=CancelPlan(refused_with=-number))
    if action == "08":
        return Behaviour(cancel=CancelPlan(turns_back_after_s=float(number)))
    return None
