"""Render the slip of last resort, without template, schema and layout: only what the buyer and the bank need.

It shares little code with ``SlipRenderer``, so a fault there does not break it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from slips.characters import NO_BREAK_SPACE, clean, text_width
from slips.document import FilledSlip, Part, RenderedSlip, to_xml
from slips.layout import bounded_width
from slips.privacy import mapping, mask_card
from slips.transliteration import Alphabet, is_slip_encoding
from slips.values import format_moment, format_money
from slips.words import WORDS, Words

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import tzinfo


def plain_slip(
    data: Mapping[str, object],
    width: int,
    *,
    language: str = "ru",
    timezone: tzinfo | None = None,
    encoding: str | None = None,
) -> RenderedSlip:
    """Return a plain slip. It never fails, whatever the data, and needs neither defusedxml nor xmlschema.

    Args:
        data: as for ``SlipRenderer.render``; missing and invalid values are left out.
        width: columns of the printer, limited to 24 to 80.
        language: language of the labels: ``ru``, ``uz``, ``uz-Cyrl`` or ``en``; any other is taken as ``ru``.
        timezone: time zone of the till; None: that of the machine.
        encoding: code page of the printer; None, or an unknown one, allows any letter.
    """
    words = WORDS.get(language, WORDS["ru"])
    operation = data.get("operation")
    if not isinstance(operation, str) or operation not in words.operations:
        operation = "pay"
    pairs = [(label, text) for label, text in _pairs(data, operation, words, timezone) if text]
    alphabet = Alphabet(encoding) if encoding is not None and is_slip_encoding(encoding) else None
    lines = ["PAYME", _spelled(words.operations[operation], alphabet)]
    parts = [Part("line", {}, text) for text in ("PAYME", words.operations[operation])]
    for label, text in pairs:
        parts.append(Part("pair", {"label": label}, text))
        lines += _lines(_spelled(label, alphabet), _spelled(text, alphabet), bounded_width(width))
    return RenderedSlip(to_xml(FilledSlip(operation, tuple(parts))), tuple(lines))


def _pairs(data: Mapping[str, object], operation: str, words: Words, zone: tzinfo | None) -> list[tuple[str, str]]:
    receipt = mapping(data.get("receipt"))
    number = mapping(receipt.get("card")).get("number")
    moment = data.get("paid_at" if operation == "pay" else "reversed_at")
    money = format_money(data.get("amount"))
    return [
        (words.labels["till"], _text(data.get("till"))),
        (words.labels["moment"], format_moment(moment, zone)),
        (words.labels["card"], mask_card(number[:64]) if isinstance(number, str) else ""),
        (words.labels["amount"], f"{money}{NO_BREAK_SPACE}{words.currency}" if money else ""),
        (words.labels["receipt"], _text(data.get("receipt_id"))),
    ]


def _text(value: object) -> str:
    return clean(value) if isinstance(value, str) else ""


def _spelled(text: str, alphabet: Alphabet | None) -> str:
    return alphabet.spell(text) if alphabet is not None else text


def _lines(label: str, text: str, width: int) -> list[str]:
    """Put label and text on one line, or the text below its label."""
    text = text.replace(NO_BREAK_SPACE, " ")
    if text_width(label) + 2 + text_width(text) <= width:
        return [f"{label}: {text}"]
    # Half as many characters as columns always fit, even if all of them are wide.
    step = width if text_width(text) == len(text) else width // 2
    return [f"{label}:", *(text[begin : begin + step] for begin in range(0, len(text), step))]
