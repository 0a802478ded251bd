"""The dialect of slip templates as tables in English and in Russian, from ``slips/template.xsd``."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from blocks.tables import table
from slips.dialect import dialect

if TYPE_CHECKING:
    from collections.abc import Iterator

_XS = {"xs": "http://www.w3.org/2001/XMLSchema"}
_SCHEMA = ET.fromstring(files("slips").joinpath("template.xsd").read_bytes())  # noqa: S314 - our own file
_LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"

_WORDS = {
    "text": "текст",
    "word": "слово",
    "money": "деньги",
    "moment": "время",
    "card": "карта",
    "any text": "любой текст",
    "operations and names": "операции и имена",
    "Element | Attributes | Prints": "Элемент | Атрибуты | Печатает",
    "Attribute | Values | Meaning": "Атрибут | Значения | Смысл",
    "Name | Kind | What it is": "Имя | Вид | Что это",
    "Filter | Fits | Prints": "Фильтр | Для чего | Печатает",
    "An entry of the account that was sent with the receipt.": "Значение поля account, отправленного с чеком.",
    "The title of that entry.": "Название этого поля.",
}


def elements_table(language: str) -> str:
    """Return the table of the elements."""
    rules = dialect().elements
    rows = [(f"`<{name}>`", _codes(rules[name].attributes), text) for name, text in _meanings("element", language)]
    return _table("Element | Attributes | Prints", language, rows)


def attributes_table(language: str) -> str:
    """Return the table of the attributes."""
    others = {"label": _said("any text", language), "when": _said("operations and names", language)}
    values = {name: _codes(allowed) for name, allowed in dialect().values.items()} | others
    rows = [(f"`{name}`", values[name], text) for name, text in _meanings("attribute", language)]
    return _table("Attribute | Values | Meaning", language, rows)


def fields_table(language: str) -> str:
    """Return the table of the names that a placeholder may use."""
    kinds = {name: _said(field.kind.value, language) for name, field in dialect().fields.items()}
    rows = [(f"`{name}`", kinds[name], text) for name, text in _meanings("enumeration", language, "[@name='field']")]
    for name, text in (
        ("receipt.account.NAME", "An entry of the account that was sent with the receipt."),
        ("receipt.account.NAME.title", "The title of that entry."),
    ):
        rows.append((f"`{name}`", _said("text", language), _said(text, language)))
    return _table("Name | Kind | What it is", language, rows)


def filters_table(language: str) -> str:
    """Return the table of the filters."""
    rows = []
    for name, text in _meanings("enumeration", language, "[@name='filter']"):
        kinds = [_said(kind.value, language) for kind, names in dialect().filters.items() if name in names]
        rows.append((f"`{name}`", ", ".join(kinds), text))
    return _table("Filter | Fits | Prints", language, rows)


def _meanings(tag: str, language: str, declared: str = "") -> Iterator[tuple[str, str]]:
    """Yield the name of everything of a kind that has a documentation in a language, and the documentation."""
    for each in _SCHEMA.findall(f"./*{declared}//xs:{tag}", _XS):
        for text in each.findall("./xs:annotation/xs:documentation", _XS):
            if text.get(_LANGUAGE) == language:
                yield each.get("name", each.get("value", "")), text.text or ""


def _said(english: str, language: str) -> str:
    return english if language == "en" else _WORDS[english]


def _codes(values: tuple[str, ...]) -> str:
    return ", ".join(f"`{value}`" for value in values)


def _table(head: str, language: str, rows: list[tuple[str, str, str]]) -> str:
    return table(tuple(_said(head, language).split(" | ")), *rows)
