"""A till's slips: from its own template, or the shipped one, or plain; before and after the first sale."""

from __future__ import annotations

import sys
import threading
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

import slips.schemas
from fakes.fixtures import new_till, running, sandbox
from fakes.till import ScriptedUi, VirtualHost, open_sale
from fakes.world import World
from hookspecs import CancelRequest, PaymentStatus, ReversalStatus
from payme_plugin.background import Background
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.payment_slips import SLIP_NOTICE, PaymentSlips, TemplateCache, import_slip_parts
from payme_plugin.texts import Text, Texts
from slips import SlipRenderer
from slips.schemas import Schemas

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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


@pytest.mark.usefixtures("no_schema_is_built")
def test_the_start_imports_the_libraries_and_waits_for_no_schema(
    new_till: Callable[..., ServedTill], monkeypatch: pytest.MonkeyPatch
) -> None:
    may_build, imported_by, built_by = threading.Event(), list[str](), list[str]()
    build = slips.schemas.build_schema

    def watched_build(text: bytes) -> object:
        assert may_build.wait(30)
        built_by.append(threading.current_thread().name)
        return build(text)

    def watched_import() -> None:
        imported_by.append(threading.current_thread().name)
        import_slip_parts()

    monkeypatch.setattr(slips.schemas, "build_schema", watched_build)
    monkeypatch.setattr("payme_plugin.service.import_slip_parts", watched_import)
    till = new_till()
    assert (imported_by, built_by) == (["MainThread"], []), "the start is over, and no schema is built"
    may_build.set()
    sold(warmed(till))

    assert built_by == ["payme-warm-up"] * len(slips.schemas.SCHEMA_NAMES)


def test_a_till_that_stops_at_once_gets_no_notice_of_its_template_any_more(
    new_till: Callable[..., ServedTill], template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template.write_text(BROKEN)
    has_stopped = threading.Event()
    notify = Background.notify

    def late(background: Background, key: str, text: str | None) -> None:
        assert has_stopped.wait(30)
        notify(background, key, text)

    monkeypatch.setattr(Background, "notify", late)
    monkeypatch.setattr("payme_plugin.service._WARM_UP_AFTER_S", 0)
    till = new_till(slipTemplate=template)
    before = dict(till.host.notices)
    till.plugins.on_stop()
    has_stopped.set()

    assert warmed(till).host.notices == before


def test_a_broken_template_has_its_notice_before_the_first_sale_and_until_it_is_repaired(
    new_till: Callable[..., ServedTill], template: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    template.write_text(BROKEN)
    till = warmed(new_till(host=VirtualHost(tmp_path / "till", width=57), slipTemplate=template, slipEncoding="cp866"))

    assert till.host.notices[SLIP_NOTICE] == NOTICE
    assert f"slip: {template}: line 2, column 7: unknown name 'amout'" in caplog.text
    assert "ОПЛАТА" in " ".join(lines_of(sold(till)))
    assert till.host.notices[SLIP_NOTICE] == NOTICE

    template.write_text(SOUND, encoding="utf-8")

    assert lines_of(sold(till, "p2", 2)) == ("MY SHOP", "К '", "-" * 57), "in the printer's code page and width"
    assert SLIP_NOTICE not in till.host.notices


def test_a_repaired_or_unprinted_template_has_no_notice(new_till: Callable[..., ServedTill], template: Path) -> None:
    template.write_text(BROKEN)
    assert SLIP_NOTICE not in warmed(new_till(slipTemplate=template, slipCopies=0)).host.notices

    template.write_text(SOUND, encoding="utf-8")
    assert SLIP_NOTICE not in warmed(new_till(slipTemplate=template)).host.notices


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
    assert sale.payment is not None
    request = CancelRequest(payment=sale.payment, receipt=open_sale(payments=(sale.payment,)))
    given_back = till.plugins.on_cancel(request, ScriptedUi(SystemClock()))
    assert given_back is not None
    assert given_back.status is ReversalStatus.REVERSED
    assert lines_of(sale)[0] == lines_of(given_back)[0] == "PAYME"
    assert till.plugins.faults == ()


def test_without_the_slip_engine_a_paid_sale_is_paid_has_no_slip_and_a_notice(
    new_till: Callable[..., ServedTill], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "slips", None)
    till = warmed(new_till())

    assert sold(till).slips == ()
    assert till.host.notices[SLIP_NOTICE] == NOTICE
    assert "slip: it can't be made: ModuleNotFoundError" in caplog.text


# ---------------------------------------------------------------------------------------------------------------------
# What an operation prints, on virtual time
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "till")
    yield world
    world.close()


def slips_with(
    world: World, template: Path | None, renderer: SlipRenderer | None = None, language: str = "ru"
) -> PaymentSlips:
    renderer = SlipRenderer(timezone=timezone.utc) if renderer is None else renderer
    return PaymentSlips(TemplateCache(lambda: renderer), template, 32, 2, Texts(language), world.host.notice)


def test_a_template_with_nothing_to_print_gives_the_shipped_slip_and_a_notice(world: World, template: Path) -> None:
    template.write_text("<slip><line when='refund'>MY SHOP</line></slip>")
    world.slips = slips_with(world, template)

    (slip,) = world.pay(world.paymego.code()).slips

    assert "ОПЛАТА" in " ".join(slip.lines)
    assert world.host.notices[SLIP_NOTICE] == NOTICE


class Faulty(SlipRenderer):
    def render(self, *_: object) -> None:  # type: ignore[override] # it never gets so far as to return
        raise ZeroDivisionError


@pytest.mark.parametrize(("fault", "logged"), [("no schemas", "template.xsd"), ("of the program", "ZeroDivisionError")])
def test_if_the_shipped_one_fails_too_the_sale_stays_paid_with_a_plain_slip(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str, logged: str
) -> None:
    renderer = Faulty() if fault == "of the program" else SlipRenderer()
    if fault == "no schemas":
        renderer._schemas = Schemas(tmp_path / "an installation without its schemas")
    world.slips = slips_with(world, None, renderer, "en")

    (slip,) = world.pay(world.paymego.code()).slips

    assert slip.lines[:2] == ("PAYME", "Payment")
    assert {"Amount: 15 000.00 UZS", str(world.row().receipt_id)} <= {*slip.lines}
    assert world.host.notices[SLIP_NOTICE] == Texts("en")(Text.NOTICE_SLIP_FALLBACK)
    assert logged in caplog.text


RETURNED, ACCEPTED = "Деньги возвращены", "Возврат принят"


@pytest.mark.parametrize(
    ("receipt", "state", "status"),
    [
        ({"state": 50, "cancel_time": 1_769_851_996_000}, PaymentState.REVERSING, RETURNED),
        ({"state": 21}, PaymentState.REVERSING, ACCEPTED),
        ({"state": "50", "cancel_time": "soon"}, PaymentState.REVERSING, ACCEPTED),
        ({"cancel_time": 1_769_851_996_000.0}, PaymentState.REVERSED, RETURNED),
        *[({"cancel_time": senseless}, PaymentState.REVERSING, ACCEPTED) for senseless in (-5, 0, True, None, 10**30)],
    ],
)
def test_a_slip_claims_only_what_payme_or_the_journal_says_at_a_possible_time(
    world: World, template: Path, receipt: dict[str, object], state: PaymentState, status: str
) -> None:
    template.write_text("<slip><line>${reversed_at}</line><line>${status}</line></slip>")
    world.pay(world.paymego.code())
    row = world.row()._replace(state=state)

    (slip,) = slips_with(world, template).render("refund", row, receipt)

    at_ms = 1_769_851_996_000 if receipt.get("state") == 50 else row.updated_at
    assert slip.lines == (f"{datetime.fromtimestamp(at_ms // 1000, timezone.utc):%d.%m.%Y %H:%M:%S}", status)
