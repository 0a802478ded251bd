from __future__ import annotations

import copy
import dataclasses
import json
import pickle
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import hookspecs
from hookspecs import (
    CancelRequest,
    GoodsKind,
    Item,
    ItemFiscal,
    PaymentRecord,
    PaymentRequest,
    PaymentResult,
    PaymentStatus,
    PaymentType,
    QueueMessage,
    QueueVerdict,
    Receipt,
    ReceiptFiscal,
    ReceiptKind,
    RefundRequest,
    RefundViolation,
    ReversalResult,
    ReversalStatus,
    SaleRecord,
    Shift,
    Slip,
)

if TYPE_CHECKING:
    from enum import Enum

pytestmark = pytest.mark.floor

RECEIPT = Receipt(till="till-1", shift=1, number=1, kind=ReceiptKind.SALE, items=(), total=1000)
RECORD = PaymentRecord(payment_id="p1", payment_type=7, amount=1000, data={"plugin": "payme"})
SLIP = Slip(xml="<slip/>", lines=("a",), copies=1)

VALID: dict[type, dict[str, Any]] = {
    PaymentType: {"number": 7, "name": "Payme"},
    PaymentRecord: {"payment_id": "p1", "payment_type": 7, "amount": 1000},
    ItemFiscal: {"code": "00702001001000001", "package_code": "1", "vat_percent": 12},
    Item: {"name": "Bread", "quantity": Decimal("1.5"), "price": 1000, "amount": 1500},
    ReceiptFiscal: {"url": "https://ofd.example/check"},
    Receipt: {"till": "t", "shift": 1, "number": 1, "kind": ReceiptKind.SALE, "items": (), "total": 1000},
    PaymentRequest: {"payment_id": "p1", "payment_type": 7, "amount": 1000, "receipt": RECEIPT},
    CancelRequest: {"payment": RECORD, "receipt": RECEIPT},
    RefundRequest: {
        "refund_id": "r1",
        "payment_type": 7,
        "payment": RECORD,
        "sale": RECEIPT,
        "refund": RECEIPT,
        "amount": 1000,
        "manual_selection": False,
        "currency_selection": False,
    },
    RefundViolation: {"rule": "partial-refund", "message": "Only the whole sale"},
    Slip: {"xml": "<slip/>", "lines": ("a",), "copies": 2},
    PaymentResult: {"status": PaymentStatus.PAID, "amount": 1000},
    ReversalResult: {"status": ReversalStatus.REVERSED},
    Shift: {"number": 1, "opened_at": 0, "closed_at": 1},
    SaleRecord: {"payment_id": "p1", "amount": 1000, "receipt_id": "65f0", "sold_at": 0},
    QueueMessage: {"message_id": "m1", "kind": "payme.cancel", "body": "{}", "created_at": 0},
}
AMOUNTS = [
    (PaymentRecord, "amount"),
    (Item, "price"),
    (Item, "amount"),
    (ItemFiscal, "discount"),
    (Receipt, "total"),
    (PaymentRequest, "amount"),
    (RefundRequest, "amount"),
    (PaymentResult, "amount"),
    (SaleRecord, "amount"),
]
WRONG = [
    (PaymentRecord, "data", [("plugin", "payme")]),
    (PaymentRecord, "data", {1: "2"}),
    (PaymentRecord, "data", {"receipt_id": None}),
    (ItemFiscal, "vat_percent", 12.0),
    (ItemFiscal, "units", True),
    (Item, "quantity", 1.5),
    (Item, "quantity", 1),
    (Item, "goods", "ALCOHOL"),
    (Receipt, "items", []),
    (Receipt, "closed_at", 1.5),
    (Receipt, "closed_at", True),
    (PaymentRequest, "repeated", 1),
    (PaymentRequest, "repeated", None),
    (Slip, "copies", True),
    (PaymentResult, "status", "PAID"),
    (PaymentResult, "status", ReversalStatus.REFUSED),
    (PaymentResult, "receipt_attributes", {"PhoneNumber": 998901112233}),
    (QueueMessage, "body", b"{}"),
]


@pytest.mark.parametrize("model", VALID, ids=lambda model: model.__name__)
def test_models_are_frozen_slotted_and_named_by_keyword_alone(model: type) -> None:
    made = model(**VALID[model])
    field = dataclasses.fields(made)[0].name

    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, field, getattr(made, field))
    with pytest.raises(TypeError):
        model(*VALID[model].values())
    assert not hasattr(made, "__dict__")


@pytest.mark.parametrize("model", VALID, ids=lambda model: model.__name__)
def test_models_are_plain_data(model: type) -> None:
    made = model(**VALID[model])

    assert made == model(**VALID[model])
    assert copy.deepcopy(made) == made
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own bytes
    assert dataclasses.asdict(made)


@pytest.mark.parametrize(("model", "field"), AMOUNTS)
@pytest.mark.parametrize("amount", [10.0, 10.5, True, "10", Decimal(10), None, float("nan")], ids=repr)
def test_an_amount_is_an_integer_in_tiyin_and_nothing_else(model: type, field: str, amount: object) -> None:
    with pytest.raises(TypeError, match=rf"{model.__name__}\.{field} must be int"):
        model(**{**VALID[model], field: amount})


class Stranger:
    """Nothing that any field takes."""


@pytest.mark.parametrize(
    ("model", "field"), [(model, field.name) for model in VALID for field in dataclasses.fields(model)]
)
def test_every_field_of_every_model_is_looked_at(model: type, field: str) -> None:
    with pytest.raises(TypeError, match=rf"{model.__name__}\.{field} must be .*, not .*Stranger"):
        model(**{**VALID[model], field: Stranger()})


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (model, field.name)
        for model in VALID
        for field in dataclasses.fields(model)
        if str(field.type).startswith("tuple[")
    ],
)
def test_every_element_of_a_tuple_is_looked_at(model: type, field: str) -> None:
    with pytest.raises(TypeError, match=rf"{model.__name__}\.{field} must be .*, not .*Stranger"):
        model(**{**VALID[model], field: (*VALID[model].get(field, ()), Stranger())})


@pytest.mark.parametrize(
    ("model", "field"),
    [
        (model, field.name)
        for model in VALID
        for field in dataclasses.fields(model)
        if str(field.type).endswith("| None")
    ],
)
def test_what_may_be_none_may_be_none(model: type, field: str) -> None:
    assert getattr(model(**{**VALID[model], field: None}), field) is None


@pytest.mark.parametrize(("model", "field", "value"), WRONG)
def test_a_model_of_the_wrong_type_names_its_field(model: type, field: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"{model.__name__}\.{field} must be "):
        model(**{**VALID[model], field: value})


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        (PaymentStatus, ["PAID", "REFUSED", "ABORTED", "UNKNOWN", "PENDING"]),
        (ReversalStatus, ["REVERSED", "QUEUED", "REFUSED"]),
        (QueueVerdict, ["DONE", "RETRY", "DROP"]),
        (ReceiptKind, ["SALE", "REFUND"]),
        (GoodsKind, ["ORDINARY", "MARKED", "ALCOHOL", "TOBACCO", "SHOES", "MEDICINE"]),
    ],
)
def test_enums_are_plain_and_their_names_go_into_json(kind: type[Enum], names: list[str]) -> None:
    assert [each.name for each in kind] == names
    assert json.loads(json.dumps([each.name for each in kind])) == names
    assert not issubclass(kind, str)


def test_the_buyers_code_and_phone_are_not_in_a_repr() -> None:
    request = PaymentRequest(payment_id="p1", payment_type=7, amount=1, receipt=RECEIPT, qr_code="12345678901234567890")
    result = PaymentResult(
        status=PaymentStatus.PAID, amount=1, receipt_attributes={"PhoneNumber": "998901112233"}, payment=RECORD
    )

    assert "1234567890" not in repr(request)
    assert "998901112233" not in repr(result)


def test_what_the_contract_exports_is_what_it_names() -> None:
    assert sorted(hookspecs.__all__) == sorted(set(hookspecs.__all__))
    assert all(hasattr(hookspecs, name) for name in hookspecs.__all__)
    assert (hookspecs.PROJECT, hookspecs.API_VERSION) == ("pos", 2)
