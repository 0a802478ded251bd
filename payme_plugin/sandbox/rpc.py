"""JSON-RPC as PaymeGO speaks it: a request in, an answer out. Pure functions over JSON values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NoReturn

from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox.errors import INVALID_PARAMS, INVALID_REQUEST, PARSE_ERROR, BankError
from payme_plugin.sandbox.faults import FaultKind

__all__ = ["Call", "Envelope", "altered", "error_answer", "masked", "read_call", "read_request", "result_answer"]

Envelope = Mapping[str, object]

_SHOWN_DIGITS = 4
_LONG_ENOUGH_TO_SHOW = 12
_OTHER_RECEIPT_ID = "0" * 23 + "1"


@dataclass(frozen=True)
class Call:
    """A request that reads as one.

    Attributes:
        request_id: the id to repeat: whatever JSON value the kassa chose; ``None`` where it chose none.
        method: the method's name.
        params: its parameters, the buyer's code in clear among them.
    """

    request_id: object
    method: str
    params: Mapping[str, object] = field(repr=False)


def read_request(body: bytes) -> dict[str, object]:
    """Return the JSON object in ``body``.

    Raises:
        BankError: -32700 where it is no JSON (UTF-8, no NaN, no runaway nesting), -32600 where it is no object.
    """
    try:
        document = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise BankError(PARSE_ERROR) from None
    if not isinstance(document, dict):
        raise BankError(INVALID_REQUEST)
    return document


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def read_call(document: Mapping[str, object]) -> Call:
    """Return the request in ``document``.

    Raises:
        BankError: -32600 without a method's name, -32602 where ``params`` is no object.
    """
    method, params = document.get("method"), document.get("params", {})
    if not isinstance(method, str) or not method:
        raise BankError(INVALID_REQUEST, "method")
    if not isinstance(params, dict):
        raise BankError(INVALID_PARAMS, "params")
    return Call(document.get("id"), method, params)


def result_answer(request_id: object, result: object) -> Envelope:
    """Return the answer with a result."""
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def error_answer(request_id: object, error: BankError) -> Envelope:
    """Return the answer with an error."""
    return {"jsonrpc": "2.0", "id": request_id, "error": error.as_json()}


def _without_id(answer: Envelope) -> Envelope:
    """Return ``answer`` without its ``id`` member."""
    return {name: value for name, value in answer.items() if name != "id"}


def _with_foreign_id(answer: Envelope) -> Envelope:
    """Return ``answer`` with an id that no request of this kind has: the next number, or a longer text."""
    request_id = answer.get("id")
    foreign = request_id + 1 if isinstance(request_id, int) else f"{request_id}-of-another"
    return {**answer, "id": foreign}


def _of_another_receipt(answer: Envelope) -> Envelope:
    """Return ``answer`` speaking of another receipt, of one tiyin more, which is paid.

    An answer that shows no receipt (``receipts.check``) has state 4 only, and can't be told from a true one. Errors and
    answers without a state stay as they are.
    """
    result = answer.get("result")
    if not isinstance(result, Mapping):
        return answer
    if "state" in result:
        return {**answer, "result": {**result, "state": int(ReceiptState.PAID)}}
    receipt = result.get("receipt")
    if not isinstance(receipt, Mapping):
        return answer
    amount, created_ms = receipt.get("amount"), receipt.get("create_time")
    other = {
        **receipt,
        "_id": _OTHER_RECEIPT_ID,
        "amount": amount + 1 if isinstance(amount, int) else amount,
        "state": int(ReceiptState.PAID),
        "pay_time": created_ms,
        "cancel_time": 0,
    }
    return {**answer, "result": {"receipt": other}}


def masked(params: Mapping[str, object]) -> dict[str, object]:
    """Return ``params`` with the buyer's code and phone masked; a long code keeps its last four characters."""
    shown = dict(params)
    token = shown.get("token")
    if "token" in shown:
        long_enough = isinstance(token, str) and len(token) >= _LONG_ENOUGH_TO_SHOW
        shown["token"] = f"***{token[-_SHOWN_DIGITS:]}" if isinstance(token, str) and long_enough else "***"
    if "payer" in shown:
        shown["payer"] = "***"
    return shown


def altered(answer: Envelope, kind: FaultKind) -> Envelope:
    """Return ``answer`` as a fault leaves it: another id or none, another receipt; by any other fault unchanged."""
    if kind is FaultKind.WITHOUT_ID:
        return _without_id(answer)
    if kind is FaultKind.FOREIGN_ID:
        return _with_foreign_id(answer)
    if kind is FaultKind.FOREIGN_RECEIPT:
        return _of_another_receipt(answer)
    return answer
