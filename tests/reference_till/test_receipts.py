from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookspecs import GoodsKind, Item, ItemFiscal, PaymentRecord, PaymentStatus, ReceiptKind, Slip
from payme_plugin.till import FolderUnusable
from payme_plugin.till.receipts import ReceiptStore, Refund, StoredReceipt, Tender, from_json, to_json

pytestmark = pytest.mark.floor

amounts = st.integers(min_value=-(2**70), max_value=2**70)
texts = st.text(max_size=20)
fiscals = st.builds(ItemFiscal, code=texts, package_code=texts, vat_percent=amounts, units=st.none() | amounts)
items = st.builds(
    Item,
    name=texts,
    quantity=st.decimals(allow_nan=False, allow_infinity=False),
    price=amounts,
    amount=amounts,
    barcode=texts,
    goods=st.sampled_from(GoodsKind),
    marking=st.none() | texts,
    fiscal=st.none() | fiscals,
)
records = st.builds(
    PaymentRecord,
    payment_id=texts,
    payment_type=amounts,
    amount=amounts,
    data=st.dictionaries(texts, texts, max_size=3),
)
tenders = st.builds(
    Tender,
    payment_id=texts,
    payment_type=amounts,
    amount=amounts,
    status=st.none() | st.sampled_from(PaymentStatus),
    record=st.none() | records,
)
slips = st.builds(Slip, xml=texts, lines=st.lists(texts, max_size=3).map(tuple), copies=amounts)
refunds = st.builds(
    Refund,
    refund_id=texts,
    sale_number=amounts,
    payment_id=texts,
    amount=amounts,
    manual_selection=st.booleans(),
    currency_selection=st.booleans(),
)
receipts = st.builds(
    StoredReceipt,
    number=amounts,
    kind=st.sampled_from(ReceiptKind),
    items=st.lists(items, max_size=2).map(tuple),
    total=amounts,
    tenders=st.lists(tenders, max_size=2).map(tuple),
    attributes=st.dictionaries(texts, texts, max_size=2),
    slips=st.lists(slips, max_size=2).map(tuple),
    closed_at=st.none() | amounts,
    annulled=st.booleans(),
    reported=st.booleans(),
    cancelling=st.none() | texts,
    refund=st.none() | refunds,
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
    fiscal = ItemFiscal(code="01902001009000000", package_code="1520285", vat_percent=12)
    record = replace(RECORD, payment_type=141, amount=100, data={"plugin": "payme", "receipt_id": "65f0"})
    tender = replace(RECEIPT.tenders[0], payment_type=141, amount=100, record=record, acknowledged=True)
    item = Item(name="Хлеб", quantity=Decimal("0.250"), price=400, amount=100, barcode="478", goods=GoodsKind.TOBACCO)

    assert from_json(FIRST_RELEASE) == StoredReceipt(
        number=2,
        kind=ReceiptKind.REFUND,
        items=(replace(item, marking="0104", fiscal=fiscal),),
        total=100,
        tenders=(tender, Tender(payment_id="p2", payment_type=141, amount=1)),
        attributes={"QRPaymentID": "65f0"},
        slips=(Slip(xml="<slip/>", lines=("PAYME",), copies=2),),
        closed_at=1_700_000_000_000,
        reported=True,
        refund=Refund(refund_id="r1", sale_number=1, payment_id="p1", amount=100, manual_selection=True),
        fiscal_url="https://ofd.soliq.uz/check?t=UZ1",
    )


@given(document=json_documents)
def test_no_other_document_is_taken_for_a_receipt(document: object) -> None:
    with pytest.raises(ValueError, match=r"receipt|version"):
        from_json(json.dumps(document))


@given(name=st.sampled_from(sorted(json.loads(to_json(RECEIPT)))), value=json_documents)
def test_a_member_of_another_type_is_found_out_or_is_no_other_type(name: str, value: object) -> None:
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


def test_what_is_stored_is_there_for_the_next_reader(tmp_path: Path) -> None:
    store = ReceiptStore(tmp_path)
    opened = store.open_receipt((ITEM,), 150)
    store.store(opened.with_tender(RECEIPT.tenders[0]))

    again = ReceiptStore(tmp_path)
    assert again.receipts() == (RECEIPT,)
    assert again.is_recorded("p1") is True


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


def test_a_write_that_a_power_cut_stopped_leaves_the_old_file(tmp_path: Path) -> None:
    ReceiptStore(tmp_path).open_receipt((ITEM,), 150)
    (tmp_path / "000001.json.new").write_text('{"version": 1, "numb', encoding="utf-8")

    store = ReceiptStore(tmp_path)
    assert (store.receipts(), store.unreadable) == (
        (StoredReceipt(number=1, kind=ReceiptKind.SALE, items=(ITEM,), total=150),),
        (),
    )


def test_a_receipt_that_can_not_be_stored_is_an_error_and_the_former_one_stays(tmp_path: Path) -> None:
    folder = tmp_path / "receipts"
    store = ReceiptStore(folder)
    opened = store.open_receipt((ITEM,), 150)
    folder.rename(tmp_path / "moved away")

    with pytest.raises(FolderUnusable, match=r"000001\.json"):
        store.store(opened.with_tender(RECEIPT.tenders[0]))
    assert store.receipts() == (opened,)
    assert store.is_recorded("p1") is False


def test_a_folder_that_can_not_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "receipts").write_text("a file", encoding="utf-8")

    with pytest.raises(FolderUnusable, match="receipts"):
        ReceiptStore(tmp_path / "receipts")


def test_numbers_go_on_after_a_restart(tmp_path: Path) -> None:
    assert [ReceiptStore(tmp_path).open_receipt((), 1).number for _ in range(3)] == [1, 2, 3]


def test_a_tender_replaces_the_one_of_its_payment_and_no_other() -> None:
    second = Tender(payment_id="p2", payment_type=7, amount=1)
    both = RECEIPT.with_tender(second)

    assert [each.payment_id for each in both.tenders] == ["p1", "p2"]
    paid = Tender(payment_id="p2", payment_type=7, amount=1, status=PaymentStatus.REFUSED)
    assert both.with_tender(paid).tenders == (RECEIPT.tenders[0], paid)
