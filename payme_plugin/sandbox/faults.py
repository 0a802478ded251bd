"""Faults between a till and the bank, as pure data: the server plays them on a socket, a simulator on virtual time."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from random import Random, SystemRandom
from typing import TYPE_CHECKING

from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox.jsonrpc import ErrorCode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from payme_plugin.sandbox.jsonrpc import Call, JsonObject
    from payme_plugin.sandbox.receipt import ReceiptView

_LONGEST_DELAY_S = 86_400.0
_CODE = re.compile("[0-9]{1,20}")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
"""The name of a header, as RFC 9110 allows it."""
_SHOWN_DIGITS = 4
_LONG_ENOUGH_TO_MASK = 12
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
    MALFORMED = "malformed"
    """Broken JSON instead of the effect."""
    MALFORMED_AFTER_EFFECT = "malformed-after-effect"
    """The effect happens, and the answer is broken JSON."""
    TRUNCATED = "truncated"
    """The effect happens, and the connection closes in the middle of the answer's body."""
    STUCK = "stuck"
    """The effect begins: the receipt stays in the state that it reaches first, e.g. 1 after ``receipts.pay``."""
    DUPLICATE_ANSWER = "duplicate-answer"
    """The effect happens once, and the answer is sent twice on the connection."""
    SLOW_ANSWER = "slow-answer"
    """The effect happens at once, and the answer comes in small pieces, the last one after ``after_s``."""

    @property
    def effect(self) -> bool:
        """Whether the bank carries out the request."""
        return self not in _WITHOUT_EFFECT


_WITHOUT_EFFECT = frozenset(
    {
        FaultKind.REQUEST_LOST,
        FaultKind.SILENT,
        FaultKind.ERROR,
        FaultKind.HTTP_ERROR,
        FaultKind.HTML,
        FaultKind.MALFORMED,
    }
)
_STATUSES = frozenset(range(300, 600)) - {304}


@dataclass(frozen=True)
class RequestFacts:
    """What faults select a request by.

    Attributes:
        method: its method.
        pos_id: the merchant account that sent it.
        code: the buyer's code in it, or the one that its receipt is paid with; ``None``: neither.
        amount: tiyin in it, or of its receipt; ``None``: neither.
        headers: their names, in any case, and values.
    """

    method: str
    pos_id: str = ""
    code: str | None = field(default=None, repr=False)
    amount: int | None = None
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class InjectedFault:
    """A fault to inject: its kind, which requests get it, and when. A selector that is ``None`` selects every request.

    Attributes:
        kind: what goes wrong.
        method: selects by the method, e.g. ``receipts.pay``.
        times: how often; ``None``: always.
        skip: how many selected requests pass before it.
        after_s: the delay of REQUEST_DELAYED and ANSWER_DELAYED, and how long a SLOW_ANSWER takes.
        error_code: the answer of ERROR and ERROR_AFTER_EFFECT.
        status: the HTTP status of HTTP_ERROR and HTTP_ERROR_AFTER_EFFECT.
        code: selects by the buyer's code, or by its first digits, also in later requests about its receipt.
        amount_min: selects amounts from here on, tiyin; the amount is that of the request or of its receipt.
        amount_max: selects amounts up to here, tiyin.
        pos_id: selects by the merchant account.
        header: selects by a header of HTTP, in any case.
        header_value: the whole value of that header; ``None``: any.
        probability: the chance that a selected request gets it, above 0 and at most 1.

    Raises:
        ValueError: values are not allowed; the text names all of them.
    """

    kind: FaultKind
    method: str | None = None
    times: int | None = 1
    skip: int = 0
    after_s: float = 0.0
    error_code: int = ErrorCode.INTERNAL_ERROR
    status: int = 500
    code: str | None = field(default=None, repr=False)
    amount_min: int | None = None
    amount_max: int | None = None
    pos_id: str | None = None
    header: str | None = None
    header_value: str | None = None
    probability: float = 1.0

    def __post_init__(self) -> None:
        if problems := [*self._problems_of_selectors(), *self._problems_of_numbers()]:
            raise ValueError("; ".join(problems))

    def _problems_of_selectors(self) -> Iterator[str]:
        if self.code is not None and not _CODE.fullmatch(self.code):
            yield "code is not allowed: a code, or its first digits, has 1 to 20 digits"
        for name in ("amount_min", "amount_max"):
            amount = getattr(self, name)
            if amount is not None and amount < 1:
                yield f"{name} is {amount}: tiyin from 1 are allowed"
        if self.amount_min is not None and self.amount_max is not None and self.amount_min > self.amount_max:
            yield f"amount_min is {self.amount_min}: at most amount_max, {self.amount_max}, is allowed"
        if self.header is not None and not _HEADER.fullmatch(self.header):
            yield f"header is {self.header[:100]!r}: the name of a header is allowed, e.g. User-Agent"
        elif self.header is not None and self.header.lower() == "x-auth":
            yield f"header is {self.header!r}: its value has the key, so use pos_id to select a merchant account"
        if self.header_value is not None and self.header is None:
            yield "header_value is given without header"

    def _problems_of_numbers(self) -> Iterator[str]:
        if self.times is not None and self.times < 1:
            yield f"times is {self.times}: 1 or more, or null for always"
        if self.skip < 0:
            yield f"skip is {self.skip}: 0 or more"
        if not 0 < self.probability <= 1:
            yield f"probability is {self.probability!r}: above 0 and at most 1 is allowed"
        if not (math.isfinite(self.after_s) and 0 <= self.after_s <= _LONGEST_DELAY_S):
            yield f"after_s is {self.after_s!r}: seconds from 0 to {_LONGEST_DELAY_S:g} are allowed"
        if self.error_code >= 0:
            yield f"error_code is {self.error_code}: an error code is negative, e.g. -31800"
        if self.status not in _STATUSES:
            yield f"status is {self.status}: 300 to 599 except 304 are allowed"

    def selects(self, request: RequestFacts) -> bool:
        """Return whether a request is one of those that get it."""
        return (
            self.method in {None, request.method}
            and self.pos_id in {None, request.pos_id}
            and (self.code is None or (request.code or "").startswith(self.code))
            and self._selects_amount(request.amount)
            and (self.header is None or any(self._is_header(*header) for header in request.headers))
        )

    def _selects_amount(self, amount: int | None) -> bool:
        if self.amount_min is None and self.amount_max is None:
            return True
        return amount is not None and (self.amount_min or 0) <= amount <= (self.amount_max or amount)

    def _is_header(self, name: str, value: str) -> bool:
        return name.lower() == str(self.header).lower() and self.header_value in {None, value}


@dataclass(frozen=True)
class FaultRule:
    """A fault that is still to happen.

    Attributes:
        number: identifies it, from 1; it is not used again.
        fault: the fault; its ``times`` and ``skip`` are what is left.
    """

    number: int
    fault: InjectedFault

    def as_json(self) -> dict[str, object]:
        """Return the number and the fault's fields; a long code is masked but for its last four digits."""
        document = {"number": self.number, **asdict(self.fault), "kind": self.fault.kind.value}
        code = self.fault.code
        if code is not None and len(code) >= _LONG_ENOUGH_TO_MASK:
            document["code"] = f"***{code[-_SHOWN_DIGITS:]}"
        return document


def facts_of(
    call: Call, pos_id: str, receipt: ReceiptView | None, headers: Iterable[tuple[str, str]] = ()
) -> RequestFacts:
    """Return what faults select a request by; ``receipt`` is the one that it is about."""
    code, amount = call.params.get("token"), call.params.get("amount")
    if receipt is not None:
        code, amount = code or receipt.code, amount or receipt.amount
    return RequestFacts(
        method=call.method,
        pos_id=pos_id,
        code=code if isinstance(code, str) else None,
        amount=amount if isinstance(amount, int) else None,
        headers=tuple(headers),
    )


class FaultPlan:
    """The faults that are still to happen, in the order of their injection.

    Args:
        rng: decides whether a fault with a ``probability`` happens; default: the system's.

    Attributes:
        rules: those faults with their numbers.
    """

    def __init__(self, rng: Random | None = None) -> None:
        self.rules: tuple[FaultRule, ...] = ()
        self._rng = rng or SystemRandom()
        self._last_number = 0

    @property
    def live(self) -> tuple[InjectedFault, ...]:
        """The faults; their ``times`` and ``skip`` are what is left."""
        return tuple(rule.fault for rule in self.rules)

    def inject(self, fault: InjectedFault) -> FaultRule:
        """Add a fault behind those that are there."""
        self._last_number += 1
        rule = FaultRule(self._last_number, fault)
        self.rules = (*self.rules, rule)
        return rule

    def remove(self, number: int) -> None:
        """Forget one fault. KeyError if it is not there any more."""
        left = tuple(rule for rule in self.rules if rule.number != number)
        if len(left) == len(self.rules):
            raise KeyError(number)
        self.rules = left

    def clear(self) -> None:
        """Forget every fault."""
        self.rules = ()

    def take(self, request: RequestFacts) -> InjectedFault | None:
        """Return the fault that a request gets, and count it; ``None`` if the request passes.

        The first fault that selects the request decides: while its ``skip`` lasts, the request passes. If chance is
        against the fault, the next one decides.
        """
        for position, rule in enumerate(self.rules):
            fault = rule.fault
            if fault.selects(request) and (fault.skip or self._happens(fault)):
                left = _counted(fault)
                kept = (replace(rule, fault=left),) if left else ()
                self.rules = self.rules[:position] + kept + self.rules[position + 1 :]
                return None if fault.skip else fault
        return None

    def _happens(self, fault: InjectedFault) -> bool:
        return fault.probability == 1 or self._rng.random() < fault.probability


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


def broken(answer: JsonObject) -> bytes:
    """Return the first half of an answer: JSON that ends too early."""
    text = json.dumps(answer)
    return text[: len(text) // 2].encode("ascii")


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
