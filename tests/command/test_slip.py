"""``payme slip`` checks a technician's template and shows what it prints."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING

import pytest

from payme_plugin.locale import load_catalogue
from slips.errors import TEXTS
from tests.command.conftest import ROOT, payme

if TYPE_CHECKING:
    from pathlib import Path

SHIPPED = ROOT / "slips" / "payme.xml"
MISTAKES = """<slip>
  <pair label="Карта">${receipt.card.numbr}</pair>
  <line align='\x9b2J\u202e'>text</line>
</slip>
"""
MESSAGES = [
    "line 2, column 23: unknown name 'receipt.card.numbr'; did you mean 'receipt.card.number'?",
    "line 3, column 9: align is '[U+009B]2J[U+202E]'; allowed: left, center, right",
]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return tmp_path / "my.xml"


# ---------------------------------------------------------------------------------------------------------------------
# check
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted((ROOT / "slips").glob("payme*.xml")), ids=lambda path: path.name)
def test_a_sound_template_is_ok(path: Path) -> None:
    checked = payme("slip", "check", str(path))

    assert (checked.code, checked.out, checked.err) == (0, f"{path}: ok\n", "")
    document = {"file": str(path), "ok": True, "faults": [], "warnings": []}
    assert payme("slip", "check", str(path), "--json").document == document


def test_every_mistake_is_a_message_with_its_place_and_nothing_that_a_terminal_would_obey(template: Path) -> None:
    template.write_text(MISTAKES, encoding="utf-8")
    checked = payme("slip", "check", str(template))
    document = payme("slip", "check", str(template), "--json").document

    assert (checked.code, checked.out) == (2, "")
    assert checked.sentences == [f"{template}: {text}" for text in MESSAGES]
    assert (document["file"], document["ok"], document["warnings"]) == (str(template), False, [])
    assert [fault["message"] for fault in document["faults"]] == MESSAGES
    places = [(fault["line"], fault["column"], fault["nearest"]) for fault in document["faults"]]
    assert places == [(2, 23, "receipt.card.number"), (3, 9, None)]


def test_mistakes_are_named_in_the_language_of_the_technician(template: Path) -> None:
    template.write_text(MISTAKES, encoding="utf-8")
    checked = payme("slip", "check", str(template), "--lang", "uz")

    assert checked.sentences[0].startswith(f"{template}: 2-qator, 23-ustun: nomaʼlum nom ")
    assert "did you mean" not in checked.err


def test_the_english_catalogue_says_what_the_engine_says() -> None:
    for key, text in TEXTS.items():
        assert load_catalogue("en", "slips").gettext(f"slips.fault.{key}") == text


def test_an_operation_for_which_nothing_is_printed_is_a_warning_of_the_check_and_a_fault_of_its_preview(
    template: Path,
) -> None:
    template.write_text("<slip><line when='pay refund'>a</line></slip>")
    checked = payme("slip", "check", str(template), "--json")
    previewed = payme("slip", "preview", str(template), "--operation", "cancel")

    assert (checked.code, checked.document["ok"]) == (0, True)
    (sentence,) = checked.sentences
    assert sentence.startswith(f"warning: {template}: nothing is printed for the operation 'cancel'")
    assert checked.document["warnings"] == [sentence.partition(f"{template}: ")[2]]
    assert previewed.code == 2
    assert previewed.sentences == [f"{template}: nothing is left to print for the operation 'cancel'"]


@pytest.mark.parametrize("command", ["check", "preview"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "there is no such file"),
        (b"<!DOCTYPE slip [<!ENTITY a 'b'>]><slip><line>&a;</line></slip>", "a document type declaration"),
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
    folder = payme("slip", command, str(template.parent))
    assert (folder.code, folder.sentences) == (2, [f"{template.parent}: this is not a file"])


@pytest.mark.parametrize("command", ["check", "preview"])
def test_a_library_that_is_missing_is_a_sentence(monkeypatch: pytest.MonkeyPatch, command: str) -> None:
    monkeypatch.setattr("slips.schemas._built", {})  # as in a new process
    monkeypatch.setitem(sys.modules, "xmlschema", None)
    ended = payme("slip", command, str(SHIPPED))

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentences[0].startswith("xmlschema can't be imported: ")


# ---------------------------------------------------------------------------------------------------------------------
# preview
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "width", "words"),
    [
        ([], 32, "ОПЛАТА"),
        (["--operation", "cancel", "--width", "24"], 24, "ОТМЕНА ОПЛАТЫ"),
        (["--operation", "refund", "--width", "80"], 80, "ВОЗВРАТ"),
    ],
)
def test_a_preview_is_the_lines_that_the_till_prints(options: list[str], width: int, words: str) -> None:
    shown = payme("slip", "preview", str(SHIPPED), *options)
    document = payme("--json", "slip", "preview", str(SHIPPED), *options).document

    lines = shown.out.splitlines()
    assert (shown.code, shown.err) == (0, "")
    assert words in [line.strip() for line in lines]
    assert "-" * width in lines
    assert max(map(len, lines)) == width
    assert "1 234 500.00 сум" in shown.out
    assert (document["width"], document["lines"], document["png"]) == (width, lines, None)
    operation = document["operation"]
    assert document["xml"].startswith(f'<?xml version="1.0" encoding="UTF-8"?>\n<slip operation="{operation}">')


def test_a_code_page_shows_what_its_printer_prints() -> None:
    shown = payme("slip", "preview", str(ROOT / "slips" / "payme.uz.xml"), "--encoding", "cp866")

    assert "TO'LOV" in shown.out
    assert shown.out.encode("cp866").decode("cp866") == shown.out


def width_of(png: Path) -> int:
    head = png.read_bytes()[:24]
    assert head.startswith(b"\x89PNG")
    return int(struct.unpack(">I", head[16:20])[0])


def test_an_image_is_written_and_its_path_printed(tmp_path: Path) -> None:
    narrow, wide = tmp_path / "32.png", tmp_path / "48.png"
    shown = payme("slip", "preview", str(SHIPPED), "--png", str(narrow), "--operation", "cancel")
    document = payme("slip", "preview", str(SHIPPED), "--png", str(wide), "--width", "48", "--json").document

    assert (shown.code, shown.out, shown.err, document["png"]) == (0, f"{narrow}\n", "", str(wide))
    assert width_of(wide) - width_of(narrow) == 16 * 12


def test_an_image_that_can_not_be_written_is_a_sentence_and_it_never_replaces_the_template(template: Path) -> None:
    text = "<slip><line>a</line></slip>"
    template.write_text(text)
    link = template.parent / "link.png"
    link.symlink_to(template)
    for out in (template.parent, template.parent / "none" / "slip.png", template, link):
        ended = payme("slip", "preview", str(template), "--png", str(out))

        assert (ended.code, ended.out, len(ended.sentences), template.read_text()) == (2, "", 1, text)
        if out in {template, link}:
            assert ended.sentences[0] == f"{out} is the template itself; name another file with --png."
        else:
            assert ended.sentences[0].startswith(f"{out} can't be written: ")


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
