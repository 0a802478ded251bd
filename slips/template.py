"""Compile a template: check it once, with the place of every mistake, so that it can be filled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from slips.characters import clean, composed, first_unprintable, plain_spaces, squeezed, visible
from slips.dialect import MAX_TEXT_LENGTH, OPERATIONS, ROOT, ElementRule, Field, Kind, dialect, nearest_name, refusal_of
from slips.errors import TemplateFault
from slips.source import XML_SPACES, Place, Position, Source

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

_MOST_FAULTS = 100
_MOST_CONDITIONS = 20
_LONGEST_SHOWN = 100
_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")
_BRACE = re.compile(r"[{}]")
_SPACES = re.compile(" +")
_WORD = re.compile(f"[^{XML_SPACES}]+")
_NATURAL_FILTER = {Kind.MONEY: "money", Kind.CARD: "mask"}
"""Filters that change nothing, because their kind is always printed like this."""
_NOT_PRINTED = ("label", "when")
"""Attributes that a filled slip does not keep unchanged."""


@dataclass(frozen=True)
class Placeholder:
    """A placeholder in a text: its field and its filter."""

    field: Field
    filter_name: str | None


Pieces = tuple[str | Placeholder, ...]
"""A text as its literal pieces and placeholders, in their order."""

_PositionOf = Callable[[int], Position]
"""Where the character at an offset of a text stands; asked only for a fault."""


@dataclass(frozen=True)
class Node:
    """One element of a template, checked.

    Attributes:
        element: its name.
        attributes: those that a filled slip keeps unchanged.
        text: its text.
        label: the label of a pair; None for any other element.
        operations: print it for these operations only.
        needed: print it only if all of these fields have a value.
        needs_text: print it only if it has a text.
    """

    element: str
    attributes: dict[str, str]
    text: Pieces
    label: Pieces | None = None
    operations: frozenset[str] = frozenset(OPERATIONS)
    needed: tuple[Field, ...] = ()
    needs_text: bool = False


@dataclass(frozen=True)
class Template:
    """A template without mistakes.

    Attributes:
        source: path of the file, or the name of the shipped template.
        language: language of words and of the server's texts.
        nodes: its elements by operation.
    """

    source: str
    language: str
    nodes: dict[str, tuple[Node, ...]]


class _Checker:
    """Turns the elements of a source into nodes and collects mistakes, up to a readable number."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._dialect = dialect()
        self._filters = tuple(sorted({name for names in self._dialect.filters.values() for name in names}))
        self.faults: list[TemplateFault] = []

    @property
    def has_enough(self) -> bool:
        return len(self.faults) >= _MOST_FAULTS

    def nodes(self) -> list[Node]:
        root = self._source.root
        place = self._source.places[root]
        if root.tag != ROOT:
            self._add(place.start, "wrong_root", element=root.tag)
        self._check_attributes(root, place, self._dialect.root_attributes, ())
        for position in _loose_text(self._source):
            self._add(position, "loose_text")
        if not len(root):
            self._add(place.start, "empty")
        return [self._node(element) for element in root if not self.has_enough]

    def _add(self, position: Position, key: str, nearest: str | None = None, **values: str | int) -> None:
        if not self.has_enough:
            shown = {name: _shown(value) if isinstance(value, str) else value for name, value in values.items()}
            self.faults.append(TemplateFault(*position, key, shown, nearest))

    def _node(self, element: ET.Element) -> Node:
        place = self._source.places[element]
        rule = self._dialect.elements.get(element.tag)
        if rule is None:
            allowed = tuple(self._dialect.elements)
            nearest = nearest_name(element.tag, allowed)
            self._add(place.start, "unknown_element", nearest, element=element.tag, allowed=", ".join(allowed))
            return Node(element.tag, {}, ())
        for inner in element:
            self._add(self._source.places[inner].start, "inner_element", inner=inner.tag, element=element.tag)
        self._check_attributes(element, place, rule.attributes, rule.required)
        operations, needed = self._conditions(element, place)
        label = element.get("label")
        return Node(
            element=element.tag,
            attributes={name: value for name, value in element.attrib.items() if name not in _NOT_PRINTED},
            text=self._text(element, place, rule),
            label=None if label is None else self._pieces(label, lambda _: place.of_attribute("label")),
            operations=operations,
            needed=needed,
            needs_text=rule.needs_text,
        )

    def _check_attributes(
        self, element: ET.Element, place: Place, allowed: tuple[str, ...], required: tuple[str, ...]
    ) -> None:
        for name, value in element.attrib.items():
            if self.has_enough:
                return
            values = self._dialect.values.get(name, (value,))
            found: dict[str, str] = {"attribute": name, "element": element.tag, "value": value}
            if name not in allowed:
                found["allowed"] = ", ".join(allowed)
                self._add(place.of_attribute(name), "unknown_attribute", nearest_name(name, allowed), **found)
            elif value not in values:
                found["allowed"] = ", ".join(values)
                self._add(place.of_attribute(name), "wrong_value", nearest_name(value, values), **found)
        for name in required:
            if name not in element.attrib:
                self._add(place.start, "missing_attribute", element=element.tag, attribute=name)

    def _conditions(self, element: ET.Element, place: Place) -> tuple[frozenset[str], tuple[Field, ...]]:
        """Return the operations and the fields that ``when`` names."""
        when = element.get("when")
        if when is None:
            return frozenset(OPERATIONS), ()
        words = _WORD.findall(when)
        if not words:
            self._add(place.of_attribute("when"), "when_empty", allowed=", ".join(OPERATIONS))
        if len(words) > _MOST_CONDITIONS:
            self._add(place.of_attribute("when"), "when_too_long", limit=_MOST_CONDITIONS)
            return frozenset(OPERATIONS), ()
        operations = frozenset(word for word in words if word in OPERATIONS)
        names = [word for word in words if word not in OPERATIONS]
        fields = [self._field_of(name, lambda _: place.of_attribute("when"), 0, OPERATIONS) for name in names]
        return operations or frozenset(OPERATIONS), tuple(found for found in fields if found is not None)

    def _text(self, element: ET.Element, place: Place, rule: ElementRule) -> Pieces:
        text = element.text or ""
        if not rule.has_text:
            if text:
                self._add(place.start, "text_not_allowed", element=element.tag)
            return ()
        if rule.needs_text and not text.strip():
            self._add(place.start, "text_missing", element=element.tag)
        return self._pieces(text, place.of_text)

    def _pieces(self, text: str, position_of: _PositionOf) -> Pieces:
        """Split a text into literal pieces and placeholders."""
        if len(text) > MAX_TEXT_LENGTH or len(composed(text)) > MAX_TEXT_LENGTH:
            self._add(position_of(0), "text_too_long", limit=MAX_TEXT_LENGTH)
            return ()
        pieces: list[str | Placeholder] = []
        end = 0
        for found in _PLACEHOLDER.finditer(text):
            pieces += self._literal(text, end, found.start(), position_of)
            placeholder = self._placeholder(found[1], position_of, found.start())
            if placeholder is not None:
                pieces.append(placeholder)
            end = found.end()
        pieces += self._literal(text, end, len(text), position_of)
        literal = "".join(piece for piece in pieces if isinstance(piece, str))
        return tuple(pieces) if end else (squeezed(literal),)

    def _literal(self, text: str, begin: int, end: int, position_of: _PositionOf) -> list[str]:
        brace = _BRACE.search(text, begin, end)
        if brace:
            self._add(position_of(brace.start()), "loose_brace", brace=brace[0])
        literal = plain_spaces(text[begin:end])
        unprintable = first_unprintable(literal)
        if unprintable is not None:
            self._add(position_of(begin + unprintable), "unprintable", character=visible(literal[unprintable]))
        return [composed(_SPACES.sub(" ", literal))] if literal else []

    def _placeholder(self, body: str, position_of: _PositionOf, offset: int) -> Placeholder | None:
        name, bar, filter_text = body.partition("|")
        found = self._field_of(name.strip(XML_SPACES), position_of, offset)
        if not bar:
            return Placeholder(found, None) if found else None
        filter_name = filter_text.strip(XML_SPACES)
        if found and filter_name == _NATURAL_FILTER.get(found.kind):
            return Placeholder(found, None)
        allowed = self._dialect.filters[found.kind] if found else self._filters
        if filter_name not in allowed:
            key = "unfit_filter" if filter_name in self._filters else "unknown_filter"
            values = {"filter": filter_name, "field": found.name if found else name, "allowed": ", ".join(allowed)}
            self._add(position_of(offset), key, nearest_name(filter_name, allowed), **values)
            return None
        return Placeholder(found, filter_name) if found else None

    def _field_of(self, name: str, position_of: _PositionOf, offset: int, also: tuple[str, ...] = ()) -> Field | None:
        found = self._dialect.find_field(name)
        if found is None and not self.has_enough:
            refusal = refusal_of(name)
            nearest = None if refusal else nearest_name(name, (*also, *self._dialect.fields))
            self._add(position_of(offset), refusal or "unknown_name", nearest, name=name)
        return found


def compile_template(source: Source, name: str, language: str) -> tuple[Template, tuple[TemplateFault, ...]]:
    """Return the template in ``source``, and its mistakes in the order of the file; use it only if there are none.

    Raises:
        SlipError: the schema's own file is missing or damaged.
    """
    checker = _Checker(source)
    nodes = checker.nodes()
    ordered = sorted(checker.faults, key=lambda fault: (fault.line, fault.column))
    by_operation = {word: tuple(node for node in nodes if word in node.operations) for word in OPERATIONS}
    return Template(name, source.root.get("language", language), by_operation), tuple(ordered)


def _loose_text(source: Source) -> Iterator[Position]:
    root = source.root
    text = root.text or ""
    if text.strip(XML_SPACES):
        yield source.places[root].of_text(len(text) - len(text.lstrip(XML_SPACES)))
    yield from source.loose_text


def _shown(text: str) -> str:
    """Return a name from the file as a fault may show it: short and without control characters."""
    text = clean(text)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
