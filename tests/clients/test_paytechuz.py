"""paytechuz, unchanged, against the sandbox.

Its class ``PaymeGateway`` has Payme's two addresses built in. ``PaymeReceipts``, its part for receipts, takes an HTTP
client with an address. It has no list of receipts, and needs cards no more than payme-pkg does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from payme_plugin.testing.paymego import PaymeGo

pytestmark = pytest.mark.clients

paytechuz = pytest.importorskip("paytechuz", reason="needs paytechuz: pip install 'payme-plugin[clients]'")
client = pytest.importorskip("paytechuz.gateways.payme.receipts")
errors = pytest.importorskip("paytechuz.core.exceptions")

Receipts = Any
"""The class of paytechuz, which has no types."""

AMOUNT = 15_000_000


@pytest.fixture
def receipts(paymego: PaymeGo) -> Receipts:
    settings = paymego.settings
    return client.PaymeReceipts(client.HttpClient(base_url=settings["url"]), settings["posId"], settings["posKey"])


def test_it_creates_pays_checks_gets_and_cancels(receipts: Receipts, paymego: PaymeGo) -> None:
    optional = {"phone": "998901234567", "return_url": "https://example.com/return"}
    created = receipts.create(AMOUNT, {"order_id": "order_123"}, **optional)["result"]["receipt"]
    receipt_id = created["_id"]
    assert (created["state"], created["amount"]) == (0, AMOUNT)

    paid = receipts.pay(receipt_id, paymego.buyer().code())["result"]["receipt"]
    assert (paid["state"], paymego.held) == (4, AMOUNT)
    assert receipts.check(receipt_id)["result"] == {"state": 4}
    assert receipts.get(receipt_id)["result"]["receipt"]["pay_time"] == paymego.now_ms

    assert receipts.cancel(receipt_id, reason="The buyer changed their mind")["result"]["receipt"]["state"] == 21
    paymego.advance(1)
    assert (receipts.check(receipt_id)["result"], paymego.held) == ({"state": 50}, 0)


def test_a_refusal_is_an_answer_to_it(receipts: Receipts, paymego: PaymeGo) -> None:
    receipt_id = receipts.create(AMOUNT, {})["result"]["receipt"]["_id"]

    answer = receipts.pay(receipt_id, paymego.buyer("lacks-funds").code())

    assert (answer["error"]["code"], paymego.held) == (-31630, 0)


def test_a_charge_whose_answer_is_lost_is_a_fault_of_the_service_to_it(receipts: Receipts, paymego: PaymeGo) -> None:
    receipt_id = receipts.create(AMOUNT, {})["result"]["receipt"]["_id"]
    paymego.fail("answer-lost", "receipts.pay")

    with pytest.raises(errors.ExternalServiceError):
        receipts.pay(receipt_id, paymego.buyer().code())

    assert paymego.held == AMOUNT
