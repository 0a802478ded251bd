"""The sources of the package, as far as they can be checked without building it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.command_tree import commands_in
from payme_plugin.cli import main
from payme_plugin.conf_file import parse
from payme_plugin.paymego import codes
from payme_plugin.settings import SETTINGS, read_settings

if TYPE_CHECKING:
    import click

ROOT = Path(__file__).parents[3]
DEBIAN = ROOT / "debian"
SAMPLE = (DEBIAN / "payme.go.conf").read_text(encoding="utf-8")
BLOCKS = SAMPLE.removeprefix("[Main]\n").strip().split("\n\n")


def read(name: str) -> str:
    return (DEBIAN / name).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------------
# The settings file
# ---------------------------------------------------------------------------------------------------------------------


def test_the_settings_file_has_every_setting_commented_with_its_default_in_the_tables_order() -> None:
    found = re.findall(r"^;(\w+) =(?: \"(.*)\"| (.*))?$", SAMPLE, re.MULTILINE)

    assert [(name, quoted or plain) for name, quoted, plain in found] == [
        (each.name, each.default) for each in SETTINGS
    ]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.rpartition("\n;")[2].partition(" =")[0])
def test_above_each_setting_stand_its_meaning_and_its_default_in_russian(block: str) -> None:
    *comments, setting = block.splitlines()
    value = setting.partition(" =")[2].strip()

    assert re.match(r"; [А-ЯЁ].*[а-яё]", comments[0])
    assert re.match(r"; По умолчанию ", comments[-1])
    assert value in comments[-1]
    assert all(line.startswith("; ") for line in comments)


def test_the_settings_file_as_it_is_means_the_defaults(tmp_path: Path) -> None:
    plain, sample = tmp_path / "plain.conf", tmp_path / "sample.conf"
    plain.write_text("[Main]\n", encoding="utf-8")
    sample.write_text(SAMPLE, encoding="utf-8")

    assert parse(SAMPLE.encode()).faults == ()
    assert parse(SAMPLE.encode()).values == {}
    before, after = (read_settings({"paymentType": "7"}, path, codes) for path in (plain, sample))
    assert all(getattr(before, each.field) == getattr(after, each.field) for each in SETTINGS)


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_a_line_of_the_settings_file_uncommented_means_its_default(setting: object, tmp_path: Path) -> None:
    name, field = setting.name, setting.field  # type: ignore[attr-defined]
    plain, sample = tmp_path / "plain.conf", tmp_path / "sample.conf"
    plain.write_text("[Main]\n", encoding="utf-8")
    sample.write_text(SAMPLE.replace(f"\n;{name} =", f"\n{name} ="), encoding="utf-8")
    for path in (plain, sample):
        path.chmod(0o600)

    assert set(parse(sample.read_bytes()).values) == {name}
    before, after = (read_settings({"paymentType": "7"}, path, codes) for path in (plain, sample))
    assert getattr(before, field) == getattr(after, field)


def test_the_settings_file_can_be_saved_by_an_editor_of_windows() -> None:
    assert parse(SAMPLE.encode("cp1251").replace(b"\n", b"\r\n")).faults == ()


# ---------------------------------------------------------------------------------------------------------------------
# The questions
# ---------------------------------------------------------------------------------------------------------------------


def test_every_question_is_asked_in_russian_and_in_english() -> None:
    template, catalogue = read("artix-payme.templates"), read("po/ru.po")
    questions = re.findall(r"(?m)^Template: artix-payme/(.+)$", template)

    assert questions == ["paymentType", "url", "posId", "posKey", "unusable"]
    assert len(re.findall(r"(?m)^_Description: ", template)) == len(questions)
    translated = re.findall(r"(?ms)^msgid (.+?)^msgstr (.+?)(?:^$|\Z)", catalogue)[1:]
    assert len(translated) == catalogue.count("\nmsgid ") - 1
    for english, russian in translated:
        assert re.search("[а-яё]", russian) or english == russian == '"${problems}"\n'
    assert "fuzzy" not in catalogue


def test_the_key_is_asked_as_a_password_and_the_address_is_offered() -> None:
    template = read("artix-payme.templates")

    assert "Template: artix-payme/posKey\nType: password\n" in template
    assert "Template: artix-payme/url\nType: string\nDefault: https://checkout.paycom.uz/api\n" in template


# ---------------------------------------------------------------------------------------------------------------------
# The rest
# ---------------------------------------------------------------------------------------------------------------------


def commands(command: click.Command, name: str) -> list[str]:
    inner = commands_in(command).items()
    return [name] if not inner else [each for word, one in inner for each in commands(one, f"{name} {word}")]


def test_the_man_page_names_every_command() -> None:
    page = read("payme.1").replace("\\-", "-").replace('"', "")

    for name in commands(main, "payme"):
        assert re.search(rf"^\.B[IR]* {name}\b", page, re.MULTILINE), name


def test_package_and_distribution_have_the_same_version() -> None:
    version = re.search(r'(?m)^version = "([^"]+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert version is not None
    assert read("changelog").startswith(f"artix-payme (1:{version[1]}) ")
    assert f'"payme-plugin {version[1]}"' in read("payme.1")


def test_the_package_needs_what_the_distribution_needs() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\ndependencies = [")[2].partition("]")[0]
    needed = dict(re.findall(r'"([\w-]+)>=([\d.]+)', project))

    assert dict(re.findall(r"(?m)^ python3-(\w+) \(>= ([\d.]+)\),$", read("control"))) == needed


def test_the_switch_turns_the_plugin_on() -> None:
    assert read("payme.ini") == "[plugins]\npayme = on\n"
