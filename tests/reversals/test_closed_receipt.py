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


def test_on_a_full_disk_it_raises_and_the_hosts_next_call_stores_it(till: HookedWorld) -> None:
    sold = till.sell()
    with full_disk(), pytest.raises(Unavailable):
        till.close_sale(sold, link=OFD_LINK)
    assert (till.row().state, till.journal.live_fiscal_links()) == (PaymentState.PAID, [])

    till.close_sale(sold, link=OFD_LINK)
    till.work(60)

    assert (till.row().state, till.row().closed_at) == (PaymentState.RECORDED, till.row().acknowledged_at)
    assert till.paymego.count(TELL) == 1


def test_told_again_by_the_host_it_is_filed_once(till: HookedWorld) -> None:
    closed = till.close_sale(till.sell(), link=OFD_LINK)
    held = contents(till.journal)

    till.dispatcher.receipt_closed(closed.receipt)

    assert contents(till.journal) == held
    till.work(60)
    assert till.paymego.count(TELL) == 1


def test_a_receipt_that_does_not_say_when_it_closed_closed_now(till: HookedWorld) -> None:
    sold = till.sell()
    till.clock.sleep(60)

    till.dispatcher.receipt_closed(sold.receipt)

    assert till.row().closed_at == till.clock.wall_ms()


def test_every_payment_of_ours_in_it_is_acknowledged(till: HookedWorld) -> None:
    first = till.sell("p1", amount=700)
    second = till.ask(till.paymego.code(), payment_id="p2", amount=700, receipt=replace(first.receipt, total=1400))
    cash = PaymentRecord(payment_id="c", payment_type=1, amount=5, data={})
    assert second.payment is not None

    till.dispatcher.receipt_closed(replace(first.receipt, payments=(first.record, cash, second.payment), closed_at=5))

    assert [(till.row(each).state, till.row(each).closed_at) for each in ("p1", "p2")] == [
        (PaymentState.RECORDED, 5),
        (PaymentState.RECORDED, 5),
    ]


def test_one_that_can_never_be_stored_is_in_no_others_way(till: HookedWorld) -> None:
    sold = till.sell()
    bad = PaymentRecord(payment_id="\ud800", payment_type=TENDER, amount=1, data={"plugin": "payme"})

    till.close_sale(Sold(bad, replace(sold.receipt, payments=(bad, sold.record))), link=OFD_LINK)
    till.work(60)

    assert (till.row().state, till.paymego.count(TELL)) == (PaymentState.RECORDED, 1)
    assert "payme.sale" in till.host.notices


def test_it_acknowledges_while_a_payment_runs(till: HookedWorld) -> None:
    sold = till.sell("p1", 1)
    closing = scan_after(lambda: till.close_sale(sold), till.paymego.code())

    till.ask(closing, payment_id="p2", receipt=replace(sold.receipt, number=2, payments=()))

    assert (till.row("p1").state, till.row("p2").state) == (PaymentState.RECORDED, PaymentState.PAID)


# The journal no longer has the payment.


@pytest.mark.parametrize("link", [OFD_LINK, None], ids=["with a link", "without"])
def test_a_payment_that_the_journal_lost_is_taken_from_the_record_in_the_sale(
    till: HookedWorld, link: str | None
) -> None:
    sold = till.sell()
    till.journal.forget()

    closed = till.close_sale(sold, link=link)
    till.work(60)

    row = till.row()
    assert (row.state, row.receipt_id, row.closed_at) == (
        PaymentState.RECORDED,
        sold.receipt_id,
        closed.receipt.closed_at,
    )
    assert (row.amount, row.pos_id, row.url) == (1_500_000, till.settings.pos_id, till.settings.url)
    assert till.paymego.count(TELL) == (1 if link else 0)
    assert till.refund(closed).status is ReversalStatus.REVERSED


@pytest.mark.parametrize("missing", ["receipt_id", "posId"])
def test_a_lost_payment_whose_record_says_too_little_is_told_to_nobody(till: HookedWorld, missing: str) -> None:
    sold = till.sell()
    till.journal.forget()
    record = replace(sold.record, data={name: text for name, text in sold.record.data.items() if name != missing})

    till.close_sale(Sold(record, replace(sold.receipt, payments=(record,))), link=OFD_LINK)
    till.work(60)

    assert (till.journal.payments(), till.paymego.count(TELL)) == ([], 0)
    assert "payme.sale" in till.host.notices


def test_a_refund_receipt_brings_no_lost_payment_back(till: HookedWorld) -> None:
    sold = till.sell()
    till.journal.forget()
    fiscal = ReceiptFiscal(url=OFD_LINK)

    till.dispatcher.receipt_closed(replace(sold.receipt, kind=ReceiptKind.REFUND, closed_at=1, fiscal=fiscal))

    assert till.journal.payments() == []


def test_a_record_under_the_receipt_of_another_payment_is_in_nobodys_way(till: HookedWorld) -> None:
    first, second = till.sell("p1", 1), till.sell("p2", 2)
    renamed = replace(first.record, payment_id="renamed")

    both = replace(second.receipt, payments=(renamed, second.record))
    till.close_sale(Sold(second.record, both), link=OFD_LINK)
    till.work(60)

    assert till.journal.find("renamed") is None
    assert (till.row("p2").state, till.paymego.count(TELL)) == (PaymentState.RECORDED, 1)
