"""The dialect of slip templates as tables, from the sources that check a template: in English and in Russian."""

from __future__ import annotations

from slips import FIELDS, FILTERS, Field, Kind
from slips.dialect import ATTRIBUTE_VALUES, ELEMENTS

__all__ = ["attributes_table", "elements_table", "fields_table", "filters_table"]

ENGLISH, RUSSIAN = "en", "ru"

_HEADS = {
    "elements": {ENGLISH: "| Element | Attributes | Prints |", RUSSIAN: "| Элемент | Атрибуты | Печатает |"},
    "attributes": {
        ENGLISH: "| Attribute | Values | Meaning |",
        RUSSIAN: "| Атрибут | Значения | Смысл |",
    },
    "fields": {ENGLISH: "| Name | Kind | What it is |", RUSSIAN: "| Имя | Вид | Что это |"},
    "filters": {ENGLISH: "| Filter | Fits | Prints |", RUSSIAN: "| Фильтр | Подходит к | Печатает |"},
}

_ELEMENTS = {
    "line": {
        ENGLISH: "A text, broken between words where it is too long for one line; empty, a blank line.",
        RUSSIAN: "Текст; длинный переносится по словам. Без текста: пустая строка.",
    },
    "pair": {
        ENGLISH: "The label at the left, the text at the right, or below it where both don't fit into one line.",
        RUSSIAN: "Подпись слева, текст справа; если вместе не помещаются, текст уходит на следующую строку.",
    },
    "rule": {ENGLISH: "A line of dashes.", RUSSIAN: "Черту из дефисов."},
    "blank": {ENGLISH: "A blank line.", RUSSIAN: "Пустую строку."},
    "qr": {
        ENGLISH: "A QR code of its text; in plain lines the text behind `[QR]`. An empty text prints nothing.",
        RUSSIAN: "QR-код текста; в строках текст после `[QR]`. Если текст оказался пустым, ничего.",
    },
    "barcode": {
        ENGLISH: "A Code 128 barcode of 1 to 80 ASCII characters; in plain lines the text behind `[BARCODE]`; "
        "a text that is none prints as a `line`.",
        RUSSIAN: "Штрихкод Code 128 из 1-80 знаков ASCII; в строках текст после `[BARCODE]`. "
        "Если текст для него не годится, печатается как `line`.",
    },
    "cut": {
        ENGLISH: "The place where the paper is cut or torn: in plain lines a row of `- - -`.",
        RUSSIAN: "Место отреза бумаги; в строках ряд `- - -`.",
    },
}

_ATTRIBUTES = {
    "label": {ENGLISH: "The left half of a pair; it must be there.", RUSSIAN: "Левая часть пары; обязателен."},
    "align": {
        ENGLISH: "Where the text stands; `left` unless given.",
        RUSSIAN: "Где стоит текст; если не задан, `left` (слева).",
    },
    "bold": {
        ENGLISH: "Bold, where it is drawn; plain lines have one weight.",
        RUSSIAN: "Жирный, где слип рисуется; в строках начертание одно.",
    },
    "size": {
        ENGLISH: "Double size, where it is drawn; plain lines have one size.",
        RUSSIAN: "Двойной размер, где слип рисуется; в строках размер один.",
    },
    "when": {
        ENGLISH: "Print the element only then; see below.",
        RUSSIAN: "Печатать элемент только тогда; см. ниже.",
    },
    "language": {
        ENGLISH: "Of the root alone: the language of `${operation}`, `${status}` and the server's own texts; "
        "`ru` unless given.",
        RUSSIAN: "Только у `slip`: язык `${operation}`, `${status}` и текстов сервера; если не задан, `ru`.",
    },
}

_KINDS = {
    Kind.TEXT: {ENGLISH: "text", RUSSIAN: "текст"},
    Kind.WORD: {ENGLISH: "word", RUSSIAN: "слово"},
    Kind.MONEY: {ENGLISH: "money", RUSSIAN: "деньги"},
    Kind.MOMENT: {ENGLISH: "moment", RUSSIAN: "время"},
    Kind.CARD: {ENGLISH: "card", RUSSIAN: "карта"},
}

_FILTERS = {
    "money": {
        ENGLISH: "Sums with two decimals, thousands separated: `15 000.00`. Money prints so without it too.",
        RUSSIAN: "Сумы с двумя знаками, тысячи раздельно: `15 000.00`. Без фильтра так же.",
    },
    "date": {ENGLISH: "The day alone: `31.01.2026`.", RUSSIAN: "Только день: `31.01.2026`."},
    "time": {ENGLISH: "The time alone: `14:33:16`.", RUSSIAN: "Только время: `14:33:16`."},
    "upper": {ENGLISH: "CAPITAL LETTERS.", RUSSIAN: "ЗАГЛАВНЫЕ БУКВЫ."},
    "mask": {
        ENGLISH: "A card: at most its first six and last four digits, without it too. "
        "A text: its last four characters.",
        RUSSIAN: "У карты не больше первых шести и последних четырёх цифр, без фильтра так же. "
        "У текста последние четыре знака.",
    },
}

_FIELDS_RU = {
    "operation": "Что сделано, на языке шаблона: оплата, отмена оплаты, возврат.",
    "status": "Чем кончилось, на языке шаблона.",
    "amount": "Сумма оплаты, отмены или возврата.",
    "receipt_id": "Номер чека в Payme, 24 знака.",
    "payment_id": "Номер оплаты, который дала касса.",
    "paid_at": "Когда покупатель заплатил.",
    "reversed_at": "Когда оплата отменена или возвращена.",
    "till": "Имя или номер кассы.",
    "shift": "Номер смены.",
    "number": "Номер чека в смене.",
    "sale.till": "Касса, на которой была продажа (при возврате).",
    "sale.shift": "Смена, в которой была продажа (при возврате).",
    "sale.number": "Номер чека продажи (при возврате).",
    "receipt._id": "То же, что receipt_id, как его прислал сервер.",
    "receipt.create_time": "Когда чек создан в Payme.",
    "receipt.pay_time": "Когда чек оплачен, по часам сервера.",
    "receipt.cancel_time": "Когда чек отменён, по часам сервера.",
    "receipt.state": "Состояние числом: 4 оплачен, 21 ждёт возврата, 50 отменён.",
    "receipt.amount": "Сумма, как её прислал сервер.",
    "receipt.commission": "Комиссия, которую Payme взял с покупателя сверх суммы, если взял.",
    "receipt.currency": "Номер валюты: 860 это сум.",
    "receipt.description": "Описание, отправленное с чеком.",
    "receipt.processing_id": "Номер оплаты в процессинге.",
    "receipt.card.number": "Карта покупателя: не больше первых шести и последних четырёх цифр.",
    "receipt.merchant._id": "Код кассы в Payme.",
    "receipt.merchant.name": "Название магазина в Payme.",
    "receipt.merchant.organization": "Организация.",
    "receipt.merchant.address": "Адрес магазина.",
    "receipt.merchant.business_id": "Код организации в Payme.",
    "receipt.merchant.type": "Вид магазина.",
    "receipt.merchant.epos.merchantId": "Номер продавца в банке.",
    "receipt.merchant.epos.terminalId": "Номер терминала в банке.",
}

_ACCOUNT = (
    (
        "receipt.account.NAME",
        {
            ENGLISH: "An entry of the account that was sent with the receipt.",
            RUSSIAN: "Поле account, отправленное с чеком.",
        },
    ),
    ("receipt.account.NAME.title", {ENGLISH: "The title of that entry.", RUSSIAN: "Название этого поля."}),
)


def elements_table(language: str) -> str:
    """Return the table of the elements."""
    rows = [
        (f"`<{name}>`", ", ".join(f"`{each}`" for each in rule.attributes), _ELEMENTS[name][language])
        for name, rule in ELEMENTS.items()
    ]
    return _table("elements", language, rows)


def attributes_table(language: str) -> str:
    """Return the table of the attributes."""
    any_text = {ENGLISH: "any text", RUSSIAN: "любой текст"}
    conditions = {ENGLISH: "operations and names", RUSSIAN: "операции и имена"}
    rows = []
    for name, meaning in _ATTRIBUTES.items():
        values = ATTRIBUTE_VALUES.get(name)
        shown = (conditions if name == "when" else any_text)[language] if values is None else _codes(values)
        rows.append((f"`{name}`", shown, meaning[language]))
    return _table("attributes", language, rows)


def fields_table(language: str) -> str:
    """Return the table of the names that a placeholder may use."""
    rows = [(f"`{field.name}`", _KINDS[field.kind][language], _meaning(field, language)) for field in FIELDS.values()]
    rows += [(f"`{name}`", _KINDS[Kind.TEXT][language], meaning[language]) for name, meaning in _ACCOUNT]
    return _table("fields", language, rows)


def filters_table(language: str) -> str:
    """Return the table of the filters."""
    rows = []
    for name, meaning in _FILTERS.items():
        kinds = [_KINDS[kind][language] for kind, names in FILTERS.items() if name in names]
        rows.append((f"`{name}`", ", ".join(kinds), meaning[language]))
    return _table("filters", language, rows)


def _meaning(field: Field, language: str) -> str:
    return field.meaning if language == ENGLISH else _FIELDS_RU[field.name]


def _codes(values: tuple[str, ...]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _table(head: str, language: str, rows: list[tuple[str, str, str]]) -> str:
    return "\n".join([_HEADS[head][language], "|---|---|---|", *("| " + " | ".join(row) + " |" for row in rows)])
