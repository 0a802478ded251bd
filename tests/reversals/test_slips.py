"""The slips of a cancel and of a refund say what they are and name the original payment; no slip changes a result."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING

import pytest

from fakes.reversal_calls import CANCEL, REFUND, Reversal
from hookspecs import ReversalStatus
from payme_plugin.operations.payment_slips import PaymentSlips, TemplateCache
from payme_plugin.sandbox import FaultKind
from slips import SlipRenderer

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.hooked_world import HookedWorld
    from hookspecs import Slip


@pytest.fixture(scope="module")
def renderer() -> SlipRenderer:
    return SlipRenderer(timezone=timezone.utc)


@pytest.fixture
def shop(till: HookedWorld, renderer: SlipRenderer) -> HookedWorld:
    """Return a till whose slips the shipped renderer makes."""
    use_template(till, renderer, None)
    return till


def use_template(till: HookedWorld, renderer: SlipRenderer, template: Path | None, *, copies: int = 2) -> None:
    till.slips = PaymentSlips(
        templates=TemplateCache(lambda: renderer),
        template=template,
        width=32,
        copies=copies,
        texts=till.texts,
        notice=till.host.notice,
    )


def text_of(slips: tuple[Slip, ...]) -> str:
    (slip,) = slips
    assert all(len(line) <= 32 for line in slip.lines)
    assert "998901234567" not in slip.xml + "".join(slip.lines), "the buyer's phone is on no slip"
    return "\n".join(slip.lines)


def test_a_cancel_says_so_and_names_the_original_payment(shop: HookedWorld) -> None:
    sold = shop.sell()
    shop.clock.sleep(86_400)

    text = text_of(CANCEL.run(shop, sold).slips)

    parts = ("ОТМЕНА ОПЛАТЫ", sold.receipt_id, "Исходная оплата", "01.01.2026", "02.01.2026", "15 000.00", "3 / 1")
    assert [part for part in parts if part not in text] == []
    assert "ВОЗВРАТ" not in text


def test_a_refund_says_so_and_names_the_original_payment_and_its_sale(shop: HookedWorld) -> None:
    sold = shop.sell_and_close(number=7)
    shop.clock.sleep(86_400)

    text = text_of(REFUND.run(shop, sold).slips)

    parts = ("ВОЗВРАТ", sold.receipt_id, "Исходная оплата", "3 / 900", "3 / 7", "15 000.00")
    assert [part for part in parts if part not in text] == []
    assert "ОТМЕНА" not in text


def test_the_host_prints_it_as_often_as_slip_copies(
    shop: HookedWorld, renderer: SlipRenderer, reversal: Reversal
) -> None:
    use_template(shop, renderer, None, copies=3)
    assert [slip.copies for slip in reversal.run(shop, reversal.sell(shop)).slips] == [3]

    use_template(shop, renderer, None, copies=0)
    result = reversal.run(shop, reversal.sell(shop, "p2", 2))
    assert (result.status, result.slips) == (ReversalStatus.REVERSED, ())


def test_without_data_of_the_server_the_slip_has_the_tills_data(shop: HookedWorld, reversal: Reversal) -> None:
    sold = reversal.sell(shop)
    shop.paymego.inject_fault(FaultKind.ERROR, "receipts.get", times=None)

    text = text_of(reversal.run(shop, sold).slips)

    assert sold.receipt_id in text
    assert "15 000.00" in text


def test_a_slip_that_can_not_be_made_changes_no_result(
    shop: HookedWorld, renderer: SlipRenderer, reversal: Reversal, tmp_path: Path
) -> None:
    template = tmp_path / "bad.xml"
    template.write_text("<slip><loop/></slip>", encoding="utf-8")
    use_template(shop, renderer, template)

    result = reversal.run(shop, reversal.sell(shop))

    assert result.status is ReversalStatus.REVERSED
    assert "payme.slip" in shop.host.notices
