from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NoReturn

import pytest

from hookspecs import BaseUi, PaymentRecord, PaymentRequest, PaymentResult, PaymentStatus, Receipt
from payme_plugin.till import ReceiptStore
from payme_plugin.till.errors import NoPlugin, OutcomeUnknown, PaymentMismatch
from tests.reference_till.conftest import PowerCut, ScriptedPlugin, not_paid, paid, pay

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.reference_till.conftest import Shop

CLOSED_AT = 1_700_000_000_000
NOT_PAID = [PaymentStatus.REFUSED, PaymentStatus.ABORTED, PaymentStatus.UNKNOWN]


def power_cut(_: object) -> NoReturn:
    raise PowerCut


def boom(_: object) -> NoReturn:
    raise RuntimeError("boom")


def after_a_restart(shop: Shop) -> ReceiptStore:
    """What the disk holds, read as a till does that starts anew."""
    return ReceiptStore(shop.folder / "receipts")


def test_a_paid_sale_is_asked_for_acknowledged_closed_reported_and_printed_twice(
    shop: Shop, plugin: ScriptedPlugin
) -> None:
    with shop.till() as till:
        payment = pay(till, 15_000, goods="Bread", payment_id="p1")

    assert plugin.hooks == [
        "on_start",
        "on_payment",
        "on_payment_recorded",
        "on_receipt_closed",
        "on_ready",
        "on_stop",
    ]
    assert payment.result.status is PaymentStatus.PAID
    assert shop.printed == ["PAYME", "150.00", "", "PAYME", "150.00", ""]
    (receipt,) = after_a_restart(shop).receipts()
    assert (receipt.closed_at, receipt.reported, receipt.slips) == (CLOSED_AT, True, ())
    assert receipt.attributes == {"QRPaymentID": "65f0"}


def test_the_plugin_sees_the_sale_open_and_then_closed_with_its_record(shop: Shop, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        pay(till, 15_000, goods="Bread", payment_id="p1", qr_code="12345678901234567890")
        identity = till.identity

    request, stored, closed = (argument for _, argument in plugin.asked[1:4])
    assert isinstance(request, PaymentRequest)
    assert isinstance(closed, Receipt)
    assert (request.payment_id, request.amount, request.qr_code) == ("p1", 15_000, "12345678901234567890")
    assert (request.receipt.till, request.receipt.number, request.receipt.total) == (identity, 1, 15_000)
    assert (request.receipt.closed_at, request.receipt.payments) == (None, ())
    record = paid(request).payment
    assert stored == record is not None
    assert closed == replace(request.receipt, closed_at=CLOSED_AT, payments=(record,))


def test_every_payment_has_an_id_of_its_own_and_every_sale_a_number(shop: Shop, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        first, second = pay(till, 100, goods="Bread"), pay(till, 100, goods="Bread")

    assert (first.payment_id, second.payment_id) == ("id-1", "id-2")
    assert (first.number, second.number) == (1, 2)


@pytest.mark.parametrize("status", NOT_PAID)
def test_anything_but_paid_leaves_the_sale_without_the_tender_and_nothing_printed(
    shop: Shop, plugin: ScriptedPlugin, status: PaymentStatus
) -> None:
    plugin.payment = not_paid(status)
    with shop.till() as till:
        assert pay(till, 100, goods="Bread", payment_id="p1").result.status is status
        assert plugin.recorded("p1") is False

    (receipt,) = after_a_restart(shop).receipts()
    assert receipt.annulled
    assert plugin.hooks == ["on_start", "on_payment", "on_ready", "on_stop"]
    assert shop.printed == []


# ---------------------------------------------------------------------------------------------------------------------
# What the till answers to is_recorded
# ---------------------------------------------------------------------------------------------------------------------


def test_the_till_can_not_tell_of_a_payment_while_the_plugin_works_on_it(shop: Shop, plugin: ScriptedPlugin) -> None:
    seen: list[bool | None] = []

    def look(request: PaymentRequest) -> PaymentResult:
        seen.append(plugin.recorded("p1"))
        seen.append(after_a_restart(shop).is_recorded("p1"))
        return paid(request)

    plugin.payment = look
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p1")

    assert seen == [None, None], "noted before the plugin was asked, on the disk as well"


def test_a_paid_payment_is_recorded_on_the_disk_before_the_next_hook(shop: Shop, plugin: ScriptedPlugin) -> None:
    seen: list[bool | None] = []
    plugin.closed = lambda _: seen.append(after_a_restart(shop).is_recorded("p1"))
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p1")
        assert plugin.recorded("p1") is True

    assert seen == [True]


def test_a_payment_that_the_till_never_asked_for_is_certainly_not_recorded(shop: Shop, plugin: ScriptedPlugin) -> None:
    with shop.till():
        assert plugin.recorded("p1") is False


def test_with_a_damaged_file_the_till_can_not_tell_of_what_it_does_not_find(shop: Shop, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p1")
        pay(till, 100, goods="Bread", payment_id="p2")
    path = shop.folder / "receipts" / "000001.json"
    path.write_text('{"version": 1', encoding="utf-8")

    with shop.till() as till:
        assert plugin.recorded("p1") is None
        assert plugin.recorded("p2") is True
        assert pay(till, 100, goods="Bread").number == 3
    assert path.read_text(encoding="utf-8") == '{"version": 1', "a damaged file is left for an operator to look at"
    assert "000001.json" in str(shop.notices["till.000001.json"])


# ---------------------------------------------------------------------------------------------------------------------
# A plugin that fails, a till that dies
# ---------------------------------------------------------------------------------------------------------------------


def test_a_plugin_that_raises_leaves_the_outcome_unknown_and_the_sale_open(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.payment = boom
    with shop.till() as till:
        with pytest.raises(OutcomeUnknown, match="p1"):
            pay(till, 100, goods="Bread", payment_id="p1")
        assert plugin.recorded("p1") is None

    plugin.payment = paid
    with shop.till() as till:
        (restored,) = till.restore()
    assert (restored.number, restored.payment_id, restored.outcome) == (1, "p1", "PAID")


@pytest.mark.parametrize("field", ["payment", "amount", "payment_id"])
def test_a_paid_result_that_does_not_fit_the_sale_is_an_unknown_outcome(
    shop: Shop, plugin: ScriptedPlugin, field: str
) -> None:
    def misfit(request: PaymentRequest) -> PaymentResult:
        result = paid(request)
        assert result.payment is not None
        return {
            "payment": replace(result, payment=None),
            "amount": replace(result, amount=request.amount - 1),
            "payment_id": replace(result, payment=replace(result.payment, payment_id="another")),
        }[field]

    plugin.payment = misfit
    with shop.till() as till, pytest.raises(OutcomeUnknown):
        pay(till, 100, goods="Bread", payment_id="p1")


def test_where_no_plugin_answers_the_sale_is_over_and_nothing_is_charged(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.payment = lambda _: None
    with shop.till() as till:
        with pytest.raises(NoPlugin, match="tender 141"):
            pay(till, 100, goods="Bread", payment_id="p1")
        assert plugin.recorded("p1") is False


def test_after_a_power_cut_the_till_asks_again_with_the_same_payment_and_receipt(
    shop: Shop, plugin: ScriptedPlugin
) -> None:
    plugin.payment = power_cut
    with shop.till() as till, pytest.raises(PowerCut):
        pay(till, 100, goods="Bread", payment_id="p1", qr_code="123456")

    later = ScriptedPlugin()
    with shop.till(plugin=later) as till:
        assert later.recorded("p1") is None, "it will ask again"
        (restored,) = till.restore()

    first, again = plugin.asked[1][1], later.asked[1][1]
    assert isinstance(first, PaymentRequest)
    assert again == replace(first, qr_code=None, repeated=True), "the buyer's code is nowhere on the disk"
    assert restored.outcome == "PAID"
    assert later.hooks == [
        "on_start",
        "on_payment",
        "on_payment_recorded",
        "on_receipt_closed",
        "on_ready",
        "on_stop",
    ]
    assert len(shop.printed) == 6


@pytest.mark.parametrize("status", NOT_PAID)
def test_an_unfinished_payment_that_is_not_paid_after_all_is_removed(
    shop: Shop, plugin: ScriptedPlugin, status: PaymentStatus
) -> None:
    plugin.payment = power_cut
    with shop.till() as till, pytest.raises(PowerCut):
        pay(till, 100, goods="Bread", payment_id="p1")

    plugin.payment = not_paid(status)
    with shop.till() as till:
        assert [each.outcome for each in till.restore()] == [status.name]
        assert plugin.recorded("p1") is False
        assert till.restore() == ()


def test_a_plugin_that_answers_no_more_after_a_restart_keeps_the_sale_open(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.payment = power_cut
    with shop.till() as till, pytest.raises(PowerCut):
        pay(till, 100, goods="Bread", payment_id="p1")

    plugin.payment = lambda _: None
    with shop.till() as till:
        (restored,) = till.restore()
        assert "no plugin" in restored.outcome
        assert plugin.recorded("p1") is None


def test_after_a_restart_nobody_scans_but_the_cashier_may_stop(shop: Shop, plugin: ScriptedPlugin) -> None:
    class Cashier(BaseUi):
        def scan(self, prompt: str, timeout_s: float) -> str | None:
            raise AssertionError("the buyer of then is gone")

        def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
            return True

    plugin.payment = power_cut
    with shop.till() as till, pytest.raises(PowerCut):
        pay(till, 100, goods="Bread", payment_id="p1")
    plugin.payment = paid
    with shop.till(ui=Cashier()) as till:
        till.restore()

    assert plugin.ui is not None
    assert plugin.ui.scan("Scan", 30.0) is None
    assert plugin.ui.progress(1.0, 2.0, "Waiting") is True


@pytest.mark.parametrize("failure", [power_cut, boom], ids=["power cut", "plugin raises"])
def test_a_closed_receipt_is_reported_until_every_plugin_has_returned(
    shop: Shop, plugin: ScriptedPlugin, failure: Callable[[object], NoReturn]
) -> None:
    plugin.closed = failure
    with shop.till() as till:
        try:
            pay(till, 100, goods="Bread", payment_id="p1")
        except PowerCut:
            assert shop.printed == []
        assert plugin.recorded("p1") is True

    later = ScriptedPlugin()
    with shop.till(plugin=later) as till:
        assert [(each.number, each.outcome) for each in till.restore()] == [(1, "CLOSED")]
        assert till.restore() == ()
    assert later.hooks == ["on_start", "on_receipt_closed", "on_ready", "on_stop"]
    assert len(shop.printed) == 6, "each slip once, two copies"


def test_slips_that_were_not_printed_are_printed_after_a_restart_and_nothing_is_reported_again(
    shop: Shop, plugin: ScriptedPlugin
) -> None:
    with shop.till(write_line=power_cut) as till, pytest.raises(PowerCut):
        pay(till, 100, goods="Bread", payment_id="p1")

    later = ScriptedPlugin()
    with shop.till(plugin=later) as till:
        till.restore()
    assert later.hooks == ["on_start", "on_ready", "on_stop"]
    assert len(shop.printed) == 6


def test_what_is_finished_stays_untouched_at_the_next_start(shop: Shop, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p1")
        plugin.payment = not_paid(PaymentStatus.REFUSED)
        pay(till, 100, goods="Bread", payment_id="p2")

    later = ScriptedPlugin()
    with shop.till(plugin=later) as till:
        assert till.restore() == ()
    assert later.hooks == ["on_start", "on_ready", "on_stop"]


# ---------------------------------------------------------------------------------------------------------------------
# A payment id that the till knows
# ---------------------------------------------------------------------------------------------------------------------


def test_a_known_payment_id_is_asked_for_in_its_own_sale(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.payment = not_paid(PaymentStatus.REFUSED)
    with shop.till() as till:
        first = pay(till, 100, goods="Bread", payment_id="p1")
        again = pay(till, 100, goods="Bread", payment_id="p1")

    assert (first.number, again.number) == (1, 1)
    assert len(after_a_restart(shop).receipts()) == 1


def test_asking_again_for_a_closed_sale_changes_nothing_of_it(shop: Shop, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p1")
        before = till.store.receipts()
        plugin.payment = not_paid(PaymentStatus.REFUSED)
        assert pay(till, 100, goods="Bread", payment_id="p1").result.status is PaymentStatus.REFUSED

        assert till.store.receipts() == before
        assert plugin.recorded("p1") is True


def test_a_known_payment_id_with_another_amount_is_not_asked_for(shop: Shop, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p1")
        with pytest.raises(PaymentMismatch, match="p1"):
            pay(till, 101, goods="Bread", payment_id="p1")

    assert plugin.hooks.count("on_payment") == 1


def test_the_caller_may_resume_an_unfinished_payment_by_itself(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.payment = power_cut
    with shop.till() as till, pytest.raises(PowerCut):
        pay(till, 100, goods="Bread", payment_id="p1")

    plugin.payment = paid
    with shop.till() as till:
        assert till.restore(own=("payment", "p1")) == ()
        payment = pay(till, 100, goods="Bread", payment_id="p1", qr_code="123456")
    assert (payment.number, payment.result.status) == (1, PaymentStatus.PAID)
    request = [asked for _, asked in plugin.asked if isinstance(asked, PaymentRequest)][-1]
    assert (request.repeated, request.qr_code) == (True, None)
    assert plugin.hooks[-3:] == ["on_receipt_closed", "on_ready", "on_stop"], "ready after what it repeats itself"
    assert plugin.hooks.count("on_ready") == 1


def test_a_sale_that_was_paid_but_not_closed_keeps_the_tender_only_if_the_plugin_agrees(
    shop: Shop, plugin: ScriptedPlugin
) -> None:
    for number, (answer, recorded) in enumerate([(paid, True), (not_paid(PaymentStatus.REFUSED), False)], start=1):
        payment_id = f"p{number}"
        plugin.payment = paid
        with shop.till() as till:
            pay(till, 100, goods="Bread", payment_id=payment_id)
        store = after_a_restart(shop)
        store.store(replace(store.receipts()[number - 1], closed_at=None, reported=False))

        plugin.payment = answer
        with shop.till() as till:
            assert plugin.recorded(payment_id) is True
            printed = list(shop.printed)
            till.restore()
            assert shop.printed == printed, "the slips are printed already"
            assert plugin.recorded(payment_id) is recorded
        (again,) = (asked for _, asked in plugin.asked if isinstance(asked, PaymentRequest) and asked.repeated)
        assert again.receipt.payments == (), "the receipt as it was when the tender was selected"
        plugin.asked.clear()
    assert after_a_restart(shop).receipts()[1].tenders[0].record is None


# ---------------------------------------------------------------------------------------------------------------------
# PENDING, the acknowledgement, and being ready
# ---------------------------------------------------------------------------------------------------------------------

PENDING = not_paid(PaymentStatus.PENDING)


def cut_off_during_a_payment(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.payment = power_cut
    with shop.till() as till, pytest.raises(PowerCut):
        pay(till, 100, goods="Bread", payment_id="p1")
    plugin.asked.clear()


def test_a_pending_payment_keeps_the_sale_open_and_is_asked_for_at_every_start(
    shop: Shop, plugin: ScriptedPlugin
) -> None:
    cut_off_during_a_payment(shop, plugin)
    plugin.payment = PENDING
    for _ in range(2):
        with shop.till() as till:
            assert [each.outcome for each in till.restore()] == ["PENDING"]
            assert plugin.recorded("p1") is None
    plugin.payment = paid
    with shop.till() as till:
        assert [each.outcome for each in till.restore()] == ["PAID"]

    requests = [argument for hook, argument in plugin.asked if hook == "on_payment"]
    assert [request.repeated for request in requests if isinstance(request, PaymentRequest)] == [True] * 3
    (receipt,) = after_a_restart(shop).receipts()
    assert receipt.closed_at == CLOSED_AT
    assert len(shop.printed) == 6


def test_a_pending_payment_that_ends_unpaid_is_removed(shop: Shop, plugin: ScriptedPlugin) -> None:
    cut_off_during_a_payment(shop, plugin)
    for answer in (PENDING, not_paid(PaymentStatus.REFUSED)):
        plugin.payment = answer
        with shop.till() as till:
            till.restore()

    assert [receipt.annulled for receipt in after_a_restart(shop).receipts()] == [True]


def test_beside_a_pending_payment_the_till_is_ready_and_sells(shop: Shop, plugin: ScriptedPlugin) -> None:
    cut_off_during_a_payment(shop, plugin)
    plugin.payment = PENDING
    with shop.till() as till:
        till.restore()
        assert plugin.hooks[-1] == "on_ready"
        plugin.payment = paid
        assert pay(till, 100, goods="Bread", payment_id="p2").result.status is PaymentStatus.PAID
        assert plugin.recorded("p1") is None


def test_an_acknowledgement_is_repeated_until_it_returns_and_the_till_is_ready_only_then(
    shop: Shop, plugin: ScriptedPlugin
) -> None:
    plugin.stored = boom
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p1")
    assert "on_ready" not in plugin.hooks
    assert after_a_restart(shop).receipts()[0].closed_at == CLOSED_AT, "the sale goes on"

    later = ScriptedPlugin()
    with shop.till(plugin=later) as till:
        till.restore()
        till.restore()
    assert later.hooks == ["on_start", "on_payment_recorded", "on_ready", "on_stop"]


def test_an_acknowledgement_that_failed_is_repeated_before_the_next_payment(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.stored = boom
    with shop.till() as till:
        pay(till, 100, goods="Bread", payment_id="p1")
        plugin.stored = lambda _: None
        plugin.asked.clear()
        pay(till, 100, goods="Bread", payment_id="p2")

    first, second = plugin.asked[:2]
    assert isinstance(first[1], PaymentRecord)
    assert (first[0], first[1].payment_id, second[0]) == ("on_payment_recorded", "p1", "on_payment")


def test_a_paid_tender_is_on_the_disk_before_it_is_acknowledged(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.stored = power_cut
    with shop.till() as till, pytest.raises(PowerCut):
        pay(till, 100, goods="Bread", payment_id="p1")

    (receipt,) = after_a_restart(shop).receipts()
    assert [(tender.status, tender.acknowledged) for tender in receipt.tenders] == [(PaymentStatus.PAID, False)]


def test_on_ready_that_raises_is_repeated_with_the_next_sale(shop: Shop, plugin: ScriptedPlugin) -> None:
    plugin.ready = boom
    with shop.till() as till:
        till.restore()
        plugin.ready = lambda _: None
        pay(till, 100, goods="Bread")
        pay(till, 100, goods="Bread")

    assert plugin.hooks.count("on_ready") == 2


def test_the_till_is_not_ready_before_every_payment_was_repeated_without_a_failure(
    shop: Shop, plugin: ScriptedPlugin
) -> None:
    cut_off_during_a_payment(shop, plugin)
    plugin.payment = boom
    with shop.till() as till:
        till.restore()
        plugin.payment = paid
        pay(till, 100, goods="Bread", payment_id="p2")
        assert "on_ready" not in plugin.hooks
        till.restore()
        assert plugin.hooks[-1] == "on_ready"


def test_a_stop_while_the_till_restores_begins_nothing_further(shop: Shop, plugin: ScriptedPlugin) -> None:
    cut_off_during_a_payment(shop, plugin)
    with shop.till() as till:
        assert till.restore(lambda: True) == ()

    assert plugin.hooks == ["on_start", "on_stop"]
