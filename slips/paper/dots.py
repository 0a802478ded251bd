"""Dots: what a thermal printer makes; a row of them is an integer, whose highest bit is the leftmost dot."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Dots", "framed", "struck"]


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
    """Return the same with every dot ``times`` dots wide, as heat and bold print make it."""
    rows = dots.rows
    for _ in range(times - 1):
        rows = tuple(row | row >> 1 for row in rows)
    return Dots(dots.width, rows)


def framed(dots: Dots, line: int) -> Dots:
    """Return the same with its outermost ``line`` dots black on every side."""
    full = (1 << dots.width) - 1
    sides = full ^ (full >> 2 * line << line)
    inner = tuple(row | sides for row in dots.rows[line : dots.height - line])
    return Dots(dots.width, ((full,) * line) + inner + ((full,) * line))
