"""What a server says again of what it was told: the kassa's key and the buyer's code are struck out of its answers.

Parts of an answer are printed on slips and kept. A code is found in one piece and in groups, whatever stands between
its digits; one of six or seven digits stands everywhere by chance, so that it counts as a whole number alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.secret import Secret

__all__ = ["strike_out", "without_echo"]

_MASK = "***"
_SHORTEST_IN_GROUPS = 8
_USUAL_ID = re.compile(r"[0-9a-fA-F]{24}")
_NO_DIGITS = re.compile(rb"[^0-9]+")
_NO_DIGITS_IN_TEXT = re.compile("[^0-9]+")
_DIGIT = re.compile("[0-9]")
_SHORTEST_NUMBER = 10 ** (_SHORTEST_IN_GROUPS - 1)


def strike_out(result: dict[str, object] | list[object], secrets: Sequence[Secret], body: bytes) -> None:
    """Mask in a result what repeats a secret, wherever it stands in it; the usual ids of receipts stay.

    Args:
        result: the ``result`` member of an answer; changed in place.
        secrets: the key, and the codes that were sent.
        body: the answer that it was read from.
    """
    if b"\\" not in body:
        digits = _NO_DIGITS.sub(b"", body)
        secrets = [secret for secret in secrets if _may_be_in(secret, body, digits)]
    if not secrets:
        return

    def masked(value: object) -> object:
        for secret in secrets:
            if isinstance(value, str):
                value = value if _is_id(value, secret) else without_echo(value, secret)
            elif type(value) is int and value >= _SHORTEST_NUMBER and str(value) == secret.reveal():
                value = _MASK
        return value

    below: list[object] = [result]
    while below:
        item = below.pop()
        if isinstance(item, dict):
            below.extend(item.values())
            item.update({name: masked(value) for name, value in item.items()})
        elif isinstance(item, list):
            below.extend(item)
            item[:] = [masked(value) for value in item]


def without_echo(text: str, secret: Secret) -> str:
    """Return ``text`` with what repeats a secret masked, in a time that grows with its length alone."""
    code = secret.reveal()
    if not (code.isascii() and code.isdigit()):
        return secret.scrub(text) if len(code) >= _SHORTEST_IN_GROUPS else text
    digits = _NO_DIGITS_IN_TEXT.sub("", text)
    at = digits.find(code)
    if at < 0:
        return text
    places = [found.start() for found in _DIGIT.finditer(text)]
    pieces, end = [], 0
    while at >= 0:
        first, last = places[at], places[at + len(code) - 1]
        if len(code) >= _SHORTEST_IN_GROUPS or _is_whole_number(text, first, last, len(code)):
            pieces += [text[end:first], _MASK]
            end = last + 1
            at = digits.find(code, at + len(code))
        else:
            at = digits.find(code, at + 1)
    return "".join([*pieces, text[end:]])


def _is_whole_number(text: str, first: int, last: int, length: int) -> bool:
    before, after = text[max(first - 1, 0) : first], text[last + 1 : last + 2]
    return last - first + 1 == length and not before.isdigit() and not after.isdigit()


def _is_id(value: str, secret: Secret) -> bool:
    return _USUAL_ID.fullmatch(value) is not None and value != secret.reveal()


def _may_be_in(secret: Secret, body: bytes, digits: bytes) -> bool:
    text = secret.reveal().encode(errors="replace")
    return text in (digits if text.isdigit() else body)
