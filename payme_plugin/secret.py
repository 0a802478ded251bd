"""Text that must not be seen: the kassa's key and the buyer's code."""

from __future__ import annotations

import re
import traceback
from pathlib import PurePath

__all__ = ["Secret", "classes_and_places", "mask_digits"]

# Nine digits or more in groups, as a card ("8600 1234 5678 9012") and a phone ("+998 (90) 111-22-33") are written, or
# six and more in one piece.
_LONG_NUMBER = re.compile(
    r"\d(?:[\s().\-\u00ad\u00b7\u200b-\u200d\u2010-\u2015\u2022\u2060\u2212\ufeff]{0,2}\d){8,}|\d{6,}"
)
_GROUPING = re.compile(r"\D")
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

    A number in groups counts from nine digits on, so that most amounts stay; it is put together. It is the net under
    text that comes from outside: a code, a card or a phone that a server repeats in its message.
    """
    return _LONG_NUMBER.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    digits = _GROUPING.sub("", found[0])
    return "*" * (len(digits) - _KEPT_DIGITS) + digits[-_KEPT_DIGITS:]


def classes_and_places(error: BaseException) -> str:
    """Return the classes of an error and of its causes, and where each came through, on one line.

    Neither the words of an error nor the values in its frames are in it: any of them may repeat a secret.
    """
    told: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        places = [
            f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(cause.__traceback__)
        ]
        told.append(" < ".join([type(cause).__name__, *reversed(places)]))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return ", after ".join(told)
