"""QR codes and barcodes as dots."""

from __future__ import annotations

from slips.errors import SlipError
from slips.paper.dots import Dots

__all__ = ["PartMissing", "barcode", "qr_code"]

_QUIET_MODULES_QR = 4
_QUIET_MODULES_BARCODE = 10
_LARGEST_QR_MODULE = 6
_LARGEST_BARCODE_MODULE = 2
_BARCODE_HEIGHT = 80

# Code 128: the widths of three bars and three gaps in turn, by value; https://en.wikipedia.org/wiki/Code_128
_WIDTHS = (
    "212222 222122 222221 121223 121322 131222 122213 122312 132212 221213 221312 231212 112232 122132 122231 113222 "
    "123122 123221 223211 221132 221231 213212 223112 312131 311222 321122 321221 312212 322112 322211 212123 212321 "
    "232121 111323 131123 131321 112313 132113 132311 211313 231113 231311 112133 112331 132131 113123 113321 133121 "
    "313121 211331 231131 213113 213311 213131 311123 311321 331121 312113 312311 332111 314111 221411 431111 111224 "
    "111422 121124 121421 141122 141221 112214 112412 122114 122411 142112 142211 241211 221114 413111 241112 134111 "
    "111242 121142 121241 114212 124112 124211 411212 421112 421211 212141 214121 412121 111143 111341 131141 114113 "
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232 "
)
_DIGITS = 6
_STOP = "2331112"
_START_B = 104
_CHECK_MODULUS = 103
_FIRST_OF_B = " "


class PartMissing(SlipError):
    """A library that draws a code is not installed.

    Attributes:
        library: its name.
    """

    def __init__(self, library: str) -> None:
        super().__init__(f"a QR code can't be drawn without {library}")
        self.library = library


def qr_code(text: str, most_dots: int) -> Dots | None:
    """Return a text as a QR code with its quiet zone, at most ``most_dots`` wide; None where it is too long for one.

    Raises:
        PartMissing: segno is not installed.
    """
    try:
        import segno  # noqa: PLC0415 - an extra, which only a slip with a QR code needs
    except ImportError:
        raise PartMissing("segno") from None
    try:
        matrix = segno.make(text, micro=False, error="m", boost_error=False).matrix
    except segno.DataOverflowError:
        return None
    quiet = _QUIET_MODULES_QR
    width = len(matrix) + 2 * quiet
    rows = tuple(int("".join(map(str, row)), 2) << quiet for row in matrix)
    module = min(_LARGEST_QR_MODULE, most_dots // width)
    return Dots(width, (0,) * quiet + rows + (0,) * quiet).scaled(module) if module else None


def barcode(text: str, most_dots: int) -> Dots | None:
    """Return a text of printable ASCII as a Code 128 barcode, at most ``most_dots`` wide; None where it is too long."""
    quiet = "0" * _QUIET_MODULES_BARCODE
    modules = quiet + "".join([_modules(_widths(value)) for value in _values(text)]) + _modules(_STOP) + quiet
    module = min(_LARGEST_BARCODE_MODULE, most_dots // len(modules))
    if not module:
        return None
    row = int("".join([bit * module for bit in modules]), 2)
    return Dots(len(modules) * module, (row,) * _BARCODE_HEIGHT)


def _values(text: str) -> list[int]:
    """Return the values of a barcode: start, the characters in code set B, the check."""
    values = [_START_B, *(ord(character) - ord(_FIRST_OF_B) for character in text)]
    check = sum(value * max(place, 1) for place, value in enumerate(values)) % _CHECK_MODULUS
    return [*values, check]


def _widths(value: int) -> str:
    begin = value * (_DIGITS + 1)
    return _WIDTHS[begin : begin + _DIGITS]


def _modules(widths: str) -> str:
    return "".join([("1", "0")[index % 2] * int(width) for index, width in enumerate(widths)])
