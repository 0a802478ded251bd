"""A sale with the plugin in service: the verdicts, the slips, and what the journal tells afterwards."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from fakes.till import TENDER, ScriptedUi, VirtualHost, open_sale, request_for
from hookspecs import PaymentStatus, PaymentType, PosPlugins
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import BuyerAction, FaultKind, InjectedFault
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.served_till import ServedTill
    from payme_plugin.sandbox import Sandbox

pytestmark = pytest.mark.floor

RU = Texts("ru")


def test_the_plugin_is_found_by_its_entry_point_and_takes_a_payment(sandbox: Sandbox, tmp_path: Path) -> None:
    host = VirtualHost(
        tmp_path,
        {"url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": str(TENDER)},
    )
    plugins = PosPlugins()
    plugins.load_entry_points()
    assert ("payme" in plugins.names, plugins.faults) == (True, ())

    plugins.on_start(host)
    result = plugins.on_payment(request_for(), ScriptedUi(SystemClock(), [sandbox.issue_code()]))
    plugins.on_stop()

    assert result is not None
    assert result.status is PaymentStatus.PAID


def test_a_paid_sale_has_its_slip_twice_and_its_money_at_payme(till: ServedTill) -> None:
    result = till.pay(till.code())

    (slip,) = result.slips
    assert result.status is PaymentStatus.PAID
    assert slip.copies == 2
    assert max(map(len, slip.lines)) <= till.host.width
    assert till.sandbox.held(result.receipt_id) == 1_500_000
    assert till.row().state is PaymentState.PAID


def test_a_tender_of_another_plugin_is_none_of_ours(till: ServedTill) -> None:
    before = len(till.sandbox.requests)

    assert till.plugins.on_payment(request_for(payment_type=TENDER + 1), ScriptedUi(SystemClock())) is None

    assert till.requests_since(before) == []


def test_the_tender_is_named(till: ServedTill) -> None:
    assert till.plugins.payment_types() == [PaymentType(number=TENDER, name="Payme")]


def test_a_buyer_who_confirms_in_time_has_paid(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(payDuration=3000)

    result = till.pay(till.code(BuyerAction.CONFIRMS, after_s=0.3))

    assert result.status is PaymentStatus.PAID


def test_a_buyer_who_never_confirms_ends_unknown_and_the_money_is_followed(till: ServedTill) -> None:
    began = time.monotonic()

    result = till.pay(till.code(BuyerAction.NEVER_ANSWERS))

    assert result.status is PaymentStatus.UNKNOWN
    assert result.message == RU(Text.PAYMENT_UNKNOWN)
    assert result.cancellation_queued
    assert time.monotonic() - began < 3
    assert till.row().state is PaymentState.UNKNOWN


def test_an_answer_that_is_lost_after_the_money_moved_is_paid_with_one_pay(till: ServedTill) -> None:
    before = len(till.sandbox.requests)
    till.sandbox.inject(InjectedFault(FaultKind.ANSWER_LOST, "receipts.pay"))
    code = till.code()

    result = till.pay(code)

    assert result.status is PaymentStatus.PAID
    assert till.sandbox.pays(code) == 1
    assert till.requests_since(before).count("pay") == 1


def test_a_refusal_tells_its_code_and_queues_a_cancellation(till: ServedTill) -> None:
    result = till.pay(till.code(BuyerAction.LACKS_FUNDS))

    assert (result.status, result.error_code, result.cancellation_queued) == (PaymentStatus.REFUSED, -31630, True)


def test_an_ignored_refusal_queues_none(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(ignoredErrors=-31630)

    result = till.pay(till.code(BuyerAction.LACKS_FUNDS))

    assert (result.status, result.cancellation_queued) == (PaymentStatus.REFUSED, False)
    assert till.live() == []


def test_a_wrong_key_is_refused_with_its_code_without_a_pay(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(posKey="wrong")
    before = len(till.sandbox.requests)

    result = till.pay(till.code())

    assert (result.status, result.error_code) == (PaymentStatus.REFUSED, -32504)
    assert till.requests_since(before) == ["create"]


def test_a_server_that_is_not_there_is_refused_with_a_clear_text(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(url="http://127.0.0.1:9/api")

    result = till.pay("12345678901234567890")

    assert result.status is PaymentStatus.REFUSED
    assert result.message == RU(Text.PAYMENT_NO_CONNECTION)


def test_a_closed_receipt_records_its_payments(till: ServedTill) -> None:
    result = till.pay(till.code())
    assert result.payment is not None

    till.plugins.on_receipt_closed(open_sale(payments=(result.payment,), closed_at=777))
    till.plugins.on_receipt_closed(open_sale(payments=(result.payment,), closed_at=777))

    assert (till.row().state, till.row().closed_at) == (PaymentState.RECORDED, 777)


def test_the_same_id_after_a_restart_is_paid_without_another_pay(
    till: ServedTill, new_till: Callable[..., ServedTill]
) -> None:
    code = till.code()
    first = till.pay(code)
    till.plugins.on_stop()
    restarted = new_till(starts=False)
    restarted.plugins.on_start(restarted.host)
    again = restarted.pay(till.code())
    restarted.plugins.on_ready()

    assert restarted.row().state is PaymentState.PAID
    assert (again.status, again.payment) == (PaymentStatus.PAID, first.payment)
    assert till.sandbox.pays(code) == 1


@pytest.mark.parametrize("language", ["ru", "uz", "en"])
def test_the_cashier_reads_the_tills_language(new_till: Callable[..., ServedTill], language: str) -> None:
    till = new_till(starts=False)
    till.host.tongue = language
    till.plugins.on_start(till.host)

    assert till.pay(till.code()).message == Texts(language)(Text.PAYMENT_PAID)
