"""Settings of a running till: checked at the start, read at each operation, the last good ones kept."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.till import TENDER, ScriptedUi, request_for
from fakes.waiting import comes_true
from hookspecs import PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.states import PaymentState
from payme_plugin.paymego import codes
from payme_plugin.settings import SettingsError, SettingsReader
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.served_till import ServedTill

RU = Texts("ru")
SETTINGS, TENDER_NOTICE = "payme.settings", "payme.tender"


@pytest.mark.parametrize(
    ("name", "value"),
    [("payDuration", "ten"), ("timeout", "0"), ("url", "ftp://x"), ("posKey", None), ("frequency", "")],
)
def test_broken_settings_are_a_notice_at_the_start_and_a_refusal_with_the_first_fault(
    new_till: Callable[..., ServedTill], name: str, value: str | None
) -> None:
    given = {name: value} | ({"url": "https://checkout.paycom.uz/api"} if name == "posKey" else {})
    till = new_till(**given)
    before = len(till.sandbox.requests)

    assert name in till.host.notices[SETTINGS]
    result = till.pay(till.code())

    assert result.status is PaymentStatus.REFUSED
    assert name in result.message
    assert till.requests_since(before) == []


@pytest.mark.parametrize(("name", "value"), [("paymentType", None), ("payDuration", "ten"), ("timeout", "0")])
def test_settings_that_stop_charging_after_a_restart_do_not_stop_the_return_of_money(
    new_till: Callable[..., ServedTill], name: str, value: str | None
) -> None:
    first = new_till()
    assert first.pay(first.code()).status is PaymentStatus.PAID
    first.plugins.on_stop()

    again = new_till(**{name: value})

    assert comes_true(lambda: again.row().state is PaymentState.REVERSED)
    assert name in again.host.notices[SETTINGS]


@pytest.mark.parametrize(("name", "value"), [("url", "ftp://x"), ("posKey", ""), ("caFile", "/nowhere.pem")])
def test_without_a_usable_account_or_way_to_its_server_money_waits(
    new_till: Callable[..., ServedTill], name: str, value: str
) -> None:
    given = {**new_till(starts=False).host.given, name: value}
    with pytest.raises(SettingsError) as broken:
        SettingsReader(lambda: given, codes).read()

    assert broken.value.for_returns is None


def test_all_faults_are_logged_together(new_till: Callable[..., ServedTill], caplog: pytest.LogCaptureFixture) -> None:
    new_till(payDuration="ten", frequency="eleven", timeout="twelve")

    assert all(value in caplog.text for value in ("ten", "eleven", "twelve"))


def test_without_a_payment_type_there_is_no_tender_and_a_notice_that_says_how_to_set_it(
    new_till: Callable[..., ServedTill],
) -> None:
    till = new_till(paymentType=None)

    assert till.plugins.payment_types() == []
    assert till.host.notices[TENDER_NOTICE] == RU(Text.NOTICE_NO_PAYMENT_TYPE)
    assert "paymentType" in till.host.notices[TENDER_NOTICE]
    assert till.plugins.on_payment(request_for(), ScriptedUi(SystemClock())) is None


def test_where_not_even_the_payment_type_can_be_read_no_tender_is_ours(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(paymentType="seven")

    assert till.plugins.payment_types() == []
    assert till.plugins.on_payment(request_for(), ScriptedUi(SystemClock())) is None


def test_a_notice_is_withdrawn_when_its_reason_is_gone(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(payDuration="ten", paymentType=None)
    till.plugins.payment_types()
    assert {SETTINGS, TENDER_NOTICE} <= set(till.host.notices)

    till.host.given = {**till.host.given, "payDuration": "1000", "paymentType": str(TENDER)}
    till.plugins.payment_types()

    assert till.host.notices == {}


def test_changed_settings_count_from_the_next_operation_on(till: ServedTill) -> None:
    assert till.pay(till.code()).receipt_attributes["QRPaymentProvider"] == "141"

    till.host.given = {**till.host.given, "paymentProvider": "77", "paymentType": "8", "slipCopies": "0"}

    assert [one.number for one in till.plugins.payment_types()] == [8]
    result = till.pay(till.code(), payment_id="p2", payment_type=8)
    assert (result.receipt_attributes["QRPaymentProvider"], result.slips) == ("77", ())


def test_a_changed_key_is_used_at_once(till: ServedTill) -> None:
    till.host.given = {**till.host.given, "posKey": "wrong"}
    refused = till.pay(till.code())
    till.host.given = {**till.host.given, "posKey": till.sandbox.pos_key}
    paid = till.pay(till.code(), payment_id="p2")

    assert (refused.error_code, paid.status) == (-32504, PaymentStatus.PAID)


def test_a_change_that_can_not_be_used_keeps_the_last_good_ones_with_a_notice(till: ServedTill) -> None:
    till.host.given = {**till.host.given, "payDuration": "ten"}

    result = till.pay(till.code())

    assert result.status is PaymentStatus.PAID
    assert "payDuration" in till.host.notices[SETTINGS]

    till.host.given = {**till.host.given, "payDuration": "2000"}
    till.pay(till.code(), payment_id="p2")
    assert SETTINGS not in till.host.notices


def test_a_till_that_can_not_give_its_settings_any_more_goes_on_with_the_last_good_ones(till: ServedTill) -> None:
    till.host.settings = _broken  # type: ignore[method-assign]

    result = till.pay(till.code())

    assert result.status is PaymentStatus.PAID
    assert SETTINGS in till.host.notices


def _broken(plugin: str) -> dict[str, str]:
    raise OSError(plugin)


def test_the_key_is_in_no_log_line_and_no_notice(
    new_till: Callable[..., ServedTill], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    till = new_till(posKey="canary key % # & ? @ ; =", payDuration="ten")

    till.pay("12345678901234567890")

    assert "canary" not in caplog.text
    assert "canary" not in str(till.host.notice_log)
    assert "12345678901234567890" not in caplog.text
