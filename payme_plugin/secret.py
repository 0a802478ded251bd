"""Text that must not be seen: the kassa's key and the buyer's code."""

from __future__ import annotations

import re

__all__ = ["Secret", "mask_digits"]

_LONG_NUMBER = re.compile(r"\d{6,}")
_KEPT_DIGITS = 4


class Secret:
    """A text that shows itself only to the one who asks by ``reveal()``.

    It is masked in ``str``, ``repr``, formats and pickles.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself. Ask at the moment of use, and keep it in no variable that outlives it."""
        return self._text

    def scrub(self, text: str) -> str:
        """Return ``text`` with every occurrence of the secret masked."""
        return text.replace(self._text, "***") if self._text else text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return format("***", spec)

    def __reduce__(self) -> tuple[type[Secret], tuple[str]]:
        return (Secret, ("***",))


def mask_digits(text: str) -> str:
    """Return ``text`` with all but the last four digits of every number of six or more digits masked.

    It is the net under text that comes from outside: a code, a card or a phone that a server repeats in its message.
    """
    return _LONG_NUMBER.sub(lambda found: "*" * (len(found[0]) - _KEPT_DIGITS) + found[0][-_KEPT_DIGITS:], text)
