"""JSON-RPC as PaymeGO speaks it: requests read strictly, answers, and error codes.

Source of the codes: the Subscribe API's published error tables, and clients in the field. The texts are our own.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

JsonObject = Mapping[str, object]
Value = TypeVar("Value")

_MAX_DEPTH = 64
_FIRST_GENERAL_CODE = -32000
"""Codes from here down belong to JSON-RPC itself; their message is one string, the others' a language map."""


class ErrorCode(IntEnum):
    """An error of the server, with its text in Russian, Uzbek and English."""

    texts: tuple[str, str, str]

    def __new__(cls, code: int, ru: str, uz: str, en: str) -> ErrorCode:  # noqa: PYI034 - Self needs Python 3.11
        """Make a member of its row below."""
        made = int.__new__(cls, code)
        made._value_ = code
        made.texts = (ru, uz, en)
        return made

    TRANSPORT_ERROR = -32300, "Ошибка HTTP", "HTTP xatosi", "HTTP error"
    PARSE_ERROR = -32700, "Запрос не является JSON", "So'rov JSON emas", "The request is not JSON"
    INVALID_REQUEST = -32600, "Неверный запрос", "Noto'g'ri so'rov", "Invalid request"
    METHOD_NOT_FOUND = -32601, "Нет такого метода", "Bunday metod yo'q", "Method not found"
    INVALID_PARAMS = -32602, "Неверный параметр", "Noto'g'ri parametr", "Invalid parameter"
    ACCESS_DENIED = -32504, "Нет доступа: проверьте posId и posKey", "Ruxsat yo'q", "Access denied: check posId, posKey"
    INTERNAL_ERROR = -32400, "Внутренний сбой", "Ichki nosozlik", "Internal error"
    CODE_UNKNOWN = -31400, "Код не найден", "Kod topilmadi", "Code not found"
    CODE_EXPIRED = -31101, "Код устарел", "Kod eskirgan", "The code has expired"
    CODE_USED = -31103, "Код уже использован", "Kod ishlatilgan", "The code has been used"
    NO_FUNDS = -31630, "Не хватает средств", "Mablag' yetmaydi", "Not enough money"
    NO_SUCH_RECEIPT = -31602, "Чек не найден или уже оплачен", "Chek topilmadi yoki to'langan", "No receipt, or paid"
    BELOW_THE_LIMIT = -31611, "Сумма слишком мала", "Summa juda kichik", "The amount is too small"
    ABOVE_THE_LIMIT = -31612, "Сумма слишком велика", "Summa juda katta", "The amount is too large"


class BankError(Exception):
    """A refusal by the bank, which had no effect.

    Attributes:
        code: the server's code, negative.
        data: what the server adds: the name of the faulty parameter or method, a reason, or ``None``.
    """

    def __init__(self, code: int, data: str | None = None) -> None:
        super().__init__(f"error {code}" if data is None else f"error {code}: {data}")
        self.code = code
        self.data = data

    def as_json(self) -> dict[str, object]:
        """Return the ``error`` member of the answer: ``code``, ``message`` (a text or a language map), ``data``."""
        unknown = (f"Ошибка {self.code}", f"Xato {self.code}", f"Error {self.code}")
        ru, uz, en = next((known.texts for known in ErrorCode if known == self.code), unknown)
        message: object = ru if self.code <= _FIRST_GENERAL_CODE else {"ru": ru, "uz": uz, "en": en}
        return {"code": int(self.code), "message": message, "data": self.data}


@dataclass(frozen=True)
class Call:
    """A request.

    Attributes:
        request_id: the id to repeat: any JSON value; ``None`` if the till sent none.
        method: the method's name.
        params: its parameters, the buyer's code in clear among them.
        pos_id: the merchant account that asks; ``None``: the first one of the bank.
    """

    request_id: object
    method: str
    params: JsonObject = field(repr=False)
    pos_id: str | None = None


def read_object(body: bytes) -> dict[str, object]:
    """Return the JSON object in ``body``.

    Raises:
        BankError: -32700 if it is not JSON in UTF-8, or has a number out of range, a member given twice, or more than
            64 levels; -32600 if it is not an object, e.g. a batch.
    """
    try:
        text = body.decode("utf-8")
        document = json.loads(text, parse_constant=_finite, parse_float=_finite, object_pairs_hook=_unique)
        _check_depth(document)
    except (ValueError, RecursionError) as error:
        raise BankError(ErrorCode.PARSE_ERROR, str(error)) from None
    if not isinstance(document, dict):
        raise BankError(ErrorCode.INVALID_REQUEST, "the body must be one JSON object")
    return document


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError("a number is out of range")
    return number


def _unique(members: list[tuple[str, object]]) -> dict[str, object]:
    if len(found := dict(members)) < len(members):
        raise ValueError("a member is given twice")
    return found


def _check_depth(document: object) -> None:
    level = [document]
    for _ in range(_MAX_DEPTH):
        level = [child for value in level for child in _children(value)]
    if any(isinstance(value, (dict, list)) for value in level):
        raise ValueError("the nesting is too deep")


def _children(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def read_call(document: JsonObject) -> Call:
    """Return the request in ``document``.

    Raises:
        BankError: -32600 without a method's name, -32602 if ``params`` is not an object.
    """
    method, params = document.get("method"), document.get("params", {})
    if not isinstance(method, str) or not method:
        raise BankError(ErrorCode.INVALID_REQUEST, "method")
    if not isinstance(params, dict):
        raise BankError(ErrorCode.INVALID_PARAMS, "params")
    return Call(document.get("id"), method, params)


def result_answer(request_id: object, result: object) -> JsonObject:
    """Return the answer with a result."""
    return {"jsonrpc": "2.0", "id": request_id, "result": result}


def error_answer(request_id: object, error: BankError) -> JsonObject:
    """Return the answer with an error."""
    return {"jsonrpc": "2.0", "id": request_id, "error": error.as_json()}


def member(params: JsonObject, name: str, kind: type[Value], default: Value | None = None) -> Value:
    """Return a parameter of exactly the type ``kind``.

    Raises:
        BankError: -32602 with its name: it is missing and has no ``default``, or has another type.
    """
    value = params.get(name, default)
    if type(value) is not kind:
        raise BankError(ErrorCode.INVALID_PARAMS, name)
    return value
