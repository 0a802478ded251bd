"""At the till a template that breaks gives way to the shipped one, and that to a plain slip, with a notice."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from fakes.world import World
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.payment_slips import SLIP_NOTICE, PaymentSlips, TemplateCache
from payme_plugin.texts import LANGUAGES, Text, Texts
from slips import SlipRenderer
from slips.schemas import Schemas

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOUND = "<slip><line>MY SHOP</line><pair label='Sum'>${amount}</pair></slip>"


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path / "till")
    yield world
    world.close()


def slips_with(
    world: World, template: Path | None, renderer: SlipRenderer | None = None, language: str = "ru"
) -> PaymentSlips:
    renderer = SlipRenderer() if renderer is None else renderer
    texts = Texts(language)
    return PaymentSlips(TemplateCache(renderer), template, 32, 2, texts, world.host.notice)


def printed(world: World, payment_id: str = "p1") -> str:
    (slip,) = world.pay(world.paymego.code(), payment_id=payment_id).slips
    return "\n".join(slip.lines)


def test_the_tills_own_template_is_printed_without_a_notice(world: World, tmp_path: Path) -> None:
    template = tmp_path / "payme.xml"
    template.write_text(SOUND)
    world.slips = slips_with(world, template)

    assert printed(world).startswith("MY SHOP")
    assert SLIP_NOTICE not in world.host.notices


def test_a_template_that_breaks_gives_the_shipped_slip_and_a_notice_until_it_is_mended(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    template = tmp_path / "payme.xml"
    template.write_text("<slip>\n<line>${amout}</line></slip>")
    world.slips = slips_with(world, template)

    assert "ОПЛАТА" in printed(world)
    assert world.host.notices[SLIP_NOTICE] == Texts("ru")(Text.NOTICE_SLIP_FALLBACK)
    assert f"{template}: line 2, column 7: unknown name 'amout'; did you mean 'amount'?" in caplog.text

    template.write_text(SOUND)

    assert printed(world, "p2").startswith("MY SHOP")
    assert SLIP_NOTICE not in world.host.notices


def test_a_template_with_nothing_for_an_operation_gives_the_shipped_slip(world: World, tmp_path: Path) -> None:
    template = tmp_path / "payme.xml"
    template.write_text("<slip><line when='refund'>MY SHOP</line></slip>")
    world.slips = slips_with(world, template)

    assert "ОПЛАТА" in printed(world)
    assert SLIP_NOTICE in world.host.notices


@pytest.mark.parametrize("language", ["ru", "uz", "en"])
def test_where_the_shipped_one_fails_too_a_plain_slip_says_what_matters(
    world: World, tmp_path: Path, language: str
) -> None:
    renderer = SlipRenderer()
    renderer._schemas = Schemas(tmp_path / "an installation without its schemas")
    world.slips = slips_with(world, None, renderer, language)

    lines = printed(world)

    assert lines.startswith("PAYME")
    assert "15 000.00" in lines
    assert str(world.row().receipt_id) in lines
    assert world.host.notices[SLIP_NOTICE] == Texts(language)(Text.NOTICE_SLIP_FALLBACK)


def test_even_a_fault_of_the_program_leaves_a_paid_sale_paid_with_a_plain_slip_and_a_notice(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    class Faulty(SlipRenderer):
        def render(self, *_: object) -> None:  # type: ignore[override] # it never gets so far as to return
            raise ZeroDivisionError

    world.slips = slips_with(world, None, Faulty())

    assert printed(world).startswith("PAYME")
    assert world.host.notices[SLIP_NOTICE] == Texts("ru")(Text.NOTICE_SLIP_FALLBACK)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("template", [None, "shipped in Uzbek"])
def test_a_code_page_is_kept_by_every_line(world: World, tmp_path: Path, template: str | None) -> None:
    path = None
    if template:
        path = tmp_path / "payme.xml"
        path.write_text("<slip language='uz'><line>Қ Ғ Ҳ ʻ ${operation}</line></slip>", encoding="utf-8")
    world.slips = slips_with(world, path, SlipRenderer(encoding="cp866"))

    lines = printed(world)

    assert lines.encode("cp866").decode("cp866") == lines
    assert "?" not in lines
    assert path is None or lines == "К Г Х ' To'lov"


SENSELESS = ["soon", 1_769_851_996_000.0, -5, 0, True, None, 10**30, [1]]


@pytest.mark.parametrize("cancel_time", SENSELESS)
def test_a_senseless_time_of_cancellation_gives_way_to_the_tills_own(
    world: World, tmp_path: Path, cancel_time: object
) -> None:
    path = tmp_path / "payme.xml"
    path.write_text("<slip><line>${reversed_at}</line></slip>")
    maker = slips_with(world, path, SlipRenderer(timezone=timezone.utc))
    world.pay(world.paymego.code())
    row = world.row()

    (slip,) = maker.render("refund", row, {"cancel_time": cancel_time})
    (told,) = maker.render("refund", row, {"cancel_time": 1_769_851_996_000})

    own = datetime.fromtimestamp(row.updated_at // 1000, timezone.utc)
    assert slip.lines == (f"{own:%d.%m.%Y %H:%M:%S}",)
    assert told.lines == ("31.01.2026 09:33:16",)


@pytest.mark.parametrize(
    ("receipt", "state", "status"),
    [
        ({"state": 50}, PaymentState.REVERSING, "Деньги возвращены"),
        ({"state": 21}, PaymentState.REVERSING, "Возврат принят"),
        ({"state": "50"}, PaymentState.REVERSING, "Возврат принят"),
        ({}, PaymentState.REVERSING, "Возврат принят"),
        ({}, PaymentState.REVERSED, "Деньги возвращены"),
    ],
)
def test_a_slip_claims_that_money_is_back_only_where_payme_or_the_journal_says_so(
    world: World, tmp_path: Path, receipt: dict[str, object], state: PaymentState, status: str
) -> None:
    path = tmp_path / "payme.xml"
    path.write_text("<slip><line>${status}</line></slip>")
    world.pay(world.paymego.code())

    (slip,) = slips_with(world, path).render("refund", replace(world.row(), state=state), receipt)

    assert slip.lines == (status,)


def test_the_notice_is_true_of_whatever_slip_is_printed_instead(world: World) -> None:
    for language in LANGUAGES:
        text = Texts(language)(Text.NOTICE_SLIP_FALLBACK)
        assert "payme slip check " in text
        assert not {"простой", "oddiy", "plain"} & {*text.split()}, "the shipped template's is not"
