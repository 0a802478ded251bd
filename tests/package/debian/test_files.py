"""Checks of the package's sources that need no build."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

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


def text_of(name: str) -> str:
    return (DEBIAN / name).read_text(encoding="utf-8")


# ---------------------------------------------------------------------------------------------------------------------
# The settings file
# ---------------------------------------------------------------------------------------------------------------------


def test_the_settings_file_has_every_setting_commented_with_its_default_in_the_tables_order() -> None:
    found = re.findall(r"^;(\w+) =(?: \"(.*)\"| (.*))?$", SAMPLE, re.MULTILINE)

    assert [(name, quoted or plain) for name, quoted, plain in found] == [
        (each.name, each.default) for each in SETTINGS
    ]
    assert parse(SAMPLE.encode()).faults == parse(SAMPLE.encode("cp1251").replace(b"\n", b"\r\n")).faults == ()


def test_a_line_of_the_settings_file_uncommented_means_its_default(tmp_path: Path) -> None:
    conf = tmp_path / "sample.conf"
    conf.write_text("[Main]\n", encoding="utf-8")
    defaults = read_settings({"paymentType": "7"}, conf, codes)
    for name in ("", *(each.name for each in SETTINGS)):
        conf.write_text(SAMPLE.replace(f"\n;{name} =", f"\n{name} ="), encoding="utf-8")
        conf.chmod(0o600)
        found = read_settings({"paymentType": "7"}, conf, codes)

        assert set(parse(conf.read_bytes()).values) == {name} - {""}
        changed = [each.name for each in SETTINGS if getattr(found, each.field) != getattr(defaults, each.field)]
        assert changed == (["earlyPolling"] if name == "frequency" else [])


# ---------------------------------------------------------------------------------------------------------------------
# The rest
# ---------------------------------------------------------------------------------------------------------------------


def test_every_question_has_a_translation_and_the_address_of_payme_is_offered() -> None:
    template, catalogue = text_of("artix-payme.templates"), text_of("po/ru.po")
    translated = re.findall(r"(?ms)^msgid (.+?)^msgstr (.+?)(?:^$|\Z)", catalogue)[1:]

    assert len(translated) == catalogue.count("\nmsgid ") - 1
    for english, russian in translated:
        assert re.search("[а-яё]", russian) or english == russian == '"${problems}"\n'
    assert "fuzzy" not in catalogue
    assert "Template: artix-payme/url\nType: string\nDefault: https://checkout.paycom.uz/api\n" in template


def commands(command: click.Command, name: str) -> list[str]:
    inner = commands_in(command).items()
    return [name] if not inner else [each for word, one in inner for each in commands(one, f"{name} {word}")]


def test_the_man_page_names_every_command() -> None:
    page = text_of("payme.1").replace("\\-", "-").replace('"', "")

    for name in commands(main, "payme"):
        assert re.search(rf"^\.B[IR]* {name}\b", page, re.MULTILINE), name


def test_package_and_distribution_have_the_same_version() -> None:
    version = re.search(r'(?m)^version = "([^"]+)"$', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert version is not None
    assert text_of("changelog").startswith(f"artix-payme (1:{version[1]}) ")
    assert f'"payme-plugin {version[1]}"' in text_of("payme.1")


def test_the_package_needs_what_the_distribution_needs() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8").partition("\ndependencies = [")[2].partition("]")[0]
    needed = dict(re.findall(r'"([\w-]+)>=([\d.]+)', project))

    depends = text_of("control").partition("\nDepends:")[2].partition("\nSuggests:")[0]
    assert dict(re.findall(r"(?m)^ python3-(\w+) \(>= ([\d.]+)\),$", depends)) == needed
