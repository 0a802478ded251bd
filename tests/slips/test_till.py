"""Slips of a till in service: what a broken template or a missing library does before and after the first sale."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

import pytest

from fakes.fixtures import new_till, running, sandbox
from fakes.till import ScriptedUi, VirtualHost, open_sale
from hookspecs import CancelRequest, PaymentStatus, ReversalStatus
from payme_plugin.clock import SystemClock
from payme_plugin.operations.payment_slips import SLIP_NOTICE
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fakes.served_till import ServedTill
    from hookspecs import PaymentResult, ReversalResult

pytestmark = pytest.mark.floor

__all__ = ["new_till", "running", "sandbox"]

SOUND = "<slip><line>MY SHOP</line><line>Қ ʻ</line><rule/></slip>"
BROKEN = "<slip>\n<line>${amout}</line></slip>"
NOTICE = Texts("ru")(Text.NOTICE_SLIP_FALLBACK)


@pytest.fixture
def template(tmp_path: Path) -> Path:
    return tmp_path / "mine.xml"


def warmed(till: ServedTill) -> ServedTill:
    """Wait until the till has warmed up."""
    for thread in threading.enumerate():
        if thread.name == "payme-warm-up":
            thread.join(60)
    return till


def sold(till: ServedTill, payment_id: str = "p1", number: int = 1) -> PaymentResult:
    result = till.pay(till.code(), payment_id=payment_id, receipt=open_sale(number))
    assert result.status is PaymentStatus.PAID
    return result


def lines_of(result: PaymentResult | ReversalResult) -> tuple[str, ...]:
    (slip,) = result.slips
    return slip.lines


def test_a_broken_template_has_its_notice_before_the_first_sale_and_until_it_is_mended(
    new_till: Callable[..., ServedTill], template: Path, caplog: pytest.LogCaptureFixture
) -> None:
    template.write_text(BROKEN)
    till = warmed(new_till(slipTemplate=template))

    assert till.host.notices[SLIP_NOTICE] == NOTICE
    assert f"slip: {template}: line 2, column 7: unknown name 'amout'" in caplog.text
    assert "ОПЛАТА" in " ".join(lines_of(sold(till)))
    assert till.host.notices[SLIP_NOTICE] == NOTICE

    template.write_text(SOUND, encoding="utf-8")

    assert lines_of(sold(till, "p2", 2))[0] == "MY SHOP"
    assert SLIP_NOTICE not in till.host.notices


def test_a_template_that_was_mended_meanwhile_has_no_notice_after_the_next_start(
    new_till: Callable[..., ServedTill], template: Path
) -> None:
    template.write_text(SOUND, encoding="utf-8")

    assert SLIP_NOTICE not in warmed(new_till(slipTemplate=template)).host.notices


def test_a_template_that_is_never_printed_has_no_notice(new_till: Callable[..., ServedTill], template: Path) -> None:
    template.write_text(BROKEN)
    till = warmed(new_till(slipTemplate=template, slipCopies=0))

    assert SLIP_NOTICE not in till.host.notices


@pytest.mark.usefixtures("no_schema_is_built")
@pytest.mark.parametrize("missing", ["xmlschema", "defusedxml"])
def test_without_its_libraries_a_till_starts_sells_and_gives_back_with_plain_slips_and_a_notice(
    new_till: Callable[..., ServedTill],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    missing: str,
) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    till = warmed(new_till())

    assert till.host.notices[SLIP_NOTICE] == NOTICE
    assert "slip: " in caplog.text
    assert missing in caplog.text
    sale = sold(till)
    assert lines_of(sale)[0] == "PAYME"
    assert sale.payment is not None
    request = CancelRequest(payment=sale.payment, receipt=open_sale(payments=(sale.payment,)))
    given_back = till.plugins.on_cancel(request, ScriptedUi(SystemClock()))
    assert given_back is not None
    assert given_back.status is ReversalStatus.REVERSED
    assert lines_of(given_back)[0] == "PAYME"
    assert till.plugins.faults == ()


def test_the_printers_code_page_and_width_reach_the_slip(
    new_till: Callable[..., ServedTill], template: Path, tmp_path: Path
) -> None:
    template.write_text(SOUND, encoding="utf-8")
    host = VirtualHost(tmp_path / "wide", width=57)
    till = new_till(host=host, slipTemplate=template, slipEncoding="cp866")

    assert lines_of(sold(till)) == ("MY SHOP", "К '", "-" * 57)
