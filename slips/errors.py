"""What can be wrong with a template or a slip."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

TEXTS = {
    "no_such_file": "there is no such file",
    "not_a_file": "this is not a file",
    "file_unreadable": "the file can't be read: {reason}",
    "file_too_large": "the file is larger than {limit} KiB",
    "encoding_unusable": "the encoding '{encoding}' of the XML declaration can't be used; save the file in UTF-8",
    "other_encoding": "the file is not in the encoding {encoding}; save it in UTF-8",
    "other_encoding_likely": (
        "the file is not in the encoding {encoding}, it looks like {likely}: save it in UTF-8, or write {declaration} "
        "into its first line"
    ),
    "not_well_formed": "this is not well-formed XML: {reason}",
    "doctype": "a document type declaration or an entity is not allowed",
    "too_deep": "elements are nested more than {limit} deep",
    "too_many_elements": "there are more than {limit} elements",
    "too_many_runs": "there are more than {limit} lines and references",
    "wrong_root": "the root element is <{element}>; allowed is <slip>",
    "empty": "the template is empty; at least one element is needed",
    "loose_text": "text stands outside of an element; put it into <line>",
    "unknown_element": "unknown element <{element}>; allowed: {allowed}",
    "inner_element": "<{inner}> stands inside <{element}>, which holds no elements",
    "unknown_attribute": "<{element}> has no attribute '{attribute}'; allowed: {allowed}",
    "missing_attribute": "<{element}> lacks the attribute '{attribute}'",
    "wrong_value": "{attribute} is '{value}'; allowed: {allowed}",
    "when_empty": "when is empty; allowed: {allowed} and names of fields",
    "when_too_long": "when has more than {limit} words",
    "text_not_allowed": "<{element}> holds no text, not even spaces; write <{element}/>",
    "text_missing": "<{element}> is empty; it needs a text",
    "text_too_long": "a text has more than {limit} characters",
    "loose_brace": "a brace '{brace}' that belongs to no placeholder; a placeholder looks like ${amount|money}",
    "unprintable": "the character {character} can't be printed",
    "unknown_name": "unknown name '{name}'",
    "phone": "'{name}': the buyer's phone is never printed",
    "card_expiry": "'{name}': a card's expiry date is never printed",
    "unknown_filter": "unknown filter '{filter}'; allowed for {field}: {allowed}",
    "unfit_filter": "filter '{filter}' does not fit {field}; allowed: {allowed}",
    "refused_by_schema": "the schema of templates refuses this: {reason}",
}
"""What is wrong with a template and what is allowed, by its key."""

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")


class SlipError(Exception):
    """A slip can't be rendered. The text names the element, never a value."""


@dataclass(frozen=True)
class TemplateFault:
    """One mistake in a template.

    Attributes:
        line: line in the file, from 1; 0 if the fault concerns the whole file.
        column: column in the line, from 1; 0 if the fault concerns the whole file.
        key: the key of its text in ``TEXTS``.
        values: the values of the placeholders in the text.
        nearest: the allowed name that is most like the one found, or None.
    """

    line: int
    column: int
    key: str
    values: Mapping[str, object] = field(default_factory=dict)
    nearest: str | None = None

    @property
    def reason(self) -> str:
        """What is wrong and what is allowed, in English."""
        return _PLACEHOLDER.sub(lambda found: str(self.values.get(found[1], found[0])), TEXTS[self.key])

    def __str__(self) -> str:
        place = f"line {self.line}, column {self.column}: " if self.line else ""
        hint = f"; did you mean {self.nearest!r}?" if self.nearest else ""
        return f"{place}{self.reason}{hint}"


class TemplateError(SlipError):
    """A template can't be used.

    Attributes:
        source: path of the file, or the name of the shipped template.
        faults: every mistake, in the order of the file.
    """

    def __init__(self, source: str, *faults: TemplateFault) -> None:
        super().__init__(source, *faults)
        self.source = source
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join(f"{self.source}: {fault}" for fault in self.faults)
