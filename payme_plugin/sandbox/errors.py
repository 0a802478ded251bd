"""The errors that the sandbox answers with: PaymeGO's codes and a text in three languages.

Source of the codes: the Subscribe API's published error tables, and clients in the field. The texts are our own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "ABOVE_THE_LIMIT",
    "ACCESS_DENIED",
    "BELOW_THE_LIMIT",
    "CODE_EXPIRED",
    "CODE_UNKNOWN",
    "CODE_USED",
    "INTERNAL_ERROR",
    "INVALID_PARAMS",
    "INVALID_REQUEST",
    "METHOD_NOT_FOUND",
    "NO_FUNDS",
    "NO_SUCH_RECEIPT",
    "PARSE_ERROR",
    "STATUS_CHANGED",
    "TRANSPORT_ERROR",
    "BankError",
]

TRANSPORT_ERROR = -32300
PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
ACCESS_DENIED = -32504
INTERNAL_ERROR = -32400
CODE_UNKNOWN = -31400
CODE_EXPIRED = -31101
CODE_USED = -31103
NO_FUNDS = -31630
NO_SUCH_RECEIPT = -31602
BELOW_THE_LIMIT = -31611
ABOVE_THE_LIMIT = -31612
STATUS_CHANGED = -31800

_FIRST_GENERAL_CODE = -32000
"""Codes at and below it belong to JSON-RPC itself; their message is one string, the others' a language map."""

_TEXTS: Mapping[int, tuple[str, str, str]] = {
    TRANSPORT_ERROR: ("Нужен запрос POST", "POST so'rovi kerak", "Only POST is served"),
    PARSE_ERROR: ("Запрос не является JSON", "So'rov JSON emas", "The request is not JSON"),
    INVALID_REQUEST: ("Неверный запрос", "Noto'g'ri so'rov", "Not a valid request"),
    METHOD_NOT_FOUND: ("Нет такого метода", "Bunday metod yo'q", "No such method"),
    INVALID_PARAMS: ("Неверный параметр", "Noto'g'ri parametr", "Wrong parameter"),
    ACCESS_DENIED: ("Нет доступа: проверьте кассу и ключ", "Ruxsat yo'q", "Access denied: check the kassa and its key"),
    INTERNAL_ERROR: ("Внутренний сбой", "Ichki nosozlik", "Internal fault"),
    CODE_UNKNOWN: ("Код не найден", "Kod topilmadi", "Code not found"),
    CODE_EXPIRED: ("Код устарел", "Kod eskirgan", "The code is out of date"),
    CODE_USED: ("Код уже использован", "Kod ishlatilgan", "The code was used before"),
    NO_FUNDS: ("Не хватает средств", "Mablag' yetmaydi", "Not enough money"),
    NO_SUCH_RECEIPT: ("Чек не найден или уже оплачен", "Chek topilmadi yoki to'langan", "No receipt, or paid before"),
    BELOW_THE_LIMIT: ("Сумма слишком мала", "Summa juda kichik", "The amount is too small"),
    ABOVE_THE_LIMIT: ("Сумма слишком велика", "Summa juda katta", "The amount is too large"),
    STATUS_CHANGED: ("Чек сейчас нельзя отменить", "Chekni hozir bekor qilib bo'lmaydi", "Not to be cancelled now"),
}


class BankError(Exception):
    """A refusal by the bank: no effect took place.

    Attributes:
        code: the server's code, below zero.
        data: what the server adds: the name of the faulty parameter or method, or ``None``.
    """

    def __init__(self, code: int, data: str | None = None) -> None:
        super().__init__(f"error {code}" if data is None else f"error {code}: {data}")
        self.code = code
        self.data = data

    def as_json(self) -> dict[str, object]:
        """Return the ``error`` member of the answer: ``code``, ``message`` (a text or a language map), ``data``."""
        ru, uz, en = _TEXTS.get(self.code, (f"Ошибка {self.code}", f"Xato {self.code}", f"Error {self.code}"))
        message: object = ru if self.code <= _FIRST_GENERAL_CODE else {"ru": ru, "uz": uz, "en": en}
        return {"code": self.code, "message": message, "data": self.data}
