"""Codes that say themselves what the buyer will do: 20 digits, no earlier call needed.

    0077 AA NNNNN SSSSSSSSS
    |    |  |     any nine digits that make the code a new one
    |    |  seconds, or an error code without its minus sign
    |    what the buyer does
    the sandbox's mark; the leading zeros must survive the way from the scanner to the server

    AA  pays                                                         NNNNN
    00  at once                                                      00000
    01  after N seconds, when the buyer confirms                     seconds
    02  never: the buyer declines after N seconds                    seconds
    03  never: lacks funds (-31630)                                  00000
    04  never: does not answer, the receipt stays at 1               00000
    05  never: ``pay`` is refused with error -N                      error code
    06  at once; a cancel stays at 21 for N seconds                  seconds
    07  at once; a cancel is refused with error -N                   error code
    08  at once; a cancel turns back into 4 after N seconds, once    seconds

``00770100003000000001``: the buyer confirms after 3 seconds. Such a code counts as issued when the bank first sees it,
and works once, as every code does.
"""

from __future__ import annotations

from payme_plugin.sandbox.behaviour import Behaviour, BuyerAction, CancelPlan

__all__ = ["MARK", "read_code", "write_code"]

MARK = "0077"
_LENGTH = 20
_LONGEST_SERIAL = 999_999_999
_LARGEST_NUMBER = 99_999


def read_code(code: str) -> Behaviour | None:
    """Return the behaviour that ``code`` spells; ``None`` where it is not one of these codes."""
    if len(code) != _LENGTH or not code.startswith(MARK) or not (code.isascii() and code.isdigit()):
        return None
    action, number = code[4:6], int(code[6:11])
    try:
        return _behaviour(action, number)
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


def write_code(behaviour: Behaviour, serial: int) -> str:
    """Return the code that spells ``behaviour``; ``serial`` (0 to 999999999) makes it a new one.

    Raises:
        ValueError: the table above has no row for this behaviour, or ``serial`` is out of range.
    """
    if not 0 <= serial <= _LONGEST_SERIAL:
        raise ValueError(f"serial is {serial}: 0 to {_LONGEST_SERIAL} are allowed")
    for action in range(9):
        for number in _numbers(behaviour):
            if _spells(f"{action:02d}", number, behaviour):
                return f"{MARK}{action:02d}{number:05d}{serial:09d}"
    raise ValueError(f"no code spells {behaviour}: issue one by a control call")


def _numbers(behaviour: Behaviour) -> tuple[int, ...]:
    plan = behaviour.cancel or CancelPlan()
    values = (behaviour.after_s, behaviour.error_code, plan.settle_s, plan.refused_with, plan.turns_back_after_s)
    whole = {abs(int(value)) for value in values if value is not None and value == int(value)}
    return (0, *sorted(number for number in whole if 0 < number <= _LARGEST_NUMBER))


def _spells(action: str, number: int, behaviour: Behaviour) -> bool:
    try:
        return _behaviour(action, number) == behaviour
    except ValueError:
        return False
