"""Faults between a till and the bank, as pure data: the server plays them on a socket, a simulator on virtual time."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING

from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox.jsonrpc import ErrorCode

if TYPE_CHECKING:
    from payme_plugin.sandbox.jsonrpc import JsonObject

_LONGEST_DELAY_S = 86_400.0
_OTHER_RECEIPT_ID = "0" * 23 + "1"


class FaultKind(Enum):
    """What goes wrong. ``effect`` says whether the bank carries out the request nevertheless."""

    REQUEST_LOST = "request-lost"
    """The connection closes before the effect."""
    ANSWER_LOST = "answer-lost"
    """The effect happens, and the connection closes without an answer."""
    SILENT = "silent"
    """No effect and no answer: the connection stays open."""
    SILENT_AFTER_EFFECT = "silent-after-effect"
    """The effect happens, no answer comes, and the connection stays open."""
    REQUEST_DELAYED = "request-delayed"
    """The effect and the answer come ``after_s`` late, even if the till has hung up meanwhile."""
    ANSWER_DELAYED = "answer-delayed"
    """The effect happens at once, the answer comes ``after_s`` late."""
    ERROR = "error"
    """``error_code`` instead of the effect."""
    ERROR_AFTER_EFFECT = "error-after-effect"
    """The effect happens, and the answer is ``error_code``."""
    WITHOUT_ID = "without-id"
    """The answer does not repeat the request's id."""
    FOREIGN_ID = "foreign-id"
    """The answer repeats another id than the request's."""
    FOREIGN_RECEIPT = "foreign-receipt"
    """The answer has the request's id, and shows another receipt of another amount, which is paid."""
    HTTP_ERROR = "http-error"
    """HTTP ``status`` instead of the effect."""
    HTTP_ERROR_AFTER_EFFECT = "http-error-after-effect"
    """The effect happens, and the answer is HTTP ``status``."""
    HTML = "html"
    """A captive portal's page with 200 instead of the effect."""
    HTML_AFTER_EFFECT = "html-after-effect"
    """The effect happens, and the answer is a page with 200."""

    @property
    def effect(self) -> bool:
        """Whether the bank carries out the request."""
        return self not in _WITHOUT_EFFECT


_WITHOUT_EFFECT = frozenset(
    {FaultKind.REQUEST_LOST, FaultKind.SILENT, FaultKind.ERROR, FaultKind.HTTP_ERROR, FaultKind.HTML}
)
_STATUSES = frozenset(range(300, 600)) - {304}


@dataclass(frozen=True)
class InjectedFault:
    """A fault to inject.

    Attributes:
        kind: what goes wrong.
        method: the method whose requests take it, e.g. ``receipts.pay``; ``None``: any.
        times: how often; ``None``: always.
        skip: how many requests of that method pass before it.
        after_s: the delay of REQUEST_DELAYED and ANSWER_DELAYED.
        error_code: the answer of ERROR and ERROR_AFTER_EFFECT.
        status: the HTTP status of HTTP_ERROR and HTTP_ERROR_AFTER_EFFECT.

    Raises:
        ValueError: a number is out of range.
    """

    kind: FaultKind
    method: str | None = None
    times: int | None = 1
    skip: int = 0
    after_s: float = 0.0
    error_code: int = ErrorCode.INTERNAL_ERROR
    status: int = 500

    def __post_init__(self) -> None:
        if self.times is not None and self.times < 1:
            raise ValueError(f"times is {self.times}: 1 or more, or null for always")
        if self.skip < 0:
            raise ValueError(f"skip is {self.skip}: 0 or more")
        if not (math.isfinite(self.after_s) and 0 <= self.after_s <= _LONGEST_DELAY_S):
            raise ValueError(f"after_s is {self.after_s!r}: seconds from 0 to {_LONGEST_DELAY_S:g} are allowed")
        if self.error_code >= 0:
            raise ValueError(f"error_code is {self.error_code}: an error code is negative, e.g. -31800")
        if self.status not in _STATUSES:
            raise ValueError(f"status is {self.status}: 300 to 599 except 304 are allowed")


class FaultPlan:
    """The faults that are still to happen, in the order of their injection.

    Attributes:
        live: those faults; their ``times`` and ``skip`` are what is left.
    """

    def __init__(self) -> None:
        self.live: tuple[InjectedFault, ...] = ()

    def inject(self, fault: InjectedFault) -> None:
        """Add a fault behind those that are there."""
        self.live = (*self.live, fault)

    def clear(self) -> None:
        """Forget every fault."""
        self.live = ()

    def take(self, method: str) -> InjectedFault | None:
        """Return the fault that this request of ``method`` takes, and count it; ``None`` if it passes.

        The first live fault for the method decides: while its ``skip`` lasts, the request passes.
        """
        for position, fault in enumerate(self.live):
            if fault.method in {None, method}:
                left = _counted(fault)
                self.live = self.live[:position] + ((left,) if left else ()) + self.live[position + 1 :]
                return None if fault.skip else fault
        return None


def _counted(fault: InjectedFault) -> InjectedFault | None:
    """Return what is left of a fault after one request; ``None`` if that was its last."""
    if fault.skip:
        return replace(fault, skip=fault.skip - 1)
    if fault.times is None:
        return fault
    return replace(fault, times=fault.times - 1) if fault.times > 1 else None


def altered(answer: JsonObject, kind: FaultKind) -> JsonObject:
    """Return ``answer`` as a fault leaves it: another id or none, another receipt; unchanged by any other fault."""
    if kind is FaultKind.WITHOUT_ID:
        return {name: value for name, value in answer.items() if name != "id"}
    if kind is FaultKind.FOREIGN_ID:
        # No request of this kind has such an id: the next number, or a longer text.
        request_id = answer.get("id")
        return {**answer, "id": request_id + 1 if isinstance(request_id, int) else f"{request_id}-of-another"}
    result = answer.get("result")
    if kind is FaultKind.FOREIGN_RECEIPT and isinstance(result, Mapping):
        return {**answer, "result": _of_another_receipt(result)}
    return answer


def _of_another_receipt(result: JsonObject) -> JsonObject:
    """Return ``result`` about another receipt, of one tiyin more, which is paid.

    A result that shows only a state (``receipts.check``) shows 4, and can't be told from a true one. One that shows no
    receipt stays as it is.
    """
    receipt = result.get("receipt")
    if "state" in result:
        return {**result, "state": int(ReceiptState.PAID)}
    if not isinstance(receipt, Mapping):
        return result
    amount = receipt.get("amount")
    paid = {"state": int(ReceiptState.PAID), "pay_time": receipt.get("create_time"), "cancel_time": 0}
    other = {"_id": _OTHER_RECEIPT_ID, "amount": amount + 1 if isinstance(amount, int) else amount}
    return {"receipt": {**receipt, **other, **paid}}
