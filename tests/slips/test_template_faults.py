"""A technician's mistakes: each is reported with its place, its reason, and the nearest allowed name."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING

import pytest

from slips import LANGUAGES, SlipRenderer, TemplateError, TemplateFault, sample_data
from slips.source import read_xml

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.floor


def faults_of(renderer: SlipRenderer, text: str | bytes) -> tuple[TemplateFault, ...]:
    with pytest.raises(TemplateError) as caught:
        renderer.load_text(text.encode() if isinstance(text, str) else text, "payme.xml")
    return caught.value.faults


@pytest.mark.parametrize("language", [*LANGUAGES, "de"])
def test_every_shipped_template_is_without_mistakes(renderer: SlipRenderer, language: str) -> None:
    assert renderer.load(None, language).language == ("ru" if language == "de" else language)


@pytest.mark.parametrize(
    ("text", "column", "reason"),
    [
        ("<lin>a</lin>", 1, "unknown element <lin>; allowed: line, pair,"),
        ("<line algin='left'>a</line>", 7, "<line> has no attribute 'algin'; allowed: "),
        ("<line align='middle'>a</line>", 7, "align is 'middle'; allowed: left, center, right"),
        ("<line>a <line>b</line></line>", 9, "<line> stands inside <line>, which holds no elements"),
        ("<pair>15.00</pair>", 1, "<pair> lacks the attribute 'label'"),
        ("<rule> </rule>", 1, "<rule> holds no text, not even spaces; write <rule/>"),
        ("<qr> </qr>", 1, "<qr> is empty"),
        ("<line>${amount</line>", 8, "a brace '{' that belongs to no placeholder"),
        ("<line>${amount|date}</line>", 7, "filter 'date' does not fit amount; allowed: money"),
        ("<line>${}</line>", 7, "unknown name ''"),
        (
            "<line>${terminalId}</line>",
            7,
            "unknown name 'terminalId'; did you mean 'receipt.merchant.epos.terminalId'?",
        ),
        ("<line>${Amount}</line>", 7, "unknown name 'Amount'; did you mean 'amount'?"),
        ("<line>${account.x}</line>", 7, "unknown name 'account.x'; did you mean 'receipt.account.NAME'?"),
        ("<line when=''>a</line>", 7, "when is empty"),
        ("<line when='pay refnd'>a</line>", 7, "unknown name 'refnd'; did you mean 'refund'?"),
        (f"<line when='{'till ' * 21}'>a</line>", 7, "when has more than 20 words"),
        ("<line>${receipt.card.expire}</line>", 7, "'receipt.card.expire': a card's expiry date is never printed"),
        ("<line>a\x85b</line>", 8, "the character [U+0085] can't be printed"),
        (f"<line>{'a' * 2001}</line>", 7, "a text has more than 2000 characters"),
        (f"<line>{chr(0x0958) * 1500}</line>", 7, "a text has more than 2000 characters"),  # once it is composed
        ("<blank/>text", 9, "text stands outside of an element"),
        ("text<blank/>", 1, "text stands outside of an element"),
        ("\u3000<rule/>", 1, "text stands outside of an element"),  # a space, but not to XML
        ("<rule when='pay\u00a0till'/>", 7, "unknown name 'pay till'"),
        ("<line>" * 20 + "</line>" * 20, 91, "elements are nested more than 16 deep"),
        ("<line>a</lin>", 10, "this is not well-formed XML: mismatched tag"),
    ],
)
def test_a_mistake_says_where_why_and_what_is_allowed(
    renderer: SlipRenderer, text: str, column: int, reason: str
) -> None:
    (fault,) = faults_of(renderer, f"<slip>\n\n{text}</slip>")
    assert str(fault).startswith(f"line 3, column {column}: {reason}")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("<slip></slip>", "the template is empty"),
        ("", "this is not well-formed XML: no element found"),
        ("<slipp><line>a</line></slipp>", "the root element is <slipp>; allowed is <slip>"),
        ("<slip langauge='ru'><line>a</line></slip>", "<slip> has no attribute 'langauge'; allowed: language; did you"),
        ("<slip language='de'><line>a</line></slip>", "language is 'de'; allowed: ru, uz, uz-Cyrl, en"),
    ],
)
def test_a_file_that_is_not_a_template_is_one_fault_on_line_1(renderer: SlipRenderer, text: str, reason: str) -> None:
    (fault,) = faults_of(renderer, text)
    assert (fault.line, reason in str(fault)) == (1, True)


def test_all_mistakes_come_at_once_each_where_the_technician_must_look(renderer: SlipRenderer) -> None:
    text = """<slip>
  <lin>a</lin>
  <pair label="Сумма &lt; {"
        bold="true"
        size='big'
        when="
          pay">сумма
    ${amount} и
    ${amout}</pair>
  <line
    align =
     'middle' >Card="1"

 align="left"&lt;&#98;\u202eevil</line>
  <pair
    label='bold=&#10; ${card.number}' bold='yes'/>
</slip>"""
    assert [(fault.line, fault.column, fault.nearest) for fault in faults_of(renderer, text)] == [
        (2, 3, "line"),
        (3, 9, None),
        (5, 9, None),
        (9, 5, "amount"),
        (11, 5, None),
        (14, 23, None),
        (16, 5, "receipt.card.number"),
        (16, 39, None),
    ]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "windows-1251", "cp866"]
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_place_is_counted_in_letters_in_every_encoding(renderer: SlipRenderer, encoding: str, end: str) -> None:
    declared = encoding.removesuffix("-sig").removesuffix("-le").removesuffix("-be")
    lines = [f"<?xml version='1.0' encoding='{declared}'?>", "<slip><pair label='Сумма &lt;' bold='да'", " size='big'"]
    text = end.join([*lines, ">Сумма ${amout}</pair></slip>"])
    places = [(fault.line, fault.column) for fault in faults_of(renderer, text.encode(encoding))]
    assert places == [(2, 32), (3, 2), (4, 8)]


def test_a_file_of_absurdly_many_parts_is_refused_where_they_become_too_many(renderer: SlipRenderer) -> None:
    renderer.load_text(b"<slip>" + b"\n" * 9_999 + b"<rule/></slip>", "long.xml")
    for text, place, parts in (
        ("\n" * 20_000, (10_001, 1), "10000 lines and references"),
        ("\n<line>" + "&lt;" * 20_000 + "</line>", (2, 40_003), "10000 lines and references"),
        ("\n" + "<rule/>" * 1_001, (2, 6_994), "1000 elements"),
    ):
        (fault,) = faults_of(renderer, f"<slip>{text}</slip>")
        assert (fault.line, fault.column, fault.reason) == (*place, f"there are more than {parts}")


@pytest.mark.parametrize("encoding", ["windows-1251", "cp866", "koi8-r"])
@pytest.mark.parametrize("language", ["ru", "uz-Cyrl"])
@pytest.mark.parametrize(("declaration", "named"), [("", "utf-8"), ('<?xml version="1.0" encoding="UTF-8"?>', "UTF-8")])
def test_an_undeclared_encoding_is_guessed_with_the_declaration_to_write(
    renderer: SlipRenderer, encoding: str, language: str, declaration: str, named: str
) -> None:
    shipped = files("slips").joinpath("payme.xml" if language == "ru" else f"payme.{language}.xml").read_text("utf-8")
    text = f"\n<slip>\n<line>Payme</line> <!-- Слип -->{shipped.partition('<slip')[2].partition('>')[2]}"
    (fault,) = faults_of(renderer, (declaration + text).encode(encoding, "ignore"))
    declared = f'<?xml version="1.0" encoding="{encoding}"?>'
    assert str(fault) == (
        f"line 3, column 25: the file is not in the encoding {named}, it looks like {encoding}: save it in UTF-8, "
        f"or write {declared} into its first line"
    )
    template = renderer.load_text((declared + text).encode(encoding, "ignore"), "payme.xml")
    assert "Кас" in "".join(renderer.render(template, sample_data("pay"), 32).lines), "the advice helps"


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (b"<slip>\n<line>\xff</line></slip>", (2, 7), "the file is not in the encoding utf-8; save it in UTF-8"),
        ("<slip><line>Тест".encode() + b"\xd0</line></slip>", (1, 17), "the file is not in the encoding utf-8"),
        (b"\xff\xfe\x00", (1, 1), "the file is not in the encoding utf-16; save it in UTF-8"),
        (b'<?xml version="1.0" encoding="martian"?><slip/>', (1, 1), "the encoding 'martian' of the XML declaration"),
    ],
)
def test_an_unusable_encoding_is_named(
    renderer: SlipRenderer, text: bytes, place: tuple[int, int], reason: str
) -> None:
    (fault,) = faults_of(renderer, text)
    assert (fault.line, fault.column) == place
    assert fault.reason.startswith(reason)


def test_a_fault_names_its_file_also_one_that_is_missing_or_a_folder(renderer: SlipRenderer, tmp_path: Path) -> None:
    path = tmp_path / "payme.xml"
    path.write_text("<slip>\n<lin/></slip>")
    for file, fault in (
        (path, "line 2, column 1: unknown element <lin>"),
        (tmp_path / "none", "there is no such file"),
        (tmp_path, "this is not a file"),
    ):
        with pytest.raises(TemplateError) as caught:
            renderer.load(file)
        assert str(caught.value).startswith(f"{file}: {fault}")


def test_the_schema_has_the_last_word_where_the_check_finds_nothing(renderer: SlipRenderer) -> None:
    (fault,) = renderer._schema_faults(read_xml(b"<slip>\n<rule/>\n<line colour='red'>a</line></slip>"))
    assert fault.line == 3
    assert fault.reason.startswith("the schema of templates refuses this: ")
