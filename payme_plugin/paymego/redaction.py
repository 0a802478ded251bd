"""What a server says again of what it was told: the kassa's key and the buyer's code are struck out of its answers.

Parts of an answer are printed on slips and kept. A code is found in one piece and in groups, whatever stands between
its digits; one of six or seven digits stands everywhere by chance, so that it counts as a whole number alone.
"""

from __future__ import annotations

import re
from array import array
from itertools import compress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.secret import Secret

__all__ = ["redact", "redact_in_place"]

_MASK = "***"
_MIN_GROUPED = 8
_USUAL_ID = re.compile(r"[0-9a-fA-F]{24}")
_NO_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_DIGITS = frozenset("0123456789")
_MIN_NUMBER = 10 ** (_MIN_GROUPED - 1)


def redact_in_place(result: dict[str, object] | list[object], secrets: Sequence[Secret], body: bytes) -> None:
    """Mask in a result what repeats a secret, wherever it stands in it; the usual ids of receipts stay.

    Args:
        result: the ``result`` member of an answer; changed in place.
        secrets: the key, and the codes that were sent.
        body: the answer that it was read from.
    """
    if b"\\" not in body:
        digits = body.translate(None, _NO_DIGITS)
        secrets = [secret for secret in secrets if _may_be_in(secret, body, digits)]
    if not secrets:
        return

    below: list[object] = [result]
    while below:
        item = below.pop()
        # In place: an answer of a million members is not written out once more.
        if isinstance(item, dict):
            for name, value in item.items():
                item[name] = _masked(value, secrets)
            below.extend(value for value in item.values() if value and isinstance(value, (dict, list)))
        elif isinstance(item, list):
            for index, value in enumerate(item):
                item[index] = _masked(value, secrets)
            below.extend(value for value in item if value and isinstance(value, (dict, list)))


def redact(text: str, secret: Secret) -> str:
    """Return ``text`` with what repeats a secret masked, in time and memory that grow with its length alone."""
    code = secret.reveal()
    if not (code.isascii() and code.isdigit()):
        return secret.scrub(text) if len(code) >= _MIN_GROUPED else text
    digits = text.encode("ascii", errors="ignore").translate(None, _NO_DIGITS)
    wanted = code.encode()
    at = digits.find(wanted)
    if at < 0:
        return text
    places = array("I", compress(range(len(text)), map(_DIGITS.__contains__, text)))
    pieces, end = [], 0
    while at >= 0:
        first, last = places[at], places[at + len(code) - 1]
        if len(code) >= _MIN_GROUPED or _is_whole_number(text, first, last, len(code)):
            pieces += [text[end:first], _MASK]
            end = last + 1
            at = digits.find(wanted, at + len(code))
        else:
            at = digits.find(wanted, at + 1)
    return "".join([*pieces, text[end:]])


def _masked(value: object, secrets: Sequence[Secret]) -> object:
    for secret in secrets:
        if isinstance(value, str):
            value = value if _is_id(value, secret) else redact(value, secret)
        elif type(value) is int and value >= _MIN_NUMBER and str(value) == secret.reveal():
            value = _MASK
    return value


def _is_whole_number(text: str, first: int, last: int, length: int) -> bool:
    before, after = text[max(first - 1, 0) : first], text[last + 1 : last + 2]
    return last - first + 1 == length and not before.isdigit() and not after.isdigit()


def _is_id(value: str, secret: Secret) -> bool:
    return _USUAL_ID.fullmatch(value) is not None and value != secret.reveal()


def _may_be_in(secret: Secret, body: bytes, digits: bytes) -> bool:
    text = secret.reveal().encode(errors="replace")
    return text in (digits if text.isdigit() else body)
