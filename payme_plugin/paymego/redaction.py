"""Redact the key, the buyer's code, cards and phones in what a server sends.

Parts of an answer are printed on slips and stored, and a server may repeat in it what it was sent. A code is found in
one piece and in groups, with any separators between its digits. A code of six or seven digits occurs everywhere by
chance, so it is only found as a whole number.
"""

from __future__ import annotations

import re
from array import array
from itertools import compress
from typing import TYPE_CHECKING, Any

from payme_plugin.secret import mask_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.secret import Secret

RECEIPT_ID = re.compile(r"[0-9a-fA-F]{24}")
"""The usual form of Payme's ids. Such an id is not redacted, even if it contains a code's digits."""

MAX_NUMBER = 99_999
"""The largest error code and receipt state. Both are logged; a longer number may be a card's."""

_MASK = "***"
_MIN_GROUPED = 8
_MIN_NUMBER = 10 ** (_MIN_GROUPED - 1)
_NO_DIGITS = bytes(set(range(256)) - set(b"0123456789"))
_DIGITS = frozenset("0123456789")
_MAX_TEXT = 300
_MAX_READ = 4096
_MORE_DIGITS = "0" * 9  # the fewest digits that are masked in any grouping


def display_text(text: str, secrets: Sequence[Secret]) -> str:
    """Return a server's text without secrets and long numbers, on one line, at most 300 letters."""
    for secret in secrets:
        text = redact(secret.redact(text), secret)
    # Secrets are searched in the whole text, long numbers only in what may be shown: masking needs memory.
    head = text[:_MAX_READ]
    # A number that the end of ``head`` cuts is masked as one that continues.
    beyond = _MORE_DIGITS if len(head) < len(text) else ""
    # One line first: a number that was broken over lines is joined before it is masked.
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in head).split())
    masked = mask_digits(line + beyond)
    return masked[: len(masked) - len(beyond)][:_MAX_TEXT]


def redact_in_place(result: dict[str, object] | list[object], secrets: Sequence[Secret], body: bytes) -> None:
    """Redact every repetition of a secret in a result, at any depth, except in the usual ids of receipts.

    Args:
        result: the ``result`` member of an answer; changed in place.
        secrets: the key, and the codes that were sent.
        body: the answer from which it was read.
    """
    if b"\\" not in body:
        digits = body.translate(None, _NO_DIGITS)
        secrets = [secret for secret in secrets if _may_be_in(secret, body, digits)]
    if not secrets:
        return

    below: list[Any] = [result]
    while below:
        container = below.pop()
        # In place, so that an answer with a million members is not copied.
        for key, value in container.items() if isinstance(container, dict) else enumerate(container):
            container[key] = _redacted(value, secrets)
            if value and isinstance(value, (dict, list)):
                below.append(value)


def redact(text: str, secret: Secret) -> str:
    """Return ``text`` with every repetition of a secret redacted, in linear time and memory."""
    code = secret.reveal()
    if not (code.isascii() and code.isdigit()):
        return secret.redact(text) if len(code) >= _MIN_GROUPED else text
    if len(code) < _MIN_GROUPED:
        return re.sub(rf"(?<!\d){code}(?!\d)", _MASK, text)
    digits = text.encode("ascii", errors="ignore").translate(None, _NO_DIGITS)
    places = array("I", compress(range(len(text)), map(_DIGITS.__contains__, text)))
    pieces, end = [], 0
    for found in re.finditer(code.encode(), digits):
        pieces += [text[end : places[found.start()]], _MASK]
        end = places[found.end() - 1] + 1
    return "".join([*pieces, text[end:]])


def _redacted(value: object, secrets: Sequence[Secret]) -> object:
    for secret in secrets:
        if isinstance(value, str):
            is_id = RECEIPT_ID.fullmatch(value) is not None and value != secret.reveal()
            value = value if is_id else redact(value, secret)
        elif type(value) is int and value >= _MIN_NUMBER and str(value) == secret.reveal():
            value = _MASK
    return value


def _may_be_in(secret: Secret, body: bytes, digits: bytes) -> bool:
    text = secret.reveal().encode(errors="replace")
    return text in (digits if text.isdigit() else body)
