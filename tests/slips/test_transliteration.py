"""Letters that the printer's code page lacks are replaced by similar ones, never by a question mark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slips import Alphabet, SlipRenderer, is_slip_encoding, sample_data


@pytest.mark.parametrize(
    ("encoding", "text", "spelled"),
    [
        ("cp866", "Қўқон Ғишт Ҳаёт", "Кўкон Гишт Хаёт"),
        ("cp866", "soʻm Oʻzbekiston gʼisht to‘lov", "so'm O'zbekiston g'isht to'lov"),
        ("cp866", "«Чорсу» — рынок…", '"Чорсу" - рынок...'),
        ("cp866", "şəhər ğ ö ü é ñ ß", "sahar g o u e n ss"),
        ("ascii", "Қўқон, Щорс", "Kukon, Shchors"),
        ("cp866", "中文", "[U+4E2D][U+6587]"),
        ("cp866", "x\u0323", "x"),
        ("cp866", "5 €", "5 EUR"),
        ("cp866", "ﬁn ½", "fin 1/2"),
        ("cp866", "12\u202f000\u20091\u20072\u30003\u16804\u00a05", "12 000 1 2 3 4\u00a05"),
        ("ascii", "12\u00a0000\u205f1", "12 000 1"),
        ("ascii", "a\u00a8b", "a[U+00A8]b"),
        ("utf-8", "Қўқон 中文", "Қўқон 中文"),
    ],
)
def test_text_is_spelled_in_the_letters_of_a_code_page(encoding: str, text: str, spelled: str) -> None:
    assert Alphabet(encoding).spell(text) == spelled


CODE_PAGES = ("ascii", "cp437", "cp855", "cp866", "cp1251", "iso8859-5", "koi8-r", "koi8-u", "mac-cyrillic", "utf-8")


@pytest.mark.parametrize("encoding", CODE_PAGES)
@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_whatever_comes_out_the_code_page_has(encoding: str, text: str) -> None:
    spelled = Alphabet(encoding).spell(text)
    spelled.encode(encoding)
    assert spelled.count("?") <= text.count("?") + sum(1 for sign in text if "?" in Alphabet("ascii").spell(sign))


@given(text=st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_spelling_twice_changes_nothing_more(text: str) -> None:
    alphabet = Alphabet("cp866")
    once = alphabet.spell(text)
    assert alphabet.spell(once) == once


def test_the_table_remembers_a_bounded_number_of_letters() -> None:
    alphabet = Alphabet("cp866")
    alphabet.spell("".join(map(chr, range(0x3400, 0x9000))))
    assert len(alphabet) <= 4096


@pytest.mark.parametrize("name", ["cp866", "IBM866", "windows-1251", "koi8-u", "ascii", "utf-8", "gb18030"])
def test_code_pages_are_known_by_any_of_their_names(name: str) -> None:
    assert is_slip_encoding(name)


@pytest.mark.parametrize(
    "name",
    ["", "cp8666", "cp864", "hex", "rot13", "utf-16", "utf-7", "unicode_escape", "idna", "punycode", "cp037", "a\x00b"],
)
def test_what_is_not_a_code_page_of_a_printer_is_refused(name: str) -> None:
    assert not is_slip_encoding(name)
    with pytest.raises(ValueError, match="no such code page; use a single-byte one"):
        SlipRenderer(encoding=name)


def test_a_renderer_with_a_code_page_prints_its_letters_only_and_keeps_the_document_whole() -> None:
    renderer = SlipRenderer(encoding="cp866")
    made = renderer.render(renderer.load(None, "uz"), sample_data("refund"), 32)
    "\n".join(made.lines).encode("cp866")
    assert any("Dastlabki to'lov" in line for line in made.lines)
    assert "Dastlabki toʻlov" in made.xml
