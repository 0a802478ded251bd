"""payme-pkg, unchanged, against the sandbox.

Its class ``Payme`` has Payme's two addresses built in. ``Receipts``, which does the work for ``Payme``, takes an
address. Two of its calls have no counterpart in the sandbox: ``send``, an invoice by SMS, and its cards. A till needs
neither: the token of ``receipts.pay`` is the code of the buyer's phone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from payme_plugin.testing.paymego import PaymeGo

pytestmark = pytest.mark.clients

payme = pytest.importorskip("payme", reason="needs payme-pkg: pip install 'payme-plugin[clients]'")
client = pytest.importorskip("payme.classes.receipts")
errors = pytest.importorskip("payme.exceptions.general")

Receipts = Any
"""The class of payme-pkg, which has no types."""

ACCOUNT = {"order_id": 12345}
AMOUNT = 50_000
FISCAL_LINK = "https://ofd.soliq.uz/check?t=UZ191211501012&r=154&c=20260131143316&s=912345678901"


@pytest.fixture
def receipts(paymego: PaymeGo) -> Receipts:
    settings = paymego.settings
    return client.Receipts(payme_id=settings["posId"], payme_key=settings["posKey"], url=settings["url"])


def create(receipts: Receipts) -> str:
    return str(receipts.create(account=ACCOUNT, amount=AMOUNT).result.receipt._id)


def test_it_creates_pays_checks_gets_lists_and_cancels_as_its_readme_says(receipts: Receipts, paymego: PaymeGo) -> None:
    detail = {"items": [{"name": "Product 1", "price": 25_000, "quantity": 2}]}
    created = receipts.create(account=ACCOUNT, amount=AMOUNT, description="Order 12345", detail=detail).result.receipt
    receipt_id = created._id
    assert (created.state, created.amount, created.description, created.detail) == (0, AMOUNT, "Order 12345", detail)

    paid = receipts.pay(receipts_id=receipt_id, token=paymego.buyer().code()).result.receipt
    assert (paid.state, paid.pay_time, paymego.held) == (4, paymego.now_ms, AMOUNT)
    assert receipts.check(receipts_id=receipt_id).result.state == 4
    assert receipts.get(receipts_id=receipt_id).result.receipt.payer == {"phone": "998901234567"}
    listed = receipts.get_all(count=10, from_=paymego.now_ms - 1000, to=paymego.now_ms, offset=0).result
    assert [each["_id"] for each in listed] == [receipt_id]
    assert receipts.set_fiscal_data(receipt_id=receipt_id, qr_code_url=FISCAL_LINK).result.success is True

    assert receipts.cancel(receipts_id=receipt_id).result.receipt.state == 21
    paymego.advance(1)
    assert (receipts.check(receipts_id=receipt_id).result.state, paymego.held) == (50, 0)


def test_it_creates_a_receipt_without_what_it_calls_optional(receipts: Receipts, paymego: PaymeGo) -> None:
    create(receipts)

    assert paymego.requests[0].params == {"amount": AMOUNT, "account": ACCOUNT, "description": None, "detail": None}


@pytest.mark.parametrize(("behaviour", "code"), [("lacks-funds", -31630), ("fails", -31400)])
def test_it_understands_a_refusal(receipts: Receipts, paymego: PaymeGo, behaviour: str, code: int) -> None:
    buyer = paymego.buyer(behaviour, error_code=code if behaviour == "fails" else None)

    with pytest.raises(errors.BaseError) as refused:
        receipts.pay(receipts_id=create(receipts), token=buyer.code())

    assert (refused.value.code, paymego.held) == (code, 0)


@pytest.mark.parametrize("fault", ["answer-lost", "html-after-effect", "http-error-after-effect"])
def test_a_charge_whose_answer_is_lost_is_a_network_error_to_it(
    receipts: Receipts, paymego: PaymeGo, fault: str
) -> None:
    receipt_id = create(receipts)
    paymego.fail(fault, "receipts.pay")

    with pytest.raises(errors.PaymeNetworkError):
        receipts.pay(receipts_id=receipt_id, token=paymego.buyer().code())

    assert receipts.check(receipts_id=receipt_id).result.state == 4
    assert paymego.held == AMOUNT


def test_an_invoice_by_sms_is_not_part_of_the_sandbox(receipts: Receipts) -> None:
    with pytest.raises(errors.MethodNotFoundError):
        receipts.send(receipts_id=create(receipts), phone="998901234567")
