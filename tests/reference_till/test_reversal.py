from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, NoReturn

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
from tests.reference_till.conftest import SLIP, PowerCut, ScriptedPlugin, not_paid, paid, pay

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.till import Reversal, Till
    from tests.reference_till.conftest import Shop

REVERSED = ReversalResult(status=ReversalStatus.REVERSED, slips=(SLIP,))
QUEUED = ReversalResult(status=ReversalStatus.QUEUED)
REFUSED = ReversalResult(status=ReversalStatus.REFUSED)


def boom(_: object) -> NoReturn:
    raise RuntimeError("boom")


def power_cut(_: object) -> NoReturn:
    raise PowerCut


def no_answer(_: object) -> None:
    return None


def cancel(till: Till, payment_id: str = "p1") -> Reversal:
    return till.cancel(payment_id, "the buyer changed his mind")


def refund(till: Till, payment_id: str = "p1") -> Reversal:
    return till.refund(payment_id)


def paid_by_nobody(request: PaymentRequest) -> PaymentResult:
    result = paid(request)
    assert result.payment is not None
    return replace(result, payment=replace(result.payment, data={}))


def answer_with(plugin: ScriptedPlugin, answer: Callable[[object], ReversalResult | None]) -> None:
    plugin.cancel = answer
    plugin.refund = answer


@pytest.fixture(autouse=True)
def a_paid_sale(shop: Shop) -> None:
    with shop.till() as till:
        pay(till, 15_000, goods="Bread", payment_id="p1")
    shop.plugin.asked.clear()
    shop.printed.clear()


BOTH = pytest.mark.parametrize("reverse", [cancel, refund])


def test_a_cancel_shows_the_sale_as_still_open(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.cancel = lambda _: REVERSED
    with shop.till() as till:
        assert cancel(till).result is REVERSED
        assert plugin.recorded("p1") is False, "the sale is annulled"

    request = plugin.asked[1][1]
    assert isinstance(request, CancelRequest)
    assert (request.payment.payment_id, request.payment.data["receipt_id"]) == ("p1", "65f0")
    assert (request.receipt.closed_at, request.receipt.kind) == (None, ReceiptKind.SALE)
    assert request.reason == "the buyer changed his mind"


def test_a_refund_is_validated_then_returned_then_closed(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.refund = lambda _: REVERSED
    with shop.till() as till:
        assert refund(till).result is REVERSED
        assert plugin.recorded("p1") is True, "the sale itself stays closed"

    assert plugin.hooks == ["on_start", "validate_refund", "on_full_refund", "on_receipt_closed", "on_ready", "on_stop"]
    request, closed = plugin.asked[2][1], plugin.asked[3][1]
    assert isinstance(request, RefundRequest)
    assert isinstance(closed, Receipt)
    assert plugin.asked[1][1] == request
    assert (request.sale.number if request.sale else None, request.refund.number) == (1, 2)
    assert (request.amount, request.refund.kind) == (15_000, ReceiptKind.REFUND)
    assert (request.manual_selection, request.currency_selection) == (False, False)
    assert (closed.number, closed.kind) == (2, ReceiptKind.REFUND)


@BOTH
@pytest.mark.parametrize("answer", [REVERSED, QUEUED])
def test_a_payment_is_returned_once_by_a_cancel_or_a_refund(
    shop: Shop, plugin: ScriptedPlugin, reverse: Callable[[Till], Reversal], answer: ReversalResult
) -> None:
    answer_with(plugin, lambda _: answer)
    with shop.till() as till:
        assert reverse(till).result is answer
    plugin.asked.clear()

    for again in (cancel, refund):
        with shop.till() as till:
            second = again(till)
        assert second.result.status is ReversalStatus.REFUSED
        assert [each.rule for each in second.violations] == ["already-reversed"]
        assert second.result.receipt_id == "65f0"
    assert set(plugin.hooks) == {"on_start", "on_ready", "on_stop"}, "no plugin was asked"


def test_the_tender_of_an_annulled_sale_is_acknowledged_no_more(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.stored = boom
    plugin.cancel = lambda _: REVERSED
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p2")
        cancel(till, "p2")
    plugin.asked.clear()
    with shop.till() as till:
        till.restore()

    assert plugin.hooks == ["on_start", "on_ready", "on_stop"]


@BOTH
def test_the_slips_of_a_reversal_are_printed_at_once_and_none_where_it_is_only_queued(
    shop: Shop, plugin: ScriptedPlugin, reverse: Callable[[Till], Reversal]
) -> None:
    answer_with(plugin, lambda _: REFUSED)
    with shop.till() as till:
        reverse(till)
    assert shop.printed == []
    answer_with(plugin, lambda _: REVERSED)
    with shop.till() as till:
        reverse(till)
    assert shop.printed.count("PAYME") == 2


@BOTH
def test_a_refused_reversal_keeps_the_sale_and_may_be_tried_again(
    shop: Shop, plugin: ScriptedPlugin, reverse: Callable[[Till], Reversal]
) -> None:
    answer_with(plugin, lambda _: REFUSED)
    with shop.till() as till:
        assert reverse(till).result is REFUSED
        assert plugin.recorded("p1") is True
        answer_with(plugin, lambda _: QUEUED)
        assert reverse(till).result is QUEUED


@BOTH
def test_where_the_record_names_no_plugin_and_none_answers_it_says_so_and_nothing_is_returned(
    shop: Shop, plugin: ScriptedPlugin, reverse: Callable[[Till, str], Reversal]
) -> None:
    plugin.payment = paid_by_nobody
    with shop.till() as till:
        pay(till, 15_000, goods="Bread", payment_id="p2")
        with pytest.raises(NoPlugin, match="nothing was returned"):
            reverse(till, "p2")
        assert plugin.recorded("p2") is True
        assert till.restore() == ()


@BOTH
@pytest.mark.parametrize(
    "failure", [boom, no_answer, power_cut], ids=["plugin raises", "plugin does not answer", "power cut"]
)
def test_a_reversal_that_had_begun_is_asked_for_again_after_a_restart(
    shop: Shop, plugin: ScriptedPlugin, reverse: Callable[[Till], Reversal], failure: Callable[[object], None]
) -> None:
    answer_with(plugin, failure)
    with shop.till() as till, pytest.raises((OutcomeUnknown, PowerCut)):
        reverse(till)

    later = ScriptedPlugin()
    answer_with(later, lambda _: REVERSED)
    with shop.till(plugin=later) as till:
        assert later.recorded("p1") is True
        (restored,) = till.restore()
        assert till.restore() == ()
    assert (restored.payment_id, restored.outcome) == ("p1", "REVERSED")
    first = [request for hook, request in plugin.asked if isinstance(request, RefundRequest)]
    again = [request for hook, request in later.asked if isinstance(request, RefundRequest)]
    assert {each.refund_id for each in first} == {each.refund_id for each in again}
    assert [hook for hook, request in later.asked if isinstance(request, RefundRequest)] in ([], ["on_full_refund"])


def test_a_refund_that_had_begun_goes_on_with_its_own_id_when_it_is_asked_for_again(
    shop: Shop, plugin: ScriptedPlugin
) -> None:
    plugin.refund = boom
    with shop.till() as till:
        with pytest.raises(OutcomeUnknown):
            refund(till)
        plugin.refund = lambda _: REVERSED
        assert refund(till).result is REVERSED

    ids = {request.refund_id for _, request in plugin.asked if isinstance(request, RefundRequest)}
    assert len(ids) == 1


def begin_refund(shop: Shop) -> None:
    shop.plugin.refund = power_cut
    with shop.till() as till, pytest.raises(PowerCut):
        refund(till)
    shop.plugin.refund = lambda _: REVERSED
    shop.plugin.asked.clear()


def test_a_begun_refund_is_repeated_without_a_check_because_it_may_have_returned_the_money(
    shop: Shop, plugin: ScriptedPlugin
) -> None:
    begin_refund(shop)
    plugin.rules = lambda _: [RefundViolation(rule="already-reversed", message="Returned.")]

    with shop.till() as till:
        (restored,) = till.restore()
        assert [receipt.is_open for receipt in till.store.receipts()] == [False, False]

    assert (restored.outcome, "validate_refund" in plugin.hooks) == ("REVERSED", False)


class OutOfService(ScriptedPlugin):
    """A plugin that can't start."""

    @hookimpl
    def on_start(self, host: Host) -> None:
        raise RuntimeError("no threads")


def test_a_begun_refund_stays_open_while_its_plugin_is_out_of_service(shop: Shop, plugin: ScriptedPlugin) -> None:
    begin_refund(shop)

    with shop.till(plugin=OutOfService()) as till:
        (restored,) = till.restore()
        assert (restored.is_unknown, till.is_ready) == (True, False)
        assert [(receipt.is_open, receipt.annulled) for receipt in till.store.receipts()][-1] == (True, False)
    with shop.till() as till:
        (restored,) = till.restore()

    assert (restored.outcome, plugin.hooks.count("on_full_refund")) == ("REVERSED", 1)


def test_every_reason_against_a_refund_is_shown_and_no_money_hook_is_asked(shop: Shop, plugin: ScriptedPlugin) -> None:
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


def test_a_plugin_that_can_not_validate_a_refund_forbids_it(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.rules = boom
    with shop.till() as till:
        refused = refund(till)

    assert refused.result.status is ReversalStatus.REFUSED
    assert "on_full_refund" not in plugin.hooks


def test_a_part_of_the_sale_reaches_the_plugin_as_it_was_chosen(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.refund = lambda _: REFUSED
    part = (Item(name="Bread", quantity=Decimal("0.5"), price=15_000, amount=7_500),)
    with shop.till() as till:
        till.refund("p1", items=part, manual_selection=True, currency_selection=True)

    request = plugin.asked[1][1]
    assert isinstance(request, RefundRequest)
    assert (request.refund.items, request.refund.total, request.amount) == (part, 7_500, 7_500)
    assert (request.manual_selection, request.currency_selection) == (True, True)


@BOTH
@pytest.mark.parametrize("payment_id", ["p1", "never seen"])
def test_only_a_paid_payment_can_be_reversed(
    shop: Shop, plugin: ScriptedPlugin, reverse: Callable[[Till], Reversal], payment_id: str
) -> None:
    plugin.payment = not_paid(PaymentStatus.REFUSED)
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p2")
        for unpaid in ("p2", "never seen"):
            with pytest.raises(UnknownPayment, match=unpaid):
                till.cancel(unpaid, "")
            with pytest.raises(UnknownPayment, match=unpaid):
                till.refund(unpaid)


def test_a_pending_payment_is_cancelled_by_its_id(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.payment = not_paid(PaymentStatus.PENDING)
    plugin.cancel = lambda _: QUEUED
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p2")
        assert cancel(till, "p2").result is QUEUED
        assert plugin.recorded("p2") is False

    request = next(argument for hook, argument in plugin.asked if hook == "on_cancel")
    assert isinstance(request, CancelRequest)
    assert (request.payment.payment_id, request.payment.amount, request.payment.data) == ("p2", 100, {})


@pytest.mark.parametrize(
    ("reverse", "restore"),
    [
        (cancel, lambda till: till.restore(own=("cancel", "p1"))),
        (refund, lambda till: till.restore(own=("refund", "p1"))),
    ],
)
def test_a_reversal_that_the_caller_repeats_itself_comes_before_on_ready(
    shop: Shop, plugin: ScriptedPlugin, reverse: Callable[[Till], Reversal], restore: Callable[[Till], object]
) -> None:
    answer_with(plugin, power_cut)
    with shop.till() as till, pytest.raises(PowerCut):
        reverse(till)
    answer_with(plugin, lambda _: REVERSED)
    plugin.asked.clear()

    with shop.till() as till:
        restore(till)
        assert "on_ready" not in plugin.hooks
        reverse(till)

    assert plugin.hooks[-2:] == ["on_ready", "on_stop"]
