from __future__ import annotations

import json
import os
import stat
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookspecs import GoodsKind, Item, PaymentRecord, PaymentStatus, ReceiptKind
from payme_plugin.till import FolderUnusable
from payme_plugin.till.receipts import ReceiptStore, Refund, StoredReceipt, Tender, from_json, to_json

pytestmark = pytest.mark.floor

texts = st.text(max_size=20)
quantities = st.decimals(allow_nan=False, allow_infinity=False)
items = st.builds(Item, quantity=quantities, barcode=..., goods=..., marking=..., fiscal=...)
tenders = st.builds(Tender, status=..., record=..., acknowledged=...)
refunds = st.builds(Refund, manual_selection=..., currency_selection=...)
receipts = st.builds(
    StoredReceipt,
    items=st.lists(items, max_size=2).map(tuple),
    tenders=st.lists(tenders, max_size=2).map(tuple),
    attributes=...,
    slips=...,
    closed_at=...,
    annulled=...,
    reported=...,
    cancelling=...,
    refund=st.none() | refunds,
    fiscal_url=...,
)
json_documents = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
ITEM = Item(name="Bread", quantity=Decimal("1.50"), price=100, amount=150)
RECORD = PaymentRecord(payment_id="p1", payment_type=7, amount=150, data={"plugin": "payme"})
RECEIPT = StoredReceipt(
    number=1,
    kind=ReceiptKind.SALE,
    items=(ITEM,),
    total=150,
    tenders=(Tender(payment_id="p1", payment_type=7, amount=150, status=PaymentStatus.PAID, record=RECORD),),
)
FIRST_RELEASE = """
{"version": 1, "number": 2, "kind": "REFUND", "items": [{"name": "Хлеб", "quantity": "0.250", "price": 400,
"amount": 100, "barcode": "478", "goods": "TOBACCO", "marking": "0104", "fiscal": {"code": "01902001009000000",
"package_code": "1520285", "vat_percent": 12, "units": null, "discount": 0}}], "total": 100, "tenders": [
{"payment_id": "p1", "payment_type": 141, "amount": 100, "verdict": "PAID", "record": {"payment_id": "p1",
"payment_type": 141, "amount": 100, "data": {"plugin": "payme", "receipt_id": "65f0"}}, "acknowledged": true},
{"payment_id": "p2", "payment_type": 141, "amount": 1, "verdict": null, "record": null, "acknowledged": false}],
"attributes": {"QRPaymentID": "65f0"}, "slips": [{"xml": "<slip/>", "lines": ["PAYME"], "copies": 2}],
"closed_at": 1700000000000, "annulled": false, "told": true, "cancelling": null, "refund": {"refund_id": "r1",
"sale_number": 1, "payment_id": "p1", "amount": 100, "manual_selection": true, "currency_selection": false},
"fiscal_url": "https://ofd.soliq.uz/check?t=UZ1"}
"""


@given(receipt=receipts)
def test_every_receipt_comes_back_as_it_was_written(receipt: StoredReceipt) -> None:
    assert from_json(to_json(receipt)) == receipt


def test_a_file_of_the_first_release_can_be_read() -> None:
    receipt = from_json(FIRST_RELEASE)
    paid, asked = receipt.tenders

    assert json.loads(to_json(receipt)) == json.loads(FIRST_RELEASE)
    assert (receipt.kind, receipt.reported, receipt.items[0].goods) == (ReceiptKind.REFUND, True, GoodsKind.TOBACCO)
    assert receipt.refund == Refund(refund_id="r1", sale_number=1, payment_id="p1", amount=100, manual_selection=True)
    assert (paid.status, paid.acknowledged, asked.status, asked.record) == (PaymentStatus.PAID, True, None, None)


def test_a_file_of_a_version_without_fiscal_links_is_read() -> None:
    document = json.loads(to_json(RECEIPT))
    del document["fiscal_url"]

    assert from_json(json.dumps(document)) == RECEIPT


@given(document=json_documents)
def test_no_other_document_is_taken_for_a_receipt(document: object) -> None:
    with pytest.raises(ValueError, match=r"receipt|version"):
        from_json(json.dumps(document))


@given(name=st.sampled_from(sorted(json.loads(to_json(RECEIPT)))), value=json_documents)
def test_a_member_of_another_type_is_refused_or_kept_unchanged(name: str, value: object) -> None:
    document = json.loads(to_json(RECEIPT))
    document[name] = value
    try:
        receipt = from_json(json.dumps(document))
    except ValueError:
        return
    assert json.loads(to_json(receipt)) == document


@pytest.mark.parametrize(
    "text",
    ["", "{", "[" * 100_000, "\ufeff{}", '{"version": 2}', '{"version": true}', to_json(RECEIPT)[:-2]],
    ids=["empty", "cut off", "nested", "byte order mark", "newer", "no version", "cut at the end"],
)
def test_a_file_that_is_not_a_receipt_is_unreadable_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "000001.json"
    path.write_text(text, encoding="utf-8")

    assert ReceiptStore(tmp_path).unreadable == (path,)
    assert path.read_text(encoding="utf-8") == text


def test_what_is_stored_is_there_for_the_next_reader_whatever_a_power_cut_left(tmp_path: Path) -> None:
    store = ReceiptStore(tmp_path)
    opened = store.open_receipt((ITEM,), 150)
    store.store(opened.with_tender(RECEIPT.tenders[0]))
    (tmp_path / "000001.json.new").write_text('{"version": 1, "numb', encoding="utf-8")

    again = ReceiptStore(tmp_path)
    assert (again.receipts(), again.unreadable, again.is_recorded("p1")) == ((RECEIPT,), (), True)
    assert again.open_receipt((), 1).number == 2


def test_receipts_are_private_and_nothing_else_is_left_behind(tmp_path: Path) -> None:
    store = ReceiptStore(tmp_path / "receipts")
    store.open_receipt((ITEM,), 150)

    (path,) = (tmp_path / "receipts").iterdir()
    assert path.name == "000001.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_receipt_is_on_the_disk_before_it_replaces_the_former_one_and_its_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[tuple[str, list[str]]] = []

    def sync(descriptor: int) -> None:
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        synced.append((str(path.relative_to(tmp_path)), [each.name for each in tmp_path.iterdir()]))

    monkeypatch.setattr(os, "fsync", sync)
    ReceiptStore(tmp_path).open_receipt((ITEM,), 150)

    assert synced == [("000001.json.new", ["000001.json.new"]), (".", ["000001.json"])]


def test_a_receipt_that_can_not_be_stored_is_an_error_and_the_former_one_stays(tmp_path: Path) -> None:
    folder = tmp_path / "receipts"
    store = ReceiptStore(folder)
    opened = store.open_receipt((ITEM,), 150)
    folder.rename(tmp_path / "moved away")

    with pytest.raises(FolderUnusable, match=r"000001\.json"):
        store.store(opened.with_tender(RECEIPT.tenders[0]))
    assert store.receipts() == (opened,)
    assert store.is_recorded("p1") is False
    folder.write_text("a file", encoding="utf-8")
    with pytest.raises(FolderUnusable, match="receipts"):
        ReceiptStore(folder)


def test_a_tender_replaces_the_one_of_its_payment_and_no_other() -> None:
    second = Tender(payment_id="p2", payment_type=7, amount=1)
    both = RECEIPT.with_tender(second)

    assert [each.payment_id for each in both.tenders] == ["p1", "p2"]
    paid = Tender(payment_id="p2", payment_type=7, amount=1, status=PaymentStatus.REFUSED)
    assert both.with_tender(paid).tenders == (RECEIPT.tenders[0], paid)
