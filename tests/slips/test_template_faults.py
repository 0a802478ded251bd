"""A technician's mistakes: each is told with its place, its reason, and the nearest allowed name."""

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


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_shipped_template_is_without_mistakes(renderer: SlipRenderer, language: str) -> None:
    assert renderer.load(None, language).language == language


def test_five_different_mistakes_are_five_messages_with_their_lines(renderer: SlipRenderer) -> None:
    faults = faults_of(
        renderer,
        """<slip language="ru">
  <lin>a</lin>
  <line algin="left">b</line>
  <pair label="Карта">${receipt.card.numbr}</pair>
  <line>${amount|mony}</line>
  <line>text <line>inside</line></line>
</slip>""",
    )
    assert [(fault.line, fault.column, fault.nearest) for fault in faults] == [
        (2, 3, "line"),
        (3, 9, "align"),
        (4, 23, "receipt.card.number"),
        (5, 9, "money"),
        (6, 14, None),
    ]
    assert str(faults[0]).startswith("line 2, column 3: unknown element <lin>; allowed: line, pair,")
    assert str(faults[0]).endswith("did you mean 'line'?")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("<line align='middle'>a</line>", "align is 'middle'; allowed: left, center, right"),
        ("<line bold='yes'>a</line>", "bold is 'yes'; allowed: true, false"),
        ("<line size='huge'>a</line>", "size is 'huge'; allowed: normal, double"),
        ("<pair>15.00</pair>", "<pair> lacks the attribute 'label'"),
        ("<rule>-</rule>", "<rule> holds no text"),
        ("<qr> </qr>", "<qr> is empty"),
        ("<barcode/>", "<barcode> is empty"),
        ("<line>{amount}</line>", "a brace '{' that belongs to no placeholder"),
        ("<line>${amount</line>", "a brace '{' that belongs to no placeholder"),
        ("<line>${amount|date}</line>", "filter 'date' does not fit amount; allowed: money"),
        ("<line>${amount|}</line>", "unknown filter ''"),
        ("<line>${}</line>", "unknown name ''"),
        ("<line when=''>a</line>", "when is empty"),
        ("<line when='pay refnd'>a</line>", "unknown name 'refnd'"),
        ("<line when='receipt.merchant.nam'>a</line>", "unknown name 'receipt.merchant.nam'"),
        ("<line>${receipt.payer.phone}</line>", "the buyer's phone is never printed"),
        ("<line>${receipt.account.phone}</line>", "the buyer's phone is never printed"),
        ("<line>${receipt.card.expire}</line>", "expiry date is never printed"),
        ("<line>\u202eevil</line>", "the character [U+202E] can't be printed"),
        ("<line>a\x85b</line>", "the character [U+0085] can't be printed"),
        ("text<blank/>", "text stands outside of an element"),
        ("<blank/>text", "text stands outside of an element"),
        ("", "the template is empty"),
        (f"<line>{'a' * 2001}</line>", "a text has more than 2000 characters"),
        (f"<line when='{'till ' * 21}'>a</line>", "when has more than 20 words"),
        ("<x:line xmlns:x='urn:x'>a</x:line>", "unknown element <{urn:x}line>"),
    ],
)
def test_a_mistake_says_what_is_wrong_and_what_is_allowed(renderer: SlipRenderer, body: str, reason: str) -> None:
    (fault,) = faults_of(renderer, f"<slip>\n\n{body}</slip>")
    assert reason in str(fault)
    assert fault.line == (1 if body == "" else 3)


def test_a_mistake_on_a_later_line_of_a_long_tag_or_text_is_told_with_that_line(renderer: SlipRenderer) -> None:
    faults = faults_of(
        renderer,
        """<slip>
  <pair label="Сумма &lt; {"
        bold="true"
        size='big'
        when="
          pay">сумма
    ${amount} и
    ${amout}</pair>
</slip>""",
    )
    assert [(fault.line, fault.column) for fault in faults] == [(2, 9), (4, 9), (8, 5)]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("<slip>\n<line>abc\n\n\n\u202eevil</line></slip>", (5, 1)),
        ("<slip>\n<line>a&lt;&#98;\u202eevil</line></slip>", (2, 17)),
        ('<slip>\n<line align=\'middle\' >Card="1"\n\n align="left"</line></slip>', (2, 7)),
        ("<slip>\n<pair\n label='a\n\n${amout}'>x</pair></slip>", (3, 2)),
        ("<slip>\n<pair bold='true'\r\n  label='&lt; bold=&#10;\u202e'>x</pair></slip>", (3, 3)),
        ("<slip>\n<pair label=\" when='a'\" when='pay\n  tell'>x</pair></slip>", (2, 25)),
        ("<slip>\n<line\n\n xml:lang='ru'>a</line></slip>", (4, 2)),
        ("<slip>\n<line\n xmlns:x='urn:x' xmlns='' \n align='middle'>a</line></slip>", (4, 2)),
        ("<slip>\n<line\n align = \n 'middle'\n/></slip>", (3, 2)),
    ],
)
def test_a_fault_stands_where_the_technician_must_look(
    renderer: SlipRenderer, text: str, place: tuple[int, int]
) -> None:
    assert [(fault.line, fault.column) for fault in faults_of(renderer, text)] == [place]


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "windows-1251", "cp866"]
)
def test_an_attribute_has_its_place_in_every_encoding(renderer: SlipRenderer, encoding: str) -> None:
    declared = encoding.removesuffix("-sig").removesuffix("-le").removesuffix("-be")
    text = (
        f"<?xml version='1.0' encoding='{declared}'?>\n<slip><pair label='Сумма &lt;'\n\n bold='да' size='big'/></slip>"
    )
    assert [(fault.line, fault.column) for fault in faults_of(renderer, text.encode(encoding))] == [(4, 2), (4, 12)]


@pytest.mark.parametrize("encoding", ["windows-1251", "cp866"])
def test_columns_are_counted_in_the_letters_of_the_file(renderer: SlipRenderer, encoding: str) -> None:
    label = "Сумма".encode().decode(encoding)
    text = f"<?xml version='1.0' encoding='{encoding}'?><slip>\n<pair label='{label}' bold='yes'/></slip>"
    (fault,) = faults_of(renderer, text.encode(encoding))
    assert (fault.line, fault.column) == (2, 16 + len(label))


def test_a_file_of_absurdly_many_lines_and_references_is_refused_where_they_become_too_many(
    renderer: SlipRenderer,
) -> None:
    renderer.load_text(b"<slip>" + b"\n" * 9_999 + b"<rule/></slip>", "long.xml")
    (fault,) = faults_of(renderer, "<slip>" + "\n" * 20_000 + "<rule/></slip>")
    assert (fault.line, fault.reason) == (10_001, "there are more than 10000 lines and references")
    (fault,) = faults_of(renderer, "<slip>\n<line>" + "&lt;" * 20_000 + "</line></slip>")
    assert (fault.line, fault.reason) == (2, "there are more than 10000 lines and references")


@pytest.mark.parametrize("space", ["\u00a0", "\u2003", "\u3000"])
def test_a_space_that_is_none_of_xml_is_text_between_elements_and_in_when(renderer: SlipRenderer, space: str) -> None:
    for text, place in (
        (f"<slip>\n<rule/>\n {space}<rule/></slip>", (3, 1)),
        (f"<slip>\n {space}<rule/></slip>", (2, 2)),
        (f"<slip>\n<rule when='pay{space}till'/></slip>", (2, 7)),
    ):
        (fault,) = faults_of(renderer, text)
        assert (fault.line, fault.column) == place


def test_a_text_that_grows_beyond_its_length_when_it_is_composed_is_told(renderer: SlipRenderer) -> None:
    (fault,) = faults_of(renderer, f"<slip><line>{chr(0x0958) * 1500}</line></slip>")
    assert "a text has more than 2000 characters" in fault.reason


def test_lines_are_right_for_windows_line_ends_a_byte_order_mark_and_other_encodings(renderer: SlipRenderer) -> None:
    text = '<?xml version="1.0" encoding="{}"?>\r\n<slip>\r\n  <line>Сумма ${{amout}}</line>\r\n</slip>'
    for encoding in ("utf-8", "windows-1251", "utf-16"):
        (fault,) = faults_of(renderer, text.format(encoding).encode(encoding))
        assert (fault.line, fault.column, fault.nearest) == (3, 15, "amount"), encoding
    (fault,) = faults_of(renderer, b"\xef\xbb\xbf" + text.format("utf-8").encode())
    assert (fault.line, fault.column) == (3, 15)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("<slip>\n<line>a</lin>\n</slip>", 2, "this is not well-formed XML: mismatched tag"),
        ("", 1, "this is not well-formed XML: no element found"),
        ("not xml", 1, "this is not well-formed XML"),
        ("<slip>\n<line>&nbsp;</line></slip>", 2, "this is not well-formed XML: undefined entity"),
        ("<slipp><line>a</line></slipp>", 1, "the root element is <slipp>; allowed is <slip>"),
        ("<slip langauge='ru'><line>a</line></slip>", 1, "did you mean 'language'?"),
        ("<slip language='de'><line>a</line></slip>", 1, "language is 'de'; allowed: ru, uz, uz-Cyrl, en"),
    ],
)
def test_a_file_that_is_no_template_is_told_apart(
    renderer: SlipRenderer, text: str | bytes, line: int, reason: str
) -> None:
    (fault,) = faults_of(renderer, text)
    assert fault.line == line
    assert reason in str(fault)


@pytest.mark.parametrize("encoding", ["windows-1251", "cp866", "koi8-r"])
@pytest.mark.parametrize("language", ["ru", "uz-Cyrl"])
@pytest.mark.parametrize("declaration", ["", "<?xml version='1.0'?>", '<?xml version="1.0" encoding="UTF-8"?>'])
def test_a_template_in_an_encoding_that_it_does_not_declare_is_told_which_one_and_how_to_declare_it(
    renderer: SlipRenderer, encoding: str, language: str, declaration: str
) -> None:
    shipped = files("slips").joinpath("payme.xml" if language == "ru" else f"payme.{language}.xml").read_text("utf-8")
    text = f"{declaration}\n<slip>\n<line>Payme</line> <!-- Слип -->{shipped.partition('<slip')[2].partition('>')[2]}"
    (fault,) = faults_of(renderer, text.encode(encoding, "ignore"))
    named = "UTF-8" if "encoding" in declaration else "utf-8"
    assert str(fault) == (
        f"line 3, column 25: the file is not in the encoding {named}, it looks like {encoding}: save it in UTF-8, "
        f'or write <?xml version="1.0" encoding="{encoding}"?> into its first line'
    )
    declared = f'<?xml version="1.0" encoding="{encoding}"?>{text.removeprefix(declaration)}'
    template = renderer.load_text(declared.encode(encoding, "ignore"), "payme.xml")
    assert "Кас" in "".join(renderer.render(template, sample_data("pay"), 32).lines), "the advice helps"


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (b"<slip>\n<line>\xff</line></slip>", (2, 7), "the file is not in the encoding utf-8; save it in UTF-8"),
        ("<slip><line>Тест".encode() + b"\xd0</line></slip>", (1, 17), "the file is not in the encoding utf-8"),
        (b"\xff\xfe\x00", (1, 1), "the file is not in the encoding utf-16; save it in UTF-8"),
        (b'<?xml version="1.0" encoding="martian"?><slip/>', (1, 1), "the encoding 'martian' of the XML declaration"),
        (b'<?xml version="1.0" encoding="utf-16"?><slip/>', (1, 1), "the encoding 'utf-16' of the XML declaration"),
        (b'<?xml version="1.0" encoding="punycode"?><slip/>', (1, 1), "the encoding 'punycode' of the XML declaration"),
    ],
)
def test_an_encoding_that_can_not_be_read_is_named(
    renderer: SlipRenderer, text: bytes, place: tuple[int, int], reason: str
) -> None:
    (fault,) = faults_of(renderer, text)
    assert (fault.line, fault.column) == place
    assert fault.reason.startswith(reason)


def test_a_name_without_its_beginning_is_found_by_its_end(renderer: SlipRenderer) -> None:
    nearest = [
        faults_of(renderer, f"<slip><line>${{{name}}}</line></slip>")[0].nearest
        for name in ("card.number", "terminalId", "Amount", "account.order_id", "zzz")
    ]
    assert nearest == [
        "receipt.card.number",
        "receipt.merchant.epos.terminalId",
        "amount",
        "receipt.account.NAME",
        None,
    ]


def test_a_missing_or_unreadable_file_is_a_template_error_that_names_it(renderer: SlipRenderer, tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "payme.xml", "there is no such file"), (tmp_path, "this is not a file")):
        with pytest.raises(TemplateError, match=reason) as caught:
            renderer.load(path)
        assert caught.value.source == str(path)
        assert caught.value.faults[0].line == 0


def test_the_schema_has_the_last_word_where_the_check_finds_nothing(renderer: SlipRenderer) -> None:
    (fault,) = renderer._schema_faults(read_xml(b"<slip>\n<rule/>\n<line colour='red'>a</line></slip>"))
    assert fault.line == 3
    assert fault.reason.startswith("the schema of templates refuses this: ")


def test_an_element_without_text_holds_not_even_spaces(renderer: SlipRenderer) -> None:
    (fault,) = faults_of(renderer, "<slip>\n<rule>\n</rule></slip>")
    assert str(fault) == "line 2, column 1: <rule> holds no text, not even spaces; write <rule/>"


def test_elements_nested_too_deep_are_told_where(renderer: SlipRenderer) -> None:
    (fault,) = faults_of(renderer, "<slip>\n" + "<line>" * 20 + "</line>" * 20 + "</slip>")
    assert str(fault) == "line 2, column 91: elements are nested more than 16 deep"


def test_an_unknown_language_gets_the_russian_template(renderer: SlipRenderer) -> None:
    assert renderer.load(None, "de").language == "ru"


def test_faults_are_reported_under_the_name_of_the_file(renderer: SlipRenderer, tmp_path: Path) -> None:
    path = tmp_path / "payme.xml"
    path.write_text("<slip>\n<lin/></slip>")
    with pytest.raises(TemplateError) as caught:
        renderer.load(path)
    assert str(caught.value).startswith(f"{path}: line 2, column 1: unknown element <lin>")
