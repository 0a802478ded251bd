"""Draw a filled slip as an image of the paper, one dot of a printer of 203 dpi for each pixel.

This module needs Pillow, and segno for a slip with a QR code: the extra ``preview``. The font is in this package.
"""

from __future__ import annotations

from importlib.resources import files
from io import BytesIO
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont, ImageOps

from slips.characters import clusters, text_width
from slips.document import FilledSlip
from slips.errors import SlipError
from slips.layout import bounded_width, lay_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from slips.layout import Row
    from slips.transliteration import Alphabet

    _Fonts = tuple[ImageFont.FreeTypeFont, ImageFont.FreeTypeFont]

_DPI = 203
_COLUMN, _LINE = 12, 24
"""Dots of a letter: 32 columns on paper of 58 mm, 48 on paper of 80 mm."""
_LEADING = 6
_SIDE, _END = 34, 26
"""Blank paper beside the columns, and above and below what is printed."""
_TABLE = 28
"""Dots of the table around each piece of paper."""
_MOST_DOTS = 24_000
"""Three metres of paper."""

_TABLE_COLOUR, _EDGE_COLOUR, _PAPER_COLOUR, _INK_COLOUR = "#dfe3e8", "#b4bac3", "#fefdf9", "#26252c"

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
    "114311 411113 411311 113141 114131 311141 411131 211412 211214 211232"
)
_DIGITS = 6
_STOP = "2331112"
_START_B = 104
_CHECK_MODULUS = 103


def draw(slip: FilledSlip, width: int, alphabet: Alphabet | None = None) -> bytes:
    """Return a filled slip as a PNG: a piece of paper on a table, one more after each ``cut``.

    Args:
        slip: from ``SlipRenderer.fill``.
        width: columns of the printer; limited to 24 to 80.
        alphabet: the printer's letters, or None for any.

    Raises:
        ImportError: segno is not installed, and the slip has a QR code.
        SlipError: there is nothing to print, or the paper is longer than three metres.
    """
    columns = bounded_width(width)
    fonts = (_font("letters.otb"), _font("letters-bold.otb"))
    pieces: list[list[tuple[Image.Image, int]]] = [[]]
    height = 0
    for part in slip.parts:
        if part.element == "cut":
            pieces.append([])
        for printed, left in _printed(FilledSlip(slip.operation, (part,)), columns, alphabet, fonts):
            pieces[-1].append((printed, left))
            height += printed.height + _LEADING
        if height > _MOST_DOTS:
            raise SlipError("the slip is longer than three metres of paper")
    papers = [_paper(piece, columns * _COLUMN) for piece in pieces if piece]
    if not papers:
        raise SlipError("nothing is printed on the slip")
    table = Image.new(
        "RGB", (papers[0].width + 2 * _TABLE, _TABLE + sum(paper.height + _TABLE for paper in papers)), _TABLE_COLOUR
    )
    top = _TABLE
    for paper in papers:
        table.paste(paper, (_TABLE, top))
        top += paper.height + _TABLE
    out = BytesIO()
    table.save(out, "PNG", optimize=True, dpi=(_DPI, _DPI))
    return out.getvalue()


def _font(name: str) -> ImageFont.FreeTypeFont:
    file = BytesIO(files("slips").joinpath(name).read_bytes())
    return ImageFont.truetype(file, _LINE, layout_engine=ImageFont.Layout.BASIC)


def _paper(piece: list[tuple[Image.Image, int]], dots: int) -> Image.Image:
    height = sum(printed.height + _LEADING for printed, _ in piece)
    paper = Image.new("RGB", (dots + 2 * _SIDE, height + 2 * _END), _PAPER_COLOUR)
    top = _END + _LEADING // 2
    for printed, left in piece:
        paper.paste(_INK_COLOUR, (_SIDE + left, top), printed)
        top += printed.height + _LEADING
    return ImageOps.expand(paper, 1, _EDGE_COLOUR)


def _printed(
    slip: FilledSlip, columns: int, alphabet: Alphabet | None, fonts: _Fonts
) -> Iterator[tuple[Image.Image, int]]:
    """Yield the images that one element prints, each with its distance from the left; black is 255.

    A code that is too long for the paper is printed as text.
    """
    (part,) = slip.parts
    dots = columns * _COLUMN
    draw_code = {"qr": qr_code, "barcode": barcode}.get(part.element)
    code = draw_code(part.text, dots) if draw_code else None
    if code is not None:
        space = dots - code.width
        yield code, {"center": space // 2, "right": space}.get(part.attributes.get("align", "left"), 0)
        slip = FilledSlip(slip.operation, (part._replace(element="line"),))
    if part.element != "cut" and (code is None or part.element == "barcode"):
        for row in lay_out(slip, columns, alphabet, enlarge=True):
            yield _written(row, fonts[row.bold]), 0


def _written(row: Row, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Return an image of a row of text, with each letter in its columns and marks on their letters."""
    image = Image.new("L", (text_width(row.text) * _COLUMN or 1, _LINE))
    pen = ImageDraw.Draw(image)
    pen.fontmode = "1"
    left = 0
    for cluster, columns in clusters(row.text):
        for sign in cluster:
            pen.text((left, 0), sign, 255, font)
        left += columns * _COLUMN
    return image.resize((2 * image.width, 2 * image.height), Image.Resampling.NEAREST) if row.double else image


def qr_code(text: str, most_dots: int) -> Image.Image | None:
    """Return a text as a QR code with its quiet zone, at most ``most_dots`` wide; None if it is too long for one.

    Raises:
        ImportError: segno is not installed.
    """
    import segno  # noqa: PLC0415 - only a slip with a QR code needs it

    try:
        matrix = segno.make(text, micro=False, error="m", boost_error=False).matrix
    except segno.DataOverflowError:
        return None
    module = min(_LARGEST_QR_MODULE, most_dots // (len(matrix) + 2 * _QUIET_MODULES_QR))
    return _enlarged([list(row) for row in matrix], module, module, _QUIET_MODULES_QR) if module else None


def barcode(text: str, most_dots: int) -> Image.Image | None:
    """Return a text of printable ASCII as a Code 128 barcode, at most ``most_dots`` wide; None if it is too long."""
    values = [_START_B, *(ord(character) - ord(" ") for character in text)]
    check = sum(value * max(place, 1) for place, value in enumerate(values)) % _CHECK_MODULUS
    places = [value * (_DIGITS + 1) for value in (*values, check)]
    widths = "".join([_WIDTHS[at : at + _DIGITS] for at in places]) + _STOP
    quiet = [0] * _QUIET_MODULES_BARCODE
    modules = [*quiet, *(1 - at % 2 for at, each in enumerate(widths) for _ in range(int(each))), *quiet]
    module = min(_LARGEST_BARCODE_MODULE, most_dots // len(modules))
    return _enlarged([modules], module, _BARCODE_HEIGHT) if module else None


def _enlarged(modules: list[list[int]], width: int, height: int, quiet: int = 0) -> Image.Image:
    """Return modules (1 is black) as an image: their size is in dots, the quiet zone in modules."""
    image = Image.frombytes("L", (len(modules[0]), len(modules)), bytes(255 * cell for row in modules for cell in row))
    image = ImageOps.expand(image, quiet)
    return image.resize((image.width * width, image.height * height), Image.Resampling.NEAREST)
