"""The slips of a cancel and of a refund say what they are and name the original payment; no slip changes a verdict."""

from __future__ import annotations

from datetime import timezone
from typing import TYPE_CHECKING

import pytest

from fakes.reversal_calls import CANCEL, REFUND, Reversal
from hookspecs import ReversalStatus
from payme_plugin.operations.payment_slips import PaymentSlips, TemplateCache
from payme_plugin.sandbox import CancelPlan, FaultKind
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
        templates=TemplateCache(renderer),
        template=template,
        width=32,
        copies=copies,
        texts=till.texts,
        notice=till.host.notice,
    )


def text_of(slips: tuple[Slip, ...]) -> str:
    (slip,) = slips
    assert all(len(line) <= 32 for line in slip.lines)
    return "\n".join(slip.lines)


def test_a_cancel_says_so_and_names_the_original_payment(shop: HookedWorld) -> None:
    sold = shop.sell()
    shop.clock.sleep(86_400)

    text = text_of(CANCEL.run(shop, sold).slips)

    assert "ОТМЕНА ОПЛАТЫ" in text
    assert sold.receipt_id in text
    assert "Исходная оплата" in text
    assert "01.01.2026" in text
    assert "02.01.2026" in text
    assert "15 000.00" in text
    assert "3 / 1" in text
    assert "ВОЗВРАТ" not in text


def test_a_refund_says_so_and_names_the_original_payment_and_its_sale(shop: HookedWorld) -> None:
    sold = shop.sell_and_close(number=7)
    shop.clock.sleep(86_400)

    text = text_of(REFUND.run(shop, sold).slips)

    assert "ВОЗВРАТ" in text
    assert sold.receipt_id in text
    assert "Исходная оплата" in text
    assert "3 / 900" in text
    assert "3 / 7" in text
    assert "15 000.00" in text
    assert "ОТМЕНА" not in text


def test_the_host_prints_it_as_often_as_slip_copies(
    shop: HookedWorld, renderer: SlipRenderer, reversal: Reversal
) -> None:
    use_template(shop, renderer, None, copies=3)
    assert [slip.copies for slip in reversal.run(shop, reversal.sell(shop)).slips] == [3]

    use_template(shop, renderer, None, copies=0)
    result = reversal.run(shop, reversal.sell(shop, "p2", 2))
    assert (result.status, result.slips) == (ReversalStatus.REVERSED, ())


def test_where_the_server_tells_nothing_the_slip_is_made_of_what_the_till_knows(
    shop: HookedWorld, reversal: Reversal
) -> None:
    sold = reversal.sell(shop)
    shop.paymego.befall(FaultKind.ERROR, "receipts.get", times=None)

    text = text_of(reversal.run(shop, sold).slips)

    assert sold.receipt_id in text
    assert "15 000.00" in text


def test_a_slip_that_can_not_be_made_changes_no_verdict(
    shop: HookedWorld, renderer: SlipRenderer, reversal: Reversal, tmp_path: Path
) -> None:
    template = tmp_path / "bad.xml"
    template.write_text("<slip><loop/></slip>", encoding="utf-8")
    use_template(shop, renderer, template)

    result = reversal.run(shop, reversal.sell(shop))

    assert result.status is ReversalStatus.REVERSED
    assert "payme.slip" in shop.host.notices


def test_the_buyers_whole_card_and_phone_are_on_no_slip(shop: HookedWorld, reversal: Reversal) -> None:
    (slip,) = reversal.run(shop, reversal.sell(shop)).slips

    assert "998901234567" not in slip.xml + "".join(slip.lines)


def test_a_refund_that_is_told_again_prints_its_slip_again(shop: HookedWorld) -> None:
    sold = shop.sell_and_close()

    first, again = shop.refund(sold), shop.refund(sold)

    assert [slip.lines for slip in again.slips] == [slip.lines for slip in first.slips]


def test_no_slip_is_printed_for_what_is_not_done(shop: HookedWorld, reversal: Reversal) -> None:
    shop.set(ignoredErrors="-31800")
    refused, queued = reversal.sell(shop), reversal.sell(shop, "p2", 2)
    shop.paymego.bank.plan_cancel(refused.receipt_id, CancelPlan(refused_with=-31800))
    shop.paymego.bank.plan_cancel(queued.receipt_id, CancelPlan(settle_s=3600))

    results = [reversal.run(shop, sold) for sold in (refused, queued)]

    assert [result.status for result in results] == [ReversalStatus.REFUSED, ReversalStatus.QUEUED]
    assert [result.slips for result in results] == [(), ()]
