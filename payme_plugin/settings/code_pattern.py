"""The setting ``codePattern``: which scanned text may be a buyer's code.

What is scanned is hostile, and ``re`` tries every way to match. So a pattern is allowed only where the ways are few,
even for the longest code: they are counted from its repetitions and alternatives, and no group may be repeated.
"""

from __future__ import annotations

import re

from payme_plugin.settings.remarks import UnacceptableError

__all__ = ["ALLOWED", "MAX_CODE_CHARACTERS", "code_pattern", "foreign_character", "written"]

MAX_CODE_CHARACTERS = 256
"""A longer code matches no pattern. Codes seen in the field have 11 to 20 digits."""

_MAX_PATTERN_CHARACTERS = 200
_MAX_WAYS = 1_000_000

ALLOWED = (
    f"a regular expression of at most {_MAX_PATTERN_CHARACTERS} characters that the whole code matches, "
    "without repeated groups and back references, and with few open repetitions and alternatives"
)

_TOKEN = re.compile(
    r"""(?P<group>\((?:\?[:=!])?)
      | (?P<end>\))
      | (?P<either>\|)
      | \{(?P<low>[0-9]{1,3})(?P<comma>,)?(?P<high>[0-9]{1,3})?\}
      | (?P<many>[*+])
      | (?P<maybe>\?)
      | (?P<one>\[\^?\]?(?:\\.|[^\]\\\[])*\] | \\[^0-9gNuUx] | [^\\()\[\]{}*+?|])""",
    re.VERBOSE,
)
_BEFORE, _AFTER = rf"(?=[\s\S]{{1,{MAX_CODE_CHARACTERS}}}\Z)(?:", ")"
_WARNED_OF = re.compile(r"--|&&|~~|\|\|")


def code_pattern(text: str) -> re.Pattern[str]:
    r"""Return the pattern for ``fullmatch``; ``\d`` and ``\w`` mean ASCII, and no longer code matches.

    A match takes milliseconds, whatever was scanned.

    Raises:
        UnacceptableError: it is no pattern, or one that a scanned text could keep busy.
    """
    if not text or len(text) > _MAX_PATTERN_CHARACTERS or _WARNED_OF.search(text) or not _is_quick(text):
        raise UnacceptableError(f"allowed is {ALLOWED}")
    try:
        re.compile(text, re.ASCII)
        return re.compile(f"{_BEFORE}{text}{_AFTER}", re.ASCII)
    except (re.error, OverflowError):
        raise UnacceptableError(f"it is no regular expression; allowed is {ALLOWED}") from None


def written(pattern: re.Pattern[str]) -> str:
    """Return a pattern of ``code_pattern`` as it was written."""
    return pattern.pattern[len(_BEFORE) : -len(_AFTER)]


def foreign_character(pattern: re.Pattern[str], text: str) -> str:
    """Return the first character of ``text`` that no part of a pattern of ``code_pattern`` matches; empty for none."""
    parts = [token["one"] for token in _TOKEN.finditer(written(pattern)) if token["one"]]
    known = re.compile("|".join(parts), re.ASCII)
    return next((character for character in text if not known.fullmatch(character)), "")


def _is_quick(text: str) -> bool:
    """Return whether every repetition is one of a single letter or class, and the ways to match are few."""
    position, ways, repeatable = 0, 1, False
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            return False
        repeats = token["low"] or token["many"] or token["maybe"]
        if repeats and not repeatable:
            return False
        ways *= _ways(token)
        position, repeatable = token.end(), token["one"] is not None
    return ways <= _MAX_WAYS


def _ways(token: re.Match[str]) -> int:
    """Return in how many ways a part of a pattern can match at one place."""
    if token["either"] or token["maybe"]:
        return 2
    if token["many"] or (token["comma"] and not token["high"]):
        return MAX_CODE_CHARACTERS
    if token["comma"]:
        return max(1, min(int(token["high"]), MAX_CODE_CHARACTERS) - int(token["low"]) + 1)
    return 1
