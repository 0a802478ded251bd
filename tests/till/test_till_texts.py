"""What the till itself tells the cashier is in the till's language."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from hookspecs import ReversalResult, ReversalStatus
from payme_plugin.till.reversal import TEXTS
from tests.till.conftest import pay

if TYPE_CHECKING:
    from hookspecs import RefundRequest, RefundViolation
    from tests.till.conftest import ScriptedPlugin, Shop

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


@pytest.mark.parametrize("rule", TEXTS)
def test_every_text_says_what_happened_and_what_to_do_in_each_language(rule: str) -> None:
    texts = [TEXTS[rule][language] for language in ("ru", "uz", "en")]

    assert len(set(texts)) == 3
    assert all(len(text.split("\n")) == 2 and max(map(len, text.split("\n"))) <= 90 for text in texts)
