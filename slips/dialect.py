"""The dialect of templates, as ``template.xsd`` defines it: elements, attributes, names of fields, filters.

A template can print only these names. The buyer's phone is never one of them.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from slips.source import read_packaged, read_xml

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

ROOT = "slip"
OPERATIONS = ("pay", "cancel", "refund")
MAX_TEXT_LENGTH = 2000

_XS = {"xs": "http://www.w3.org/2001/XMLSchema"}
_ACCOUNT_HINT = "receipt.account.NAME"
_LONGEST_NAME = 100


class Kind(Enum):
    """The kind of a field's value; it decides how the value is printed and which filters fit."""

    TEXT = "text"
    WORD = "word"
    MONEY = "money"
    MOMENT = "moment"
    CARD = "card"


@dataclass(frozen=True)
class ElementRule:
    """What an element may contain.

    Attributes:
        attributes: names of the attributes that it may have.
        required: names of the attributes that it must have.
        has_text: whether it may have text.
        needs_text: whether its text must not be empty.
    """

    attributes: tuple[str, ...]
    required: tuple[str, ...]
    has_text: bool
    needs_text: bool


@dataclass(frozen=True, eq=False)
class Field:
    """A field that a template may name. Fields are compared by identity, which makes the hash fast.

    Attributes:
        name: as in a template, e.g. ``receipt.card.number``.
        kind: the kind of its value.
        paths: where its value may be, in the order of the look-up.
        account: name of its entry in ``receipt.account``; empty for any other field.
        account_part: ``value`` or ``title``.
    """

    name: str
    kind: Kind
    paths: tuple[tuple[str, ...], ...]
    account: str = ""
    account_part: str = "value"


class Dialect:
    """The dialect that a schema of templates defines.

    Attributes:
        elements: the rule of each element, by its name.
        root_attributes: names of the attributes of the root.
        values: the allowed values of each attribute that has a fixed set of them.
        fields: the fixed names; ``receipt.account.NAME`` and ``receipt.account.NAME.title`` are allowed too.
        filters: the filters that fit each kind. Money and cards are always printed as with their filter.
    """

    def __init__(self, schema: ET.Element) -> None:
        types = {each.get("name", ""): each for each in schema if each.get("name") != ROOT}
        (root,) = schema.findall("xs:element", _XS)
        attributes = schema.findall(".//xs:attribute", _XS)
        self.elements = {each.get("name", ""): _rule(each, types) for each in root.findall(".//xs:element", _XS)}
        self.root_attributes = tuple(each.get("name", "") for each in root.findall(".//xs:attribute", _XS))
        allowed = {each.get("name", ""): tuple(_entries(types[each.get("type", "")])) for each in attributes}
        self.values = {name: values for name, values in allowed.items() if values}
        self.fields = {name: _field(name, *words) for name, words in _entries(types["field"]).items()}
        fits = _entries(types["filter"])
        self.filters = {kind: tuple(name for name, words in fits.items() if kind.value in words) for kind in Kind}
        (pattern,) = types["accountField"].findall(".//xs:pattern", _XS)
        self._is_account_field = re.compile(pattern.get("value", "")).fullmatch
        self._account_fields: dict[str, Field] = {}

    def find_field(self, name: str) -> Field | None:
        """Return the field of that name, or None; always the same object for a name."""
        if name in self.fields or refusal_of(name) or not self._is_account_field(name):
            return self.fields.get(name)
        _, _, account, *title = name.split(".")
        field = Field(name, Kind.TEXT, (("receipt", "account"),), account, "title" if title else "value")
        return self._account_fields.setdefault(name, field)


def _rule(element: ET.Element, types: dict[str, ET.Element]) -> ElementRule:
    declared = types[element.get("type", "")]
    groups = [types[each.get("ref", "")] for each in declared.findall(".//xs:attributeGroup", _XS)]
    attributes = [each for part in (declared, *groups) for each in part.findall(".//xs:attribute", _XS)]
    bases = [each.get("base") for each in declared.findall(".//xs:extension", _XS)]
    return ElementRule(
        attributes=tuple(each.get("name", "") for each in attributes),
        required=tuple(each.get("name", "") for each in attributes if each.get("use") == "required"),
        has_text=bool(bases),
        needs_text="filledText" in bases,
    )


def _entries(enumerated: ET.Element) -> dict[str, list[str]]:
    """Return the values that a type allows, each with the words in its ``appinfo``."""
    return {
        each.get("value", ""): "".join(info.text or "" for info in each.findall(".//xs:appinfo", _XS)).split()
        for each in enumerated.findall(".//xs:enumeration", _XS)
    }


def _field(name: str, kind: str, *other_paths: str) -> Field:
    return Field(name, Kind(kind), tuple(tuple(path.split(".")) for path in (name, *other_paths)))


@lru_cache(maxsize=1)
def dialect() -> Dialect:
    """Return the dialect of this package's ``template.xsd``, read at the first call.

    Raises:
        SlipError: the file is missing or damaged, or defusedxml is missing.
    """
    return Dialect(read_xml(read_packaged(files("slips").joinpath("template.xsd"))).root)


def refusal_of(name: str) -> str | None:
    """Return the key of the reason why a field that the server sends may not be printed, or None."""
    if "phone" in name.lower():
        return "phone"
    return "card_expiry" if name == "receipt.card.expire" else None


def nearest_name(name: str, allowed: tuple[str, ...]) -> str | None:
    """Return the allowed name that is most like ``name``, or None."""
    if not name or len(name) > _LONGEST_NAME:
        return None
    for candidate in allowed:
        if candidate.endswith("." + name) or candidate.rpartition(".")[2] == name:
            return candidate
    if name.startswith(("receipt.account", "account")):
        return _ACCOUNT_HINT
    by_lower_case = {candidate.lower(): candidate for candidate in allowed}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[close[0]] if close else None
