"""Letters of 12 x 24 dots, as a till printer has them."""

from __future__ import annotations

from importlib.resources import files

from slips.characters import clusters, text_width
from slips.paper.dots import LETTER_WIDTH, Dots, framed

__all__ = ["LETTER_HEIGHT", "LETTER_WIDTH", "Letters"]

LETTER_HEIGHT = 24

_DIGITS = LETTER_WIDTH // 4
_BOX_TOP, _BOX_BOTTOM, _BOX_LINE = 4, 5, 1


class Letters:
    """The letters of ``letters.hex``: Latin, Cyrillic with the Uzbek letters, marks, signs and lines."""

    def __init__(self) -> None:
        text = files("slips.paper").joinpath("letters.hex").read_text(encoding="ascii")
        lines = [line for line in text.splitlines() if not line.startswith("#")]
        self._rows = {chr(int(code, 16)): rows for code, _, rows in (line.partition(":") for line in lines)}

    def __contains__(self, letter: str) -> bool:
        return letter in self._rows or letter == " "

    def written(self, text: str) -> Dots:
        """Return a text in one row of letters, 12 dots a column; a letter that isn't there is an empty box."""
        rows = [0] * LETTER_HEIGHT
        for cluster, columns in clusters(text):
            shape = self._shape(cluster, columns)
            rows = [row << columns * LETTER_WIDTH | more for row, more in zip(rows, shape, strict=True)]
        return Dots(text_width(text) * LETTER_WIDTH, tuple(rows))

    def _shape(self, cluster: str, columns: int) -> tuple[int, ...]:
        """Return the rows of a character with its marks on it."""
        letter, marks = cluster[0], cluster[1:]
        rows = self._read(letter) if columns == 1 and letter in self else _box(columns)
        for mark in marks:
            if mark in self:
                rows = tuple(row | more for row, more in zip(rows, self._read(mark), strict=True))
        return rows

    def _read(self, letter: str) -> tuple[int, ...]:
        digits = self._rows.get(letter, "0" * _DIGITS * LETTER_HEIGHT)
        return tuple(int(digits[at : at + _DIGITS], 16) for at in range(0, len(digits), _DIGITS))


def _box(columns: int) -> tuple[int, ...]:
    if not columns:
        return (0,) * LETTER_HEIGHT
    width = columns * LETTER_WIDTH
    height = LETTER_HEIGHT - _BOX_TOP - _BOX_BOTTOM
    box = framed(Dots(width - 2 * _BOX_LINE, (0,) * height), _BOX_LINE).on(width, _BOX_LINE)
    return (0,) * _BOX_TOP + box.rows + (0,) * _BOX_BOTTOM
