"""``payme slip``: a technician's template, checked before any sale, and what it prints."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

import pytest

from payme_plugin.locale import load_catalogue
from slips import LANGUAGES
from slips.errors import TEXTS
from tests.command.conftest import ROOT, payme, payme_process

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = ROOT / "slips" / "payme.xml"

FIVE_MISTAKES = """<slip language="ru">
  <lin>a</lin>
  <line algin="left">b</line>
  <pair label="Карта">${receipt.card.numbr}</pair>
  <line>${amount|mony}</line>
  <line>text <line>inside</line></line>
</slip>
"""
MESSAGES = """\
line 2, column 3: unknown element <lin>; allowed: line, pair, rule, blank, qr, barcode, cut; did you mean 'line'?
line 3, column 9: <line> has no attribute 'algin'; allowed: align, bold, size, when; did you mean 'align'?
line 4, column 23: unknown name 'receipt.card.numbr'; did you mean 'receipt.card.number'?
line 5, column 9: unknown filter 'mony'; allowed for amount: money; did you mean 'money'?
line 6, column 14: <line> stands inside <line>, which holds no elements
"""


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return tmp_path / "my.xml"


# ---------------------------------------------------------------------------------------------------------------------
# check
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["payme.xml", "payme.uz.xml", "payme.uz-Cyrl.xml", "payme.en.xml"])
def test_a_sound_template_is_ok(name: str) -> None:
    checked = payme("slip", "check", str(ROOT / "slips" / name))

    assert (checked.code, checked.out, checked.err) == (0, f"{ROOT / 'slips' / name}: ok\n", "")


def test_every_shipped_template_was_checked() -> None:
    assert len(LANGUAGES) == len(list((ROOT / "slips").glob("payme*.xml"))) == 4


def test_five_mistakes_are_five_messages_with_their_lines_and_the_nearest_names(template: Path) -> None:
    template.write_text(FIVE_MISTAKES, encoding="utf-8")
    checked = payme_process("slip", "check", str(template))

    assert (checked.code, checked.out) == (2, "")
    assert [sentence.removeprefix(f"{template}: ") for sentence in checked.sentences] == MESSAGES.splitlines()


@pytest.mark.parametrize(
    ("language", "first"),
    [
        (
            "ru",
            "строка 2, столбец 3: неизвестный элемент <lin>; допускаются: line, pair, rule, blank, qr, barcode, cut; ",
        ),
        ("uz", "2-qator, 3-ustun: nomaʼlum element <lin>; mumkin: line, pair, rule, blank, qr, barcode, cut; "),
    ],
)
def test_faults_are_told_in_the_language_of_the_technician(template: Path, language: str, first: str) -> None:
    template.write_text(FIVE_MISTAKES, encoding="utf-8")
    checked = payme("slip", "check", str(template), "--lang", language)

    assert checked.sentences[0].startswith(f"{template}: {first}")
    assert "did you mean" not in checked.err


def test_the_english_catalogue_says_what_the_engine_says() -> None:
    for key, text in TEXTS.items():
        assert load_catalogue("en", "slips").gettext(f"slips.fault.{key}") == text


def test_a_template_in_windows_1251_is_told_so_in_russian(template: Path) -> None:
    template.write_bytes("<slip>\n<line>Сумма</line><line>Оплачено картой</line></slip>".encode("cp1251"))
    checked = payme("slip", "check", str(template), "--lang", "ru")

    declaration = '<?xml version="1.0" encoding="windows-1251"?>'
    advice = f"сохраните его в UTF-8 или напишите первой строкой {declaration}"
    told = f"строка 2, столбец 7: кодировка файла не utf-8, похоже, это windows-1251: {advice}"
    assert checked.sentences == [f"{template}: {told}"]


def test_faults_are_in_the_document_as_well(template: Path) -> None:
    template.write_text(FIVE_MISTAKES, encoding="utf-8")
    checked = payme("slip", "check", str(template), "--json")

    assert checked.code == 2
    document = checked.document
    assert list(document) == ["file", "ok", "faults", "warnings"]
    assert (document["file"], document["ok"], document["warnings"]) == (str(template), False, [])
    assert [(fault["line"], fault["column"], fault["nearest"]) for fault in document["faults"]] == [
        (2, 3, "line"),
        (3, 9, "align"),
        (4, 23, "receipt.card.number"),
        (5, 9, "money"),
        (6, 14, None),
    ]
    assert checked.sentences == [f"{template}: {fault['message']}" for fault in document["faults"]]
    assert payme("slip", "check", str(SHIPPED), "--json").document == {
        "file": str(SHIPPED),
        "ok": True,
        "faults": [],
        "warnings": [],
    }


def test_an_operation_for_which_nothing_is_printed_is_a_warning(template: Path) -> None:
    template.write_text("<slip><line when='pay refund'>a</line></slip>")
    checked = payme("slip", "check", str(template), "--json")

    assert (checked.code, checked.document["ok"]) == (0, True)
    (sentence,) = checked.sentences
    assert sentence.startswith(f"warning: {template}: nothing is printed for the operation 'cancel'")
    assert checked.document["warnings"] == [sentence.partition(f"{template}: ")[2]]


@pytest.mark.parametrize("command", ["check", "preview"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"", "this is not well-formed XML"),
        (b"<slip>\n<line>", "this is not well-formed XML"),
        (b"<!DOCTYPE slip [<!ENTITY a 'b'>]><slip><line>&a;</line></slip>", "a document type declaration"),
        (b"<slip>" + b" " * 300_000 + b"</slip>", "the file is larger than 256 KiB"),
        (b"<receipt/>", "the root element is <receipt>; allowed is <slip>"),
        (b"\xff\xfe\x00", "the file is not in the encoding utf-16"),
    ],
)
def test_whatever_the_file_is_there_is_a_sentence_and_exit_2(
    template: Path, command: str, content: bytes | None, reason: str
) -> None:
    if content is not None:
        template.write_bytes(content)
    ended = payme("slip", command, str(template))

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentences[0].startswith(f"{template}: ")
    assert reason in ended.err


@pytest.mark.parametrize("command", ["check", "preview"])
def test_a_folder_is_no_template(tmp_path: Path, command: str) -> None:
    ended = payme("slip", command, str(tmp_path))

    assert (ended.code, ended.sentences) == (2, [f"{tmp_path}: this is not a file"])


@pytest.mark.parametrize("command", ["check", "preview"])
@pytest.mark.parametrize("missing", ["xmlschema", "defusedxml"])
def test_a_library_that_is_missing_is_a_sentence(monkeypatch: pytest.MonkeyPatch, command: str, missing: str) -> None:
    monkeypatch.setattr("slips.schemas._built", {})  # as in a new process
    monkeypatch.setitem(sys.modules, missing, None)
    ended = payme("slip", command, str(SHIPPED))

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentences[0].startswith(f"{missing} can't be imported: ")


def test_a_fault_repeats_nothing_that_a_terminal_would_obey(template: Path) -> None:
    template.write_text("<slip><line align='\x9b2J\u202e'>a</line></slip>", encoding="utf-8")
    checked = payme("slip", "check", str(template))

    assert checked.code == 2
    assert "align is '[U+009B]2J[U+202E]'" in checked.err
    assert checked.err.replace("\n", "").isprintable()


def test_without_a_command_there_is_help() -> None:
    shown = payme("slip")

    assert shown.code == 0
    assert "check" in shown.out
    assert "preview" in shown.out


# ---------------------------------------------------------------------------------------------------------------------
# preview
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "words"), [("pay", "ОПЛАТА"), ("cancel", "ОТМЕНА ОПЛАТЫ"), ("refund", "ВОЗВРАТ")]
)
@pytest.mark.parametrize("width", [24, 32, 48, 80])
def test_a_preview_is_the_lines_that_the_till_prints(operation: str, words: str, width: int) -> None:
    shown = payme("slip", "preview", str(SHIPPED), "--operation", operation, "--width", str(width))
    lines = shown.out.splitlines()

    assert (shown.code, shown.err) == (0, "")
    assert words in [line.strip() for line in lines]
    assert "-" * width in lines
    assert max(map(len, lines)) == width
    assert "1 234 500.00 сум" in shown.out


def test_a_preview_is_of_a_payment_and_of_32_columns_by_default() -> None:
    shown = payme("slip", "preview", str(SHIPPED))

    assert shown.out == payme("slip", "preview", str(SHIPPED), "--operation", "pay", "--width", "32").out


def test_a_preview_as_a_document_has_lines_and_xml() -> None:
    document = payme("--json", "slip", "preview", str(SHIPPED), "--operation", "refund").document

    assert list(document) == ["file", "operation", "width", "lines", "xml", "png"]
    assert (document["operation"], document["width"], document["png"]) == ("refund", 32, None)
    assert document["lines"] == payme("slip", "preview", str(SHIPPED), "--operation", "refund").out.splitlines()
    assert document["xml"].startswith('<?xml version="1.0" encoding="UTF-8"?>\n<slip operation="refund">')


def test_a_code_page_shows_what_its_printer_prints() -> None:
    shown = payme("slip", "preview", str(ROOT / "slips" / "payme.uz.xml"), "--encoding", "cp866")

    assert "TO'LOV" in shown.out
    assert shown.out.encode("cp866").decode("cp866") == shown.out


@pytest.mark.parametrize(
    ("option", "value"),
    [("--width", "23"), ("--width", "81"), ("--width", "wide"), ("--operation", "sell"), ("--encoding", "martian")],
)
def test_a_wrong_option_is_named_with_its_value(option: str, value: str) -> None:
    ended = payme("slip", "preview", str(SHIPPED), option, value)

    assert (ended.code, ended.out) == (2, "")
    assert option in ended.err
    assert value in ended.err


def test_nothing_to_print_for_an_operation_is_a_sentence(template: Path) -> None:
    template.write_text("<slip><line when='pay'>a</line></slip>")
    ended = payme("slip", "preview", str(template), "--operation", "refund")

    assert ended.code == 2
    assert ended.sentences == [f"{template}: nothing is left to print for the operation 'refund'"]


def size_of(png: Path) -> tuple[int, int]:
    head = png.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    width, height = struct.unpack(">II", head[16:24])
    return width, height


@pytest.mark.parametrize("name", ["payme.xml", "payme.uz.xml", "payme.uz-Cyrl.xml", "payme.en.xml"])
def test_an_image_is_written_and_its_path_printed(tmp_path: Path, name: str) -> None:
    png = tmp_path / "slip.png"
    shown = payme("slip", "preview", str(ROOT / "slips" / name), "--png", str(png), "--operation", "cancel")

    assert (shown.code, shown.out, shown.err) == (0, f"{png}\n", "")
    assert size_of(png)[0] > 32 * 12
    assert payme("slip", "preview", str(SHIPPED), "--png", str(png), "--json").document["png"] == str(png)


def test_a_wider_printer_has_a_wider_picture(tmp_path: Path) -> None:
    narrow, wide = tmp_path / "32.png", tmp_path / "48.png"
    payme("slip", "preview", str(SHIPPED), "--png", str(narrow))
    payme("slip", "preview", str(SHIPPED), "--png", str(wide), "--width", "48")

    assert size_of(wide)[0] - size_of(narrow)[0] == 16 * 12


def test_a_picture_that_can_not_be_written_is_a_sentence(tmp_path: Path) -> None:
    for out in (tmp_path, tmp_path / "none" / "slip.png"):
        ended = payme("slip", "preview", str(SHIPPED), "--png", str(out))

        assert (ended.code, ended.out) == (2, "")
        assert ended.sentences[0].startswith(f"{out} can't be written: ")


def test_the_template_itself_is_never_written_over(template: Path) -> None:
    template.write_text("<slip><line>a</line></slip>")
    (template.parent / "link.png").symlink_to(template)
    for out in (template, template.parent / "link.png"):
        ended = payme("slip", "preview", str(template), "--png", str(out))

        assert (ended.code, ended.sentences) == (2, [f"{out} is the template itself; name another file with --png."])
        assert template.read_text() == "<slip><line>a</line></slip>"


@pytest.mark.parametrize(("module", "library"), [("PIL", "Pillow"), ("segno", "segno")])
def test_an_image_without_its_library_says_what_to_install(
    template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, library: str
) -> None:
    monkeypatch.delitem(sys.modules, "slips.image", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    template.write_text("<slip><qr>${receipt_id}</qr></slip>")
    ended = payme("slip", "preview", str(template), "--png", str(tmp_path / "slip.png"))

    assert (ended.code, ended.out) == (2, "")
    packages = "run pip install 'payme-plugin[preview]', or install the packages python3-pil and python3-segno."
    assert ended.sentences == [f"The image can't be drawn without {library}: {packages}"]
    assert payme("slip", "preview", str(template)).out.startswith("[QR] ")


def test_a_template_that_is_edited_and_broken_never_gives_a_traceback(template: Path) -> None:
    text = SHIPPED.read_text(encoding="utf-8")
    for at in range(0, len(text), 97):
        template.write_text(text[:at] + text[at + 1 :], encoding="utf-8")
        ended = payme("slip", "check", str(template))

        assert ended.code in (0, 2)
        assert (ended.code == 2) == bool(ended.sentences)
        assert "unexpected" not in ended.err
