"""Lay out a filled slip as rows of text for a printer with fixed columns.

- ``line`` breaks between words, and inside a word that is longer than a row; a no-break space never breaks.
- ``pair``: label left, text right. If they don't fit in one row, the text goes below, aligned right.
- ``qr`` and ``barcode``: a text printer can't draw them, so their text is printed after ``[QR]`` or ``[BARCODE]``.
- ``cut``: a row of ``- - -``, where the paper may be torn.
- ``bold`` and ``size`` are attributes of a row, for an image. Plain lines have one weight and one size. With
  ``enlarge`` a row of double size gets half the columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from slips.characters import NO_BREAK_SPACE, clusters, text_width

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slips.document import FilledSlip, Part
    from slips.transliteration import Alphabet

MIN_WIDTH = 24
MAX_WIDTH = 80

_MARKERS = {"qr": "[QR]", "barcode": "[BARCODE]"}
_MARKS = {"rule": "-" * MAX_WIDTH, "blank": "", "cut": "- " * MAX_WIDTH}


class Row(NamedTuple):
    """One printed row.

    Attributes:
        text: with its indent, at most as wide as the slip, or half as wide if it is enlarged.
        bold: whether it is bold.
        double: whether it has double size.
    """

    text: str
    bold: bool = False
    double: bool = False


def bounded_width(width: int) -> int:
    """Return ``width`` limited to 24 to 80 columns."""
    return max(MIN_WIDTH, min(MAX_WIDTH, width))


def lay_out(
    slip: FilledSlip, width: int, alphabet: Alphabet | None = None, *, enlarge: bool = False
) -> tuple[Row, ...]:
    """Return the rows of a filled slip.

    Args:
        slip: from ``SlipRenderer.fill``.
        width: columns of the printer; limited to 24 to 80.
        alphabet: the printer's letters, or None for any.
        enlarge: give rows of double size half the columns, for a printer or an image that draws them so.
    """
    width = bounded_width(width)
    rows = []
    for part in slip.parts:
        double = part.attributes.get("size") == "double"
        columns = width // 2 if double and enlarge else width
        bold = part.attributes.get("bold") == "true"
        texts = _rows_of(part, columns, alphabet)
        rows += [Row(row.replace(NO_BREAK_SPACE, " "), bold, double) for row in texts]
    return tuple(rows)


def _rows_of(part: Part, columns: int, alphabet: Alphabet | None) -> list[str]:
    text, label = part.text, part.attributes.get("label", "")
    if alphabet is not None:
        text, label = _spelled(text, alphabet), _spelled(label, alphabet)
    if part.element == "pair":
        return _pair(label, text, columns)
    if part.element == "line":
        return _aligned(text, columns, part.attributes.get("align", "left"))
    if part.element in _MARKERS:
        return list(_broken(f"{_MARKERS[part.element]} {text}", columns))
    return [_MARKS[part.element][:columns].rstrip()]


def _spelled(text: str, alphabet: Alphabet) -> str:
    """Spell a text; no-break spaces stay until rows are broken, even if the code page lacks them."""
    return NO_BREAK_SPACE.join(map(alphabet.spell, text.split(NO_BREAK_SPACE)))


def _pair(label: str, text: str, columns: int) -> list[str]:
    *rows, last = _wrapped(label, columns)
    space = columns - text_width(last) - text_width(text)
    if space >= 1:
        return [*rows, last + " " * space + text if text else last]
    return [*rows, *([last] if label else []), *_aligned(text, columns, "right")]


def _aligned(text: str, columns: int, align: str) -> list[str]:
    space = columns - text_width(text)
    if space < 0:
        return [row for part in _wrapped(text, columns) for row in _aligned(part, columns, align)]
    if align == "left" or not text:
        return [text]
    return [" " * (space if align == "right" else space // 2) + text]


def _wrapped(text: str, columns: int) -> list[str]:
    """Break a text between words; an empty text is one empty row."""
    if text_width(text) <= columns:
        return [text]
    rows: list[str] = []
    row, row_width = "", 0
    for word in text.split(" "):
        word_width = text_width(word)
        if row and row_width + 1 + word_width <= columns:
            row, row_width = f"{row} {word}", row_width + 1 + word_width
            continue
        if row:
            rows.append(row)
        if word_width > columns:
            *whole, word = _broken(word, columns)  # noqa: PLW2901 - what is left of the word begins the next row
            rows += whole
            word_width = text_width(word)
        row, row_width = word, word_width
    return [*rows, row] if row else rows


def _broken(text: str, columns: int) -> Iterator[str]:
    """Break a text anywhere but between a character and its marks."""
    row, row_width = "", 0
    for cluster, cluster_width in clusters(text):
        if row_width + cluster_width > columns:
            yield row
            row, row_width = "", 0
        row += cluster
        row_width += cluster_width
    yield row
