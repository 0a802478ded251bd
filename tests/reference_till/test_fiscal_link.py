"""The OFD link that a sale is closed with: the plugins get it with the closed receipt, also after a crash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from hookspecs import Receipt, ReceiptFiscal
from payme_plugin.till import one_line_sale
from payme_plugin.till.receipts import from_json
from tests.reference_till.conftest import PowerCut, pay

if TYPE_CHECKING:
    from tests.reference_till.conftest import ScriptedPlugin, Shop

LINK = "https://ofd.soliq.uz/check?t=UZ1&r=1&c=20240312184051&s=1"


def closed(plugin: ScriptedPlugin) -> Receipt:
    (receipt,) = [asked for hook, asked in plugin.asked if hook == "on_receipt_closed"]
    assert isinstance(receipt, Receipt)
    return receipt


def test_the_closed_receipt_has_it_and_the_open_one_has_not(shop: Shop, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        till.sell(one_line_sale("Хлеб", 15_000), fiscal_url=LINK)

    assert closed(plugin).fiscal == ReceiptFiscal(url=LINK)
    requests = [asked for hook, asked in plugin.asked if hook == "on_payment"]
    assert [request.receipt.fiscal for request in requests] == [None]  # type: ignore[attr-defined]


def test_a_sale_without_one_has_none(shop: Shop, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        pay(till, 15_000, goods="Хлеб")

    assert closed(plugin).fiscal is None


@pytest.mark.parametrize("dies_at", ["payment", "closed"])
def test_after_a_crash_the_plugins_get_it_too(shop: Shop, plugin: ScriptedPlugin, dies_at: str) -> None:
    answer = plugin.payment

    def die(_: object) -> None:
        raise PowerCut

    setattr(plugin, dies_at, die)
    with pytest.raises(PowerCut), shop.till() as till:
        till.sell(one_line_sale("Хлеб", 15_000), payment_id="p1", fiscal_url=LINK)
    plugin.payment, plugin.closed = answer, lambda _: None
    plugin.asked.clear()

    with shop.till() as till:
        till.restore()

    assert closed(plugin).fiscal == ReceiptFiscal(url=LINK)


def test_a_file_of_an_earlier_version_has_none(shop: Shop, plugin: ScriptedPlugin) -> None:
    with shop.till() as till:
        till.sell(one_line_sale("Хлеб", 15_000), fiscal_url=LINK)
    (path,) = (shop.folder / "receipts").glob("*.json")
    document = json.loads(path.read_text(encoding="utf-8"))
    del document["fiscal_url"]

    assert from_json(json.dumps(document)).fiscal_url is None
