"""The catalogues have every text in three languages, and the cashier's texts fit the screen."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from payme_plugin.locale import Message, escaped, message
from payme_plugin.paymego.codes import CATALOGUE
from payme_plugin.texts import DOMAIN, LANGUAGES, Text

PACKAGE = Path(__file__).parents[2] / "payme_plugin"
DOMAINS = sorted(path.stem for path in PACKAGE.glob("locale/en/LC_MESSAGES/*.po"))
SOURCE = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
PLACEHOLDER = re.compile(r"\{[a-z_]+\}")
PROGRAMMERS = re.compile(
    r"\b(api|http\w*|json|rpc|tls|ssl|dns|id|url|token\w*|timeout|hook|null|error code|exception|sertifikat\w*"
    r"|certificate|таймаут\w*|токен\w*|сертификат\w*|процессинг\w*|protsessing\w*|транзакци\w*|tranzaksiya\w*|transaction|хост\w*)\b",
    re.IGNORECASE,
)
CARD_ENTRY = re.compile(r"\b(otp|sms|смс|cvc|cvv|pin|пин|парол\w*|parol\w*|password)\b", re.IGNORECASE)


def words(language: str, domain: str = DOMAIN) -> dict[str, str]:
    """Return the texts of a language by their keys, as its ``.po`` has them."""
    with (PACKAGE / "locale" / language / "LC_MESSAGES" / f"{domain}.po").open("rb") as file:
        catalogue = read_po(file, abort_invalid=True)
    messages = [each for each in catalogue if each.id]
    assert not catalogue.obsolete
    assert not any(each.fuzzy for each in messages)
    return {str(each.id): str(each.string) for each in messages}


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_catalogue_has_the_same_keys_and_placeholders_in_every_language_and_no_empty_text(domain: str) -> None:
    ru, uz, en = (words(language, domain) for language in LANGUAGES)
    for key in ru.keys() | uz.keys() | en.keys():
        found = [sorted(PLACEHOLDER.findall(each[key])) for each in (ru, uz, en)]
        assert found[0] == found[1] == found[2], key
        assert all(each[key].strip() for each in (ru, uz, en)), key
        assert domain != DOMAIN or not re.search("[{}]", PLACEHOLDER.sub("", ru[key])), key
        assert domain == DOMAIN or key.startswith(f"{domain}."), key


def test_the_cashiers_have_a_text_for_every_used_key_and_known_code_and_no_other() -> None:
    assert set(words("ru")) == {each.value for each in Text} | {f"error.{entry.code}" for entry in CATALOGUE}
    assert {each.name for each in Text} <= {*re.findall(r"\bText\.([A-Z_0-9]+)", SOURCE)}


def test_the_technicians_have_a_text_for_every_key_that_the_product_names() -> None:
    named = {*re.findall(r'\b(?:message|Message)\(\s*"([a-z0-9_.-]+)"', SOURCE)}
    assert sorted(named - {key for domain in DOMAINS for key in words("ru", domain)}) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_cashiers_text_fits_the_screen_and_says_what_to_do_in_plain_words(language: str) -> None:
    in_one_line = {Text.REVERSAL_QUEUED.value}
    by_the_manual = {("ru", Text.PAYMENT_UNKNOWN.value)}
    for key, text in words(language).items():
        lines = text.split("\n")
        is_result = key.startswith(("payment.", "reversal.", "error.", "notice.")) and key not in in_one_line
        assert len(lines) in ({2} if is_result else {1, 2}), key
        assert all(line == line.strip() and 0 < len(line) <= 90 for line in lines), key
        assert text.endswith(" ({code})") or not key.startswith("error."), key
        assert text.count("{code}") == text.count("({code})"), key
        assert not CARD_ENTRY.search(text), key
        if not key.startswith("notice.") and (language, key) not in by_the_manual:
            assert not PROGRAMMERS.search(text), key
        assert language != "ru" or key == Text.TENDER_NAME.value or re.search("[а-я]", text), key


def test_uzbek_is_in_latin_letters_with_one_apostrophe() -> None:
    text = PLACEHOLDER.sub("", "".join(words("uz").values()))
    assert set(re.findall(r"[^\x00-\x7f]", text)) == {"ʻ", "…"}
    assert not re.search(r"['`]", text)
    assert set(re.findall(r"(.)ʻ", text)) <= set("oOgG")


def test_values_from_outside_are_escaped_and_messages_among_them_are_rendered() -> None:
    outside = "a\x1b[31m\n\u202eb"

    assert escaped(outside) == "a\\x1b[31m\\n\\u202eb"
    assert str(message("no.such_text", name=outside)) == "no.such_text"
    assert Message("no.such_text", (("inner", message("no.other")),)).text("ru") == "no.such_text"
