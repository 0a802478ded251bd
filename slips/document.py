"""A filled slip: made from a template and a payment's data; as a tree for the schema and as the text of a document.

A value is always text, and can never become markup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from slips.characters import squeezed, text_width
from slips.dialect import MAX_TEXT_LENGTH, ROOT
from slips.errors import SlipError
from slips.values import apply_filter
from slips.vocabulary import OPERATIONS

if TYPE_CHECKING:
    from slips.template import Composite, Node, Template
    from slips.values import Values

__all__ = ["FilledSlip", "Part", "RenderedSlip", "fill", "part_of", "to_tree", "to_xml"]

_fits_barcode = re.compile("[ -~]{1,80}").fullmatch
_has_no_markup = re.compile('[^&<>"]*').fullmatch


@dataclass(frozen=True)
class Part:
    """An element without its text; a template makes it once, and every slip uses it again.

    Attributes:
        element: its name.
        attributes: its attributes.
        opening: its name and attributes as they stand in a document.
        label: the label of a pair, else empty.
        label_width: columns that the label takes.
    """

    element: str
    attributes: dict[str, str]
    opening: str
    label: str
    label_width: int


@dataclass(frozen=True)
class FilledSlip:
    """What is printed, from top to bottom.

    Attributes:
        operation: ``pay``, ``cancel`` or ``refund``.
        parts: each element with its text.
    """

    operation: str
    parts: tuple[tuple[Part, str], ...]


@dataclass(frozen=True)
class RenderedSlip:
    """A slip, ready to print.

    Attributes:
        xml: the filled document.
        lines: the same as text lines, none wider than was asked for.
    """

    xml: str
    lines: tuple[str, ...]


def part_of(element: str, attributes: dict[str, str]) -> Part:
    """Return the part of that name with those attributes."""
    named = "".join([f' {name}="{_escaped(value)}"' for name, value in attributes.items()])
    label = attributes.get("label", "")
    return Part(element, attributes, f"{element}{named}", label, text_width(label))


def fill(template: Template, values: Values) -> FilledSlip:
    """Return the filled slip.

    Raises:
        SlipError: the operation is none of the three, or no element is left to print.
    """
    operation = values.operation
    if operation not in OPERATIONS:
        message = f"operation must be one of {', '.join(OPERATIONS)}"
        raise SlipError(message)
    parts: list[tuple[Part, str]] = []
    for node in template.nodes[operation]:
        if node.needed and not values.are_present(node.needed):
            continue
        if node.always is not None:
            parts.append(node.always)
            continue
        text = node.text.constant
        if text is None:
            text = values[node.text.only] if node.text.only is not None else _filled(node.text, values)
        if node.is_simple:
            parts.append((node.part, text))
        else:
            parts += _special(node, text, values)
    if not parts:
        message = f"{template.source}: nothing is left to print for the operation {operation!r}"
        raise SlipError(message)
    return FilledSlip(operation, tuple(parts))


def to_tree(slip: FilledSlip) -> ET.Element:
    """Return the slip as a tree, for a schema to look at."""
    root = ET.Element(ROOT, {"operation": slip.operation})
    for part, text in slip.parts:
        child = ET.SubElement(root, part.element, part.attributes)
        if text:
            child.text = text
    return root


def to_xml(slip: FilledSlip) -> str:
    """Return the slip as a document, one element a line; it says what ``to_tree`` says.

    ElementTree's own writer takes six times as long for a slip. There are no control characters in it, so the signs of
    markup are all that is to be escaped.
    """
    escaped = str if _has_no_markup("".join([text for _, text in slip.parts])) else _escaped
    lines = [
        f"  <{part.opening}>{escaped(text)}</{part.element}>\n" if text else f"  <{part.opening}/>\n"
        for part, text in slip.parts
    ]
    head = f'<?xml version="1.0" encoding="UTF-8"?>\n<{ROOT} operation="{slip.operation}">\n'
    return f"{head}{''.join(lines)}</{ROOT}>\n"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _special(node: Node, text: str, values: Values) -> list[tuple[Part, str]]:
    """Return a part that depends on the values: a pair whose label has placeholders, a code."""
    part = node.part
    if node.label is not None:
        label = _filled(node.label, values)
        return [(part_of(part.element, {**part.attributes, "label": label}), text)]
    if not text:
        return []
    if part.element == "barcode" and not _fits_barcode(text):
        # An honest line is better than a code that no scanner reads back as it was.
        part = part_of("line", part.attributes)
    return [(part, text)]


def _filled(text: Composite, values: Values) -> str:
    pieces = []
    for piece in text.pieces:
        if isinstance(piece, str):
            pieces.append(piece)
        elif piece.filter_name is None:
            pieces.append(values[piece.field])
        else:
            pieces.append(apply_filter(values[piece.field], piece.filter_name))
    # A placeholder that turned out empty leaves two spaces behind.
    filled = pieces[0] if len(pieces) == 1 else squeezed("".join(pieces))
    return filled if len(filled) <= MAX_TEXT_LENGTH else filled[: MAX_TEXT_LENGTH - 1] + "…"
