"""The lines of a slip are never wider than the printer; what does not fit is wrapped or cut."""

from __future__ import annotations

import unicodedata

import pytest

from slips import Alphabet, SlipRenderer
from slips.characters import text_width
from slips.layout import lay_out


def lines(renderer: SlipRenderer, body: str, width: int, **data: object) -> tuple[str, ...]:
    template = renderer.load_text(f"<slip>{body}</slip>".encode(), "test")
    return renderer.render(template, {"operation": "pay", **data}, width).lines


A12, B12, MARKED = "a" * 12, "b" * 12, "x\u0323\u0301"


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        ("<line>деньги вернутся покупателю сами</line>", ["деньги вернутся", "покупателю сами"]),
        (f"<line>a {'b' * 50} c</line>", ["a", "b" * 24, "b" * 24, "bb c"]),
        ("<line align='center'>abc</line>", [" " * 10 + "abc"]),
        ("<line align='center'></line>", [""]),
        (f"<line align='right'>{A12} {B12}bb</line>", [" " * 12 + A12, " " * 10 + B12 + "bb"]),
        ("<pair label='Касса'>3</pair>", ["Касса" + " " * 18 + "3"]),
        (f"<pair label='{A12}'>{B12[1:]}</pair>", [f"{A12} {B12[1:]}"]),
        (f"<pair label='{A12}'>{B12}</pair>", [A12, " " * 12 + B12]),
        ("<pair label='номер чека исходной продажи'>118</pair>", ["номер чека исходной", "продажи" + " " * 14 + "118"]),
        ("<pair label='Касса'/><pair label=''>3</pair>", ["Касса", " " * 23 + "3"]),
        ("<line>оплачено всего ${amount} сум</line>", ["оплачено всего", "1 234 500.00 сум"]),  # never in its thousands
        ("<rule/><blank/><cut/>", ["-" * 24, "", "- " * 11 + "-"]),
        ("<qr>https://example.uz/abc</qr>", ["[QR] https://example.uz/", "abc"]),
        ("<barcode>65f0</barcode>", ["[BARCODE] 65f0"]),
        # Wide characters take two columns, marks none.
        ("<pair label='商店'>3</pair>", ["商店" + " " * 19 + "3"]),
        (f"<line>{'商' * 13}</line>", ["商" * 12, "商"]),
        (f"<line>{MARKED * 30}</line>", [MARKED * 24, MARKED * 6]),
    ],
)
def test_an_element_becomes_rows_of_24_columns(renderer: SlipRenderer, body: str, rows: list[str]) -> None:
    assert list(lines(renderer, body, 24, amount=1_234_500_00)) == rows


@pytest.mark.parametrize("encoding", [None, "cp866", "ascii"])
@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u2007"])
def test_a_no_break_space_never_breaks_whether_the_code_page_has_it_or_not(encoding: str | None, space: str) -> None:
    body = f"<line>one two three 12{space}000{space}345</line><line>paid in all ${{amount}}</line>"
    body += f"<pair label='the label of this{space}pair{space}here'>3</pair>"
    assert lines(SlipRenderer(encoding=encoding), body, 24, amount=11_234_500_00) == (
        "one two three 12 000 345",
        "paid in all",
        "11 234 500.00",
        "the label of",
        "this pair here" + " " * 9 + "3",
    )


def test_a_width_beyond_24_to_80_is_taken_as_the_nearest(renderer: SlipRenderer) -> None:
    for asked, got in ((-5, 24), (23, 24), (24, 24), (25, 25), (80, 80), (81, 80), (10**9, 80)):
        assert lines(renderer, "<rule/>", asked) == ("-" * got,)


def test_the_columns_of_plain_text_are_those_of_each_of_its_characters() -> None:
    for code in range(0x20, 0x11000):
        character = chr(code)
        if character.isprintable() or unicodedata.category(character) == "Zs":
            marks = unicodedata.category(character) in {"Mn", "Me"}
            columns = 0 if marks else 2 if unicodedata.east_asian_width(character) in "WF" else 1
            assert text_width(f"a{character}b") == 2 + columns, hex(code)


def test_plain_lines_have_one_weight_and_size_but_rows_carry_both(renderer: SlipRenderer) -> None:
    body = "<line align='center' bold='true' size='double'>оплата картой</line><line>b</line>"
    slip = renderer.fill(renderer.load_text(f"<slip>{body}</slip>".encode(), "test"), {"operation": "pay"})
    assert [row.text for row in lay_out(slip, 24)] == ["     оплата картой", "b"]
    assert [(row.text, row.bold, row.double) for row in lay_out(slip, 24, enlarge=True)] == [
        ("   оплата", True, True),
        ("   картой", True, True),
        ("b", False, False),
    ]


@pytest.mark.parametrize("width", range(24, 81))
def test_no_row_is_wider_than_the_slip_after_transliteration(renderer: SlipRenderer, width: int) -> None:
    text = "<slip><pair label='Щука'>Щедрый Щенок… №5 商店</pair></slip>".encode()
    rows = lay_out(renderer.fill(renderer.load_text(text, "t"), {"operation": "pay"}), width, Alphabet("ascii"))
    assert all(len(row.text) <= width for row in rows)
    assert "".join(row.text for row in rows).isascii()
