from __future__ import annotations

import random

import pytest

from payme_plugin.sandbox import Bank, BankError
from tests.sandbox.conftest import NOW, ask, refusal

ACCOUNT = {"order_id": "3-118", "till": 3}


@pytest.fixture
def receipt_id(bank: Bank) -> str:
    created = ask(bank, "create", {"amount": 4_550_000, "account": ACCOUNT, "description": "Till 3"})
    return str(created["receipt"]["_id"])


def test_a_created_receipt_has_the_documented_shape(bank: Bank, receipt_id: str) -> None:
    receipt = ask(bank, "get", {"id": receipt_id})["receipt"]

    assert len(receipt_id) == 24
    assert int(receipt_id, 16) > 0
    assert {name: receipt[name] for name in ("state", "amount", "currency", "create_time", "description")} == {
        "state": 0,
        "amount": 4_550_000,
        "currency": 860,
        "create_time": NOW,
        "description": "Till 3",
    }
    assert (receipt["pay_time"], receipt["cancel_time"], receipt["card"], receipt["detail"]) == (0, 0, None, None)
    assert "payer" not in receipt
    assert set(receipt["merchant"]) >= {"_id", "name", "organization", "address", "epos", "date", "logo", "type"}


def test_a_client_may_send_null_for_what_is_optional(bank: Bank) -> None:
    created = ask(bank, "create", {"amount": 100, "account": {}, "description": None, "detail": None})["receipt"]

    assert (created["description"], created["detail"]) == ("", None)


def test_the_account_comes_back_as_a_list_with_an_entry_of_the_servers_own(bank: Bank, receipt_id: str) -> None:
    account = ask(bank, "get", {"id": receipt_id})["receipt"]["account"]

    assert [(row["name"], row["value"]) for row in account] == [("order_id", "3-118"), ("till", 3), ("transaction", 1)]
    assert "main" not in account[-1]


def test_a_paid_receipt_shows_when_by_which_card_and_by_whom(bank: Bank, receipt_id: str) -> None:
    code = bank.issue_code(NOW)

    receipt = ask(bank, "pay", {"id": receipt_id, "token": code, "payer": {"phone": ""}}, NOW + 5)["receipt"]

    assert (receipt["_id"], receipt["state"], receipt["pay_time"]) == (receipt_id, 4, NOW + 5)
    assert receipt["card"] == {"number": "860006******6311", "expire": "9903"}
    assert receipt["payer"] == {"phone": "998901234567"}


def test_a_list_is_bare_oldest_first_within_its_time_and_in_pages(bank: Bank) -> None:
    for minute in range(5):
        ask(bank, "create", {"amount": minute + 1, "account": {}}, NOW + minute * 60_000)

    window: dict[str, object] = {"from": NOW + 60_000, "to": NOW + 240_000}
    whole = ask(bank, "get_all", {**window, "count": 50, "offset": 0})
    page = ask(bank, "get_all", {**window, "count": 2, "offset": 1})

    assert [receipt["amount"] for receipt in whole] == [2, 3, 4, 5]
    assert [receipt["amount"] for receipt in page] == [3, 4]
    assert whole[0]["account"][0]["title"] == {"ru": "transaction", "uz": "transaction", "en": "transaction"}


def test_fiscal_data_is_kept_with_the_receipt(bank: Bank, receipt_id: str) -> None:
    data = {"receipt_id": 121, "qr_code_url": "https://ofd.example/check?t=1&r=121", "status_code": 0, "message": "ok"}

    assert ask(bank, "set_fiscal_data", {"id": receipt_id, "fiscal_data": data}) == {"success": True}
    assert bank.receipt(NOW, receipt_id).fiscal_data == data


@pytest.mark.parametrize("method", ["pay", "check", "get", "cancel", "set_fiscal_data"])
def test_a_receipt_that_does_not_exist_is_not_found(bank: Bank, method: str) -> None:
    params: dict[str, object] = {"id": "f" * 24, "token": "1", "fiscal_data": {}}

    assert refusal(bank, method, params) == (-31602, None)


@pytest.mark.parametrize(
    ("params", "fault"),
    [
        ({"account": {}}, (-32602, "amount")),
        ({"amount": "100", "account": {}}, (-32602, "amount")),
        ({"amount": 100.0, "account": {}}, (-32602, "amount")),
        ({"amount": True, "account": {}}, (-32602, "amount")),
        ({"amount": 0, "account": {}}, (-31611, "amount")),
        ({"amount": -1, "account": {}}, (-31611, "amount")),
        ({"amount": 10**12 + 1, "account": {}}, (-31612, "amount")),
        ({"amount": 100}, (-32602, "account")),
        ({"amount": 100, "account": []}, (-32602, "account")),
        ({"amount": 100, "account": {"order_id": None}}, (-32602, "order_id")),
        ({"amount": 100, "account": {}, "description": 1}, (-32602, "description")),
        ({"amount": 100, "account": {}, "detail": []}, (-32602, "detail")),
        ({"amount": 100, "account": {}, "hold": True}, (-32602, "hold")),
    ],
)
def test_create_names_the_parameter_that_it_refuses(
    bank: Bank, params: dict[str, object], fault: tuple[int, str]
) -> None:
    assert refusal(bank, "create", params) == fault
    assert bank.receipts(NOW) == ()


@pytest.mark.parametrize(
    ("method", "params", "name"),
    [
        ("check", {}, "id"),
        ("check", {"id": 5}, "id"),
        ("pay", {"id": "f" * 24}, "token"),
        ("pay", {"id": "f" * 24, "token": 12345}, "token"),
        ("get_all", {"to": NOW}, "from"),
        ("get_all", {"from": NOW, "to": NOW, "count": 51}, "count"),
        ("get_all", {"from": NOW, "to": NOW, "count": 0}, "count"),
        ("get_all", {"from": NOW, "to": NOW, "offset": -1}, "offset"),
    ],
)
def test_every_method_names_the_parameter_that_it_refuses(
    bank: Bank, method: str, params: dict[str, object], name: str
) -> None:
    assert refusal(bank, method, params) == (-32602, name)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (None, "fiscal_data"),
        ({"qr_code_url": "https://ofd.example"}, "receipt_id"),
        ({"receipt_id": "121", "qr_code_url": "https://ofd.example"}, "receipt_id"),
        ({"receipt_id": 121}, "qr_code_url"),
        ({"receipt_id": 121, "qr_code_url": "https://ofd.example", "fiscal_sign": 5}, "fiscal_sign"),
    ],
)
def test_fiscal_data_must_have_what_the_documentation_requires(
    bank: Bank, receipt_id: str, data: object, name: str
) -> None:
    assert refusal(bank, "set_fiscal_data", {"id": receipt_id, "fiscal_data": data}) == (-32602, name)


def test_ids_and_codes_come_from_the_generator_given_so_that_a_seed_replays() -> None:
    def history(seed: int) -> list[str]:
        bank = Bank(random.Random(seed))  # noqa: S311 - a seed is to replay
        created = [ask(bank, "create", {"amount": 1, "account": {}})["receipt"]["_id"] for _ in range(3)]
        return [*created, bank.issue_code(NOW)]

    assert history(5) == history(5)
    assert history(5) != history(6)


def test_the_banks_time_never_runs_back(bank: Bank) -> None:
    ask(bank, "create", {"amount": 1, "account": {}}, NOW)
    ask(bank, "create", {"amount": 1, "account": {}}, NOW - 60_000)

    assert [receipt.created_ms for receipt in bank.receipts(NOW)] == [NOW, NOW]


def test_a_general_error_has_one_text_and_a_payment_error_one_in_each_language() -> None:
    assert isinstance(BankError(-32504).as_json()["message"], str)
    for code in (-31630, -31999):
        message = BankError(code).as_json()["message"]
        assert isinstance(message, dict)
        assert set(message) == {"ru", "uz", "en"}
