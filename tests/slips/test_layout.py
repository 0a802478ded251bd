"""A slip's rows: no wider than the printer, sensible where things don't fit."""

from __future__ import annotations

import unicodedata

import pytest

from slips import Alphabet, SlipRenderer
from slips.characters import text_width
from slips.layout import lay_out


def lines(renderer: SlipRenderer, body: str, width: int, **data: object) -> tuple[str, ...]:
    template = renderer.load_text(f"<slip>{body}</slip>".encode(), "test")
    return renderer.render(template, {"operation": "pay", **data}, width).lines


def test_a_line_breaks_between_words_and_a_long_word_inside(renderer: SlipRenderer) -> None:
    assert lines(renderer, "<line>деньги вернутся покупателю сами</line>", 24) == ("деньги вернутся", "покупателю сами")
    assert lines(renderer, f"<line>a {'b' * 50} c</line>", 24) == ("a", "b" * 24, "b" * 24, "bb c")


def test_a_line_is_aligned(renderer: SlipRenderer) -> None:
    body = "<line align='left'>abc</line><line align='center'>abc</line><line align='right'>abc</line>"
    assert lines(renderer, body, 24) == ("abc", " " * 10 + "abc", " " * 21 + "abc")
    assert lines(renderer, "<line align='center'></line>", 24) == ("",)


def test_every_row_of_a_broken_line_is_aligned(renderer: SlipRenderer) -> None:
    assert lines(renderer, "<line align='right'>abcdefghijkl mnopqrstuvwxyz</line>", 24) == (
        " " * 12 + "abcdefghijkl",
        " " * 10 + "mnopqrstuvwxyz",
    )


def test_a_pair_takes_one_row_where_both_fit(renderer: SlipRenderer) -> None:
    assert lines(renderer, "<pair label='Касса'>3</pair>", 24) == ("Касса" + " " * 18 + "3",)
    assert lines(renderer, f"<pair label='{'a' * 12}'>{'b' * 11}</pair>", 24) == (f"{'a' * 12} {'b' * 11}",)


def test_a_pair_that_does_not_fit_puts_its_text_at_the_right_of_the_next_row(renderer: SlipRenderer) -> None:
    assert lines(renderer, f"<pair label='{'a' * 12}'>{'b' * 12}</pair>", 24) == ("a" * 12, " " * 12 + "b" * 12)


def test_a_pairs_text_goes_beside_the_last_row_of_a_long_label(renderer: SlipRenderer) -> None:
    label = "номер чека исходной продажи"
    assert lines(renderer, f"<pair label='{label}'>118</pair>", 24) == (
        "номер чека исходной",
        "продажи" + " " * 14 + "118",
    )


def test_a_pair_without_text_or_label_is_what_is_left_of_it(renderer: SlipRenderer) -> None:
    assert lines(renderer, "<pair label='Касса'/><pair label=''>3</pair>", 24) == ("Касса", " " * 23 + "3")


def test_an_amount_is_never_broken_between_its_thousands(renderer: SlipRenderer) -> None:
    rows = lines(renderer, "<line>оплачено всего ${amount} сум</line>", 24, amount=1_234_500_00)
    assert rows == ("оплачено всего", "1 234 500.00 сум")


@pytest.mark.parametrize("encoding", [None, "cp866", "cp437", "ascii", "koi8-r", "iso8859-5"])
@pytest.mark.parametrize("space", ["\u00a0", "\u202f", "\u2007"])
def test_a_no_break_space_never_breaks_whether_the_code_page_has_it_or_not(encoding: str | None, space: str) -> None:
    renderer = SlipRenderer(encoding=encoding)
    body = f"<line>paid in all ${{amount}}</line><line>one two three 12{space}000{space}345</line>"
    body += f"<pair label='the label of this{space}pair{space}here'>3</pair>"
    assert lines(renderer, body, 24, amount=1_234_500_00) == (
        "paid in all 1 234 500.00",
        "one two three 12 000 345",
        "the label of",
        "this pair here" + " " * 9 + "3",
    )
    assert lines(renderer, body, 24, amount=11_234_500_00)[:2] == ("paid in all", "11 234 500.00")


def test_rules_blanks_and_cuts_fill_their_row(renderer: SlipRenderer) -> None:
    assert lines(renderer, "<rule/><blank/><cut/>", 25) == ("-" * 25, "", "- " * 12 + "-")


def test_codes_are_printed_as_text_behind_a_marker(renderer: SlipRenderer) -> None:
    assert lines(renderer, "<qr>https://example.uz/abc</qr>", 24) == ("[QR] https://example.uz/", "abc")
    assert lines(renderer, "<barcode>65f0</barcode>", 24) == ("[BARCODE] 65f0",)


def test_a_width_beyond_24_to_80_is_taken_as_the_nearest(renderer: SlipRenderer) -> None:
    for asked, got in ((-5, 24), (0, 24), (23, 24), (24, 24), (80, 80), (81, 80), (10**9, 80)):
        assert lines(renderer, "<rule/>", asked) == ("-" * got,)


def test_wide_characters_take_two_columns_and_marks_none(renderer: SlipRenderer) -> None:
    assert lines(renderer, "<pair label='商店'>3</pair>", 24) == ("商店" + " " * 19 + "3",)
    assert lines(renderer, f"<line>{'商' * 13}</line>", 24) == ("商" * 12, "商")
    marked = "x\u0323\u0301"
    assert lines(renderer, f"<line>{marked * 30}</line>", 24) == (marked * 24, marked * 6)


def test_the_fast_road_counts_columns_like_the_slow_one() -> None:
    for code in range(0x20, 0x11000):
        character = chr(code)
        if character.isprintable() or unicodedata.category(character) == "Zs":
            marks = unicodedata.category(character) in {"Mn", "Me"}
            columns = 0 if marks else 2 if unicodedata.east_asian_width(character) in "WF" else 1
            assert text_width(f"a{character}b") == 2 + columns, hex(code)


def test_plain_lines_have_one_weight_and_size_but_rows_carry_both(renderer: SlipRenderer) -> None:
    body = "<line align='center' bold='true' size='double'>оплата картой</line><line>b</line>"
    template = renderer.load_text(f"<slip>{body}</slip>".encode(), "test")
    slip = renderer.fill(template, {"operation": "pay"})
    assert renderer.render(template, {"operation": "pay"}, 24).lines == ("     оплата картой", "b")
    rows = lay_out(slip, 24, enlarge=True)
    assert [(row.text, row.bold, row.double) for row in rows] == [
        ("   оплата", True, True),
        ("   картой", True, True),
        ("b", False, False),
    ]


@pytest.mark.parametrize("width", range(24, 81))
def test_no_row_is_wider_than_the_slip_after_transliteration(renderer: SlipRenderer, width: int) -> None:
    slip = renderer.fill(
        renderer.load_text("<slip><pair label='Щука'>Щедрый Щенок… №5 商店</pair></slip>".encode(), "t"),
        {"operation": "pay"},
    )
    rows = lay_out(slip, width, Alphabet("ascii"))
    assert all(len(row.text) <= width for row in rows)
    assert "".join(row.text for row in rows).isascii()
