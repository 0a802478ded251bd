"""What the till itself tells the cashier, in the till's language; the plugins tell the rest."""

from __future__ import annotations

import re
from enum import Enum, auto

__all__ = ["TillText", "text_of"]

_FIRST = "ru"


class TillText(Enum):
    """The keys of the texts."""

    ALREADY_REVERSED = auto()
    NOT_CHECKED = auto()


_WORDS = {
    TillText.ALREADY_REVERSED: {
        "ru": "Этот чек уже аннулирован или возвращён.\nВторой раз деньги не выдавать.",
        "uz": "Bu chek allaqachon bekor qilingan yoki qaytarilgan.\nPulni ikkinchi marta bermang.",
        "en": "This sale is annulled or refunded already.\nDo not pay the money out again.",
    },
    TillText.NOT_CHECKED: {
        "ru": "Возврат не проверен: сбой модуля оплаты.\nВозврат не закрыт. Повторите или позовите администратора.",
        "uz": "Qaytarish tekshirilmadi: toʻlov modulida nosozlik.\nQaytarish yopilmadi. Administratorni chaqiring.",
        "en": "The refund was not checked: a payment module failed.\nIt is not closed. Repeat it or call for help.",
    },
}


def text_of(text: TillText, language: str) -> str:
    """Return a text in ``ru``, ``uz`` or ``en``, a region or script after it is ignored; for any other, in Russian."""
    primary = re.split(r"[-_.@]", language, maxsplit=1)[0].lower()
    return _WORDS[text].get(primary, _WORDS[text][_FIRST])
