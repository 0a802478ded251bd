"""The attributes of a fiscal receipt, and the fiscal link that is sent to Payme after the receipt closes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import body, error, result, without_id, without_receipt_fields
from fakes.hooked_world import OFD_LINK, Sold
from fakes.journal_rows import contents
from fakes.paymego import Passage
from fakes.till import open_sale, scan_after
from fakes.waiting import comes_true
from faults.full_disk import full_disk
from hookspecs import PaymentRecord, PaymentStatus, ReceiptFiscal, ReceiptKind, ReversalStatus
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.fiscal import fiscal_data_of
from payme_plugin.sandbox import BuyerAction, FaultKind
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fakes.hooked_world import HookedWorld
    from fakes.paymego import Change
    from fakes.served_till import ServedTill
    from payme_plugin.sandbox import Sandbox

SEND = "receipts.set_fiscal_data"
PHONE = "998901234567"
DAY_S = 86_400
FISCAL_DATA = {
    "receipt_id": 121,
    "qr_code_url": OFD_LINK,
    "status_code": 0,
    "message": "accepted",
    "terminal_id": "UZ000000000000",
    "date": "20240312184051",
    "fiscal_sign": "123456789012",
}


def sent_data(till: HookedWorld) -> list[Mapping[str, object]]:
    return [sent.params for sent in till.paymego.sent if sent.method == SEND]


# What goes onto the fiscal receipt.


@pytest.mark.parametrize("provider", [141, 77])
def test_a_paid_sale_brings_its_provider_its_payment_and_its_buyers_phone(till: HookedWorld, provider: int) -> None:
    till.set(paymentProvider=provider)
    paid = till.pay(till.paymego.code())

    assert paid.receipt_attributes == {
        "QRPaymentProvider": str(provider),
        "QRPaymentID": paid.receipt_id,
        "PhoneNumber": PHONE,
    }
    assert PHONE.encode() not in b"".join(path.read_bytes() for path in till.host.folder.glob("journal*"))


def test_a_sale_without_a_phone_never_gets_the_phone_of_another_sale(till: HookedWorld) -> None:
    first = till.pay(till.paymego.code())
    for method in ("receipts.pay", "receipts.get"):
        till.paymego.change(method, without_receipt_fields("payer", "merchant"))
    second = till.pay(till.paymego.code(), payment_id="p2", receipt=open_sale(2))

    assert first.receipt_attributes["PhoneNumber"] == PHONE
    assert second.receipt_attributes == {"QRPaymentProvider": "141", "QRPaymentID": second.receipt_id}


@pytest.mark.parametrize("action", [BuyerAction.LACKS_FUNDS, BuyerAction.NEVER_ANSWERS], ids=lambda one: one.value)
def test_a_sale_that_is_not_paid_brings_nothing(till: HookedWorld, action: BuyerAction) -> None:
    till.pay(till.paymego.code())

    assert till.pay(till.paymego.code(action), payment_id="p2", receipt=open_sale(2)).receipt_attributes == {}


def test_asked_again_it_names_the_same_payment(till: HookedWorld) -> None:
    first = till.pay(till.paymego.code())
    till.restart()

    again = till.pay(None)

    assert again.status is PaymentStatus.PAID
    assert again.receipt_attributes["QRPaymentID"] == first.receipt_id


# The receipt closes: its payments are acknowledged and its link is filed; the host repeats what could not be.


def test_on_a_full_disk_it_raises_and_the_hosts_next_call_stores_it(till: HookedWorld) -> None:
    sold = till.sell()
    with full_disk(), pytest.raises(Unavailable):
        till.close_sale(sold, link=OFD_LINK)
    assert (till.row().state, till.journal.live_fiscal_links()) == (PaymentState.PAID, [])

    till.close_sale(sold, link=OFD_LINK)
    till.work(60)

    assert (till.row().state, till.row().closed_at) == (PaymentState.RECORDED, till.row().acknowledged_at)
    assert till.paymego.count(SEND) == 1


def test_a_receipt_that_the_host_closes_twice_is_sent_once(till: HookedWorld) -> None:
    closed = till.close_sale(till.sell(), link=OFD_LINK)
    held = contents(till.journal)

    till.dispatcher.receipt_closed(closed.receipt)

    assert contents(till.journal) == held
    till.work(60)
    assert till.paymego.count(SEND) == 1


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

    rows = [till.row(each) for each in ("p1", "p2")]
    assert [(row.state, row.closed_at) for row in rows] == [(PaymentState.RECORDED, 5)] * 2


@pytest.mark.parametrize("payment_id", ["\ud800", "renamed"], ids=["not storable", "of another payment's receipt"])
def test_a_record_that_can_not_be_ours_does_not_prevent_the_others(till: HookedWorld, payment_id: str) -> None:
    first, second = till.sell("p1", 1), till.sell("p2", 2)
    bad = replace(first.record, payment_id=payment_id)

    till.close_sale(Sold(second.record, replace(second.receipt, payments=(bad, second.record))), link=OFD_LINK)
    till.work(60)

    assert {each.payment_id for each in till.journal.payments()} == {"p1", "p2"}
    assert (till.row("p2").state, till.paymego.count(SEND)) == (PaymentState.RECORDED, 1)


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
    assert (row.state, row.receipt_id) == (PaymentState.RECORDED, sold.receipt_id)
    assert row.closed_at == closed.receipt.closed_at
    assert (row.amount, row.pos_id, row.url) == (1_500_000, till.settings.pos_id, till.settings.url)
    assert till.paymego.count(SEND) == (1 if link else 0)
    assert till.refund(closed).status is ReversalStatus.REVERSED


@pytest.mark.parametrize("missing", ["receipt_id", "posId"])
def test_a_lost_payment_with_an_incomplete_record_is_a_notice_and_not_sent(till: HookedWorld, missing: str) -> None:
    sold = till.sell()
    till.journal.forget()
    record = replace(sold.record, data={name: text for name, text in sold.record.data.items() if name != missing})

    till.close_sale(Sold(record, replace(sold.receipt, payments=(record,))), link=OFD_LINK)
    till.work(60)

    assert (till.journal.payments(), till.paymego.count(SEND)) == ([], 0)
    assert "payme.sale" in till.host.notices


# The fiscal receipt that is sent to Payme.


def test_the_closed_receipts_link_is_sent_to_payme_with_all_seven_fields(till: HookedWorld) -> None:
    sold = till.sell_and_close(link=OFD_LINK)

    till.work()

    assert sent_data(till) == [{"id": sold.receipt_id, "fiscal_data": FISCAL_DATA}]
    assert till.paymego.bank.receipt(till.paymego.now_ms, sold.receipt_id).fiscal_data
    assert till.events()[-1].text == "fiscal receipt: Payme has it"


def test_the_worker_sends_it_over_http(new_till: Callable[..., ServedTill], sandbox: Sandbox) -> None:
    till = new_till()
    record = till.acknowledge(till.pay(till.code()))
    sale = replace(open_sale(payments=(record,), closed_at=1), fiscal=ReceiptFiscal(url=OFD_LINK))

    till.plugins.on_receipt_closed(sale)

    def known() -> object:
        (view,) = [view for view in sandbox.receipts() if view.receipt_id == record.data["receipt_id"]]
        return view.fiscal_data

    assert comes_true(known)
    assert known() == FISCAL_DATA


def test_every_payment_is_sent_with_the_link_of_its_own_sale(till: HookedWorld) -> None:
    first, second, other = till.sell("p1"), till.sell("p2"), till.sell("p3", 3)
    both = replace(first.receipt, payments=(first.record, second.record))
    till.close_sale(Sold(first.record, both), link=OFD_LINK.replace("r=121", "r=1"))
    till.close_sale(other, link=OFD_LINK.replace("r=121", "r=2"))

    till.work()

    numbers = {str(each["id"]): each["fiscal_data"]["receipt_id"] for each in sent_data(till)}  # type: ignore[index]
    assert numbers == {first.receipt_id: 1, second.receipt_id: 1, other.receipt_id: 2}


def test_the_hook_itself_sends_nothing_and_does_not_wait(till: HookedWorld) -> None:
    sold = till.sell()
    till.paymego.inject_fault(FaultKind.SILENT, times=None)
    sent, now = len(till.paymego.sent), till.clock.monotonic()

    till.close_sale(sold, link=OFD_LINK)

    assert (len(till.paymego.sent), till.clock.monotonic()) == (sent, now)
    assert till.row().state is PaymentState.RECORDED


NO_END: dict[str, FaultKind | Change] = {
    "request lost": FaultKind.REQUEST_LOST,
    "silent": FaultKind.SILENT,
    "an HTTP error": FaultKind.HTTP_ERROR,
    "a page": body(b"<html>"),
    "success is false": result({"success": False}),
    "success is 1": result({"success": 1}),
    "success is a text": result({"success": "true"}),
    "no success": result({"state": 4}),
    "a list": result([]),
    "a refusal without our id": without_id(error(-31602)),
    **{f"transient {code}": error(code) for code in (-32400, -31625, -31002, -31622, -32504)},
}


@pytest.mark.parametrize("name", NO_END)
def test_what_neither_accepts_nor_refuses_it_is_repeated_with_growing_pauses_until_payme_has_it(
    till: HookedWorld, name: str
) -> None:
    till.sell_and_close(link=OFD_LINK)
    change = NO_END[name]
    if isinstance(change, FaultKind):
        till.paymego.inject_fault(change, SEND, times=5)
    else:
        till.paymego.change(SEND, change, times=5)

    till.work(20)
    (row,) = till.journal.live_fiscal_links()
    assert (bool(row.last_error), row.attempts > 1) == (True, True)
    till.work(100)

    times = till.paymego.times_of(SEND)
    pauses = [round(later - earlier, 1) for earlier, later in pairwise(times)]
    assert (len(times), pauses) == (6, sorted(pauses))
    assert 16 <= pauses[-1] <= 22
    assert till.events()[-1].text == "fiscal receipt: Payme has it"
    assert (till.journal.live_fiscal_links(), till.host.notices.get("payme.fiscal_links")) == ([], None)


def test_success_without_our_id_ends_it(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.change(SEND, lambda answer: {**answer, "id": None})

    till.work(4000)

    assert (till.paymego.count(SEND), till.journal.live_fiscal_links()) == (1, [])


def test_an_answer_that_does_not_end_it_within_3_days_is_the_last_and_a_notice(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.change(SEND, error(-32400), times=10_000)
    till.work(100)
    till.clock.suspend(3 * DAY_S - 2000)
    till.work(1000)
    assert len(till.journal.live_fiscal_links()) == 1

    till.work(2000)
    sent = till.paymego.count(SEND)
    till.clock.suspend(DAY_S)
    till.work(2000)

    assert (till.paymego.count(SEND), till.journal.live_fiscal_links()) == (sent, [])
    assert till.host.notices["payme.fiscal_links"] == till.texts(Text.NOTICE_FISCAL_LINKS_ENDED, count=1)


def test_a_network_that_is_away_for_a_week_loses_no_fiscal_receipt(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.passage = lambda _: Passage(connects=False)
    till.work(1000)
    till.clock.suspend(7 * DAY_S)
    till.work(2000)
    till.paymego.passage = lambda _: Passage()
    till.work(1000)

    assert till.events()[-1].text == "fiscal receipt: Payme has it"


@pytest.mark.parametrize("code", [-31602, -32602])
def test_an_error_answer_to_our_request_ends_it_with_a_log_line(
    till: HookedWorld, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.change(SEND, error(code))

    till.work(4000)

    assert till.paymego.count(SEND) == 1
    assert f"payment p1: the fiscal receipt is not sent again: error {code}" in caplog.text
    assert till.events()[-1].text == f"fiscal receipt: error {code}"


def test_it_waits_for_the_account_that_took_the_payment_also_after_a_restart(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.set(posId="0" * 24)
    till.work(3600)
    assert till.paymego.count(SEND) == 0

    till.restart()
    till.set()
    till.work(1000)
    assert till.paymego.count(SEND) == 1


def test_a_refunded_sale_is_sent_too(till: HookedWorld) -> None:
    sold = till.sell_and_close(link=OFD_LINK)

    assert till.refund(sold).status is ReversalStatus.REVERSED
    till.work(10)

    assert till.paymego.count(SEND) == 1


def of_a_refund(sold: Sold) -> Sold:
    return Sold(sold.record, replace(sold.receipt, kind=ReceiptKind.REFUND))


def of_another_plugin(sold: Sold) -> Sold:
    foreign = replace(sold.record, data={**sold.record.data, "plugin": "other"})
    return Sold(foreign, replace(sold.receipt, payments=(foreign,)))


@pytest.mark.parametrize("change", [of_a_refund, of_another_plugin])
def test_a_receipt_that_is_not_a_sale_of_ours_is_not_sent(till: HookedWorld, change: Callable[[Sold], Sold]) -> None:
    closed = till.close_sale(change(till.sell()), link=OFD_LINK)
    till.work(10)
    assert till.paymego.count(SEND) == 0

    till.journal.forget()
    till.dispatcher.receipt_closed(closed.receipt)
    assert till.journal.payments() == []


# Which links are fiscal receipts.


GOOD = "https://ofd.soliq.uz/check?t=UZ1&r=1&c=2&s=3"
BAD_LINKS = {
    "no query": "https://ofd.soliq.uz/check",
    "no t": "https://ofd.soliq.uz/check?r=1&c=2&s=3",
    "no r": "https://ofd.soliq.uz/check?t=1&c=2&s=3",
    "no c": "https://ofd.soliq.uz/check?t=1&r=1&s=3",
    "no s": "https://ofd.soliq.uz/check?t=1&r=1&c=2",
    "empty s": "https://ofd.soliq.uz/check?t=1&r=1&c=2&s=",
    "r is a word": "https://ofd.soliq.uz/check?t=1&r=one&c=2&s=3",
    "r in other digits": "https://ofd.soliq.uz/check?t=1&r=١&c=2&s=3",
    "r is huge": f"https://ofd.soliq.uz/check?t=1&r={2**63}&c=2&s=3",
    "r is endless": f"https://ofd.soliq.uz/check?t=1&r={'9' * 500}&c=2&s=3",
    "t has spaces": "https://ofd.soliq.uz/check?t=a%20b&r=1&c=2&s=3",
    "t is not latin": "https://ofd.soliq.uz/check?t=Ж&r=1&c=2&s=3",
    "too long": GOOD + "&x=" + "y" * 1000,
    "too many": GOOD + "".join(f"&x{number}=1" for number in range(20)),
    "no address": "https://[::1?t=1&r=1&c=2&s=3",
    "no text": GOOD + "&x=\ud800",
}


@pytest.mark.parametrize("link", BAD_LINKS.values(), ids=BAD_LINKS)
def test_an_invalid_link_has_no_fiscal_data(link: str) -> None:
    assert fiscal_data_of(link) is None


def test_an_invalid_link_is_logged_and_the_payment_is_recorded(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    till.sell_and_close(link=BAD_LINKS["no text"])
    till.work(10)

    assert (till.paymego.count(SEND), till.row().state) == (0, PaymentState.RECORDED)
    assert "payment p1: its fiscal link is not an OFD link with t, r, c and s" in caplog.text


@pytest.mark.parametrize(
    "link", [GOOD, GOOD.replace("?", "?lang=ru&"), GOOD + "&", "http://127.0.0.1/?s=3&c=2&r=01&t=UZ1"]
)
def test_a_links_parts_may_come_in_any_order_among_others(link: str) -> None:
    data = fiscal_data_of(link)

    assert data is not None
    assert (data["terminal_id"], data["receipt_id"], data["date"], data["fiscal_sign"]) == ("UZ1", 1, "2", "3")
    assert data["qr_code_url"] == link
