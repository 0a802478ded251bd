"""A sale: what the plugin is asked, what is on the disk at each moment, and what a restart does."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from hookspecs import BaseUi, PaymentRequest, PaymentResult, PaymentStatus, Receipt, ReceiptFiscal
from payme_plugin.till import one_line_sale
from payme_plugin.till.errors import NoPlugin, OutcomeUnknown, PaymentMismatch
from tests.reference_till.conftest import PowerCut, fail, no_answer, not_paid, paid, pay, power_cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.till import Till
    from tests.reference_till.conftest import ScriptedPlugin, TillFolder

CLOSED_AT = 1_700_000_000_000
LINK = "https://ofd.soliq.uz/check?t=UZ1&r=1&c=20240312184051&s=1"
NOT_PAID = [PaymentStatus.REFUSED, PaymentStatus.ABORTED, PaymentStatus.UNKNOWN]
PENDING = not_paid(PaymentStatus.PENDING)
WHOLE_SALE = ["on_payment", "on_payment_recorded", "on_receipt_closed", "on_ready"]


def sell_with_link(till: Till) -> object:
    return till.sell(one_line_sale("Bread", 100), payment_id="p1", fiscal_url=LINK)


def test_a_paid_sale_is_acknowledged_closed_reported_and_printed_twice(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    with shop.till() as till:
        payment = till.sell(one_line_sale("Bread", 15_000), payment_id="p1", qr_code="1234567890", fiscal_url=LINK)

    assert payment.result.status is PaymentStatus.PAID
    assert plugin.hooks == WHOLE_SALE
    request, stored, closed, _ = (argument for _, argument in plugin.asked)
    assert isinstance(request, PaymentRequest)
    assert (request.payment_id, request.amount, request.qr_code) == ("p1", 15_000, "1234567890")
    opened = request.receipt
    assert (opened.till, opened.number, opened.total) == (till.identity, 1, 15_000)
    assert (opened.closed_at, opened.payments, opened.fiscal) == (None, (), None)
    record = paid(request).payment
    assert stored == record is not None
    assert closed == replace(opened, closed_at=CLOSED_AT, payments=(record,), fiscal=ReceiptFiscal(url=LINK))
    assert shop.printed == ["PAYME", "150.00", "", "PAYME", "150.00", ""]
    (receipt,) = shop.receipts
    assert (receipt.closed_at, receipt.reported, receipt.slips) == (CLOSED_AT, True, ())
    assert receipt.attributes == {"QRPaymentID": "65f0"}


def test_every_payment_has_an_id_of_its_own_and_every_sale_a_number(shop: TillFolder) -> None:
    with shop.till() as till:
        sales = [till.sell(one_line_sale("Bread", 100)) for _ in range(2)]

    assert [(sale.payment_id, sale.number) for sale in sales] == [("id-1", 1), ("id-2", 2)]


@pytest.mark.parametrize("status", NOT_PAID)
def test_anything_but_paid_annuls_the_sale_and_prints_nothing(
    shop: TillFolder, plugin: ScriptedPlugin, status: PaymentStatus
) -> None:
    plugin.payment = not_paid(status)
    with shop.till() as till:
        assert pay(till).result.status is status
        assert plugin.recorded() is False

    assert [receipt.annulled for receipt in shop.receipts] == [True]
    assert (plugin.hooks, shop.printed) == (["on_payment", "on_ready"], [])


# ---------------------------------------------------------------------------------------------------------------------
# What the till answers to is_recorded
# ---------------------------------------------------------------------------------------------------------------------


def test_the_tills_record_of_a_payment_is_on_the_disk_before_each_hook(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    seen: list[tuple[bool | None, bool | None]] = []

    def look(_: object) -> None:
        seen.append((plugin.recorded(), shop.store.is_recorded("p1")))

    def look_and_pay(request: PaymentRequest) -> PaymentResult:
        look(request)
        return paid(request)

    plugin.payment, plugin.stored, plugin.closed = look_and_pay, look, look
    with shop.till() as till:
        assert plugin.recorded() is False, "it never asked for it"
        pay(till)

    assert seen == [(None, None), (True, True), (True, True)], "unknown while the plugin works on it"


def test_with_a_damaged_file_the_till_does_not_know_whether_it_has_other_payments(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    with shop.till() as till:
        pay(till, "p1")
        pay(till, "p2")
    path = shop.folder / "receipts" / "000001.json"
    path.write_text('{"version": 1', encoding="utf-8")

    with shop.till() as till:
        assert (plugin.recorded("p1"), plugin.recorded("p2")) == (None, True)
        assert pay(till, "p3").number == 3
    assert path.read_text(encoding="utf-8") == '{"version": 1', "a damaged file is left for an operator to look at"
    assert "000001.json" in str(shop.notices["till.000001.json"])


# ---------------------------------------------------------------------------------------------------------------------
# A plugin that fails
# ---------------------------------------------------------------------------------------------------------------------


def without_a_record(request: PaymentRequest) -> PaymentResult:
    return replace(paid(request), payment=None)


def of_another_amount(request: PaymentRequest) -> PaymentResult:
    return replace(paid(request), amount=request.amount - 1)


def of_another_payment(request: PaymentRequest) -> PaymentResult:
    return paid(replace(request, payment_id="another"))


@pytest.mark.parametrize("answer", [fail, without_a_record, of_another_amount, of_another_payment])
def test_a_fault_and_a_paid_result_that_does_not_fit_leave_the_outcome_unknown_and_the_sale_open(
    shop: TillFolder, plugin: ScriptedPlugin, answer: Callable[[PaymentRequest], PaymentResult]
) -> None:
    plugin.payment = answer
    with shop.till() as till:
        with pytest.raises(OutcomeUnknown, match="p1"):
            pay(till)
        assert plugin.recorded() is None
    (still,) = shop.restart()
    plugin.payment = paid
    (restored,) = shop.restart()

    assert still.outcome.startswith("Оплата p1: ")
    assert still.outcome.endswith("Её результат неизвестен, следующая команда спросит ещё раз.")
    assert (restored.number, restored.payment_id, restored.outcome) == (1, "p1", "PAID")


def test_where_no_plugin_answers_a_new_sale_is_over_and_a_repeated_one_stays_open(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    shop.crash("payment")
    plugin.payment = no_answer
    with shop.till() as till:
        (restored,) = till.restore()
        with pytest.raises(NoPlugin, match="tender 141"):
            pay(till, "p2")
        assert (plugin.recorded("p1"), plugin.recorded("p2")) == (None, False)
    assert "no plugin" in restored.outcome


# ---------------------------------------------------------------------------------------------------------------------
# A till that dies
# ---------------------------------------------------------------------------------------------------------------------


def test_after_a_power_cut_the_till_asks_again_with_the_same_payment_and_receipt(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    plugin.payment = power_cut
    with pytest.raises(PowerCut), shop.till() as till:
        till.sell(one_line_sale("Bread", 100), payment_id="p1", qr_code="123456", fiscal_url=LINK)
    (first,) = plugin.payments
    plugin.payment = paid
    plugin.asked.clear()
    with shop.till() as till:
        assert plugin.recorded() is None, "it will ask again"
        (restored,) = till.restore()

    assert plugin.payments == [replace(first, qr_code=None, repeated=True)], "the buyer's code is nowhere on the disk"
    assert (restored.outcome, plugin.hooks, len(shop.printed)) == ("PAID", WHOLE_SALE, 6)
    closed = plugin.asked[2][1]
    assert isinstance(closed, Receipt)
    assert closed.fiscal == ReceiptFiscal(url=LINK)


@pytest.mark.parametrize("status", [*NOT_PAID, PaymentStatus.PAID])
def test_an_unfinished_payment_is_asked_for_at_every_start_until_it_has_ended(
    shop: TillFolder, plugin: ScriptedPlugin, status: PaymentStatus
) -> None:
    shop.crash("payment")
    plugin.payment = PENDING
    with shop.till() as till:
        assert [each.outcome for each in till.restore()] == ["PENDING"]
        assert (plugin.recorded(), plugin.hooks[-1]) == (None, "on_ready")
        plugin.payment = paid
        assert pay(till, "p2").result.status is PaymentStatus.PAID, "it sells beside a pending payment"
        assert plugin.recorded() is None
    shop.printed.clear()
    plugin.payment = paid if status is PaymentStatus.PAID else not_paid(status)
    assert [each.outcome for each in shop.restart()] == [status.name]
    assert shop.restart() == ()

    is_paid = status is PaymentStatus.PAID
    asked = [(request.payment_id, request.repeated) for request in plugin.payments]
    assert asked == [("p1", True), ("p2", False), ("p1", True)]
    receipt, _ = shop.receipts
    assert (plugin.recorded(), receipt.annulled, len(shop.printed)) == (is_paid, not is_paid, 6 if is_paid else 0)


def test_after_a_restart_no_scan_is_asked_for_but_the_cashier_may_stop(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    class Cashier(BaseUi):
        def scan(self, prompt: str, timeout_s: float) -> str | None:
            raise AssertionError("the buyer of then is gone")

        def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
            return True

    shop.crash("payment")
    with shop.till(ui=Cashier()) as till:
        till.restore()

    assert plugin.ui.scan("Scan", 30.0) is None
    assert plugin.ui.progress(1.0, 2.0, "Waiting") is True


@pytest.mark.parametrize("failure", [power_cut, fail])
def test_a_closed_receipt_is_reported_until_every_plugin_has_returned(
    shop: TillFolder, plugin: ScriptedPlugin, failure: Callable[[object], None]
) -> None:
    plugin.closed = failure
    with suppress(PowerCut), shop.till() as till:
        sell_with_link(till)
    if failure is power_cut:
        assert shop.printed == []
    assert shop.store.is_recorded("p1") is True

    plugin.closed = no_answer
    plugin.asked.clear()
    assert [(each.number, each.outcome) for each in shop.restart()] == [(1, "CLOSED")]
    assert shop.restart() == ()
    assert plugin.hooks == ["on_receipt_closed", "on_ready", "on_ready"]
    reported = plugin.asked[0][1]
    assert isinstance(reported, Receipt)
    assert reported.fiscal == ReceiptFiscal(url=LINK)
    assert len(shop.printed) == 6, "each slip once, two copies"


def test_slips_that_were_not_printed_are_printed_after_a_restart_and_nothing_is_reported_again(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    with pytest.raises(PowerCut), shop.till(write_line=power_cut) as till:
        pay(till)
    plugin.asked.clear()
    shop.restart()

    assert (plugin.hooks, len(shop.printed)) == (["on_ready"], 6)


# ---------------------------------------------------------------------------------------------------------------------
# A payment id that the till knows
# ---------------------------------------------------------------------------------------------------------------------


def test_a_known_payment_id_is_asked_for_in_its_own_sale_with_its_own_amount(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    plugin.payment = not_paid(PaymentStatus.REFUSED)
    with shop.till() as till:
        assert [pay(till).number for _ in range(2)] == [1, 1]
        with pytest.raises(PaymentMismatch, match="p1"):
            pay(till, amount=101)

    assert (len(plugin.payments), len(shop.receipts)) == (2, 1)


def test_asking_again_for_a_closed_sale_changes_nothing_of_it(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        pay(till)
        before = till.store.receipts()
        plugin.payment = not_paid(PaymentStatus.REFUSED)
        assert pay(till).result.status is PaymentStatus.REFUSED

        assert till.store.receipts() == before
        assert plugin.recorded() is True


def test_the_caller_may_resume_an_unfinished_payment_by_itself(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    shop.crash("payment")
    with shop.till() as till:
        assert till.restore(own=("payment", "p1")) == ()
        payment = pay(till, qr_code="123456")

    assert (payment.number, payment.result.status) == (1, PaymentStatus.PAID)
    assert [(request.repeated, request.qr_code) for request in plugin.payments] == [(True, None)]
    assert plugin.hooks == WHOLE_SALE, "ready after what it repeats itself"


@pytest.mark.parametrize("agrees", [True, False])
def test_a_sale_that_was_paid_but_not_closed_keeps_the_tender_only_if_the_plugin_agrees(
    shop: TillFolder, plugin: ScriptedPlugin, agrees: bool
) -> None:
    with shop.till() as till:
        pay(till)
    (receipt,) = shop.receipts
    shop.store.store(replace(receipt, closed_at=None, reported=False))
    printed = list(shop.printed)

    plugin.payment = paid if agrees else not_paid(PaymentStatus.REFUSED)
    with shop.till() as till:
        assert plugin.recorded() is True
        till.restore()
        assert plugin.recorded() is agrees
    assert shop.printed == printed, "the slips are printed already"
    again = plugin.payments[-1]
    assert (again.repeated, again.receipt.payments) == (True, ()), "the receipt as it was when the tender was selected"
    assert (shop.receipts[0].tenders[0].record is None) is not agrees


# ---------------------------------------------------------------------------------------------------------------------
# The acknowledgement, and being ready
# ---------------------------------------------------------------------------------------------------------------------


def test_a_paid_tender_is_on_the_disk_before_it_is_acknowledged_which_is_repeated_until_it_returns(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    shop.crash("stored")
    (tender,) = shop.receipts[0].tenders
    assert (tender.status, tender.acknowledged) == (PaymentStatus.PAID, False)
    plugin.stored = fail
    with shop.till() as till:
        till.restore()
        assert shop.receipts[0].closed_at == CLOSED_AT, "the sale goes on"
        assert "on_ready" not in plugin.hooks
        plugin.stored = no_answer
        plugin.asked.clear()
        pay(till, "p2")

    assert plugin.hooks == ["on_payment_recorded", *WHOLE_SALE], "before the next payment"
    plugin.asked.clear()
    shop.restart()
    assert plugin.hooks == ["on_ready"]


def test_on_ready_that_raises_is_repeated_with_the_next_sale(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    plugin.ready = fail
    with shop.till() as till:
        till.restore()
        plugin.ready = no_answer
        pay(till, "p1")
        pay(till, "p2")

    assert plugin.hooks.count("on_ready") == 2


def test_the_till_is_not_ready_before_every_payment_was_repeated_without_a_failure(
    shop: TillFolder, plugin: ScriptedPlugin
) -> None:
    shop.crash("payment")
    plugin.payment = fail
    with shop.till() as till:
        till.restore()
        plugin.payment = paid
        pay(till, "p2")
        assert "on_ready" not in plugin.hooks
        till.restore()
        assert plugin.hooks[-1] == "on_ready"


def test_a_stop_while_the_till_restores_begins_nothing_further(shop: TillFolder, plugin: ScriptedPlugin) -> None:
    shop.crash("payment")
    with shop.till() as till:
        assert till.restore(lambda: True) == ()

    assert plugin.hooks == []
