"""Receipts on the wire: the parameters that go out, and what is taken from an answer."""

from __future__ import annotations

from typing import Any

import pytest

from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import Fault, Unclear
from payme_plugin.paymego.protocols import Answer
from payme_plugin.secret import Secret

pytestmark = pytest.mark.floor

WHOLE: dict[str, Any] = {
    "_id": "65f0a1b2c3d4e5f601234567",
    "create_time": 1710268850123,
    "pay_time": 1710268851001,
    "cancel_time": 0,
    "state": 4,
    "amount": 4550000,
    "merchant": {"name": "Shop", "epos": {"merchantId": "", "terminalId": ""}},
    "card": {"number": "860012******3456", "expire": "2712"},
    "payer": {"phone": "998901112233"},
    "processing_id": None,
    "of tomorrow": [1, 2, 3],
}


def receipt(**fields: object) -> receipts.ServerReceipt:
    return receipts.receipt_of(Answer("receipts.get", {"receipt": fields}, bound=True))


def test_the_parameters_are_named_as_the_methods_want_them() -> None:
    code = Secret("0027161293")
    assert receipts.create(100, {"order_id": "1"}) == {"amount": 100, "account": {"order_id": "1"}}
    assert receipts.create(100, {}, detail={"receipt_type": 0}) == {
        "amount": 100,
        "account": {},
        "detail": {"receipt_type": 0},
    }
    assert receipts.pay("r1", code) == {"id": "r1", "token": code}
    assert receipts.by_id("r1") == {"id": "r1"}
    assert receipts.get_all(1, 2) == {"count": 50, "from": 1, "to": 2, "offset": 0}
    assert receipts.set_fiscal_data("r1", {"receipt_id": 121, "qr_code_url": "https://ofd.example"}) == {
        "id": "r1",
        "fiscal_data": {"receipt_id": 121, "qr_code_url": "https://ofd.example"},
    }


def test_a_whole_receipt_is_read_and_unknown_fields_are_kept() -> None:
    read = receipt(**WHOLE)
    assert read == receipts.ServerReceipt(
        receipt_id="65f0a1b2c3d4e5f601234567",
        state=4,
        amount=4550000,
        create_time_ms=1710268850123,
        pay_time_ms=1710268851001,
        phone="998901112233",
        raw=WHOLE,
    )
    assert read.raw["of tomorrow"] == [1, 2, 3]


def test_every_field_may_be_missing() -> None:
    assert receipt() == receipts.ServerReceipt(None, None, None, None, None, None, {})


@pytest.mark.parametrize(
    "fields",
    [
        {"payer": {"phone": "998901112233"}},
        {"merchant": {"payer": {"phone": "998901112233"}}},
        {"payer": {"phone": 998901112233}},
        {"payer": {"phone": ""}, "merchant": {"payer": {"phone": " 998901112233 "}}},
        {"payer": None, "merchant": {"payer": {"phone": "998901112233"}}},
    ],
)
def test_the_phone_is_found_in_either_place(fields: dict[str, object]) -> None:
    assert receipt(**fields).phone == "998901112233"


@pytest.mark.parametrize("phone", [None, "", " ", True, [], {"a": 1}, "9" * 33, "99890\n111"])
def test_an_invalid_phone_is_none(phone: object) -> None:
    assert receipt(payer={"phone": phone}).phone is None


def test_a_receipt_shows_neither_phone_nor_card() -> None:
    shown = repr(receipt(**WHOLE))
    assert "998901112233" not in shown
    assert "******" not in shown


@pytest.mark.parametrize("value", ["4", 4.0, True, None, [4], {"state": 4}])
def test_a_state_and_an_amount_are_integers_or_nothing(value: object) -> None:
    assert receipt(state=value, amount=value).state is None
    assert receipt(state=value, amount=value).amount is None
    with pytest.raises(Unclear) as caught:
        receipts.state_of(Answer("receipts.check", {"state": value}, bound=True))
    assert caught.value.fault is Fault.WRONG_SHAPE


@pytest.mark.parametrize("state", [0, 4, 50, 77, -1])
def test_a_state_is_known_or_not(state: int) -> None:
    assert receipts.state_of(Answer("receipts.check", {"state": state}, bound=True)) == state


@pytest.mark.parametrize("value", ["", " ", "a b", "a\nb", "ы", "x" * 65, 17, None, ["65f0"]])
def test_an_id_that_no_journal_could_hold_is_none(value: object) -> None:
    assert receipt(_id=value).receipt_id is None


@pytest.mark.parametrize("value", [0, -1, 2**62, True, "1710268850123"])
def test_an_invalid_time_is_none(value: object) -> None:
    read = receipt(create_time=value, pay_time=value, cancel_time=value)
    assert (read.create_time_ms, read.pay_time_ms) == (None, None)


@pytest.mark.parametrize("result", [{}, {"receipt": None}, {"receipt": []}, {"receipt": "65f0"}, {"success": True}, []])
def test_a_result_without_a_receipt_is_unclear(result: Any) -> None:  # noqa: ANN401 - of any shape
    with pytest.raises(Unclear) as caught:
        receipts.receipt_of(Answer("receipts.pay", result, bound=True))
    assert (caught.value.method, caught.value.fault) == ("receipts.pay", Fault.WRONG_SHAPE)


def test_get_all_brings_receipts_in_their_order() -> None:
    found = receipts.receipts_of(Answer("receipts.get_all", [{"_id": "b"}, {"_id": "a"}], bound=True))
    assert [one.receipt_id for one in found] == ["b", "a"]
    assert receipts.receipts_of(Answer("receipts.get_all", [], bound=True)) == ()


@pytest.mark.parametrize("result", [{}, {"receipts": []}, [None], [{"_id": "a"}, "b"]])
def test_an_answer_that_is_not_a_list_of_receipts_is_unclear(result: Any) -> None:  # noqa: ANN401 - of any shape
    with pytest.raises(Unclear) as caught:
        receipts.receipts_of(Answer("receipts.get_all", result, bound=True))
    assert caught.value.fault is Fault.WRONG_SHAPE


@pytest.mark.parametrize(
    ("result", "named"),
    [
        ({"state": 4}, [(None, 4)]),
        ({"_id": "r1", "state": 0}, [("r1", 0)]),
        ({"state": 4, "receipt": {"_id": "r1", "state": 50}}, [(None, 4), ("r1", 50)]),
        ([], [(None, None)]),
    ],
)
def test_an_answer_names_what_its_result_and_the_receipt_in_it_describe(
    result: Any,  # noqa: ANN401 - what a server sends
    named: list[tuple[str | None, int | None]],
) -> None:
    found = receipts.named_in(Answer("receipts.check", result, bound=True))

    assert [(each.receipt_id, each.state) for each in found] == named


@pytest.mark.parametrize("inner", ["r1", 4, [], True])
def test_an_answer_whose_receipt_is_not_an_object_has_no_receipt(inner: object) -> None:
    with pytest.raises(Unclear) as unclear:
        receipts.named_in(Answer("receipts.check", {"state": 4, "receipt": inner}, bound=True))

    assert unclear.value.fault is Fault.WRONG_SHAPE
