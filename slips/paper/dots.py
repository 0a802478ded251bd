"""Dots: what a thermal printer makes; a row of them is an integer, whose highest bit is the leftmost dot."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LETTER_WIDTH", "Dots", "framed", "struck"]

LETTER_WIDTH = 12
"""Dots of a column."""


@dataclass(frozen=True)
class Dots:
    """A rectangle of dots.

    Attributes:
        width: dots in a row.
        rows: its rows, from top to bottom.
    """

    width: int
    rows: tuple[int, ...]

    @property
    def height(self) -> int:
        """How many rows there are."""
        return len(self.rows)

    def scaled(self, by: int) -> Dots:
        """Return the same with every dot ``by`` dots wide and high."""
        if by == 1:
            return self
        rows: list[int] = []
        for row in self.rows:
            bits = f"{row:0{self.width}b}"
            rows += [int("".join([bit * by for bit in bits]), 2)] * by
        return Dots(self.width * by, tuple(rows))

    def on(self, width: int, left: int) -> Dots:
        """Return the same in rows of ``width`` dots, ``left`` dots from their beginning."""
        space = width - left - self.width
        return Dots(width, tuple(row << space for row in self.rows))


def struck(dots: Dots, times: int) -> Dots:
    """Return a text with every dot up to ``times`` dots wide, as heat and bold print make it.

    A letter grows inside its own columns alone, and never into the last dot of a column, so that none runs into the
    next one; a second strike leaves two dots of paper between two strokes of a letter, or as many as there were.
    """
    last = sum(1 << place for place in range(0, dots.width + 1, LETTER_WIDTH))
    rows = dots.rows
    for strike in range(1, times):
        grown = _grown_left if strike % 2 == 0 else _moved_right
        rows = tuple([row | grown(row, last) & ~last for row in rows])
    return Dots(dots.width, rows)


def _moved_right(row: int, last: int) -> int:
    """Move every letter by one dot inside its own column."""
    return (row & ~last) >> 1


def _grown_left(row: int, last: int) -> int:
    """Return a dot before every stroke that has more than two dots of paper before it."""
    once = _moved_right(row, last)
    return row << 1 & ~once & ~_moved_right(once, last)


def framed(dots: Dots, line: int) -> Dots:
    """Return the same with its outermost ``line`` dots black on every side."""
    full = (1 << dots.width) - 1
    sides = full ^ (full >> 2 * line << line)
    inner = tuple(row | sides for row in dots.rows[line : dots.height - line])
    return Dots(dots.width, ((full,) * line) + inner + ((full,) * line))
