"""What no free text of the server's may tell: a whole card number, the buyer's phone.

The rule, which the handbook repeats:

- the receipt's own card number, where the whole of it came, and the last nine digits of the buyer's phone are struck
  out, whatever spaces and punctuation stand between their digits;
- so is any number of 13 to 19 digits with a right check digit (ISO/IEC 7812), and any of 16 that begins as the cards of
  Uzcard and Humo do, in one piece or in groups with spaces, dashes or dots between them; each group but the last has
  four digits or more, as the groups of an amount and of a date have not;
- digits inside a hexadecimal id, such as a receipt's, are no card.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["private_digits", "without_private"]

# The plain type first: a look at an abstract class takes longer than all the rest.
_MAPPINGS = (dict, Mapping)
_NO_DIGITS = re.compile("[^0-9]+")
_BETWEEN_DIGITS = r"[\W_]{0,6}"
_PHONE_DIGITS = 9
_LONGEST_WRITTEN = 64
_LARGEST_NUMBER = 10**30

_SHORTEST_CARD = 13
_LONGEST_CARD = 19
_SHORTEST_GROUP = 4
_HOME_CARD = re.compile("(?:8600|5614|6262|9860)[0-9]{12}")
_DIGITS = re.compile(r"\d+")
_HEXADECIMAL_ID = re.compile(r"(?<![^\W_])(?=[0-9]*[A-Fa-f])[0-9A-Fa-f]+(?![^\W_])")
_BETWEEN_GROUPS = "[-. \u2010-\u2015\u2212]"
_stands_between_groups = re.compile(f"{_BETWEEN_GROUPS}{{1,3}}").fullmatch
_may_hold_card = re.compile(rf"\d(?:{_BETWEEN_GROUPS}{{0,3}}\d){{{_SHORTEST_CARD - 1}}}").search


def private_digits(receipt: Mapping[str, object]) -> tuple[str, ...]:
    """Return the digits that no free text of this receipt may repeat: a whole card number, the buyer's phone."""
    card = _digits(_mapping(receipt.get("card")).get("number"))
    found = [card] if len(card) >= _SHORTEST_CARD else []
    for holder in (receipt, _mapping(receipt.get("payer")), _mapping(_mapping(receipt.get("merchant")).get("payer"))):
        if "phone" in holder:
            phone = _digits(holder["phone"])
            if len(phone) >= _PHONE_DIGITS:
                found.append(phone[-_PHONE_DIGITS:])
    return tuple(found)


def without_private(text: str, private: tuple[str, ...]) -> str:
    """Return ``text`` with those digits, and every number that may be a card's, as stars."""
    if len(text) < _PHONE_DIGITS:
        return text
    for digits in private:
        if digits in _NO_DIGITS.sub("", text):
            text = re.sub(_BETWEEN_DIGITS.join(digits), "*" * len(digits), text)
    return _without_cards(text) if _may_hold_card(text) else text


def _without_cards(text: str) -> str:
    pieces, end = [], 0
    # What takes an id's place is as long as it and holds no digit.
    for first, last in _cards(_HEXADECIMAL_ID.sub(lambda found: "x" * len(found[0]), text)):
        pieces += [text[end : first.start()], "*" * len(_values(text[first.start() : last.end()]))]
        end = last.end()
    return "".join([*pieces, text[end:]])


def _cards(text: str) -> Iterator[tuple[re.Match[str], re.Match[str]]]:
    """Yield the first and the last group of each number that may be a card's."""
    groups = list(_DIGITS.finditer(text))
    at = 0
    while at < len(groups):
        last = _last_group(text, groups, at)
        if last is not None:
            yield groups[at], groups[last]
            at = last
        at += 1


def _last_group(text: str, groups: list[re.Match[str]], first: int) -> int | None:
    """Return where the longest number ends that begins with a group and may be a card's, or None."""
    digits, last = groups[first][0], None
    for at in range(first, len(groups)):
        if at > first:
            before = groups[at - 1]
            if len(before[0]) < _SHORTEST_GROUP or not _stands_between_groups(text, before.end(), groups[at].start()):
                break
            digits += groups[at][0]
        if len(digits) > _LONGEST_CARD:
            break
        if len(digits) >= _SHORTEST_CARD and _is_card(_values(digits)):
            last = at
    return last


def _is_card(values: list[int]) -> bool:
    doubled = [sum(divmod(2 * value, 10)) for value in values[-2::-2]]
    is_checked = (sum(values[-1::-2]) + sum(doubled)) % 10 == 0
    return is_checked or _HOME_CARD.fullmatch("".join(map(str, values))) is not None


def _values(text: str) -> list[int]:
    return [int(sign) for sign in text if sign.isdecimal()]


def _digits(value: object) -> str:
    if isinstance(value, int) and 0 < value < _LARGEST_NUMBER:
        return str(value)
    return _NO_DIGITS.sub("", value[:_LONGEST_WRITTEN]) if isinstance(value, str) else ""


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, _MAPPINGS) else {}
