"""The texts that a cashier reads."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.locale import CatalogueUnreadable, load_catalogue
from payme_plugin.paymego.codes import CATALOGUE
from payme_plugin.texts import DOMAIN, LANGUAGES, NO_TEXTS, Text, Texts

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]

EXACT = {
    Text.PAYMENT_UNKNOWN: "Результат оплаты неизвестен: таймаут ожидания ответа от сервера\n"
    "Товар не отдавать. Списанные деньги вернутся покупателю сами.",
    Text.SCAN_STALE: "Код устарел или уже использован. Попросите покупателя обновить код.",
    Text.REVERSAL_QUEUED: "Возврат принят. Деньги вернутся покупателю позже. Наличными не выдавать.",
    Text.REFUND_MANUAL_SELECTION_REQUIRED: "В чеке маркированный товар: соберите возврат вручную.",
    Text.REFUND_CURRENCY_SELECTION_FORBIDDEN: "Включён выбор валюты для возврата. Позовите администратора.",
    Text.TENDER_NAME: "Payme",
}


@pytest.mark.parametrize("text", EXACT, ids=lambda text: text.value)
def test_the_texts_that_are_given_are_exact(text: Text) -> None:
    assert Texts("ru")(text) == EXACT[text]


def test_a_refund_of_another_amount_or_of_a_part_names_what_differs() -> None:
    shown = Texts("ru")(Text.REFUND_PARTIAL_AMOUNT, expected="15 000.00", asked="5.00")

    assert shown.startswith("Вернуть можно только всю сумму оплаты: 15 000.00.\nИсправьте сумму возврата: сейчас 5.00.")
    assert Texts("ru")(Text.REFUND_PARTIAL_LINES, missing="Хлеб") == "Вернуть можно только весь чек. Не хватает: Хлеб"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_notice_names_the_command_that_helps(language: str) -> None:
    assert "payme journal repair" in Texts(language)(Text.NOTICE_JOURNAL_DAMAGED)
    assert "payme slip check " in Texts(language)(Text.NOTICE_SLIP_FALLBACK)


@pytest.mark.parametrize(
    ("language", "taken"),
    [
        *[("ru", "ru"), ("uz", "uz"), ("en", "en"), ("RU", "ru"), ("uz_UZ.UTF-8", "uz"), ("uz@Latn", "uz")],
        *[("en-GB", "en"), ("de", "ru"), ("", "ru"), ("../uz", "ru"), ("uzb", "ru")],
    ],
)
def test_an_unknown_language_is_russian(language: str, taken: str) -> None:
    texts = Texts(language)
    assert texts.language == taken
    assert texts(Text.PAYMENT_PAID) == Texts(taken)(Text.PAYMENT_PAID)


def test_a_value_is_never_read_as_a_template_and_may_be_missing() -> None:
    texts = Texts("en")
    assert texts(Text.PROGRESS_WAITING_FOR_BUYER, left_s=12).endswith("12 s left")
    assert "{code} {x}" in texts(Text.PAYMENT_SERVER_ERROR, text="{code} {x}", code=-1)
    assert "({code})" in texts(Text.PAYMENT_NOT_PAID)


@given(st.text())
def test_whatever_a_server_says_stays_one_short_line(words: str) -> None:
    shown = Texts("ru").of_error(-99999, words)
    assert len(shown.split("\n")) == 2
    assert shown.replace("\n", "").isprintable()
    assert len(shown) < 400
    assert shown.endswith("(-99999)")


def test_a_number_in_a_servers_words_is_masked() -> None:
    shown = Texts("ru").of_error(-99999, "Код 12345678901234567890 не найден")
    assert "1234567890" not in shown
    assert "7890" in shown


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_known_code_has_its_text_and_any_other_the_servers(language: str) -> None:
    texts = Texts(language)
    for code in (entry.code for entry in CATALOGUE):
        text = texts.of_error(code)
        assert texts.of_error(code, "the server's own words") == text
        assert text not in {texts(Text.PAYMENT_NOT_PAID, code=code), f"error.{code}"}
        assert text.endswith(f"({code})")
    assert texts.of_error(-1, "No such till") == texts(Text.PAYMENT_SERVER_ERROR, text="No such till", code=-1)
    assert texts.of_error(-1, " ") == texts(Text.PAYMENT_NOT_PAID, code=-1)


def test_faults_of_the_account_have_one_text() -> None:
    texts = Texts("en")
    shown = {code: texts.of_error(code).replace(str(code), "code") for code in range(-31101, -31048)}
    assert {*(code for code in shown if shown[code] == shown[-31050])} == {*range(-31099, -31049)}


@pytest.fixture
def locale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The catalogues in a folder of their own, not read yet."""
    shutil.copytree(ROOT / "payme_plugin/locale", tmp_path / "locale")
    monkeypatch.setattr("importlib.resources.files", lambda _package: tmp_path)
    load_catalogue.cache_clear()
    yield tmp_path / "locale"
    load_catalogue.cache_clear()


DAMAGES = {
    "missing": None,
    "empty": b"",
    "no catalogue": b"\x00" * 64,
    "cut off": (ROOT / "payme_plugin/locale/ru/LC_MESSAGES/payme_plugin.mo").read_bytes()[:40],
}


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
def test_another_language_stands_in_for_a_catalogue_that_cant_be_read(locale: Path, content: bytes | None) -> None:
    path = locale / "uz/LC_MESSAGES/payme_plugin.mo"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(CatalogueUnreadable, match=r"locale/uz/LC_MESSAGES/payme_plugin\.mo can't be read: "):
        load_catalogue("uz", DOMAIN)
    assert Texts("uz")(Text.PAYMENT_PAID) == Texts("ru")(Text.PAYMENT_PAID) != Text.PAYMENT_PAID.value


def test_without_a_catalogue_a_cashier_reads_that_texts_are_missing(locale: Path) -> None:
    moved, texts = locale.rename(locale.with_name("elsewhere")), Texts("en")
    assert {texts(text) for text in Text} == {texts.of_error(-31400), texts.of_error(-1, "No such till")} == {NO_TEXTS}
    moved.rename(locale)
    assert texts(Text.PAYMENT_PAID) != NO_TEXTS


def test_catalogues_are_loaded_at_the_first_text() -> None:
    script = """
import sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
from payme_plugin.texts import Text, Texts
texts = Texts("uz")
assert not [name for name in opened if name.endswith(".mo")]
texts(Text.PAYMENT_PAID)
texts(Text.PAYMENT_UNKNOWN)
assert len([name for name in opened if name.endswith("payme_plugin.mo")]) == 1
"""
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)  # noqa: S603
