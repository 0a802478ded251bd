"""The catalogues: every text in three languages, fit for a cashier's screen."""

from __future__ import annotations

import re
from gettext import GNUTranslations
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from payme_plugin.paymego.codes import CATALOGUE
from payme_plugin.texts import DOMAIN, LANGUAGES, Text

PACKAGE = Path(__file__).parents[2] / "payme_plugin"
LOCALE = PACKAGE / "locale"
KEYS = {text.value for text in Text} | {f"error.{entry.code}" for entry in CATALOGUE}
PLACEHOLDER = re.compile(r"\{[^{}]*\}")
PROGRAMMERS = re.compile(
    r"\b(api|http\w*|json|rpc|tls|ssl|dns|id|url|token\w*|timeout|hook|null|error code|exception|sertifikat\w*"
    r"|certificate|таймаут\w*|токен\w*|сертификат\w*|процессинг\w*|protsessing\w*|транзакци\w*|tranzaksiya\w*|transaction|хост\w*)\b",
    re.IGNORECASE,
)
CARD_ENTRY = re.compile(r"\b(otp|sms|смс|cvc|cvv|pin|пин|парол\w*|parol\w*|password)\b", re.IGNORECASE)


def words(language: str) -> dict[str, str]:
    """The texts of a language by their keys, as its ``.po`` has them."""
    with (LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po").open("rb") as file:
        catalogue = read_po(file, abort_invalid=True)
    assert not catalogue.obsolete
    messages = [message for message in catalogue if message.id]
    assert not any(message.fuzzy for message in messages)
    return {str(message.id): str(message.string) for message in messages}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_is_there_and_no_other(language: str) -> None:
    assert set(words(language)) == KEYS


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_key_is_there_once(language: str) -> None:
    source = (LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.po").read_text(encoding="utf-8")
    assert source.count("\nmsgid ") == len(KEYS) + 1


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_compiled_says_what_its_source_says(language: str) -> None:
    with (LOCALE / language / "LC_MESSAGES" / f"{DOMAIN}.mo").open("rb") as file:
        compiled = GNUTranslations(file)
    assert {key: compiled.gettext(key) for key in KEYS} == words(language)


@pytest.mark.parametrize("key", sorted(KEYS))
def test_a_text_has_the_same_placeholders_in_every_language(key: str) -> None:
    found = {language: sorted(PLACEHOLDER.findall(words(language)[key])) for language in LANGUAGES}
    assert found["ru"] == found["uz"] == found["en"]
    assert all(re.fullmatch(r"\{[a-z_]+\}", placeholder) for placeholder in found["ru"])


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_text_fits_a_cashiers_screen(language: str) -> None:
    for key, text in words(language).items():
        lines = text.split("\n")
        assert len(lines) in {1, 2}, key
        assert all(line == line.strip() and 0 < len(line) <= 90 for line in lines), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_verdict_says_what_happened_and_then_what_to_do(language: str) -> None:
    told_in_one_line = {Text.REVERSAL_QUEUED.value}
    for key, text in words(language).items():
        if key.startswith(("payment.", "reversal.", "error.", "notice.")) and key not in told_in_one_line:
            assert len(text.split("\n")) >= 2, key


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_shows_its_code_in_brackets_at_its_end(language: str) -> None:
    for key, text in words(language).items():
        if key.startswith("error."):
            assert text.endswith(" ({code})"), key
        assert text.count("{code}") == text.count("({code})"), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_speaks_of_entering_a_card(language: str) -> None:
    assert [text for text in words(language).values() if CARD_ENTRY.search(text)] == []


def test_no_text_is_left_over() -> None:
    source = "".join(path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    used = set(re.findall(r"\bText\.([A-Z_0-9]+)", source))
    assert {text.name for text in Text} <= used


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_cashier_reads_no_word_of_a_programmer(language: str) -> None:
    by_the_manual = {("ru", Text.PAYMENT_UNKNOWN.value)}
    for key, text in words(language).items():
        if not key.startswith("notice.") and (language, key) not in by_the_manual:
            assert not PROGRAMMERS.search(text), key


def test_uzbek_is_in_latin_letters_with_one_apostrophe() -> None:
    text = PLACEHOLDER.sub("", "".join(words("uz").values()))
    assert set(re.findall(r"[^\x00-\x7f]", text)) == {"ʻ", "…"}
    assert not re.search(r"['`]", text)
    assert set(re.findall(r"(.)ʻ", text)) <= set("oOgG")


def test_russian_is_in_cyrillic_letters() -> None:
    for key, text in words("ru").items():
        assert key == Text.TENDER_NAME.value or re.search("[а-я]", text), key
