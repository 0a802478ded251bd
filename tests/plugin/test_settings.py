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


def test_a_notice_is_withdrawn_when_its_reason_is_gone(new_till: Callable[..., ServedTill]) -> None:
    till = new_till(payDuration="ten", paymentType=None)
    till.plugins.payment_types()
    assert {SETTINGS, TENDER_NOTICE} <= set(till.host.notices)

    till.host.given = {**till.host.given, "payDuration": "1000", "paymentType": str(TENDER)}
    till.plugins.payment_types()

    assert till.host.notices == {}


def test_a_changed_key_is_used_at_once(till: ServedTill) -> None:
    till.host.given = {**till.host.given, "posKey": "wrong"}
    refused = till.pay(till.code())
    till.host.given = {**till.host.given, "posKey": till.sandbox.pos_key}
    paid = till.pay(till.code(), payment_id="p2")

    assert (refused.error_code, paid.status) == (-32504, PaymentStatus.PAID)
