"""One sale through the entry point; what it decides is specified in ``tests/payments``."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from fakes.served_till import ServedTill
from fakes.till import TENDER, ScriptedUi, VirtualHost, request_for
from fakes.waiting import comes_true
from hookspecs import PaymentStatus, PaymentType
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.states import PaymentState
from payme_plugin.paymego.connection import HttpConnection
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from payme_plugin.sandbox import Sandbox

pytestmark = pytest.mark.floor

RU = Texts("ru")


def test_the_plugin_that_the_entry_point_names_takes_a_payment(sandbox: Sandbox, tmp_path: Path) -> None:
    given = {"url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": str(TENDER)}
    till = ServedTill(VirtualHost(tmp_path, given), sandbox)
    till.plugins.load_entry_points()
    assert ("payme" in till.plugins.names, till.plugins.faults) == (True, ())
    till.start()

    result = till.pay(till.code())
    till.plugins.on_stop()

    (slip,) = result.slips
    assert (result.status, slip.copies) == (PaymentStatus.PAID, 2)
    assert max(map(len, slip.lines)) <= till.host.width
    assert sandbox.held(result.receipt_id) == 1_500_000
    assert till.row().state is PaymentState.PAID


def test_from_the_scan_to_the_result_is_one_write_on_the_open_connection(
    till: ServedTill, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If ``create`` was answered during the scan and the answer to ``pay`` fills the slip: one round trip."""
    caplog.set_level("INFO", "payme")
    wire: list[str] = []
    for kind, name in ((HttpConnection, "_connect_to"), (HTTPConnection, "send")):
        monkeypatch.setattr(kind, name, recorded(getattr(kind, name), wire))

    def scan() -> str:
        assert comes_true(lambda: "answer receipts.create" in caplog.text)
        wire.append("scanned")
        return till.code()

    assert till.pay(scan).status is PaymentStatus.PAID
    assert wire == ["_connect_to", "send", "scanned", "send"]


def recorded(function: Callable[..., object], calls: list[str]) -> Callable[..., object]:
    def call(*given: object, **named: object) -> object:
        calls.append(function.__name__)
        return function(*given, **named)

    return call


def test_a_tender_with_another_number_is_left_to_others(till: ServedTill) -> None:
    before = len(till.sandbox.requests)

    assert till.plugins.payment_types() == [PaymentType(number=TENDER, name="Payme")]
    assert till.plugins.on_payment(request_for(payment_type=TENDER + 1), ScriptedUi(SystemClock())) is None
    assert till.requests_since(before) == []


@pytest.mark.parametrize("language", ["ru", "uz", "en"])
def test_the_cashier_reads_the_tills_language(new_till: Callable[..., ServedTill], language: str) -> None:
    till = new_till(starts=False)
    till.host.tongue = language
    till.plugins.on_start(till.host)

    assert till.pay(till.code()).message == Texts(language)(Text.PAYMENT_PAID)
