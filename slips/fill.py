"""A template and a payment's data become a filled slip; a value is always text, and can never become markup."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from slips.characters import squeezed
from slips.dialect import MAX_TEXT_LENGTH
from slips.document import FilledSlip, Part, part_of
from slips.errors import SlipError
from slips.values import apply_filter
from slips.vocabulary import OPERATIONS

if TYPE_CHECKING:
    from slips.template import Composite, Node, Template
    from slips.values import Values

__all__ = ["fill"]

_fits_barcode = re.compile("[ -~]{1,80}").fullmatch


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
