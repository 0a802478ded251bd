"""Mask what a slip never shows: a whole card number and the buyer's phone.

``mask_card`` masks the field with the card. ``private_digits`` and ``redact`` handle every other value of the receipt,
because a server may repeat the card or the phone in a name, a description or an account entry. They look only for the
receipt's own card and phone, so a tax number or an order number that looks like a card number is not masked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from unicodedata import normalize

# The exact type first, because a check against an abstract class is slow.
_MAPPINGS = (dict, Mapping)
_EMPTY: Mapping[str, object] = {}
_NO_DIGITS = re.compile(r"\D+")
_NO_ASCII_DIGIT = re.compile("[^0-9]")
_SEPARATORS = re.compile(r"[\s-]+|(?<=[0-9])[./_\u2010-\u2015](?=[0-9])")
_usual_card = re.compile(r"[0-9]{6}\*{6}[0-9]{4}").fullmatch

_LONGEST_WRITTEN = 64
_LARGEST_NUMBER = 10**30
_SHORTEST_MASKED = 12
_SHORTEST_CARD = 13
_FEWEST_KNOWN = 8
"""Known digits that a masked card must have to be looked for; fewer would match other numbers by chance."""
_PHONE_DIGITS = 9
"""Digits of an Uzbek phone without the country code 998."""
_SHOWN_FIRST = 6
_SHOWN_LAST = 4
_MOST_HIDDEN = 9


def mapping(value: object) -> Mapping[str, object]:
    """Return ``value`` if it is a mapping, else an empty one."""
    return value if isinstance(value, _MAPPINGS) else _EMPTY


def mask_card(number: str) -> str:
    """Return a card number with at most its first six and last four digits shown.

    A number that is too short to be a whole card number shows only its last four. Other characters than ASCII digits
    count as hidden.
    """
    if _usual_card(number):
        return number
    signs = _signs(number)
    if not signs:
        return ""
    last = signs[-_SHOWN_LAST:]
    if len(signs) < _SHORTEST_MASKED:
        return "****" + last
    hidden = min(len(signs) - _SHOWN_FIRST - _SHOWN_LAST, _MOST_HIDDEN)
    return signs[:_SHOWN_FIRST] + "*" * hidden + last


def mask_text(text: str) -> str:
    """Return ``text`` with all but its last four characters masked; a text of up to eight is masked whole."""
    if not text:
        return ""
    return "****" + (text[-_SHOWN_LAST:] if len(text) > 2 * _SHOWN_LAST else "")


def private_digits(receipt: Mapping[str, object]) -> tuple[str, ...]:
    """Return the digits that no value of this receipt may repeat, as patterns; a dot is a digit that the server masked.

    They are the digits of ``card.number``, if at least eight are known, and of ``phone`` in the receipt, its ``payer``
    or its merchant's ``payer``, with and without the country code.
    """
    found = []
    number = normalize("NFKD", _written(mapping(receipt.get("card")).get("number")))
    card = _signs(number).replace("*", ".")
    if len(card) >= _SHORTEST_CARD and len(card) - card.count(".") >= _FEWEST_KNOWN:
        found.append(card)
    for holder in (receipt, mapping(receipt.get("payer")), mapping(mapping(receipt.get("merchant")).get("payer"))):
        if "phone" in holder:
            phone = _NO_ASCII_DIGIT.sub("", _written(holder["phone"]))
            if len(phone) >= _PHONE_DIGITS:
                found += [phone, phone[-_PHONE_DIGITS:]]
    return tuple(found)


def redact(text: str, private: tuple[str, ...]) -> str:
    """Return ``text`` with a star for each private digit, in any grouping and in any script."""
    digits = _NO_DIGITS.sub("", normalize("NFKD", text))
    if not digits.isascii():
        digits = "".join(str(int(digit)) for digit in digits)
    spans = [
        found.span()
        for pattern in private
        if pattern.partition(".")[0] in digits
        for found in re.finditer(pattern, digits)
    ]
    if not spans:
        return text
    # A character such as U+2474 is more than one digit to a printer that spells it, and is hidden whole.
    places = [at for at, sign in enumerate(text) for part in normalize("NFKD", sign) if part.isdecimal()]
    hidden = {at for begin, end in spans for at in places[begin:end]}
    return "".join("*" if at in hidden else sign for at, sign in enumerate(text))


def _signs(number: str) -> str:
    return _NO_ASCII_DIGIT.sub("*", _SEPARATORS.sub("", number))


def _written(value: object) -> str:
    if isinstance(value, int) and 0 < value < _LARGEST_NUMBER:
        return str(value)
    return value[:_LONGEST_WRITTEN] if isinstance(value, str) else ""
