"""A receipt closes while the journal can't take it: the host tells it once, and nothing of it is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from payme_plugin.operations.closed_receipts import ClosedReceipts

from full_disk import fill_disk, free_disk, full_disk
from hooked_world import OFD_LINK
from hookspecs import PaymentRecord, ReceiptFiscal, ReceiptKind, ReversalStatus
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.states import PaymentState
from virtual_till import TENDER, open_sale

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hooked_world import HookedWorld
    from payme_plugin.ledger.journal import Journal

TELL = "receipts.set_fiscal_data"


@pytest.fixture(autouse=True)
def _room_again() -> Iterator[None]:
    yield
    free_disk()


def test_on_a_full_disk_it_is_stored_at_the_next_round_and_its_link_is_told(world: HookedWorld) -> None:
    sold = world.sell()
    with full_disk():
        world.close_sale(sold, link=OFD_LINK)
        assert "payme.journal" in world.host.notices
    closed_at = world.clock.wall_ms()

    world.work(60)

    assert (world.row().state, world.row().closed_at) == (PaymentState.RECORDED, closed_at)
    assert world.paymego.count(TELL) == 1


def test_it_waits_for_as_long_as_the_disk_is_full(world: HookedWorld) -> None:
    sold = world.sell()
    fill_disk()
    world.close_sale(sold, link=OFD_LINK)
    world.work(3600)
    free_disk()

    world.work(60)

    assert world.paymego.count(TELL) == 1


def test_told_again_by_the_host_it_is_filed_once(world: HookedWorld) -> None:
    sold = world.sell()
    with full_disk():
        world.close_sale(sold, link=OFD_LINK)

    world.close_sale(sold, link=OFD_LINK)
    world.work(60)

    assert world.paymego.count(TELL) == 1


@pytest.mark.parametrize("hook", ["on_payment", "on_cancel", "on_stop"])
def test_without_a_worker_the_next_hook_stores_it(world: HookedWorld, hook: str) -> None:
    sold = world.sell("p1", 1)
    other = world.sell("p2", 2)
    with full_disk():
        world.close_sale(sold, link=OFD_LINK)
    assert world.row("p1").state is PaymentState.PAID

    if hook == "on_cancel":
        assert world.cancel(other).status is ReversalStatus.REVERSED
    elif hook == "on_stop":
        world.background.stop()
    else:
        with world.background.active_payment("p3"):
            pass

    assert world.row("p1").state is PaymentState.RECORDED
    assert [row.payment_id for row in world.journal.live_fiscal_links()] == ["p1"]


def test_a_sale_that_waits_is_not_asked_about_as_an_open_one(world: HookedWorld) -> None:
    sold = world.sell("p1", 1)
    world.host.recorded["p1"] = False  # a host may forget what it has closed
    with full_disk():
        world.close_sale(sold)

    with world.background.active_payment("p2"):
        pass

    assert (world.row("p1").state, world.live("p1")) == (PaymentState.RECORDED, [])


def test_one_that_can_never_be_stored_is_in_no_others_way(world: HookedWorld) -> None:
    sold = world.sell()
    bad = PaymentRecord(payment_id="\ud800", payment_type=TENDER, amount=1, data={"plugin": "payme"})
    world.close_sale(type(sold)(bad, replace(sold.receipt, payments=(bad,))), link=OFD_LINK)
    with full_disk():
        world.close_sale(sold, link=OFD_LINK)

    world.work(60)

    assert world.paymego.count(TELL) == 1


def test_only_so_many_wait_and_only_with_payments_of_ours(world: HookedWorld, caplog: pytest.LogCaptureFixture) -> None:
    record = world.sell().record
    tries: list[int] = []

    def no_journal() -> Journal:
        tries.append(1)
        raise Unavailable("no disk")

    receipts = ClosedReceipts(no_journal, "owner", world.clock, lambda _: False)
    for number in range(1001):
        with pytest.raises(Unavailable):
            receipts.store(open_sale(number, payments=(record,)))
    for payments in ((), (replace(record, data={"plugin": "other"}),)):
        with pytest.raises(Unavailable):
            receipts.store(open_sale(payments=payments))
    assert "over 1000 closed receipts wait to be stored" in caplog.text
    tries.clear()

    receipts.store_waiting()

    assert len(tries) == 1000


def test_while_a_hook_works_on_its_payment_it_goes_on_waiting(world: HookedWorld) -> None:
    sold, faults, active = world.sell(), [Unavailable("no disk")], set[str]()

    def journal() -> Journal:
        if faults:
            raise faults.pop()
        return world.journal

    receipts = ClosedReceipts(journal, "owner", world.clock, active.__contains__)
    with pytest.raises(Unavailable):
        receipts.store(replace(sold.receipt, payments=(sold.record,), closed_at=5))
    active.add("p1")
    receipts.store_waiting()
    assert world.row().state is PaymentState.PAID

    active.clear()
    receipts.store_waiting()

    assert (world.row().state, world.row().closed_at) == (PaymentState.RECORDED, 5)


def test_it_waits_until_it_is_stored_so_that_no_hook_goes_on_without_it(world: HookedWorld) -> None:
    sold, waiting = world.sell(), list[int]()

    def journal() -> Journal:
        waiting.append(len(receipts.waiting))
        return world.journal

    receipts = ClosedReceipts(journal, "owner", world.clock, lambda _: False)
    receipts.waiting.append(replace(sold.receipt, payments=(sold.record,), closed_at=5))

    receipts.store_waiting()

    assert waiting == [1]
    assert not receipts.waiting


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


@pytest.mark.parametrize("missing", ["receipt_id", "posId", "url"])
def test_a_lost_payment_whose_record_says_too_little_is_told_to_nobody(world: HookedWorld, missing: str) -> None:
    sold = world.sell()
    world.journal.forget()
    record = replace(sold.record, data={name: text for name, text in sold.record.data.items() if name != missing})

    world.close_sale(type(sold)(record, replace(sold.receipt, payments=(record,))), link=OFD_LINK)
    world.work(60)

    assert (world.journal.payments(), world.paymego.count(TELL)) == ([], 0)


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
    world.close_sale(type(second)(second.record, both), link=OFD_LINK)
    world.work(60)

    assert world.journal.find("renamed") is None
    assert (world.row("p2").state, world.paymego.count(TELL)) == (PaymentState.RECORDED, 1)
