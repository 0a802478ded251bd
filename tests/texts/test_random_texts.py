"""The random texts of a run with ``PAYME_TEST_TEXTS``: other words, the same placeholders."""

from __future__ import annotations

import re

import pytest

from fakes.random_texts import RandomTexts
from payme_plugin.locale import load_catalogue
from payme_plugin.texts import DOMAIN, LANGUAGES, Text, Texts


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_text_has_other_words_and_its_own_placeholders(language: str) -> None:
    real = load_catalogue(language, DOMAIN)
    first, second = RandomTexts(language, "1", real), RandomTexts(language, "2", real)

    for text in Text:
        words = first.gettext(text.value)
        found, wanted = (sorted(re.findall(r"\{[a-z_]+\}", each)) for each in (words, real.gettext(text.value)))
        assert found == wanted, text
        assert words not in {real.gettext(text.value), second.gettext(text.value)}
    assert len({first.gettext(text.value) for text in Text}) == len(Text)


def test_the_same_seed_makes_the_same_words_and_another_language_others() -> None:
    made = [
        RandomTexts(language, "1", load_catalogue("ru", DOMAIN)).gettext(Text.PAYMENT_PAID.value)
        for language in ("ru", "ru", "uz")
    ]

    assert made[0] == made[1] != made[2]


def test_a_key_that_a_catalogue_lacks_stays_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "payme_plugin.texts.load_catalogue",
        lambda language, domain: RandomTexts(language, "1", load_catalogue(language, domain)),
    )
    texts = Texts("en")

    assert texts.of_error(-1, "No such till") == texts(Text.PAYMENT_SERVER_ERROR, text="No such till", code=-1)
