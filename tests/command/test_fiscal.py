"""The fiscal side from the command line: codes of goods, the link of a closed sale, and links that wait."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from payme_plugin.sandbox import FaultKind, InjectedFault

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Shop

LINK = "https://ofd.soliq.uz/check?t=UZ000000000000&r=121&c=20240312184051&s=123456789012"
TELL = "receipts.set_fiscal_data"
CODES = {"code": "01902001009000000", "package_code": "1520285", "vat_percent": 12}
BREAD = {"name": "Хлеб", "quantity": "2", "price": 750_000, "amount": 1_500_000, "fiscal": CODES}


def write(path: Path, *items: object) -> Path:
    path.write_text(json.dumps(items), encoding="utf-8")
    return path


def test_goods_with_codes_are_named_to_payme(shop: Shop, tmp_path: Path) -> None:
    items = write(tmp_path / "items.json", BREAD)

    assert shop.run("pay", "--items", str(items), "--qr", shop.sandbox.issue_code()).code == 0

    (create,) = [one for one in shop.sandbox.requests if one.method == "receipts.create"]
    detail = create.params["detail"]
    assert isinstance(detail, dict)
    assert detail["items"] == [{"title": "Хлеб", "price": 750_000, "count": 2, **CODES}]


def pay_with_link(shop: Shop, payment_id: str = "p1") -> str:
    paid = shop.pay(shop.sandbox.issue_code(), "--payment-id", payment_id, "--fiscal-url", LINK)
    assert paid.code == 0
    return str(paid.document["receipt_id"])


@pytest.mark.parametrize("url", ["", "https://ofd.soliq.uz/check?t=UZ1", "no link"])
def test_a_link_that_is_no_fiscal_receipts_is_no_option(shop: Shop, url: str) -> None:
    ended = shop.run("pay", "--amount", "1", "--qr", "1", "--fiscal-url", url)

    assert ended.code == 2
    assert "an OFD link with t, r, c and s" in ended.err
    assert shop.sandbox.requests == ()


def test_a_link_waits_in_the_queue_and_queue_deliver_tells_payme(shop: Shop) -> None:
    receipt_id = pay_with_link(shop)
    assert shop.sent(TELL) == 0
    assert shop.run("queue", "list", "--json").document == [], "no money is on its way back"

    (link,) = shop.run("queue", "list", "--fiscal-links", "--json").document
    assert link == {
        "id": 1,
        "payment_id": "p1",
        "receipt_id": receipt_id,
        "link": LINK,
        "age_s": link["age_s"],
        "attempts": 0,
        "last_error": None,
    }
    text = shop.run("queue", "list").out
    assert text.startswith("No pending cancellations.\n\nFiscal receipts that Payme does not have yet:\n")
    assert "p1" in text

    delivered = shop.run("queue", "deliver", "--json")
    assert (delivered.code, delivered.document) == (
        0,
        {"ended": [], "left": [], "fiscal_links": {"ended": [1], "left": []}},
    )
    (receipt,) = shop.sandbox.receipts()
    assert receipt.fiscal_data is not None
    assert receipt.fiscal_data["qr_code_url"] == LINK
    assert shop.run("queue", "list", "--fiscal-links", "--json").document == []


def test_a_link_that_is_left_is_tried_again_by_until_empty_whatever_its_pause_and_owes_no_money(shop: Shop) -> None:
    pay_with_link(shop)
    shop.sandbox.inject(InjectedFault(FaultKind.HTTP_ERROR, TELL))
    first = shop.run("queue", "deliver", "--json")
    assert first.code == 0
    (left,) = first.document["fiscal_links"]["left"]
    assert left["attempts"] == 1
    assert left["last_error"]
    shop.lengthen_pauses("fiscal_link")
    assert shop.run("queue", "deliver").out == "Ended: 0. Left: 0.\nFiscal receipts ended: 0. Left: 1.\n"
    assert shop.sent(TELL) == 1, "its pause is not over"

    assert shop.run("queue", "deliver", "--until-empty").out.endswith("Fiscal receipts ended: 1. Left: 0.\n")
    assert shop.sent(TELL) == 2


def test_a_silent_server_holds_the_command_up_no_longer_than_pay_duration_and_one_timeout(shop: Shop) -> None:
    shop.configure(payDuration=1000, timeout=5)
    for number in range(3):
        pay_with_link(shop, f"p{number}")
    shop.sandbox.inject(InjectedFault(FaultKind.SILENT, TELL, times=None))

    left = shop.run("queue", "deliver", "--until-empty", "--json").document["fiscal_links"]["left"]

    assert len(left) == 3
    assert shop.sent(TELL) <= 2
