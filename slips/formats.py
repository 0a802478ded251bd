"""How values look on a slip: money, moments, card numbers."""

from __future__ import annotations

import re
from datetime import datetime, tzinfo
from typing import TypeGuard

from slips.characters import NO_BREAK_SPACE

__all__ = ["format_moment", "format_money", "is_moment", "mask_card", "mask_text"]

_MAX_TIYIN = 10**21
_MAX_MOMENT_MS = 253_402_128_000_000
"""The end of the year 9999, less two days for time zones."""
_SEPARATORS = re.compile(r"[\s-]+")
_NO_DIGIT = re.compile("[^0-9]")
_usual_card = re.compile(r"[0-9]{6}\*{6}[0-9]{4}").fullmatch
_SHORTEST_CARD = 12
_SHOWN_FIRST = 6
_SHOWN_LAST = 4
_MOST_HIDDEN = 9


def format_money(value: object) -> str:
    """Return an amount in tiyin as sums with two decimals, thousands separated by no-break spaces: ``15 000.00``.

    What is no integer, or beyond 10^21 tiyin, gives the empty text.
    """
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > _MAX_TIYIN:
        return ""
    sums, tiyin = divmod(abs(value), 100)
    sign = "-" if value < 0 else ""
    return f"{sign}{sums:,}.{tiyin:02d}".replace(",", NO_BREAK_SPACE)


def is_moment(value: object) -> TypeGuard[int]:
    """Say whether a value is a Unix time in milliseconds: an integer after 1970 and before the year 10000."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < _MAX_MOMENT_MS


def format_moment(value: object, zone: tzinfo | None) -> str:
    """Return a Unix time in milliseconds as ``31.01.2026 12:34:56`` in ``zone``; None is the machine's own.

    What is no integer, not after 1970 or beyond the year 9999 gives the empty text.
    """
    if not is_moment(value):
        return ""
    text = datetime.fromtimestamp(value // 1000, zone).isoformat(" ")
    return f"{text[8:10]}.{text[5:7]}.{text[:4]} {text[11:19]}"


def mask_card(number: str) -> str:
    """Return a card number with at most its first six and last four digits shown, even if the whole of it came.

    A number too short to be whole keeps its last four alone. What is not an ASCII digit counts as hidden.
    """
    if _usual_card(number):
        return number
    signs = _NO_DIGIT.sub("*", _SEPARATORS.sub("", number))
    if not signs:
        return ""
    last = signs[-_SHOWN_LAST:]
    if len(signs) < _SHORTEST_CARD:
        return "****" + last
    hidden = min(len(signs) - _SHOWN_FIRST - _SHOWN_LAST, _MOST_HIDDEN)
    return signs[:_SHOWN_FIRST] + "*" * hidden + last


def mask_text(text: str) -> str:
    """Return ``text`` with all but its last four characters hidden; a text of eight or fewer is hidden whole."""
    if not text:
        return ""
    return "****" + (text[-_SHOWN_LAST:] if len(text) > 2 * _SHOWN_LAST else "")
