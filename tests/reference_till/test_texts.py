"""What the till itself tells the cashier is in the till's language."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

import pytest

from hookspecs import ReversalResult, ReversalStatus
from payme_plugin.locale import message
from payme_plugin.till.errors import OutcomeUnknown, UnknownPayment
from tests.reference_till.conftest import pay

if TYPE_CHECKING:
    from hookspecs import RefundRequest, RefundViolation
    from tests.reference_till.conftest import ScriptedPlugin, Shop


def not_an_answer(_: object) -> NoReturn:
    raise RuntimeError("no answer")


LANGUAGES = [("ru", "Этот чек уже"), ("uz", "Bu chek allaqachon"), ("en", "This sale is"), ("uz_UZ.UTF-8", "Bu chek")]


@pytest.mark.parametrize(("language", "begins"), [*LANGUAGES, ("kk", "Этот чек уже")])
def test_a_sale_that_was_returned_is_refused_in_the_tills_language(
    shop: Shop, plugin: ScriptedPlugin, language: str, begins: str
) -> None:
    plugin.cancel = lambda _: ReversalResult(status=ReversalStatus.REVERSED)
    with shop.till(language=language) as till:
        pay(till, 15_000, goods="Хлеб", payment_id="p1")
        till.cancel("p1", "wrong goods")
        for again in (till.cancel("p1", "wrong goods"), till.refund("p1")):
            (violation,) = again.violations
            assert violation.message.startswith(begins)
            assert again.result.message == f"{violation.message} [already-reversed]"


@pytest.mark.parametrize(("language", "begins"), [("ru", "Возврат не проверен"), ("en", "The refund was not")])
def test_a_refund_that_could_not_be_validated_is_refused_in_the_tills_language(
    shop: Shop, plugin: ScriptedPlugin, language: str, begins: str
) -> None:
    def fail(_: RefundRequest) -> list[RefundViolation]:
        raise RuntimeError("no rules")

    plugin.rules = fail
    with shop.till(language=language) as till:
        pay(till, 15_000, goods="Хлеб", payment_id="p1")
        (violation,) = till.refund("p1").violations

    assert violation.rule == "not-checked"
    assert violation.message.startswith(begins)


@pytest.mark.parametrize("text", ["till.already_reversed", "till.not_checked"])
def test_a_text_for_the_cashier_says_what_happened_and_what_to_do_in_two_lines(text: str) -> None:
    for language in ("ru", "uz", "en"):
        lines = message(text).text(language).split("\n")
        assert (len(lines), max(map(len, lines)) <= 90) == (2, True)


def test_an_error_has_a_text_in_each_language_with_values_from_outside_escaped(shop: Shop) -> None:
    with shop.till() as till, pytest.raises(UnknownPayment) as raised:
        till.refund("p\x1b\u202e1")

    assert str(raised.value) == "This till has no paid payment p\\x1b\\u202e1."
    assert raised.value.text.text("ru") == "У этой кассы нет проведённой оплаты p\\x1b\\u202e1."


def test_what_is_still_unfinished_after_a_restart_is_explained_in_the_tills_language(
    shop: Shop, plugin: ScriptedPlugin
) -> None:
    plugin.payment = not_an_answer
    with shop.till() as till, pytest.raises(OutcomeUnknown):
        pay(till, 100, goods="Хлеб", payment_id="p1")
    with shop.till() as till:
        (restored,) = till.restore()

    assert restored.outcome.startswith("Оплата p1: on_payment")
    assert restored.outcome.endswith("Её результат неизвестен, следующая команда спросит ещё раз.")
