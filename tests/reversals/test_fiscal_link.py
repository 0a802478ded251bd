"""The fiscal link, both ways: what goes onto the sale's fiscal receipt, and that receipt told to Payme."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import without_receipt_fields
from fakes.hooked_world import OFD_LINK
from fakes.paymego import Passage
from fakes.till import open_sale
from hookspecs import Item, ItemFiscal, PaymentStatus, ReceiptKind, ReversalStatus
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.fiscal import fiscal_data_of
from payme_plugin.sandbox import BuyerAction, FaultKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fakes.hooked_world import HookedWorld

TELL = "receipts.set_fiscal_data"
PHONE = "998901234567"
BREAD = Item(
    name="Хлеб",
    quantity=Decimal(2),
    price=500_000,
    amount=1_000_000,
    fiscal=ItemFiscal(code="01902001009000000", package_code="1520285", vat_percent=12),
)


def told(till: HookedWorld) -> list[Mapping[str, object]]:
    return [sent.params for sent in till.paymego.sent if sent.method == TELL]


def detail_of_last_create(till: HookedWorld) -> object:
    return [sent.params for sent in till.paymego.sent if sent.method == "receipts.create"][-1].get("detail")


# What goes onto the fiscal receipt.


def test_a_paid_sale_brings_its_provider_its_payment_and_its_buyers_phone(till: HookedWorld) -> None:
    result = till.pay(till.paymego.code())

    assert result.receipt_attributes == {
        "QRPaymentProvider": "141",
        "QRPaymentID": result.receipt_id,
        "PhoneNumber": PHONE,
    }


def test_the_provider_is_that_of_the_settings(till: HookedWorld) -> None:
    till.set(paymentProvider=77)

    assert till.pay(till.paymego.code()).receipt_attributes["QRPaymentProvider"] == "77"


def test_no_phone_of_another_sale_ever_gets_onto_one_that_has_none(till: HookedWorld) -> None:
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


def test_the_buyers_phone_is_in_no_journal_row(till: HookedWorld) -> None:
    till.sell_and_close()

    assert PHONE.encode() not in b"".join(path.read_bytes() for path in till.host.folder.glob("journal*"))


# The goods that receipts.create names.


def test_goods_that_all_have_codes_are_named(till: HookedWorld) -> None:
    full = ItemFiscal(code="00702001001000001", package_code="1", vat_percent=0, units=241092, discount=1000)
    milk = replace(BREAD, name="Молоко", quantity=Decimal("0.350"), price=2_000_000, amount=699_000, fiscal=full)

    till.sell(items=(BREAD, milk))

    assert detail_of_last_create(till) == {
        "receipt_type": 0,
        "items": [
            {
                "title": "Хлеб", "price": 500_000, "count": 2,
                "code": "01902001009000000", "package_code": "1520285", "vat_percent": 12,
            },
            {
                "title": "Молоко", "price": 2_000_000, "count": 0.35,
                "code": "00702001001000001", "package_code": "1", "vat_percent": 0, "units": 241092, "discount": 1000,
            },
        ],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "count"),
    [("1", 1), ("1.000", 1), ("1E1", 10), ("0.5", 0.5), ("1.25", 1.25), ("0.001", 0.001), ("1234.567", 1234.567)],
)
def test_a_count_is_whole_where_the_quantity_is_and_else_a_fraction(
    till: HookedWorld, quantity: str, count: float
) -> None:
    till.sell(items=(replace(BREAD, quantity=Decimal(quantity), amount=int(500_000 * Decimal(quantity))),))

    detail = detail_of_last_create(till)
    assert isinstance(detail, dict)
    (item,) = detail["items"]
    assert (item["count"], type(item["count"])) == (count, type(count))


@pytest.mark.parametrize(
    "items",
    [(replace(BREAD, fiscal=None),), (BREAD, replace(BREAD, name="Кефир", fiscal=None)), ()],
    ids=["no code", "one without", "no items"],
)
def test_goods_that_lack_a_code_are_not_named(till: HookedWorld, items: tuple[Item, ...]) -> None:
    sale = replace(open_sale(amount=5_000), items=items)

    till.pay(till.paymego.code(), receipt=sale, amount=5_000)

    assert detail_of_last_create(till) is None


def test_a_sale_that_another_tender_pays_in_part_names_no_goods(till: HookedWorld) -> None:
    sale = replace(open_sale(amount=1_000_000), items=(BREAD,))

    till.pay(till.paymego.code(), receipt=sale, amount=600_000)

    assert detail_of_last_create(till) is None


@pytest.mark.parametrize("quantity", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+999999", "1E-999999"])
def test_goods_in_a_quantity_that_is_no_number_are_not_named_and_the_sale_is_paid(
    till: HookedWorld, quantity: str
) -> None:
    sale = replace(open_sale(amount=1_000_000), items=(replace(BREAD, quantity=Decimal(quantity)),))

    result = till.pay(till.paymego.code(), receipt=sale, amount=1_000_000)

    assert (result.status, detail_of_last_create(till)) == (PaymentStatus.PAID, None)


def test_goods_with_a_name_that_is_no_text_are_not_in_the_way_of_the_sale(till: HookedWorld) -> None:
    sale = replace(open_sale(amount=1_000_000), items=(replace(BREAD, name="Хлеб \ud800"),))

    assert till.pay(till.paymego.code(), receipt=sale, amount=1_000_000).status is PaymentStatus.PAID


# The fiscal receipt told to Payme.


def test_the_closed_receipts_link_is_told_to_payme_with_all_seven_fields(till: HookedWorld) -> None:
    sold = till.sell_and_close(link=OFD_LINK)

    till.work()

    assert told(till) == [
        {
            "id": sold.receipt_id,
            "fiscal_data": {
                "receipt_id": 121,
                "qr_code_url": OFD_LINK,
                "status_code": 0,
                "message": "accepted",
                "terminal_id": "UZ000000000000",
                "date": "20240312184051",
                "fiscal_sign": "123456789012",
            },
        }
    ]
    assert till.paymego.bank.receipt(till.paymego.now_ms, sold.receipt_id).fiscal_data
    assert till.events()[-1].text == "fiscal receipt: Payme has it"


def test_every_sale_is_told_with_its_own_link(till: HookedWorld) -> None:
    sold = [
        till.sell_and_close(f"p{number}", number, link=OFD_LINK.replace("r=121", f"r={number}"))
        for number in range(1, 6)
    ]

    till.work()

    numbers = {str(each["id"]): each["fiscal_data"]["receipt_id"] for each in told(till)}  # type: ignore[index]
    assert numbers == {each.receipt_id: number for number, each in enumerate(sold, 1)}


def test_the_hook_itself_sends_nothing_and_waits_for_nobody(till: HookedWorld) -> None:
    sold = till.sell()
    till.paymego.befall(FaultKind.SILENT, times=None)
    sent, now = len(till.paymego.sent), till.clock.monotonic()

    till.close_sale(sold, link=OFD_LINK)

    assert (len(till.paymego.sent), till.clock.monotonic()) == (sent, now)
    assert till.row().state is PaymentState.RECORDED


def test_told_again_by_the_host_it_is_told_to_payme_once(till: HookedWorld) -> None:
    sold = till.sell_and_close(link=OFD_LINK)
    till.close_sale(sold, link=OFD_LINK)
    till.work(60)
    till.restart()
    till.close_sale(sold, link=OFD_LINK)
    till.work(60)

    assert len(told(till)) == 1


@pytest.mark.parametrize(
    "kind",
    [FaultKind.REQUEST_LOST, FaultKind.ANSWER_LOST, FaultKind.SILENT, FaultKind.HTTP_ERROR, FaultKind.HTML],
    ids=lambda kind: kind.value,
)
def test_faults_of_the_wire_are_repeated_with_growing_pauses_until_payme_has_it(
    till: HookedWorld, kind: FaultKind
) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.befall(kind, TELL, times=5)

    till.work(120)

    times = till.paymego.times_of(TELL)
    assert len(times) == 6
    pauses = [round(later - earlier, 1) for earlier, later in pairwise(times)]
    assert pauses == sorted(pauses)
    assert pauses[0] <= 7
    assert 16 <= pauses[-1] <= 22
    assert till.events()[-1].text == "fiscal receipt: Payme has it"


def test_a_server_that_is_down_for_a_day_is_told_when_it_is_back(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.passage = lambda _: Passage(connects=False)
    till.work(24 * 3600)
    assert told(till) == []

    till.paymego.passage = lambda _: Passage()
    till.work(1000)
    assert len(told(till)) == 1


def test_a_refusal_of_the_server_ends_it_with_a_line_in_the_log(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.paymego.befall(FaultKind.ERROR, TELL, error_code=-31601)

    till.work(4000)

    assert len(told(till)) == 1
    assert "payment p1: the fiscal receipt is not sent again: error -31601" in caplog.text
    assert till.events()[-1].text == "fiscal receipt: error -31601"


def test_it_waits_for_the_kassa_that_took_the_payment(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.set(posId="0" * 24)
    till.work(3600)
    assert told(till) == []

    till.set()
    till.work(1000)
    assert len(told(till)) == 1


def test_it_survives_a_restart(till: HookedWorld) -> None:
    till.sell_and_close(link=OFD_LINK)
    till.restart()

    till.work()

    assert len(told(till)) == 1


GOOD = "https://ofd.soliq.uz/check?t=UZ1&r=1&c=2&s=3"
BAD_LINKS = {
    "nothing": "",
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
def test_a_link_that_is_no_fiscal_receipts_is_logged_and_in_nobodys_way(
    till: HookedWorld, caplog: pytest.LogCaptureFixture, link: str
) -> None:
    till.sell_and_close(link=link)

    till.work(10)

    assert told(till) == []
    assert till.row().state is PaymentState.RECORDED
    assert "payment p1: its fiscal link is not an OFD link with t, r, c and s" in caplog.text


@pytest.mark.parametrize(
    "link", [GOOD, GOOD.replace("?", "?lang=ru&"), GOOD + "&", "http://127.0.0.1/?s=3&c=2&r=01&t=UZ1"]
)
def test_a_links_parts_may_come_in_any_order_among_others(link: str) -> None:
    data = fiscal_data_of(link)

    assert data is not None
    assert (data["terminal_id"], data["receipt_id"], data["date"], data["fiscal_sign"]) == ("UZ1", 1, "2", "3")
    assert data["qr_code_url"] == link


def test_a_receipt_without_a_link_is_told_to_nobody(till: HookedWorld) -> None:
    till.sell_and_close()
    till.work(10)

    assert told(till) == []


def test_a_refund_receipts_link_is_not_the_sales(till: HookedWorld) -> None:
    sold = till.sell()
    till.close_sale(type(sold)(sold.record, replace(sold.receipt, kind=ReceiptKind.REFUND)), link=OFD_LINK)
    till.work(10)

    assert told(till) == []


def test_another_plugins_payment_in_the_receipt_is_told_to_nobody(till: HookedWorld) -> None:
    sold = till.sell()
    foreign = replace(sold.record, data={**sold.record.data, "plugin": "other"})
    till.close_sale(type(sold)(foreign, replace(sold.receipt, payments=(foreign,))), link=OFD_LINK)
    till.work(10)

    assert told(till) == []


def test_two_payments_of_ours_in_one_sale_are_both_told(till: HookedWorld) -> None:
    first, second = till.sell("p1"), till.sell("p2")
    receipt = replace(first.receipt, payments=(first.record, second.record))
    till.close_sale(type(first)(first.record, receipt), link=OFD_LINK)
    till.work(10)

    assert {str(each["id"]) for each in told(till)} == {first.receipt_id, second.receipt_id}


def test_a_refunded_sale_is_told_all_the_same(till: HookedWorld) -> None:
    sold = till.sell_and_close(link=OFD_LINK)

    assert till.refund(sold).status is ReversalStatus.REVERSED
    till.work(10)

    assert len(told(till)) == 1
