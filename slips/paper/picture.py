"""Pieces of paper on a table, seen from above: white, torn at both ends, with a soft shadow."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from slips.errors import SlipError
from slips.paper.png import Colour, write_png
from slips.paper.strip import printed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slips.document import FilledSlip
    from slips.paper.dots import Dots
    from slips.transliteration import Alphabet

__all__ = ["Picture", "draw"]

_DOTS_PER_METRE = 8000
"""203 dots to the inch: 32 columns on paper of 58 mm, 48 on paper of 80 mm."""

_TABLE_COLOUR: Colour = (226, 229, 233)
_SHADOW_COLOUR: Colour = (168, 173, 181)
_PAPER_COLOUR: Colour = (254, 253, 249)
_INK_COLOUR: Colour = (38, 37, 44)

_SHADES = 64
_PAPER = _SHADES
_INK = _SHADES + 1

_TABLE = 28
"""Dots of the table around each piece of paper."""
_SIDE = 34
"""Blank paper beside the columns."""
_END = 22
"""Blank paper above and below what is printed."""
_TOOTH = 6
"""Height of the teeth that the tear-off bar leaves; each is twice as wide."""
_BLUR = 18
_DROP = 6
"""How far below the paper its shadow lies."""


@dataclass(frozen=True)
class Picture:
    """A picture of a slip.

    Attributes:
        width: in dots.
        height: in dots.
        png: the file.
    """

    width: int
    height: int
    png: bytes


def draw(slip: FilledSlip, width: int, alphabet: Alphabet | None = None) -> Picture:
    """Return a filled slip as a picture, one dot of the printer a dot of the picture.

    Args:
        slip: from ``SlipRenderer.fill``.
        width: columns of the printer; beyond 24 to 80 the nearest of these is taken.
        alphabet: the printer's letters, or None for any.

    Raises:
        PartMissing: a library that draws a code is not installed.
        SlipError: nothing is printed, or more than three metres.
    """
    pieces = printed(slip, width, alphabet)
    if not pieces:
        raise SlipError("nothing is printed on the slip")
    rows = [row for piece in pieces for row in _piece_on_table(piece)]
    return Picture(len(rows[0]), len(rows), write_png(rows, _colours(), _DOTS_PER_METRE))


def _colours() -> list[Colour]:
    return [*(_between(shade / (_SHADES - 1)) for shade in range(_SHADES)), _PAPER_COLOUR, _INK_COLOUR]


def _between(depth: float) -> Colour:
    red, green, blue = (
        round(light + (dark - light) * depth) for light, dark in zip(_TABLE_COLOUR, _SHADOW_COLOUR, strict=True)
    )
    return red, green, blue


def _piece_on_table(piece: Dots) -> Iterator[bytes]:
    """Yield the rows of a piece of paper with the table around it."""
    width, height = piece.width + 2 * _SIDE, piece.height + 2 * _END
    across = tuple(_depth(x - _TABLE, width) for x in range(width + 2 * _TABLE))

    @lru_cache(maxsize=2 * _BLUR)
    def table(down: float) -> bytes:
        return bytes([round((_SHADES - 1) * down * depth) for depth in across])

    ink = bytes.maketrans(b"01", bytes([_PAPER, _INK]))
    blank = (0,) * _END
    dots = (*blank, *piece.rows, *blank)
    for y in range(height + 2 * _TABLE):
        under = table(_depth(y - _TABLE - _DROP, height))
        at = y - _TABLE
        if not 0 <= at < height:
            yield under
            continue
        paper = f"{dots[at] << _SIDE:0{width}b}".encode().translate(ink)
        lost = _TOOTH - min(at, height - 1 - at)
        yield _torn(under, paper, lost) if lost > 0 else under[:_TABLE] + paper + under[-_TABLE:]


def _torn(under: bytes, paper: bytes, lost: int) -> bytes:
    """Return a row of the table with that paper on it, ``lost`` dots short on both sides of each tooth."""
    row = bytearray(under)
    for x, dot in enumerate(paper):
        if abs(x % (2 * _TOOTH) - _TOOTH) >= lost:
            row[_TABLE + x] = dot
    return bytes(row)


def _depth(at: int, length: int) -> float:
    """Return how deep the shadow of something from 0 to ``length`` is at ``at``: 1 inside, softly down to 0."""
    inside = min(at, length - 1 - at)
    share = min(1.0, max(0.0, (inside + _BLUR) / (2 * _BLUR)))
    return share * share * (3 - 2 * share)
