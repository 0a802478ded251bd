"""Fill a template, and convert the filled slip to a tree for the schema and to an XML document.

A value is always text and never becomes markup.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, NamedTuple
from xml.etree import ElementTree as ET

from slips.characters import squeezed
from slips.dialect import MAX_TEXT_LENGTH, OPERATIONS, ROOT
from slips.errors import SlipError
from slips.values import apply_filter

if TYPE_CHECKING:
    from slips.template import Pieces, Template
    from slips.values import Values

_fits_barcode = re.compile("[ -~]{1,80}").fullmatch


class Part(NamedTuple):
    """One element of a filled slip.

    Attributes:
        element: its name.
        attributes: its attributes.
        text: its text.
    """

    element: str
    attributes: dict[str, str]
    text: str = ""


@dataclass(frozen=True)
class FilledSlip:
    """What is printed, from top to bottom.

    Attributes:
        operation: ``pay``, ``cancel`` or ``refund``.
        parts: its elements.
    """

    operation: str
    parts: tuple[Part, ...]


@dataclass(frozen=True)
class RenderedSlip:
    """A slip, ready to print.

    Attributes:
        xml: the filled document.
        lines: the same as text lines, at most as wide as requested.
    """

    xml: str
    lines: tuple[str, ...]


def fill(template: Template, values: Values) -> FilledSlip:
    """Return the filled slip.

    Raises:
        SlipError: the operation is unknown, or there is nothing to print.
    """
    operation = values.operation
    if operation not in OPERATIONS:
        raise SlipError(f"operation must be one of {', '.join(OPERATIONS)}")
    parts: list[Part] = []
    for node in template.nodes[operation]:
        if not values.are_present(node.needed):
            continue
        text = _filled(node.text, values)
        if node.needs_text and not text:
            continue
        part = Part(node.element, node.attributes, text)
        if node.label is not None:
            part = part._replace(attributes={**node.attributes, "label": _filled(node.label, values)})
        if node.element == "barcode" and not _fits_barcode(text):
            # Code 128 can't hold the text: print it as a line.
            part = part._replace(element="line")
        parts.append(part)
    if not parts:
        raise SlipError(f"{template.source}: nothing is left to print for the operation {operation!r}")
    return FilledSlip(operation, tuple(parts))


def to_tree(slip: FilledSlip) -> ET.Element:
    """Return the slip as a tree, for validation."""
    root = ET.Element(ROOT, {"operation": slip.operation})
    for part in slip.parts:
        ET.SubElement(root, part.element, part.attributes).text = part.text or None
    return root


def to_xml(slip: FilledSlip) -> str:
    """Return the slip as a document, one element per line; ElementTree's writer is slower than all the rest."""
    lines = ['<?xml version="1.0" encoding="UTF-8"?>', f'<{ROOT} operation="{slip.operation}">']
    for element, attributes, text in slip.parts:
        opening = "".join([element, *(f' {name}="{escape(value)}"' for name, value in attributes.items())])
        lines.append(f"  <{opening}>{escape(text, quote=False)}</{element}>" if text else f"  <{opening}/>")
    return "\n".join([*lines, f"</{ROOT}>\n"])


def _filled(pieces: Pieces, values: Values) -> str:
    texts = [each if isinstance(each, str) else apply_filter(values[each.field], each.filter_name) for each in pieces]
    if len(texts) == 1:
        return texts[0]
    # A placeholder that turned out empty leaves two spaces behind; digits of a card may meet only here.
    filled = values.redacted(squeezed("".join(texts)))
    return filled if len(filled) <= MAX_TEXT_LENGTH else filled[: MAX_TEXT_LENGTH - 1] + "…"
