"""The texts for technicians: every id that the product names is in three languages, with the same placeholders."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from payme_plugin.locale import Message, escaped, message
from payme_plugin.texts import DOMAIN, LANGUAGES

PACKAGE = Path(__file__).parents[2] / "payme_plugin"
DOMAINS = sorted({path.stem for path in PACKAGE.glob("locale/en/LC_MESSAGES/*.po")} - {DOMAIN})
NAMED = re.compile(r'\b(?:message|Message)\(\s*"([a-z0-9_.-]+)"')
PLACEHOLDER = re.compile(r"\{[a-z_]+\}")


def words(language: str, domain: str) -> dict[str, str]:
    """Return the texts of a catalogue by their ids."""
    with (PACKAGE / "locale" / language / "LC_MESSAGES" / f"{domain}.po").open("rb") as file:
        return {str(each.id): str(each.string) for each in read_po(file, abort_invalid=True) if each.id}


def named() -> set[str]:
    """Return the ids that the product's code names."""
    sources = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    return {key for source in sources for key in NAMED.findall(source)}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_id_that_the_product_names_has_a_text(language: str) -> None:
    known = {key for domain in DOMAINS for key in words(language, domain)}

    assert sorted(named() - known) == []


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_catalogue_has_the_same_ids_and_placeholders_in_every_language(domain: str) -> None:
    found = [
        {key: sorted(PLACEHOLDER.findall(text)) for key, text in words(language, domain).items()}
        for language in LANGUAGES
    ]

    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("domain", DOMAINS)
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_is_not_empty_and_its_id_begins_with_its_catalogue(language: str, domain: str) -> None:
    for key, text in words(language, domain).items():
        assert text.strip(), key
        assert key.startswith(f"{domain}."), key


def test_values_from_outside_are_escaped_and_messages_among_them_are_rendered() -> None:
    outside = "a\x1b[31m\n\u202eb"

    assert escaped(outside) == "a\\x1b[31m\\n\\u202eb"
    assert str(message("no.such_text", name=outside)) == "no.such_text"
    assert Message("no.such_text", (("inner", message("no.other")),)).text("ru") == "no.such_text"
