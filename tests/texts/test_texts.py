"""What a cashier reads."""

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
from payme_plugin.paymego.codes import CATALOGUE, ErrorCode
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


def test_a_refund_of_another_amount_names_both() -> None:
    shown = Texts("ru")(Text.REFUND_PARTIAL_AMOUNT, expected="15 000.00", asked="5.00")

    assert shown.startswith("Вернуть можно только всю сумму оплаты: 15 000.00.\nИсправьте сумму возврата: сейчас 5.00.")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_notice_of_a_damaged_journal_names_the_command_that_repairs_it(language: str) -> None:
    assert "payme journal repair" in Texts(language)(Text.NOTICE_JOURNAL_DAMAGED)


def test_a_partial_refund_names_what_is_missing() -> None:
    assert Texts("ru")(Text.REFUND_PARTIAL_LINES, missing="Хлеб") == "Вернуть можно только весь чек. Не хватает: Хлеб"


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


def test_placeholders_are_filled() -> None:
    assert Texts("en")(Text.PROGRESS_WAITING_FOR_BUYER, left_s=12).endswith("12 s left")


def test_a_value_is_never_read_as_a_template() -> None:
    assert "{code} {x}" in Texts("en")(Text.PAYMENT_SERVER_ERROR, text="{code} {x}", code=-1)


def test_a_missing_value_stops_no_verdict() -> None:
    assert "({code})" in Texts("en")(Text.PAYMENT_NOT_PAID)


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
@pytest.mark.parametrize("entry", CATALOGUE, ids=lambda entry: str(entry.code))
def test_every_known_code_has_its_text_and_shows_its_number(language: str, entry: ErrorCode) -> None:
    texts = Texts(language)
    assert texts.of_error(entry.code, "the server's own words") == texts.of_error(entry.code)
    assert texts.of_error(entry.code) not in {texts(Text.PAYMENT_NOT_PAID, code=entry.code), f"error.{entry.code}"}
    assert texts.of_error(entry.code).endswith(f"({entry.code})")


def test_faults_of_the_account_have_one_text() -> None:
    texts = Texts("en")
    shown = {texts.of_error(code).replace(str(code), "code") for code in range(-31099, -31049)}
    assert shown == {texts.of_error(-31050).replace("-31050", "code")}
    assert texts.of_error(-31100) != texts.of_error(-31050).replace("-31050", "-31100")
    assert texts.of_error(-31077).endswith("(-31077)")


def test_a_code_without_a_text_is_told_in_the_servers_words_or_as_not_paid() -> None:
    texts = Texts("en")
    assert texts.of_error(-1, "No such till") == texts(Text.PAYMENT_SERVER_ERROR, text="No such till", code=-1)
    assert texts.of_error(-1, " ") == texts(Text.PAYMENT_NOT_PAID, code=-1)


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


def damage(locale: Path, language: str, content: bytes | None) -> None:
    path = locale / language / "LC_MESSAGES/payme_plugin.mo"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
def test_a_catalogue_that_cant_be_read_is_an_error_that_names_it(locale: Path, content: bytes | None) -> None:
    damage(locale, "ru", content)
    with pytest.raises(CatalogueUnreadable, match=r"locale/ru/LC_MESSAGES/payme_plugin\.mo can't be read: "):
        load_catalogue("ru", DOMAIN)


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
def test_another_language_stands_in_for_a_catalogue_that_cant_be_read(locale: Path, content: bytes | None) -> None:
    damage(locale, "uz", content)
    assert Texts("uz")(Text.PAYMENT_PAID) == Texts("ru")(Text.PAYMENT_PAID) != Text.PAYMENT_PAID.value


def test_without_any_catalogue_a_cashier_reads_that_texts_are_missing_and_no_key(locale: Path) -> None:
    shutil.rmtree(locale)
    texts = Texts("en")
    assert {texts(text) for text in Text} == {texts.of_error(-31400), texts.of_error(-1, "No such till")} == {NO_TEXTS}


def test_a_catalogue_that_could_not_be_read_is_read_again(locale: Path) -> None:
    moved = locale.rename(locale.with_name("elsewhere"))
    assert Texts("en")(Text.PAYMENT_PAID) == NO_TEXTS
    moved.rename(locale)
    assert Texts("en")(Text.PAYMENT_PAID) != NO_TEXTS


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
