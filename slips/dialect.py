"""The dialect of templates: which elements there are, and which attributes each may have.

``template.xsd`` says the same to an XML editor; the tests hold the two together.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ATTRIBUTE_VALUES", "ELEMENTS", "MAX_TEXT_LENGTH", "ROOT", "ROOT_ATTRIBUTES", "STYLE", "ElementRule"]

ROOT = "slip"
MAX_TEXT_LENGTH = 2000


@dataclass(frozen=True)
class ElementRule:
    """What an element may hold.

    Attributes:
        attributes: names of the attributes that it may have.
        required: those of them that it must have.
        has_text: whether it has text; without it is empty.
        needs_text: whether its text must not be empty.
    """

    attributes: tuple[str, ...] = ("when",)
    required: tuple[str, ...] = ()
    has_text: bool = False
    needs_text: bool = False


ELEMENTS: dict[str, ElementRule] = {
    "line": ElementRule(attributes=("align", "bold", "size", "when"), has_text=True),
    "pair": ElementRule(attributes=("label", "bold", "size", "when"), required=("label",), has_text=True),
    "rule": ElementRule(),
    "blank": ElementRule(),
    "qr": ElementRule(attributes=("align", "when"), has_text=True, needs_text=True),
    "barcode": ElementRule(attributes=("align", "when"), has_text=True, needs_text=True),
    "cut": ElementRule(),
}

ROOT_ATTRIBUTES = ("language",)

ATTRIBUTE_VALUES: dict[str, tuple[str, ...]] = {
    "align": ("left", "center", "right"),
    "bold": ("true", "false"),
    "size": ("normal", "double"),
    "language": ("ru", "uz", "uz-Cyrl", "en"),
}

STYLE = ("align", "bold", "size")
"""The attributes that a filled slip keeps as they are."""
