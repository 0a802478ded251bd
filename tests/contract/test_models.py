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
    RefundViolation,
    ReversalResult,
    ReversalStatus,
    SaleRecord,
    Shift,
    Slip,
)
from tests.contract.conftest import CANCEL, PAYMENT, RECEIPT, RECORD, REFUND

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum

pytestmark = pytest.mark.floor

VALID: dict[type, Any] = {
    type(model): model
    for model in (
        *(RECEIPT, RECORD, PAYMENT, CANCEL, REFUND),
        PaymentType(number=7, name="Payme"),
        ItemFiscal(code="00702001001000001", package_code="1", vat_percent=12),
        Item(name="Bread", quantity=Decimal("1.5"), price=1000, amount=1500),
        ReceiptFiscal(url="https://ofd.example/check"),
        RefundViolation(rule="partial-refund", message="Only the whole sale"),
        Slip(xml="<slip/>", lines=("a",), copies=2),
        PaymentResult(status=PaymentStatus.PAID, amount=1000),
        ReversalResult(status=ReversalStatus.REVERSED),
        Shift(number=1, opened_at=0, closed_at=1),
        SaleRecord(payment_id="p1", amount=1000, receipt_id="65f0", sold_at=0),
        QueueMessage(message_id="m1", kind="payme.cancel", body="{}", created_at=0),
    )
}
WRONG = [
    (PaymentRecord, "data", [("plugin", "payme")]),
    (PaymentRecord, "data", {1: "2"}),
    (ItemFiscal, "vat_percent", 12.0),
    (Item, "quantity", 1.5),
    (Item, "goods", "ALCOHOL"),
    (Receipt, "items", []),
    (PaymentRequest, "repeated", 1),
    (PaymentResult, "status", "PAID"),
    (PaymentResult, "receipt_attributes", {"PhoneNumber": 998901112233}),
    (QueueMessage, "body", b"{}"),
]


def fields(is_such: Callable[[str], bool] = lambda _: True) -> list[tuple[type, str]]:
    """Return every field of every model whose type is such."""
    return [(model, field.name) for model in VALID for field in dataclasses.fields(model) if is_such(str(field.type))]


@pytest.mark.parametrize("made", VALID.values(), ids=lambda made: type(made).__name__)
def test_models_are_plain_data_frozen_slotted_and_named_by_keyword_alone(made: Any) -> None:  # noqa: ANN401 - a model
    given = {field.name: getattr(made, field.name) for field in dataclasses.fields(made)}

    assert made == type(made)(**given) == copy.deepcopy(made)
    assert pickle.loads(pickle.dumps(made)) == made  # noqa: S301 - our own bytes
    assert dataclasses.asdict(made)
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(made, *next(iter(given.items())))
    with pytest.raises(TypeError):
        type(made)(*given.values())
    assert not hasattr(made, "__dict__")


@pytest.mark.parametrize(("model", "field"), fields(lambda kind: kind == "int"))
@pytest.mark.parametrize("amount", [10.0, 10.5, True, "10", Decimal(10), None, float("nan")], ids=repr)
def test_a_number_or_an_amount_in_tiyin_is_an_integer_and_nothing_else(model: type, field: str, amount: object) -> None:
    with pytest.raises(TypeError, match=rf"{model.__name__}\.{field} must be int"):
        changed(model, field, amount)


def changed(model: type, field: str, value: object) -> object:
    return dataclasses.replace(VALID[model], **{field: value})


class Stranger:
    """Nothing that any field takes."""


@pytest.mark.parametrize(("model", "field"), fields())
def test_every_field_of_every_model_is_looked_at(model: type, field: str) -> None:
    with pytest.raises(TypeError, match=rf"{model.__name__}\.{field} must be .*, not .*Stranger"):
        changed(model, field, Stranger())


@pytest.mark.parametrize(("model", "field"), fields(lambda kind: kind.startswith("tuple[")))
def test_every_element_of_a_tuple_is_looked_at(model: type, field: str) -> None:
    with pytest.raises(TypeError, match=rf"{model.__name__}\.{field} must be .*, not .*Stranger"):
        changed(model, field, (*getattr(VALID[model], field), Stranger()))


@pytest.mark.parametrize(("model", "field"), fields(lambda kind: kind.endswith("| None")))
def test_what_may_be_none_may_be_none(model: type, field: str) -> None:
    assert getattr(changed(model, field, None), field) is None


@pytest.mark.parametrize(("model", "field", "value"), WRONG)
def test_a_model_of_the_wrong_type_names_its_field(model: type, field: str, value: object) -> None:
    with pytest.raises(TypeError, match=rf"{model.__name__}\.{field} must be "):
        changed(model, field, value)


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
    request = dataclasses.replace(PAYMENT, qr_code="12345678901234567890")
    result = PaymentResult(
        status=PaymentStatus.PAID, amount=1, receipt_attributes={"PhoneNumber": "998901112233"}, payment=RECORD
    )

    assert "1234567890" not in repr(request)
    assert "998901112233" not in repr(result)


def test_what_the_contract_exports_is_what_it_names() -> None:
    assert sorted(hookspecs.__all__) == sorted(set(hookspecs.__all__))
    assert all(hasattr(hookspecs, name) for name in hookspecs.__all__)
    assert (hookspecs.PROJECT, hookspecs.API_VERSION) == ("pos", 2)
