"""The image of a slip: what a printer of 203 dpi makes of it, drawn with a font of the package."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path

import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops

from slips import LANGUAGES, Alphabet, FilledSlip, SlipError, SlipRenderer, sample_data
from slips.document import Part
from slips.image import barcode, draw, qr_code

ROOT = Path(__file__).parents[2]
COLUMNS, COLUMN, LINE = 32, 12, 24
TABLE, EDGE, SIDE = 28, 1, 34
INK, PAPER = (38, 37, 44), (254, 253, 249)
Box = tuple[int, int, int, int]


def opened(png: bytes) -> Image.Image:
    image = Image.open(BytesIO(png), formats=["PNG"])
    image.load()
    return image.convert("RGB")


def filled(*elements: tuple[str, str], **attributes: str) -> FilledSlip:
    return FilledSlip("pay", tuple(Part(name, attributes, text) for name, text in elements))


def ink_in(image: Image.Image) -> Image.Image:
    """Return what is printed, white on black."""
    return ImageChops.difference(image, Image.new("RGB", image.size, INK)).convert("L").point([255] + [0] * 255)


def printed(slip: FilledSlip, alphabet: Alphabet | None = None) -> Image.Image:
    """Return what is printed, as wide as the columns."""
    ink, left = ink_in(opened(draw(slip, COLUMNS, alphabet))), TABLE + EDGE + SIDE
    return ink.crop((left, 0, ink.width - left, ink.height))


def box_of(image: Image.Image) -> Box:
    box = image.getbbox()
    assert box is not None, "something is printed"
    return box


def written(text: str, **attributes: str) -> Image.Image:
    return printed(filled(("line", text), **attributes))


# The paper


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [24, 80])
def test_a_shipped_slip_is_white_paper_with_black_ink_on_a_table_at_203_dpi(
    renderer: SlipRenderer, language: str, width: int
) -> None:
    png = draw(renderer.fill(renderer.load(None, language), sample_data("refund")), width)
    image = opened(png)
    colours = {colour: number for number, colour in image.getcolors() or ()}

    assert image.width == width * COLUMN + 2 * (TABLE + EDGE + SIDE)
    assert len(colours) == 4, "the table, the edge of the paper, the paper, the ink"
    assert colours[PAPER] > 8 * colours[INK] > 8_000
    assert len(png) < 60_000
    assert [round(each) for each in Image.open(BytesIO(png)).info["dpi"]] == [203, 203]


def test_the_image_in_the_docs_is_what_the_shipped_template_draws(renderer: SlipRenderer) -> None:
    in_the_docs = opened((ROOT / "docs/images/slip.png").read_bytes())
    drawn = opened(draw(renderer.fill(renderer.load(None), sample_data("pay")), COLUMNS))

    wanted = "TZ=Asia/Tashkent payme slip preview slips/payme.xml --png docs/images/slip.png"
    assert (in_the_docs.size, in_the_docs.tobytes()) == (drawn.size, drawn.tobytes()), wanted


def test_a_cut_begins_a_new_piece_of_paper_and_an_empty_piece_is_not_drawn() -> None:
    a, cut = ("line", "a"), ("cut", "")
    one, two = (opened(draw(filled(*parts), COLUMNS)) for parts in ([a], [cut, a, cut, cut, a, cut]))

    assert (two.width, two.height) == (one.width, 2 * one.height - TABLE)
    assert two.crop((0, one.height - TABLE, two.width, two.height)).tobytes() == one.tobytes()


@pytest.mark.parametrize(
    ("slip", "reason"),
    [
        (filled(("cut", "")), "nothing is printed"),
        (filled(*[("line", "щ" * 2000)] * 1000), "longer than three metres"),
    ],
)
def test_no_paper_and_too_much_of_it_are_errors(slip: FilledSlip, reason: str) -> None:
    with pytest.raises(SlipError, match=reason):
        draw(slip, COLUMNS)


# Letters


@pytest.mark.parametrize("bold", ["false", "true"])
def test_every_letter_of_russian_uzbek_and_english_is_in_the_font_and_looks_different(bold: str) -> None:
    shipped = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "slips").glob("payme*.xml"))
    letters = {*map(chr, range(0x21, 0x7F)), *map(chr, range(0x410, 0x450)), *"ҚқҒғҲҳЎўЁёʻ’‘«»№—…", *shipped} - {*" \n"}
    shapes = {letter: written(letter, bold=bold).tobytes() for letter in letters}

    assert written("商", bold=bold).tobytes() not in shapes.values()
    alike = "ийЙИuШЩшщҚкқҒгғҲхҳЎуў0Oo1lI"
    assert len({shapes[letter] for letter in alike}) == len(alike)


def test_a_letter_that_the_font_lacks_is_a_box_and_marks_stand_on_their_letter() -> None:
    left, top, right, bottom = box_of(written("商"))
    assert (right - left > COLUMN / 2, bottom - top > LINE / 2) == (True, True)
    assert box_of(written("商|"))[2] > 2 * COLUMN > box_of(written("₽"))[2]

    marked, bare = written("x\u0301"), written("x")
    assert ImageChops.lighter(marked, bare).tobytes() == marked.tobytes() != bare.tobytes()
    assert box_of(written("x\u0301|"))[2] == box_of(written("x|"))[2]


def test_a_code_page_shows_in_the_image_too() -> None:
    spelled = printed(filled(("line", "Қарши")), alphabet=Alphabet("cp866"))

    assert spelled.tobytes() == written("Карши").tobytes() != written("Қарши").tobytes()


@settings(max_examples=40)
@given(text=st.text(max_size=80), width=st.integers(24, 80), size=st.sampled_from(["normal", "double"]))
def test_whatever_a_slip_says_stays_on_the_paper(renderer: SlipRenderer, text: str, width: int, size: str) -> None:
    template = renderer.load_text(
        f"<slip><line size='{size}'>${{till}}</line><pair label='a'>${{till}}</pair><rule/></slip>".encode(), "test"
    )
    image = opened(draw(renderer.fill(template, {"operation": "pay", "till": text}), width))

    left, _, right, _ = box_of(ink_in(image))
    assert TABLE + EDGE + SIDE <= left < right <= image.width - TABLE - EDGE - SIDE


# Codes


def test_a_qr_code_is_a_real_one_with_its_quiet_zone() -> None:
    text = "https://checkout.example/65f0a1b2c3d4e5f601234567"
    code = qr_code(text, COLUMNS * COLUMN)
    assert code is not None
    matrix = segno.make(text, micro=False, error="m", boost_error=False).matrix
    side = len(matrix) + 8
    module = code.width // side

    assert module >= 4, "large enough for a telephone"
    read = [[code.getpixel((x * module, y * module)) for x in range(side)] for y in range(side)]
    quiet = [[0] * side] * 4
    assert read == [*quiet, *([0] * 4 + [255 * cell for cell in row] + [0] * 4 for row in matrix), *quiet]


@pytest.mark.parametrize(("name", "height"), [("qr", 21 * 6), ("barcode", 80 + LINE)])
def test_a_code_stands_where_align_puts_it_and_the_text_of_a_barcode_below_it(name: str, height: int) -> None:
    left, center, right = (box_of(printed(filled((name, "118"), align=side))) for side in ("left", "center", "right"))
    assert left[0] < center[0] < right[0]
    assert abs(center[0] + center[2] - COLUMNS * COLUMN) <= 1
    assert abs(center[3] - center[1] - height) <= (LINE // 2 if name == "barcode" else 0)


@pytest.mark.parametrize(("name", "marker", "text"), [("qr", "[QR]", "щ" * 1999), ("barcode", "[BARCODE]", "0" * 80)])
def test_a_text_too_long_for_a_code_is_printed_as_in_plain_lines(name: str, marker: str, text: str) -> None:
    rows = box_of(printed(filled((name, text))))
    assert rows == box_of(printed(filled(("line", f"{marker} {text}".replace(" ", "\u00a0")))))


def test_a_barcode_is_code_128_with_its_check() -> None:
    """The symbols of ``PJJ123C`` in set B, from the table of ISO/IEC 15417: start, P, J, J, 1, 2, 3, C, 55, stop."""
    code = barcode("PJJ123C", 400)
    assert code is not None
    read = "".join("1" if code.getpixel((x, 0)) else "0" for x in range(0, code.width, 2)).strip("0")
    symbols = (
        "11010010000 11101110110 10110111000 10110111000 10011100110 11001110010 11001011100 10001000110 11101000110 "
        "1100011101011"
    )
    assert read == symbols.replace(" ", "")


@given(text=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=80))
def test_every_symbol_of_a_barcode_is_eleven_modules_of_three_bars_and_three_gaps(text: str) -> None:
    code = barcode(text, 2000)
    assert code is not None
    module = code.width // (len(text) * 11 + 35 + 20)
    modules = "".join("1" if code.getpixel((x, 0)) else "0" for x in range(0, code.width, module))[10:-10]
    symbols = [modules[at : at + 11] for at in range(0, len(modules) - 2, 11)]

    assert len(symbols) == len(text) + 3
    for symbol in symbols:
        assert symbol[0] == "1"
        assert symbol.count("1") % 2 == 0
        assert symbol.replace("10", "1 0").count(" ") == 3
    assert len(set(symbols[1:-2])) == len(set(text)), "each character has its own symbol"


def test_only_a_qr_code_needs_segno(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    assert draw(filled(("line", "a"), ("barcode", "118")), COLUMNS)
    with pytest.raises(ImportError, match="segno"):
        draw(filled(("qr", "a")), COLUMNS)
