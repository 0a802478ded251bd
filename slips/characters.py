"""Clean text for a slip, and measure how many columns it takes.

The rules for text from outside, in this order:

1. white space, including line breaks, becomes one plain space, and is removed at the ends;
2. a letter and its combining marks become one character if Unicode has it (NFC);
3. a character that XML or a printer can't represent (control, format and bidirectional characters, lone surrogates,
   private and unassigned characters) becomes its number: ``[U+0007]``;
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
# Nearly every text of a slip has only these, and one match is much faster than a check of each character.
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
    """Return the replacement for a character that can't be printed: ``[U+0007]``."""
    return f"[U+{ord(character):04X}]"


def plain_spaces(text: str) -> str:
    """Return ``text`` with a plain space for each space and line break; no-break spaces stay."""
    return text.translate(_PLAIN_SPACES)


def composed(text: str) -> str:
    """Return ``text`` with one character for a letter and its marks if Unicode has it (NFC)."""
    return unicodedata.normalize("NFC", text)


def squeezed(text: str) -> str:
    """Return ``text`` without spaces at its ends, and with single spaces inside; no-break spaces stay."""
    text = text.strip(" ")
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def clean(text: str) -> str:
    """Return any text as one line that XML and a printer can represent, by the rules above."""
    if text.isalnum() and text.isascii() and len(text) <= MAX_VALUE_LENGTH:
        return text
    # A hostile text of megabytes is cut before its characters are checked one by one.
    one_line = composed(" ".join(text[: 4 * MAX_VALUE_LENGTH].split()))
    if not one_line.isprintable():
        one_line = "".join([c if c.isprintable() else visible(c) for c in one_line])
    if len(one_line) > MAX_VALUE_LENGTH:
        one_line = one_line[: MAX_VALUE_LENGTH - 1].rstrip() + "…"
    return one_line


def first_unprintable(text: str) -> int | None:
    """Return the index of the first character that XML or a printer can't represent, or None."""
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
