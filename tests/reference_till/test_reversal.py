"""Cancels and refunds: what the plugin is asked, what the till refuses by itself, and what a restart does."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from hookspecs import (
    CancelRequest,
    Host,
    Item,
    PaymentRequest,
    PaymentResult,
    PaymentStatus,
    Receipt,
    ReceiptKind,
    RefundRequest,
    RefundViolation,
    ReversalResult,
    ReversalStatus,
    hookimpl,
)
from payme_plugin.till.errors import NoPlugin, OutcomeUnknown, UnknownPayment
from tests.reference_till.conftest import (
    SLIP,
    PowerCut,
    ScriptedPlugin,
    fail,
    no_answer,
    not_paid,
    paid,
    pay,
    power_cut,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.till import Operation, Reversal, Till
    from tests.reference_till.conftest import TillFolder

REVERSED = ReversalResult(status=ReversalStatus.REVERSED, slips=(SLIP,))
QUEUED = ReversalResult(status=ReversalStatus.QUEUED)
REFUSED = ReversalResult(status=ReversalStatus.REFUSED)


def cancel(till: Till, payment_id: str = "p1") -> Reversal:
    return till.cancel(payment_id, "the buyer changed his mind")


def refund(till: Till, payment_id: str = "p1") -> Reversal:
    return till.refund(payment_id)


def answer_with(plugin: ScriptedPlugin, answer: Callable[[object], ReversalResult | None]) -> None:
    plugin.cancel = plugin.refund = answer


@pytest.fixture(autouse=True)
def _a_paid_sale(shop: TillFolder) -> None:
    with shop.till() as till:
        pay(till, amount=15_000)
    shop.plugin.asked.clear()
    shop.printed.clear()
    answer_with(shop.plugin, lambda _: REVERSED)


BOTH = pytest.mark.parametrize("reverse", [cancel, refund])


def test_a_cancel_shows_the_sale_as_still_open(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        assert cancel(till).result is REVERSED
        assert plugin.recorded() is False, "the sale is annulled"

    request = plugin.asked[0][1]
    assert isinstance(request, CancelRequest)
    assert (request.payment.payment_id, request.payment.data["receipt_id"]) == ("p1", "65f0")
    assert (request.receipt.closed_at, request.receipt.kind) == (None, ReceiptKind.SALE)
    assert request.reason == "the buyer changed his mind"


def test_a_refund_is_validated_then_returned_then_closed(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        assert refund(till).result is REVERSED
        assert plugin.recorded() is True, "the sale itself stays closed"

    assert plugin.hooks == ["validate_refund", "on_full_refund", "on_receipt_closed", "on_ready"]
    validated, request, closed = (argument for _, argument in plugin.asked[:3])
    assert isinstance(request, RefundRequest)
    assert isinstance(closed, Receipt)
    assert validated == request
    assert (request.sale.number if request.sale else None, request.refund.number) == (1, 2)
    assert (request.amount, request.refund.kind) == (15_000, ReceiptKind.REFUND)
    assert (request.manual_selection, request.currency_selection) == (False, False)
    assert (closed.number, closed.kind) == (2, ReceiptKind.REFUND)


def test_a_part_of_the_sale_reaches_the_plugin_as_it_was_chosen(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    part = (Item(name="Bread", quantity=Decimal("0.5"), price=15_000, amount=7_500),)
    with shop.till() as till:
        till.refund("p1", items=part, manual_selection=True, currency_selection=True)

    request = plugin.refunds[0]
    assert (request.refund.items, request.refund.total, request.amount) == (part, 7_500, 7_500)
    assert (request.manual_selection, request.currency_selection) == (True, True)


@BOTH
@pytest.mark.parametrize("answer", [REVERSED, QUEUED])
@pytest.mark.parametrize(("language", "begins"), [("kk", "Этот чек уже"), ("uz_UZ.UTF-8", "Bu chek allaqachon")])
def test_a_payment_is_returned_once_by_a_cancel_or_a_refund_and_the_cashier_reads_so(
    shop: TillFolder,
    plugin: ScriptedPlugin,
    reverse: Callable[[Till], Reversal],
    answer: ReversalResult,
    language: str,
    begins: str,
) -> None:
    answer_with(plugin, lambda _: answer)
    with shop.till() as till:
        assert reverse(till).result is answer
    assert shop.printed.count("PAYME") == (2 if answer is REVERSED else 0)
    plugin.asked.clear()

    for again in (cancel, refund):
        with shop.till(language=language) as till:
            second = again(till)
        (violation,) = second.violations
        assert (second.result.status, violation.rule) == (ReversalStatus.REFUSED, "already-reversed")
        assert violation.message.startswith(begins)
        assert second.result.message == f"{violation.message} [already-reversed]"
        assert second.result.receipt_id == "65f0"
    assert set(plugin.hooks) == {"on_ready"}, "no plugin was asked"


def test_the_tender_of_an_annulled_sale_is_acknowledged_no_more(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    plugin.stored = fail
    with shop.till() as till:
        pay(till, "p2")
        cancel(till, "p2")
    plugin.asked.clear()
    shop.restart()

    assert plugin.hooks == ["on_ready"]


@BOTH
def test_a_refused_reversal_keeps_the_sale_prints_nothing_and_may_be_tried_again(
    shop: TillFolder, plugin: ScriptedPlugin, reverse: Callable[[Till], Reversal]
) -> None:
    answer_with(plugin, lambda _: REFUSED)
    with shop.till() as till:
        assert reverse(till).result is REFUSED
        assert (plugin.recorded(), shop.printed) == (True, [])
        answer_with(plugin, lambda _: QUEUED)
        assert reverse(till).result is QUEUED


def paid_by_nobody(request: PaymentRequest) -> PaymentResult:
    result = paid(request)
    assert result.payment is not None
    return replace(result, payment=replace(result.payment, data={}))


@BOTH
def test_where_the_record_names_no_plugin_and_none_answers_nothing_is_returned(
    shop: TillFolder, plugin: ScriptedPlugin, reverse: Callable[[Till, str], Reversal]
) -> None:
    plugin.payment = paid_by_nobody
    answer_with(plugin, no_answer)
    with shop.till() as till:
        pay(till, "p2")
        with pytest.raises(NoPlugin, match="nothing was returned"):
            reverse(till, "p2")
        assert plugin.recorded("p2") is True
        assert till.restore() == ()


@BOTH
def test_only_a_paid_payment_can_be_reversed(
    shop: TillFolder, plugin: ScriptedPlugin, reverse: Callable[[Till, str], Reversal]
) -> None:
    plugin.payment = not_paid(PaymentStatus.REFUSED)
    with shop.till() as till:
        pay(till, "p2")
        with pytest.raises(UnknownPayment, match="p2"):
            reverse(till, "p2")
        with pytest.raises(UnknownPayment) as raised:
            reverse(till, "p\x1b\u202e1")

    assert str(raised.value) == "This till has no paid payment p\\x1b\\u202e1."
    assert raised.value.text.text("ru") == "У этой кассы нет проведённой оплаты p\\x1b\\u202e1."


def test_a_pending_payment_is_cancelled_by_its_id(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    plugin.payment = not_paid(PaymentStatus.PENDING)
    with shop.till() as till:
        pay(till, "p2")
        assert cancel(till, "p2").result is REVERSED
        assert plugin.recorded("p2") is False

    request = next(argument for hook, argument in plugin.asked if hook == "on_cancel")
    assert isinstance(request, CancelRequest)
    assert (request.payment.payment_id, request.payment.amount, request.payment.data) == ("p2", 100, {})


# ---------------------------------------------------------------------------------------------------------------------
# Rules against a refund
# ---------------------------------------------------------------------------------------------------------------------


def test_every_reason_against_a_refund_is_shown_and_no_money_hook_is_asked(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    reasons = [
        RefundViolation(rule="partial-refund", message="Only the whole."),
        RefundViolation(rule="x", message="X."),
    ]
    plugin.rules = lambda _: reasons
    with shop.till() as till:
        refused = refund(till)

    assert refused.result.status is ReversalStatus.REFUSED
    assert refused.result.message == "Only the whole. [partial-refund]\nX. [x]"
    assert list(refused.violations) == reasons
    assert "on_full_refund" not in plugin.hooks


@pytest.mark.parametrize(("language", "begins"), [("ru", "Возврат не проверен"), ("en", "The refund was not")])
def test_a_plugin_that_can_not_validate_a_refund_forbids_it(
    shop: TillFolder, plugin: ScriptedPlugin, language: str, begins: str
) -> None:
    plugin.rules = fail
    with shop.till(language=language) as till:
        refused = refund(till)

    (violation,) = refused.violations
    assert (refused.result.status, violation.rule) == (ReversalStatus.REFUSED, "not-checked")
    assert violation.message.startswith(begins)
    assert "on_full_refund" not in plugin.hooks


# ---------------------------------------------------------------------------------------------------------------------
# A reversal that had begun
# ---------------------------------------------------------------------------------------------------------------------


def begin(shop: TillFolder, reverse: Callable[[Till], Reversal], failure: Callable[[object], None] = power_cut) -> None:
    """Let a reversal break off in its hook, which answers REVERSED from then on."""
    answer_with(shop.plugin, failure)
    with shop.till() as till, pytest.raises((OutcomeUnknown, PowerCut)):
        reverse(till)
    answer_with(shop.plugin, lambda _: REVERSED)


@BOTH
@pytest.mark.parametrize("failure", [fail, no_answer, power_cut])
def test_it_is_asked_for_again_after_a_restart_with_its_own_id_and_without_a_check(
    shop: TillFolder, plugin: ScriptedPlugin, reverse: Callable[[Till], Reversal], failure: Callable[[object], None]
) -> None:
    begin(shop, reverse, failure)
    first = {request.refund_id for request in plugin.refunds}
    plugin.asked.clear()
    plugin.rules = lambda _: [RefundViolation(rule="already-reversed", message="It may have returned the money.")]
    with shop.till() as till:
        assert plugin.recorded() is True
        (restored,) = till.restore()
        assert till.restore() == ()

    assert (restored.payment_id, restored.outcome) == ("p1", "REVERSED")
    assert [receipt.is_open for receipt in shop.receipts] == [False] * len(shop.receipts)
    assert {request.refund_id for request in plugin.refunds} == first
    assert "validate_refund" not in plugin.hooks


def test_a_refund_goes_on_with_its_own_id_when_it_is_asked_for_again(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    begin(shop, refund, fail)
    with shop.till() as till:
        assert refund(till).result is REVERSED

    assert len({request.refund_id for request in plugin.refunds}) == 1


class OutOfService(ScriptedPlugin):
    """A plugin that can't start."""

    @hookimpl
    def on_start(self, host: Host) -> None:
        raise RuntimeError("no threads")


def test_it_stays_open_while_its_plugin_is_out_of_service(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    begin(shop, refund)
    shop.plugin = OutOfService()
    with shop.till() as till:
        (restored,) = till.restore()
        assert (restored.is_unknown, till.is_ready) == (True, False)
        assert [(receipt.is_open, receipt.annulled) for receipt in till.store.receipts()][-1] == (True, False)
    shop.plugin = plugin
    (restored,) = shop.restart()

    assert restored.outcome == "REVERSED"


@pytest.mark.parametrize(("operation", "reverse"), [("cancel", cancel), ("refund", refund)])
def test_one_that_the_caller_repeats_itself_comes_before_on_ready(
    shop: TillFolder, plugin: ScriptedPlugin, operation: Operation, reverse: Callable[[Till], Reversal]
) -> None:
    begin(shop, reverse)
    plugin.asked.clear()
    with shop.till() as till:
        till.restore(own=(operation, "p1"))
        assert plugin.hooks == []
        reverse(till)

    assert plugin.hooks[-1] == "on_ready"
