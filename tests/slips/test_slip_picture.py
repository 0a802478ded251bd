"""The picture of a slip: a printer's dots on paper, drawn without a library of pictures or a font of the machine."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import segno
from hypothesis import given, settings
from hypothesis import strategies as st

from slips import LANGUAGES, OPERATIONS, Alphabet, FilledSlip, SlipError, SlipRenderer, sample_data
from slips.document import part_of
from slips.paper import draw
from slips.paper.codes import barcode, qr_code
from slips.paper.dots import struck
from slips.paper.letters import LETTER_HEIGHT, LETTER_WIDTH, Letters
from slips.paper.strip import MOST_ROWS, printed
from slips.words import WORDS

if TYPE_CHECKING:
    from slips.paper.dots import Dots

ROOT = Path(__file__).parents[2]
FIRST_PAPER = 64
INK = 65
COLUMNS = 32


@dataclass(frozen=True)
class Seen:
    """A PNG as a viewer reads it: the place of a colour for every dot, and the colours."""

    rows: list[bytes]
    colours: list[tuple[int, int, int]]
    dots_per_metre: int


def seen(png: bytes) -> Seen:
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    chunks: dict[bytes, bytes] = {}
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        kind, data = png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        assert struct.unpack(">I", png[at + 8 + length : at + 12 + length]) == (zlib.crc32(kind + data),)
        chunks[kind] = chunks.get(kind, b"") + data
        at += 12 + length
    assert list(chunks) == [b"IHDR", b"PLTE", b"pHYs", b"IDAT", b"IEND"]
    width, height, *kind_of = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert kind_of == [8, 3, 0, 0, 0], "eight bits, a palette"
    raw = zlib.decompress(chunks[b"IDAT"])
    assert len(raw) == height * (width + 1)
    rows, above = [], bytes(width)
    for begin in range(0, len(raw), width + 1):
        assert raw[begin] == 2, "each row is its difference from the one above"
        line = raw[begin + 1 : begin + 1 + width]
        above = bytes([(new + old) & 0xFF for new, old in zip(line, above, strict=True)])
        rows.append(above)
    palette = chunks[b"PLTE"]
    colours = [(palette[at], palette[at + 1], palette[at + 2]) for at in range(0, len(palette), 3)]
    return Seen(rows, colours, struct.unpack(">IIB", chunks[b"pHYs"])[0])


def filled(*elements: tuple[str, str], **attributes: str) -> FilledSlip:
    return FilledSlip("pay", tuple((part_of(name, attributes), text) for name, text in elements))


def only_piece(slip: FilledSlip, width: int = COLUMNS, alphabet: Alphabet | None = None) -> Dots:
    (piece,) = printed(slip, width, alphabet)
    return piece


def box_of(dots: Dots) -> tuple[int, int]:
    """The first and the last column with a black dot."""
    ink = 0
    for row in dots.rows:
        ink |= row
    bits = f"{ink:0{dots.width}b}"
    return bits.index("1"), bits.rindex("1")


# ---------------------------------------------------------------------------------------------------------------------
# The paper
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [24, 32, 48, 80])
def test_a_shipped_slip_is_a_picture_of_white_paper_with_black_ink(
    renderer: SlipRenderer, language: str, operation: str, width: int
) -> None:
    picture = draw(renderer.fill(renderer.load(None, language), sample_data(operation)), width)
    png = seen(picture.png)

    assert (picture.width, picture.height) == (len(png.rows[0]), len(png.rows))
    assert picture.width > width * LETTER_WIDTH
    assert max(max(row) for row in png.rows) == INK == len(png.colours) - 1
    assert min(png.colours[FIRST_PAPER]) > 245, "the paper is white"
    assert max(png.colours[INK]) < 50, "the ink is black"
    paper = sum(row.count(FIRST_PAPER) for row in png.rows)
    ink = sum(row.count(INK) for row in png.rows)
    assert paper > 10 * ink > 10_000
    assert len(picture.png) < 60_000


def test_the_paper_has_a_soft_shadow_and_teeth_at_both_ends(renderer: SlipRenderer) -> None:
    png = seen(draw(renderer.fill(renderer.load(None), sample_data("pay")), COLUMNS).png)
    middle = png.rows[len(png.rows) // 2]
    left = middle[: middle.index(FIRST_PAPER)]

    assert left[0] == 0, "the table is without shadow at the edge of the picture"
    assert list(left) == sorted(left), "the shadow deepens towards the paper"
    assert left[-1] > FIRST_PAPER // 3
    whole = middle.count(FIRST_PAPER) + middle.count(INK)
    with_paper = [row for row in png.rows if FIRST_PAPER in row]
    for end in (with_paper[0], with_paper[-1]):
        assert end.count(FIRST_PAPER) < whole / 2, "torn along teeth"
    assert png.colours[0] != png.colours[FIRST_PAPER - 1]


def test_one_dot_of_the_printer_is_one_dot_of_the_picture_and_as_large_on_paper(renderer: SlipRenderer) -> None:
    slip = renderer.fill(renderer.load(None), sample_data("pay"))
    (piece,) = printed(slip, COLUMNS, None)
    png = seen(draw(slip, COLUMNS).png)
    drawn = [row for row in png.rows if INK in row]
    wanted = [f"{row:0{piece.width}b}" for row in piece.rows if row]

    side = (len(png.rows[0]) - piece.width) // 2
    assert ["".join("1" if dot == INK else "0" for dot in row[side : side + piece.width]) for row in drawn] == wanted
    assert png.dots_per_metre == 8000, "203 dots to the inch"


def test_the_same_slip_is_the_same_picture(renderer: SlipRenderer) -> None:
    slip = renderer.fill(renderer.load(None), sample_data("refund"))
    assert draw(slip, 48) == draw(slip, 48)


def test_the_picture_in_the_docs_is_what_the_shipped_template_draws(renderer: SlipRenderer) -> None:
    file = ROOT / "docs" / "images" / "slip.png"
    drawn = draw(renderer.fill(renderer.load(None), sample_data("pay")), COLUMNS)

    assert seen(file.read_bytes()) == seen(drawn.png), "payme slip preview slips/payme.xml --png docs/images/slip.png"


def test_a_cut_ends_a_piece_of_paper_and_an_empty_piece_is_none() -> None:
    pieces = printed(filled(("line", "a"), ("cut", ""), ("cut", ""), ("line", "b"), ("cut", "")), COLUMNS, None)

    assert len(pieces) == 2
    assert pieces[0] != pieces[1]


def test_two_pieces_lie_below_each_other_with_the_table_between_them() -> None:
    one = draw(filled(("line", "a")), COLUMNS)
    two = draw(filled(("line", "a"), ("cut", ""), ("line", "a")), COLUMNS)

    assert (two.width, two.height) == (one.width, 2 * one.height)


def test_only_cuts_are_no_picture() -> None:
    with pytest.raises(SlipError, match="nothing is printed"):
        draw(filled(("cut", "")), COLUMNS)


def test_a_slip_as_long_as_three_metres_is_refused_before_it_fills_the_memory() -> None:
    endless = filled(*[("line", "a")] * (MOST_ROWS // LETTER_HEIGHT))
    with pytest.raises(SlipError, match="longer than three metres"):
        draw(endless, COLUMNS)


# ---------------------------------------------------------------------------------------------------------------------
# Letters
# ---------------------------------------------------------------------------------------------------------------------

UZBEK = "ҚқҒғҲҳЎўЁёЪъЬьʻʼOʻoʻGʻgʻ’‘"


def test_every_letter_of_russian_uzbek_and_english_is_there_and_looks_like_no_other() -> None:
    letters = Letters()
    cyrillic = "".join(map(chr, range(0x410, 0x450)))
    latin = "".join(map(chr, range(0x21, 0x7F)))
    said = "".join(
        text
        for words in WORDS.values()
        for text in [*words.operations.values(), *words.statuses.values(), words.currency, words.amount]
    )
    shipped = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "slips").glob("payme*.xml"))
    for letter in {*UZBEK, *cyrillic, *latin, *"«»№—…", *said, *shipped} - {"\n"}:
        assert letter in letters, letter
    shapes = [letters.written(letter).rows for letter in "ийЙИuШЩшщҚКкқҒГгғҲХхҳЎУуў0Oo1lI"]
    assert len({*shapes}) >= len(shapes) - 4, "Latin and Cyrillic twins look alike, no others"


def test_every_letter_has_rows_of_dots_within_its_column() -> None:
    lines = [line for line in (ROOT / "slips/paper/letters.hex").read_text().splitlines() if not line.startswith("#")]
    for line in lines:
        code, _, rows = line.partition(":")
        assert len(rows) == LETTER_HEIGHT * LETTER_WIDTH // 4
        assert 0x20 < int(code, 16) < 0x3000
    assert lines == sorted(lines)


def test_a_letter_that_is_not_there_is_a_box_as_wide_as_its_columns() -> None:
    letters = Letters()
    narrow, wide = letters.written("₽"), letters.written("商")

    assert (narrow.width, wide.width) == (LETTER_WIDTH, 2 * LETTER_WIDTH)
    assert all(box_of(each)[1] - box_of(each)[0] > each.width / 2 for each in (narrow, wide))
    assert letters.written("商").rows == letters.written("店").rows


def test_marks_stand_on_their_letter() -> None:
    letters = Letters()
    marked, bare = letters.written("x\u0301"), letters.written("x")

    assert marked.width == bare.width
    assert marked != bare
    assert all(with_mark | row == with_mark for with_mark, row in zip(marked.rows, bare.rows, strict=True))
    assert letters.written("\u0301").width == 0


def test_bold_is_blacker_and_double_is_twice_as_wide_and_high() -> None:
    def ink(dots: Dots) -> int:
        return sum(row.bit_count() for row in dots.rows)

    plain, bold = only_piece(filled(("line", "Оплата"))), only_piece(filled(("line", "Оплата"), bold="true"))
    double = only_piece(filled(("line", "Оплата"), size="double"))

    assert ink(bold) > ink(plain)
    assert ink(double) == 4 * ink(plain)
    assert box_of(double)[1] + 1 == 2 * (box_of(plain)[1] + 1)
    assert double.height == plain.height + LETTER_HEIGHT


EVERY_LETTER = "".join(chr(code) for code in [*range(0x21, 0x7F), *range(0xA1, 0x180), *range(0x400, 0x530)])


@pytest.mark.parametrize("strikes", [2, 3])
def test_a_letter_stays_in_its_own_column_and_leaves_the_last_dot_free(strikes: int) -> None:
    letters = Letters()
    for letter in filter(letters.__contains__, EVERY_LETTER):
        bare = letters.written(letter)
        for before, behind in (("", ""), ("M", "M"), (" ", " ")):
            rows = struck(letters.written(before + letter + behind), strikes).rows
            shift = len(behind) * LETTER_WIDTH
            cell = [row >> shift & (1 << LETTER_WIDTH) - 1 for row in rows]
            assert all(row & 1 <= base & 1 for row, base in zip(cell, bare.rows, strict=True)), letter
            assert cell == list(struck(bare, strikes).rows), letter


@pytest.mark.parametrize("text", ["СУММА", "ОТМЕНА ОПЛАТЫ", "ПУЛНИ ҚАЙТАРИШ", "SUMMA", "PAYMENT", "ЫМЮЖШW"])
def test_bold_letters_do_not_run_into_each_other(text: str) -> None:
    dots = struck(Letters().written(text), 3)
    for at in range(1, len(text)):
        edge = dots.width - at * LETTER_WIDTH
        assert not any((row >> edge) & 1 for row in dots.rows), text[at - 1 : at + 1]


@pytest.mark.parametrize("letter", "МЫЮыюЖЖШMWmwжшН0")
def test_the_strokes_of_a_bold_letter_stay_apart(letter: str) -> None:
    """Where two strokes of a letter stand apart in the middle of its height, paper is between them in bold too."""
    bare, bold = Letters().written(letter), struck(Letters().written(letter), 3)
    for row, thick in zip(bare.rows, bold.rows, strict=True):
        strokes, thick_strokes = (
            [run for run in f"{each:0{bare.width}b}".split("0") if run] for each in (row | row >> 1, thick)
        )
        assert len(strokes) == len(thick_strokes)


def test_align_puts_text_at_its_side() -> None:
    left, right = (box_of(only_piece(filled(("line", "[]"), align=side))) for side in ("left", "right"))

    assert left[0] < LETTER_WIDTH
    assert right[1] > (COLUMNS - 1) * LETTER_WIDTH


@pytest.mark.parametrize("size", ["normal", "double"])
@pytest.mark.parametrize("columns", [32, 33, 47, 48])
@pytest.mark.parametrize("text", ["H", "HH", "HHHHHHH", "HHHHHHHH"])
def test_a_centred_text_stands_in_the_middle_to_the_dot(size: str, columns: int, text: str) -> None:
    first, last = box_of(only_piece(filled(("line", text), align="center", size=size), columns))
    # A letter has one free dot more at its left than at its right, as it was struck to the right.
    assert abs(first + last + 1 - columns * LETTER_WIDTH) <= 2


@pytest.mark.parametrize("columns", [32, 33])
def test_a_text_of_double_size_at_the_right_ends_where_the_paper_does(columns: int) -> None:
    _, last = box_of(only_piece(filled(("line", "H"), align="right", size="double"), columns))
    assert last == columns * LETTER_WIDTH - 3


def test_a_code_page_shows_in_the_picture_too() -> None:
    spelled = only_piece(filled(("line", "Қарши")), alphabet=Alphabet("cp866"))

    assert spelled == only_piece(filled(("line", "Карши")))
    assert spelled != only_piece(filled(("line", "Қарши")))


@settings(max_examples=60)
@given(text=st.text(max_size=80), width=st.integers(24, 80), size=st.sampled_from(["normal", "double"]))
def test_whatever_a_slip_says_stays_on_the_paper(renderer: SlipRenderer, text: str, width: int, size: str) -> None:
    template = renderer.load_text(
        f"<slip><line size='{size}'>${{till}}</line><pair label='a'>${{till}}</pair><rule/></slip>".encode(), "test"
    )
    piece = only_piece(renderer.fill(template, {"operation": "pay", "till": text}), width)

    assert piece.width == width * LETTER_WIDTH
    assert all(0 <= row < 1 << piece.width for row in piece.rows)


# ---------------------------------------------------------------------------------------------------------------------
# Codes
# ---------------------------------------------------------------------------------------------------------------------


def test_a_qr_code_is_a_real_one_with_its_quiet_zone() -> None:
    text = "https://checkout.example/65f0a1b2c3d4e5f601234567"
    code = qr_code(text, 384)
    assert code is not None
    matrix = segno.make(text, micro=False, error="m", boost_error=False).matrix
    module = code.width // (len(matrix) + 8)

    assert module >= 4, "large enough for a telephone"
    read = [f"{row:0{code.width}b}"[::module] for row in code.rows[::module]]
    quiet = "0" * (len(matrix) + 8)
    inner = ["0000" + "".join(map(str, row)) + "0000" for row in matrix]
    assert read == [*[quiet] * 4, *inner, *[quiet] * 4]


@pytest.mark.parametrize(("align", "at_least"), [("left", 0), ("center", 60), ("right", 150)])
def test_a_code_stands_where_align_wants_it(align: str, at_least: int) -> None:
    first, last = box_of(only_piece(filled(("qr", "hello"), align=align)))

    assert first >= at_least
    assert last < COLUMNS * LETTER_WIDTH
    assert align != "center" or abs(first + last + 1 - COLUMNS * LETTER_WIDTH) <= 2


def test_a_text_too_long_for_a_code_is_a_frame_with_the_text_in_it() -> None:
    for slip in (filled(("qr", "щ" * 2000)), filled(("barcode", "0" * 80))):
        piece = only_piece(slip)
        rows = [row for row in piece.rows if row]
        full = (1 << piece.width) - 1

        assert rows[0] == rows[-1] == full
        assert all(row & 1 and row >> (piece.width - 1) for row in rows)


def test_a_barcode_is_code_128_with_its_check() -> None:
    """The symbols of ``PJJ123C`` in set B, from the table of ISO/IEC 15417."""
    code = barcode("PJJ123C", 400)
    assert code is not None
    module = 2
    read = f"{code.rows[0]:0{code.width}b}"[::module].strip("0")
    symbols = {
        "start B": "11010010000", "P": "11101110110", "J": "10110111000", "1": "10011100110", "2": "11001110010",
        "3": "11001011100", "C": "10001000110", "check 55": "11101000110", "stop": "1100011101011",
    }  # fmt: skip
    wanted = [symbols[name] for name in ("start B", "P", "J", "J", "1", "2", "3", "C", "check 55", "stop")]
    assert read == "".join(wanted)
    assert len(set(code.rows)) == 1


@given(text=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=80))
def test_every_symbol_of_a_barcode_is_eleven_modules_of_three_bars_and_three_gaps(text: str) -> None:
    code = barcode(text, 2000)
    assert code is not None
    row = f"{code.rows[0]:0{code.width}b}"
    module = code.width // (len(text) * 11 + 35 + 20)
    modules = row[::module][10:-10]
    symbols = [modules[at : at + 11] for at in range(0, len(modules) - 2, 11)]

    assert len(symbols) == len(text) + 3
    for symbol in symbols:
        assert symbol[0] == "1"
        assert symbol.count("1") % 2 == 0
        assert symbol.replace("10", "1 0").count(" ") == 3
    assert len(set(symbols[1:-2])) == len(set(text)), "each character has its own symbol"


def test_the_text_of_a_barcode_stands_below_it_and_that_of_a_qr_code_does_not() -> None:
    bars, code = only_piece(filled(("barcode", "118"))), only_piece(filled(("qr", "118")))

    assert bars.height > 80 + LETTER_HEIGHT
    assert [row for row in code.rows if row][-1] & 1 == 0


_WITHOUT_SEGNO = """
import sys
sys.modules["segno"] = None
from slips import FilledSlip
from slips.document import part_of
from slips.paper import PartMissing, draw
print(len(draw(FilledSlip("pay", ((part_of("line", {}), "a"),)), 32).png) > 0)
try:
    draw(FilledSlip("pay", ((part_of("qr", {}), "a"),)), 32)
except PartMissing as missing:
    print(missing.library, missing)
print(sorted(name for name in sys.modules if name in ("PIL", "xmlschema", "defusedxml", "matplotlib")))
"""


def test_a_picture_needs_no_library_and_a_qr_code_segno_alone() -> None:
    run = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", _WITHOUT_SEGNO], capture_output=True, text=True, check=True, timeout=60, cwd=ROOT
    )
    assert run.stdout.splitlines() == ["True", "segno a QR code can't be drawn without segno", "[]"]


def test_the_licence_of_the_letters_lies_beside_them() -> None:
    licence = (ROOT / "slips/paper/letters.OFL.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    assert "Dimitar Toshkov Zhekov" in licence
