"""A template: read once, every mistake told with its place, then ready to be filled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from slips.characters import clean, composed, first_unprintable, plain_spaces, squeezed, visible
from slips.dialect import ATTRIBUTE_VALUES, ELEMENTS, MAX_TEXT_LENGTH, ROOT, ROOT_ATTRIBUTES, STYLE, ElementRule
from slips.document import Part, part_of
from slips.errors import TemplateFault
from slips.source import XML_SPACES, Place, Position, Source
from slips.vocabulary import FIELDS, FILTERS, OPERATIONS, Field, Kind, find_field, nearest_name, refusal_of

if TYPE_CHECKING:
    from xml.etree import ElementTree as ET

__all__ = ["NOTHING", "Composite", "Node", "Placeholder", "Template", "compile_template"]

_MOST_FAULTS = 100
_MOST_CONDITIONS = 20
_LONGEST_SHOWN = 60
_PLACEHOLDER = re.compile(r"\$\{([^{}]*)\}")
_BRACE = re.compile(r"[{}]")
_SPACES = re.compile(" +")
_WORD = re.compile(f"[^{XML_SPACES}]+")
_NATURAL_FILTER = {Kind.MONEY: "money", Kind.CARD: "mask"}
"""Filters that say what happens anyway."""
_ALL_FILTERS = tuple(sorted({name for names in FILTERS.values() for name in names}))


@dataclass(frozen=True)
class Placeholder:
    """A hole in a text: the field that fills it, and the filter that it goes through."""

    field: Field
    filter_name: str | None


@dataclass(frozen=True)
class Composite:
    """A text with holes.

    Attributes:
        pieces: its literal pieces and placeholders, in their order.
        constant: the whole text where it has no placeholder, as it is printed; else None.
        only: the field that is all of the text, without a filter; else None.
    """

    pieces: tuple[str | Placeholder, ...] = ()
    constant: str | None = ""
    only: Field | None = None


NOTHING = Composite()

_PositionOf = Callable[[int], Position]
"""Where the character at an offset of a text stands."""

_Where = Callable[[], Position]
"""Where something stands; found out only if it is a fault."""


@dataclass(frozen=True)
class Node:
    """One element of a template, checked.

    Attributes:
        part: its name with the attributes that a filled slip keeps, a label without placeholders among them.
        text: its text.
        label: the label of a pair whose label has placeholders; else None.
        operations: print it for these operations only.
        needed: print it only where all of these fields are present.
        is_simple: whether its part is printed as it is, whatever the text.
        always: its part and text where no payment changes either; else None.
    """

    part: Part
    text: Composite = NOTHING
    label: Composite | None = None
    operations: frozenset[str] = frozenset(OPERATIONS)
    needed: tuple[Field, ...] = ()
    is_simple: bool = True
    always: tuple[Part, str] | None = None


@dataclass(frozen=True)
class Template:
    """A template without mistakes.

    Attributes:
        source: path of the file, or the name of the shipped template.
        language: picks words and the server's texts.
        nodes: its elements by operation.
    """

    source: str
    language: str
    nodes: dict[str, tuple[Node, ...]]


class _Faults:
    """Collects mistakes, up to a number that a person can still read."""

    def __init__(self) -> None:
        self.found: list[TemplateFault] = []

    @property
    def are_many(self) -> bool:
        return len(self.found) >= _MOST_FAULTS

    def add(self, position: Position, reason: str, nearest: str | None = None) -> None:
        if not self.are_many:
            self.found.append(TemplateFault(*position, reason, nearest))


def compile_template(source: Source, name: str, language: str) -> tuple[Template, tuple[TemplateFault, ...]]:
    """Return the template in ``source``, and its mistakes in the order of the file; use it only if there are none."""
    faults = _Faults()
    root = source.root
    place = source.places[root]
    if root.tag != ROOT:
        faults.add(place.start, f"the root element is <{_shown(root.tag)}>; allowed is <{ROOT}>")
    _check_attributes(root, place, ROOT_ATTRIBUTES, (), faults)
    for position in _loose_text(source):
        faults.add(position, "text stands outside of an element; put it into <line>")
    nodes = []
    for element in root:
        if faults.are_many:
            break
        nodes.append(_node(element, source, faults))
    if not len(root):
        faults.add(place.start, "the template is empty; at least one element is needed")
    ordered = sorted(faults.found, key=lambda fault: (fault.line, fault.column))
    by_operation = {word: tuple(node for node in nodes if word in node.operations) for word in OPERATIONS}
    return Template(name, root.get("language", language), by_operation), tuple(ordered)


def _loose_text(source: Source) -> Iterator[Position]:
    root = source.root
    text = root.text or ""
    if text.strip(XML_SPACES):
        yield source.places[root].of_text(len(text) - len(text.lstrip(XML_SPACES)))
    yield from source.loose_text


def _node(element: ET.Element, source: Source, faults: _Faults) -> Node:
    place = source.places[element]
    rule = ELEMENTS.get(element.tag)
    if rule is None:
        _fault_unknown_element(element, place, faults)
        return Node(part_of(element.tag, {}))
    for inner in element:
        faults.add(
            source.places[inner].start, f"<{_shown(inner.tag)}> stands inside <{element.tag}>, which holds no elements"
        )
    _check_attributes(element, place, rule.attributes, rule.required, faults)
    operations, needed = _conditions(element, place, faults)
    attributes = {name: element.attrib[name] for name in STYLE if name in element.attrib}
    label = _composite(element.get("label", ""), partial(place.of_value, "label"), faults)
    if "label" in element.attrib and label.constant is not None:
        attributes["label"] = label.constant
    part, text = part_of(element.tag, attributes), _text(element, place, rule, faults)
    is_simple = label.constant is not None and not rule.needs_text
    return Node(
        part=part,
        text=text,
        label=label if label.constant is None else None,
        operations=operations,
        needed=needed,
        is_simple=is_simple,
        always=(part, text.constant) if is_simple and text.constant is not None else None,
    )


def _fault_unknown_element(element: ET.Element, place: Place, faults: _Faults) -> None:
    if element.tag.startswith("{"):
        faults.add(place.start, f"<{_shown(element.tag)}> is in a namespace; the dialect has none")
        return
    allowed = tuple(ELEMENTS)
    faults.add(
        place.start,
        f"unknown element <{_shown(element.tag)}>; allowed: {', '.join(allowed)}",
        nearest_name(element.tag, allowed),
    )


def _check_attributes(
    element: ET.Element, place: Place, allowed: tuple[str, ...], required: tuple[str, ...], faults: _Faults
) -> None:
    for name, value in element.attrib.items():
        if faults.are_many:
            return
        position = place.of_attribute(name)
        if name not in allowed:
            faults.add(
                position,
                f"<{_shown(element.tag)}> has no attribute {_shown(name)!r}; allowed: {', '.join(allowed)}",
                nearest_name(name, allowed),
            )
        elif name in ATTRIBUTE_VALUES and value not in ATTRIBUTE_VALUES[name]:
            values = ATTRIBUTE_VALUES[name]
            reason = f"{name} is {_shown(value)!r}; allowed: {', '.join(values)}"
            faults.add(position, reason, nearest_name(value, values))
    for name in required:
        if name not in element.attrib:
            faults.add(place.start, f"<{element.tag}> lacks the attribute {name!r}")


def _conditions(element: ET.Element, place: Place, faults: _Faults) -> tuple[frozenset[str], tuple[Field, ...]]:
    """Return the operations and the fields that ``when`` names."""
    when = element.get("when")
    if when is None:
        return frozenset(OPERATIONS), ()
    words = list(_WORD.finditer(when))
    if not words:
        faults.add(place.of_attribute("when"), f"when is empty; allowed: {', '.join(OPERATIONS)} and names of fields")
    if len(words) > _MOST_CONDITIONS:
        faults.add(place.of_attribute("when"), f"when has more than {_MOST_CONDITIONS} words")
        return frozenset(OPERATIONS), ()
    operations = frozenset(word[0] for word in words if word[0] in OPERATIONS)
    names = [word for word in words if word[0] not in OPERATIONS]
    fields = [_field_of(name[0], partial(place.of_value, "when", name.start()), faults, OPERATIONS) for name in names]
    return operations or frozenset(OPERATIONS), tuple(found for found in fields if found is not None)


def _text(element: ET.Element, place: Place, rule: ElementRule, faults: _Faults) -> Composite:
    text = element.text or ""
    if not rule.has_text:
        if text:
            faults.add(place.start, f"<{element.tag}> holds no text, not even spaces; write <{element.tag}/>")
        return NOTHING
    if rule.needs_text and not text.strip():
        faults.add(place.start, f"<{element.tag}> is empty; it needs a text")
    return _composite(text, place.of_text, faults)


def _composite(text: str, position_of: _PositionOf, faults: _Faults) -> Composite:
    """Split a text into literal pieces and placeholders."""
    if len(text) > MAX_TEXT_LENGTH or len(composed(text)) > MAX_TEXT_LENGTH:
        faults.add(position_of(0), f"a text has more than {MAX_TEXT_LENGTH} characters")
        return NOTHING
    pieces: list[str | Placeholder] = []
    end = 0
    for found in _PLACEHOLDER.finditer(text):
        pieces += _literal(text, end, found.start(), position_of, faults)
        placeholder = _placeholder(found[1], partial(position_of, found.start()), faults)
        if placeholder is not None:
            pieces.append(placeholder)
        end = found.end()
    pieces += _literal(text, end, len(text), position_of, faults)
    if all(isinstance(piece, str) for piece in pieces):
        return Composite(tuple(pieces), squeezed("".join(map(str, pieces))))
    only = pieces[0] if len(pieces) == 1 else None
    field = only.field if isinstance(only, Placeholder) and only.filter_name is None else None
    return Composite(tuple(pieces), None, field)


def _literal(text: str, begin: int, end: int, position_of: _PositionOf, faults: _Faults) -> list[str]:
    brace = _BRACE.search(text, begin, end)
    if brace:
        reason = f"a brace {brace[0]!r} that belongs to no placeholder; a placeholder looks like ${{amount|money}}"
        faults.add(position_of(brace.start()), reason)
    literal = plain_spaces(text[begin:end])
    unprintable = first_unprintable(literal)
    if unprintable is not None:
        reason = f"the character {visible(literal[unprintable])} can't be printed"
        faults.add(position_of(begin + unprintable), reason)
    return [composed(_SPACES.sub(" ", literal))] if literal else []


def _placeholder(body: str, where: _Where, faults: _Faults) -> Placeholder | None:
    name, bar, filter_text = body.partition("|")
    found = _field_of(name.strip(XML_SPACES), where, faults)
    if not bar:
        return Placeholder(found, None) if found else None
    filter_name = filter_text.strip(XML_SPACES)
    if found and filter_name == _NATURAL_FILTER.get(found.kind):
        return Placeholder(found, None)
    allowed = FILTERS[found.kind] if found else _ALL_FILTERS
    if filter_name not in allowed:
        subject = f"{found.name} ({found.kind.value})" if found else "a placeholder"
        reason = f"filter {_shown(filter_name)!r} does not fit {subject}; allowed: {', '.join(allowed)}"
        if filter_name not in _ALL_FILTERS:
            reason = f"unknown filter {_shown(filter_name)!r}; allowed for {subject}: {', '.join(allowed)}"
        faults.add(where(), reason, nearest_name(filter_name, allowed))
        return None
    return Placeholder(found, filter_name) if found else None


def _field_of(name: str, where: _Where, faults: _Faults, also: tuple[str, ...] = ()) -> Field | None:
    found = find_field(name)
    if found is None and not faults.are_many:
        refusal = refusal_of(name)
        if refusal:
            faults.add(where(), f"{_shown(name)!r}: {refusal}")
        else:
            faults.add(where(), f"unknown name {_shown(name)!r}", nearest_name(name, (*also, *FIELDS)))
    return found


def _shown(text: str) -> str:
    """Return a name out of the file as a fault may show it: short, and without what a terminal would obey."""
    text = clean(text)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 1] + "…"
