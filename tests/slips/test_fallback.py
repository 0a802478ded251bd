"""What an operation prints: the till's template, else the shipped one, else a plain slip; only what was proven."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from fakes.world import World
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.payment_slips import SLIP_NOTICE, PaymentSlips, TemplateCache
from payme_plugin.texts import Text, Texts
from slips import SlipRenderer
from slips.schemas import Schemas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "till")
    yield world
    world.close()


def slips_with(
    world: World, template: Path | None, renderer: SlipRenderer | None = None, language: str = "ru"
) -> PaymentSlips:
    renderer = SlipRenderer(timezone=timezone.utc) if renderer is None else renderer
    return PaymentSlips(TemplateCache(renderer), template, 32, 2, Texts(language), world.host.notice)


def test_a_template_with_nothing_for_an_operation_gives_the_shipped_slip_and_a_notice(
    world: World, tmp_path: Path
) -> None:
    template = tmp_path / "payme.xml"
    template.write_text("<slip><line when='refund'>MY SHOP</line></slip>")
    world.slips = slips_with(world, template)

    (slip,) = world.pay(world.paymego.code()).slips

    assert "ОПЛАТА" in " ".join(slip.lines)
    assert world.host.notices[SLIP_NOTICE] == Texts("ru")(Text.NOTICE_SLIP_FALLBACK)


class Faulty(SlipRenderer):
    def render(self, *_: object) -> None:  # type: ignore[override] # it never gets so far as to return
        raise ZeroDivisionError


@pytest.mark.parametrize(("fault", "logged"), [("no schemas", "template.xsd"), ("of the program", "ZeroDivisionError")])
def test_where_the_shipped_one_fails_too_the_paid_sale_stays_paid_with_a_plain_slip_and_a_notice(
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
def test_a_slip_claims_that_money_is_back_only_where_payme_or_the_journal_says_so_at_a_time_that_can_be(
    world: World, tmp_path: Path, receipt: dict[str, object], state: PaymentState, status: str
) -> None:
    path = tmp_path / "payme.xml"
    path.write_text("<slip><line>${reversed_at}</line><line>${status}</line></slip>")
    world.pay(world.paymego.code())
    row = replace(world.row(), state=state)

    (slip,) = slips_with(world, path).render("refund", row, receipt)

    at_ms = 1_769_851_996_000 if receipt.get("state") == 50 else row.updated_at
    assert slip.lines == (f"{datetime.fromtimestamp(at_ms // 1000, timezone.utc):%d.%m.%Y %H:%M:%S}", status)
