"""What a printer makes of a filled slip: pieces of paper as wide as its columns, one more after each cut."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slips.document import FilledSlip, part_of
from slips.errors import SlipError
from slips.layout import bounded_width, lay_out
from slips.paper.codes import barcode, qr_code
from slips.paper.dots import Dots, framed, struck
from slips.paper.letters import LETTER_WIDTH, Letters

if TYPE_CHECKING:
    from slips.document import Part
    from slips.layout import Row
    from slips.transliteration import Alphabet

__all__ = ["MOST_ROWS", "printed"]

MOST_ROWS = 24_000
"""Three metres of paper."""

_LEADING = 6
_CODE_MARGIN = 10
_STRIKES = 2
_STRIKES_BOLD = 3
_BOX_LINE = 2
_BOX_MARGIN = 8


class _Printer:
    """A printer: what it prints grows row by row."""

    def __init__(self, width: int, alphabet: Alphabet | None) -> None:
        self._columns = bounded_width(width)
        self._dots = self._columns * LETTER_WIDTH
        self._alphabet = alphabet
        self._letters = Letters()
        self._rows: list[int] = []
        self.pieces: list[Dots] = []

    def print(self, operation: str, part: Part, text: str) -> None:
        """Print one element."""
        if part.element == "cut":
            self.cut()
        elif part.element == "line":
            self._line(operation, part, text)
        elif part.element == "qr":
            self._code(qr_code(text, self._dots), operation, part, text)
        elif part.element == "barcode":
            bars = barcode(text, self._dots)
            self._code(bars, operation, part, text)
            if bars is not None:
                self._line(operation, part, text)
        else:
            for row in self._laid_out(operation, part, text, self._columns):
                self._feed(self._written(row))
        if len(self._rows) > MOST_ROWS:
            raise SlipError("the slip is longer than three metres of paper")

    def cut(self) -> None:
        """End a piece of paper; one with nothing on it doesn't count."""
        if self._rows:
            self.pieces.append(Dots(self._dots, tuple(self._rows)))
            self._rows = []

    def _laid_out(self, operation: str, part: Part, text: str, columns: int) -> tuple[Row, ...]:
        slip = FilledSlip(operation, ((part, text),))
        return lay_out(slip, columns, self._alphabet, enlarge=True)

    def _written(self, row: Row) -> Dots:
        text = struck(self._letters.written(row.text), _STRIKES_BOLD if row.bold else _STRIKES)
        return text.scaled(2) if row.double else text

    def _line(self, operation: str, part: Part, text: str) -> None:
        """Print a text, the one below a code too, where ``align`` wants it: to the dot, which columns can't."""
        style = {name: value for name, value in part.attributes.items() if name != "align"}
        for row in self._laid_out(operation, part_of("line", style), text, self._columns):
            dots = self._written(row)
            self._feed(dots, self._left(part, dots))

    def _feed(self, dots: Dots, left: int = 0, leading: int = _LEADING) -> None:
        above = leading // 2
        self._rows += [0] * above
        self._rows += dots.on(self._dots, left).rows
        self._rows += [0] * (leading - above)

    def _code(self, code: Dots | None, operation: str, part: Part, text: str) -> None:
        """Print a code where its ``align`` wants it; one that doesn't fit is a frame with its text."""
        code = self._boxed(operation, part, text) if code is None else code
        self._feed(code, self._left(part, code), 2 * _CODE_MARGIN)

    def _left(self, part: Part, dots: Dots) -> int:
        """Return how far from the left something begins by its ``align``."""
        space = self._dots - dots.width
        return {"center": space // 2, "right": space}.get(part.attributes.get("align", "left"), 0)

    def _boxed(self, operation: str, part: Part, text: str) -> Dots:
        # Two columns make room for the frame and its margin.
        rows: list[int] = []
        for row in self._laid_out(operation, part, text, self._columns - 2):
            rows += self._written(row).on(self._dots, LETTER_WIDTH).rows + (0,) * _LEADING
        margin = (0,) * _BOX_MARGIN
        return framed(Dots(self._dots, margin + tuple(rows[:-_LEADING]) + margin), _BOX_LINE)


def printed(slip: FilledSlip, width: int, alphabet: Alphabet | None) -> tuple[Dots, ...]:
    """Return the pieces of paper that a slip makes, each as high as what is printed on it.

    Args:
        slip: from ``SlipRenderer.fill``.
        width: columns of the printer; beyond 24 to 80 the nearest of these is taken.
        alphabet: the printer's letters, or None for any.

    Raises:
        PartMissing: a library that draws a code is not installed.
        SlipError: the slip is longer than three metres.
    """
    printer = _Printer(width, alphabet)
    for part, text in slip.parts:
        printer.print(slip.operation, part, text)
    printer.cut()
    return tuple(printer.pieces)
