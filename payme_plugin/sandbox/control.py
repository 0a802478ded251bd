"""Control calls as JSON: behaviours and faults in, the wire log and the receipts out. Pure functions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from enum import Enum
from typing import TYPE_CHECKING, TypeVar

from payme_plugin.sandbox.behaviour import Behaviour, BuyerAction, CancelPlan
from payme_plugin.sandbox.faults import Fault, FaultKind

if TYPE_CHECKING:
    from payme_plugin.sandbox.desk import WireRequest
    from payme_plugin.sandbox.receipt import ReceiptView

__all__ = [
    "ControlError",
    "answer_from",
    "behaviour_from",
    "code_from",
    "fault_as_json",
    "fault_from",
    "receipt_as_json",
    "request_as_json",
]


class ControlError(ValueError):
    """A control call that can't be used; its text says why, and what is allowed."""


Choice = TypeVar("Choice", bound=Enum)

_BEHAVIOUR_KEYS = ("behaviour", "after_s", "error_code", "cancel")
_CANCEL_KEYS = tuple(one.name for one in fields(CancelPlan))
_FAULT_KEYS = tuple(one.name for one in fields(Fault))


def behaviour_from(document: Mapping[str, object]) -> Behaviour:
    """Return the behaviour in ``{"behaviour": "confirms", "after_s": 3, "error_code": ..., "cancel": {...}}``.

    Every key may be missing; the buyer pays at once then.

    Raises:
        ControlError: an unknown key, a wrong type, or a value that is not allowed; the text names it.
    """
    _only(document, _BEHAVIOUR_KEYS)
    cancel = document.get("cancel")
    if cancel is not None and not isinstance(cancel, Mapping):
        raise ControlError("cancel must be an object")
    return Behaviour(
        action=_choice(BuyerAction, document, "behaviour", BuyerAction.PAYS),
        after_s=_number(document, "after_s", 0.0),
        error_code=_optional_integer(document, "error_code", None),
        cancel=None if cancel is None else _cancel_plan_from(cancel),
    )


def _cancel_plan_from(document: Mapping[str, object]) -> CancelPlan:
    _only(document, _CANCEL_KEYS)
    turns_back = document.get("turns_back_after_s")
    return CancelPlan(
        settle_s=_number(document, "settle_s", CancelPlan.settle_s),
        refused_with=_optional_integer(document, "refused_with", None),
        turns_back_after_s=None if turns_back is None else _number(document, "turns_back_after_s", 0.0),
        busy_with=_optional_integer(document, "busy_with", None),
    )


def fault_from(document: Mapping[str, object]) -> Fault:
    """Return the fault in ``{"kind": "answer-lost", "method": "receipts.pay", "times": 1, ...}``.

    Raises:
        ControlError: no kind, an unknown key, a wrong type, or a value that is not allowed; the text names it.
    """
    _only(document, _FAULT_KEYS)
    method = document.get("method")
    if method is not None and not isinstance(method, str):
        raise ControlError("method must be a text, 'receipts.pay' say, or null for any")
    return Fault(
        kind=_choice(FaultKind, document, "kind", None),
        method=method,
        times=_optional_integer(document, "times", Fault.times),
        skip=_integer(document, "skip", Fault.skip),
        after_s=_number(document, "after_s", Fault.after_s),
        error_code=_integer(document, "error_code", Fault.error_code),
        status=_integer(document, "status", Fault.status),
    )


def code_from(document: Mapping[str, object]) -> str:
    """Return the code in ``{"code": "..."}``.

    Raises:
        ControlError: it has none; the text does not repeat it.
    """
    code = document.get("code")
    if not isinstance(code, str):
        raise ControlError("code must be a text")
    return code


def answer_from(document: Mapping[str, object]) -> tuple[str, bool]:
    """Return the code and the buyer's answer in ``{"code": "...", "confirms": true}``.

    Raises:
        ControlError: one of them is missing.
    """
    confirms = document.get("confirms")
    if not isinstance(confirms, bool):
        raise ControlError("confirms must be true or false")
    return code_from(document), confirms


def fault_as_json(fault: Fault) -> dict[str, object]:
    """Return a fault in the form that ``fault_from`` reads."""
    return {**asdict(fault), "kind": fault.kind.value}


def request_as_json(request: WireRequest) -> dict[str, object]:
    """Return a line of the wire log."""
    return {**asdict(request), "fault": request.fault.value if request.fault else None}


def receipt_as_json(receipt: ReceiptView) -> dict[str, object]:
    """Return a receipt without the buyer's code."""
    return {name: value for name, value in asdict(receipt).items() if name != "code"}


def _only(document: Mapping[str, object], allowed: tuple[str, ...]) -> None:
    unknown = sorted(set(document) - set(allowed))
    if unknown:
        raise ControlError(f"unknown key {unknown[0]!r}: allowed are {', '.join(allowed)}")


def _choice(kind: type[Choice], document: Mapping[str, object], key: str, default: Choice | None) -> Choice:
    value = document.get(key)
    if value is None and default is not None:
        return default
    for member in kind:
        if member.value == value:
            return member
    raise ControlError(f"{key} is {value!r}: allowed are {', '.join(str(member.value) for member in kind)}")


def _number(document: Mapping[str, object], key: str, default: float) -> float:
    value = document.get(key, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ControlError(f"{key} is {value!r}: a number is allowed")
    try:
        return float(value)
    except OverflowError:
        raise ControlError(f"{key} is too large") from None


def _integer(document: Mapping[str, object], key: str, default: int) -> int:
    value = document.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ControlError(f"{key} is {value!r}: a whole number is allowed")
    return value


def _optional_integer(document: Mapping[str, object], key: str, default: int | None) -> int | None:
    value = document.get(key, default)
    return None if value is None else _integer({key: value}, key, 0)
