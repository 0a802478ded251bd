"""Characters: which of them a slip can hold, and how many columns they take.

The rule for text that comes from outside, in this order:

1. white space of any kind, line breaks too, becomes one plain space, and none is left at the ends;
2. a letter and its combining marks become one character where Unicode has it (NFC);
3. a character that XML or a printer can't hold (controls, invisible format characters such as the ones that turn the
   direction of text, lone surrogates, private and unassigned ones) is shown by its number: ``[U+0007]``;
4. a text of more than ``MAX_VALUE_LENGTH`` characters is cut and ends in an ellipsis.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_VALUE_LENGTH = 512

# Printable, one column wide, no combining marks: Latin, Cyrillic, punctuation, currency signs and letter-like signs.
# Nearly every text of a slip is made of these alone, and one match is far cheaper than a look at each character.
_is_plain = re.compile(
    "[\u0020-\u007e\u00a0-\u00ac\u00ae-\u02ff\u0400-\u0482\u048a-\u052f\u2010-\u2027\u2030-\u205e\u20a0-\u20bf\u2100-\u214f]*"
).fullmatch
_ZERO_WIDTH = frozenset({"Mn", "Me"})

NO_BREAK_SPACE = "\u00a0"
_PLAIN_SPACES = {
    **dict.fromkeys(
        map(ord, "\t\r\n\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2008\u2009\u200a\u205f\u3000"), " "
    ),
    **dict.fromkeys(map(ord, "\u2007\u202f"), NO_BREAK_SPACE),
}


def visible(character: str) -> str:
    """Return the sign that stands for a character that can't be printed: ``[U+0007]``."""
    return f"[U+{ord(character):04X}]"


def plain_spaces(text: str) -> str:
    """Return ``text`` with a plain space for each of its spaces and line breaks; what never breaks stays so."""
    return text.translate(_PLAIN_SPACES)


def composed(text: str) -> str:
    """Return ``text`` with one character for a letter and its marks where Unicode has it (NFC)."""
    return unicodedata.normalize("NFC", text)


def squeezed(text: str) -> str:
    """Return ``text`` without spaces at its ends, and with single spaces inside; no-break spaces stay."""
    text = text.strip(" ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def clean(text: str) -> str:
    """Return ``text``, which may be anything, as one line that XML and a printer can hold, by the rule above."""
    if text.isalnum() and text.isascii() and len(text) <= MAX_VALUE_LENGTH:
        return text
    # A hostile text of megabytes is cut before anything looks at each of its characters.
    one_line = composed(" ".join(text[: 4 * MAX_VALUE_LENGTH].split()))
    if not one_line.isprintable():
        one_line = "".join([c if c.isprintable() else visible(c) for c in one_line])
    if len(one_line) > MAX_VALUE_LENGTH:
        one_line = one_line[: MAX_VALUE_LENGTH - 1].rstrip() + "…"
    return one_line


def first_unprintable(text: str) -> int | None:
    """Return where the first character of ``text`` stands that XML or a printer can't hold, or None."""
    if text.isprintable():
        return None
    return next((at for at, c in enumerate(text) if not c.isprintable() and unicodedata.category(c) != "Zs"), None)


def _character_width(character: str) -> int:
    if unicodedata.category(character) in _ZERO_WIDTH:
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def text_width(text: str) -> int:
    """Return how many columns ``text`` takes: 2 for a wide character, 0 for a combining one, else 1."""
    if text.isascii() or _is_plain(text):
        return len(text)
    return sum(map(_character_width, text))


def clusters(text: str) -> Iterator[tuple[str, int]]:
    """Yield the parts of ``text`` that a line break must not split, each with its width: a character and its marks."""
    held, held_width = "", 0
    for character in text:
        width = _character_width(character)
        if width and held:
            yield held, held_width
            held, held_width = "", 0
        held += character
        held_width += width
    if held:
        yield held, held_width
