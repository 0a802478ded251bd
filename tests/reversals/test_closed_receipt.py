"""A receipt closes: its payments are acknowledged and its fiscal link is filed; the host repeats what could not be."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from fakes.hooked_world import OFD_LINK, Sold
from fakes.journal_rows import contents
from fakes.till import TENDER, scan_after
from faults.full_disk import full_disk
from hookspecs import PaymentRecord, ReceiptFiscal, ReceiptKind, ReversalStatus
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.states import PaymentState

if TYPE_CHECKING:
    from fakes.hooked_world import HookedWorld

TELL = "receipts.set_fiscal_data"


def test_on_a_full_disk_it_raises_and_the_hosts_next_call_stores_it(world: HookedWorld) -> None:
    sold = world.sell()
    with full_disk(), pytest.raises(Unavailable):
        world.close_sale(sold, link=OFD_LINK)
    assert (world.row().state, world.journal.live_fiscal_links()) == (PaymentState.PAID, [])

    world.close_sale(sold, link=OFD_LINK)
    world.work(60)

    assert (world.row().state, world.row().closed_at) == (PaymentState.RECORDED, world.row().acknowledged_at)
    assert world.paymego.count(TELL) == 1


def test_told_again_by_the_host_it_is_filed_once(world: HookedWorld) -> None:
    closed = world.close_sale(world.sell(), link=OFD_LINK)
    held = contents(world.journal)

    world.dispatcher.receipt_closed(closed.receipt)

    assert contents(world.journal) == held
    world.work(60)
    assert world.paymego.count(TELL) == 1


def test_a_receipt_that_does_not_say_when_it_closed_closed_now(world: HookedWorld) -> None:
    sold = world.sell()
    world.clock.sleep(60)

    world.dispatcher.receipt_closed(sold.receipt)

    assert world.row().closed_at == world.clock.wall_ms()


def test_every_payment_of_ours_in_it_is_acknowledged(world: HookedWorld) -> None:
    first = world.sell("p1", amount=700)
    second = world.ask(world.paymego.code(), payment_id="p2", amount=700, receipt=replace(first.receipt, total=1400))
    cash = PaymentRecord(payment_id="c", payment_type=1, amount=5, data={})
    assert second.payment is not None

    world.dispatcher.receipt_closed(replace(first.receipt, payments=(first.record, cash, second.payment), closed_at=5))

    assert [(world.row(each).state, world.row(each).closed_at) for each in ("p1", "p2")] == [
        (PaymentState.RECORDED, 5),
        (PaymentState.RECORDED, 5),
    ]


def test_one_that_can_never_be_stored_is_in_no_others_way(world: HookedWorld) -> None:
    sold = world.sell()
    bad = PaymentRecord(payment_id="\ud800", payment_type=TENDER, amount=1, data={"plugin": "payme"})

    world.close_sale(Sold(bad, replace(sold.receipt, payments=(bad, sold.record))), link=OFD_LINK)
    world.work(60)

    assert (world.row().state, world.paymego.count(TELL)) == (PaymentState.RECORDED, 1)
    assert "payme.sale" in world.host.notices


def test_it_acknowledges_while_a_payment_runs(world: HookedWorld) -> None:
    sold = world.sell("p1", 1)
    closing = scan_after(lambda: world.close_sale(sold), world.paymego.code())

    world.ask(closing, payment_id="p2", receipt=replace(sold.receipt, number=2, payments=()))

    assert (world.row("p1").state, world.row("p2").state) == (PaymentState.RECORDED, PaymentState.PAID)


def test_a_pending_payment_whose_receipt_closes_is_no_longer_waited_for(world: HookedWorld) -> None:
    sold = world.sell()
    world.broken = True
    world.ask(repeated=True)
    assert list(world.background.pending) == ["p1"]

    world.close_sale(sold)

    assert world.background.pending == {}


# The journal no longer has the payment.


@pytest.mark.parametrize("link", [OFD_LINK, None], ids=["with a link", "without"])
def test_a_payment_that_the_journal_lost_is_taken_from_the_record_in_the_sale(
    world: HookedWorld, link: str | None
) -> None:
    sold = world.sell()
    world.journal.forget()

    closed = world.close_sale(sold, link=link)
    world.work(60)

    row = world.row()
    assert (row.state, row.receipt_id, row.closed_at) == (
        PaymentState.RECORDED,
        sold.receipt_id,
        closed.receipt.closed_at,
    )
    assert (row.amount, row.pos_id, row.url) == (1_500_000, world.settings.pos_id, world.settings.url)
    assert world.paymego.count(TELL) == (1 if link else 0)
    assert world.refund(closed).status is ReversalStatus.REVERSED


def test_a_lost_payment_of_another_kassa_waits_for_its_key(world: HookedWorld) -> None:
    sold = world.sell()
    world.journal.forget()
    world.set(posId="0" * 24)
    world.close_sale(sold, link=OFD_LINK)
    world.work(3600)
    assert world.paymego.count(TELL) == 0

    world.set()
    world.work(1000)
    assert world.paymego.count(TELL) == 1


@pytest.mark.parametrize("missing", ["receipt_id", "posId"])
def test_a_lost_payment_whose_record_says_too_little_is_told_to_nobody(world: HookedWorld, missing: str) -> None:
    sold = world.sell()
    world.journal.forget()
    record = replace(sold.record, data={name: text for name, text in sold.record.data.items() if name != missing})

    world.close_sale(Sold(record, replace(sold.receipt, payments=(record,))), link=OFD_LINK)
    world.work(60)

    assert (world.journal.payments(), world.paymego.count(TELL)) == ([], 0)
    assert "payme.sale" in world.host.notices


def test_a_refund_receipt_brings_no_lost_payment_back(world: HookedWorld) -> None:
    sold = world.sell()
    world.journal.forget()
    fiscal = ReceiptFiscal(url=OFD_LINK)

    world.dispatcher.receipt_closed(replace(sold.receipt, kind=ReceiptKind.REFUND, closed_at=1, fiscal=fiscal))

    assert world.journal.payments() == []


def test_a_record_under_the_receipt_of_another_payment_is_in_nobodys_way(world: HookedWorld) -> None:
    first, second = world.sell("p1", 1), world.sell("p2", 2)
    renamed = replace(first.record, payment_id="renamed")

    both = replace(second.receipt, payments=(renamed, second.record))
    world.close_sale(Sold(second.record, both), link=OFD_LINK)
    world.work(60)

    assert world.journal.find("renamed") is None
    assert (world.row("p2").state, world.paymego.count(TELL)) == (PaymentState.RECORDED, 1)
