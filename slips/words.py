"""The words of a slip that come from this package, in the languages of a template."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """Words of one language.

    Attributes:
        operations: what was done, by operation.
        statuses: the outcome, by operation.
        accepted: the outcome while the money is not back yet, by operation.
        labels: labels of the plain slip, by field.
        currency: UZS as it is written after an amount.
    """

    operations: dict[str, str]
    statuses: dict[str, str]
    accepted: dict[str, str]
    labels: dict[str, str]
    currency: str


WORDS = {
    "ru": Words(
        operations={"pay": "Оплата", "cancel": "Отмена оплаты", "refund": "Возврат"},
        statuses={"pay": "Оплачено", "cancel": "Оплата отменена", "refund": "Деньги возвращены"},
        accepted={"cancel": "Отмена принята", "refund": "Возврат принят"},
        labels={"amount": "Сумма", "receipt": "Чек Payme", "card": "Карта", "moment": "Дата", "till": "Касса"},
        currency="сум",
    ),
    "uz": Words(
        operations={"pay": "Toʻlov", "cancel": "Toʻlovni bekor qilish", "refund": "Pulni qaytarish"},
        statuses={"pay": "Toʻlandi", "cancel": "Toʻlov bekor qilindi", "refund": "Pul qaytarildi"},
        accepted={"cancel": "Bekor qilish qabul qilindi", "refund": "Qaytarish qabul qilindi"},
        labels={"amount": "Summa", "receipt": "Payme cheki", "card": "Karta", "moment": "Sana", "till": "Kassa"},
        currency="soʻm",
    ),
    "uz-Cyrl": Words(
        operations={"pay": "Тўлов", "cancel": "Тўловни бекор қилиш", "refund": "Пулни қайтариш"},
        statuses={"pay": "Тўланди", "cancel": "Тўлов бекор қилинди", "refund": "Пул қайтарилди"},
        accepted={"cancel": "Бекор қилиш қабул қилинди", "refund": "Қайтариш қабул қилинди"},
        labels={"amount": "Сумма", "receipt": "Payme чеки", "card": "Карта", "moment": "Сана", "till": "Касса"},
        currency="сўм",
    ),
    "en": Words(
        operations={"pay": "Payment", "cancel": "Cancellation", "refund": "Refund"},
        statuses={"pay": "Paid", "cancel": "Payment cancelled", "refund": "Money returned"},
        accepted={"cancel": "Cancellation accepted", "refund": "Refund accepted"},
        labels={"amount": "Amount", "receipt": "Payme receipt", "card": "Card", "moment": "Date", "till": "Till"},
        currency="UZS",
    ),
}
"""By the name of the language, as in the attribute ``language`` of a template."""
