"""Secrets: text that must not be shown, i.e. the key of the merchant account and the buyer's code."""

from __future__ import annotations

import json
import re
import traceback
from collections import deque
from pathlib import PurePath

# Nine or more digits in groups, e.g. a card ("8600 1234 5678 9012") or a phone ("+998 (90) 111-22-33"), or six or more
# digits without a gap.
_LONG_NUMBER = re.compile(
    r"\d(?:[\s().\-\u00ad\u00b7\u200b-\u200d\u2010-\u2015\u2022\u2060\u2212\ufeff]{0,2}\d){8,}|\d{6,}"
)
_GROUPING = re.compile(r"\D")
_KEPT_DIGITS = 4
_SETTING_OF_KEY = re.compile(r"(posKey).*", re.IGNORECASE | re.DOTALL)
_MAX_FOREIGN_TEXT = 300
_MIN_KNOWN = 6


class Secret:
    """Text that only ``reveal()`` returns; ``str``, ``repr``, ``format`` and pickles are masked."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself; call it where the text is used, and don't keep the result."""
        return self._text

    def redact(self, text: str) -> str:
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
    """Return ``text`` with numbers of six or more digits masked except for their last four.

    A number in groups is masked only from nine digits on, so that most amounts stay; its groups are joined. Use it as
    the last check of text from outside, because a server may repeat a code, a card or a phone in its message.
    """
    return _LONG_NUMBER.sub(_masked, text)


def _masked(found: re.Match[str]) -> str:
    digits = _GROUPING.sub("", found[0])
    return "*" * (len(digits) - _KEPT_DIGITS) + digits[-_KEPT_DIGITS:]


def safe_traceback(error: BaseException) -> str:
    """Return the classes of an error and its causes, each with the lines of its traceback, in one line.

    It contains no error text and no value from a frame, because either may repeat a secret.
    """
    parts: list[str] = []
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        seen.add(id(cause))
        places = [
            f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(cause.__traceback__)
        ]
        parts.append(" < ".join([type(cause).__name__, *reversed(places)]))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return ", after ".join(parts)


_known: deque[Secret] = deque(maxlen=64)


def remember(secret: Secret) -> None:
    """Redact a secret in later results of ``foreign_fault``; the process keeps the last 64."""
    if len(secret.reveal()) >= _MIN_KNOWN:
        _known.append(secret)


def foreign_fault(error: BaseException) -> str:
    """Return the class, text and traceback of an exception of other code, e.g. the host's, in one line.

    Its text may repeat what the plugin gave to the host or got from it. Redacted are remembered secrets, also as HTML,
    JSON or Python would quote them, long numbers, and all that follows the word ``posKey``.
    """
    from html import escape  # noqa: PLC0415 - its table takes longer to import than most modules

    text = "".join(traceback.format_exception_only(error))
    for shown in {secret.reveal() for secret in tuple(_known)}:
        for form in (shown, escape(shown), json.dumps(shown)[1:-1], repr(shown)[1:-1]):
            text = text.replace(form, "***")
    text = _SETTING_OF_KEY.sub(r"\1 ***", text)
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return f"{mask_digits(line)[:_MAX_FOREIGN_TEXT]} (at {safe_traceback(error)})"
