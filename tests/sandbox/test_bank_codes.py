from __future__ import annotations

import pytest

from payme_plugin.sandbox import Bank, BankError, Behaviour, BuyerAction
from payme_plugin.sandbox.bank import CODE_LIFE_MS

NOW = 1_700_000_000_000


def create(bank: Bank, now_ms: int = NOW) -> str:
    bank.call(now_ms, "receipts.create", {"amount": 100, "account": {}})
    return bank.receipts(now_ms)[-1].receipt_id


def pay(bank: Bank, now_ms: int, receipt_id: str, code: str) -> None:
    bank.call(now_ms, "receipts.pay", {"id": receipt_id, "token": code})


def refusal(bank: Bank, now_ms: int, receipt_id: str, code: str) -> int:
    with pytest.raises(BankError) as refused:
        pay(bank, now_ms, receipt_id, code)
    return refused.value.code


def test_an_issued_code_is_twenty_digits_and_may_begin_with_zeros(bank: Bank) -> None:
    codes = {bank.issue_code(NOW) for _ in range(200)}

    assert len(codes) == 200
    assert all(len(code) == 20 and code.isascii() and code.isdigit() for code in codes)
    assert any(code.startswith("0") for code in codes)


def test_a_code_nobody_issued_is_not_found(bank: Bank) -> None:
    assert refusal(bank, NOW, create(bank), "12345678901234567890") == -31400


def test_a_code_works_until_its_thirtieth_second_and_no_longer(bank: Bank) -> None:
    code, late = bank.issue_code(NOW), bank.issue_code(NOW)

    pay(bank, NOW + CODE_LIFE_MS - 1, create(bank), code)

    assert bank.held(NOW + CODE_LIFE_MS) == 100
    assert refusal(bank, NOW + CODE_LIFE_MS, create(bank), late) == -31101
    assert bank.held(NOW + CODE_LIFE_MS) == 100


def test_a_code_works_once_even_for_another_receipt(bank: Bank) -> None:
    code = bank.issue_code(NOW)
    pay(bank, NOW, create(bank), code)

    assert refusal(bank, NOW + 1, create(bank), code) == -31103
    assert bank.held(NOW + 1) == 100


def test_a_refusal_by_the_buyers_bank_uses_the_code_up(bank: Bank) -> None:
    code, receipt_id = bank.issue_code(NOW, Behaviour(BuyerAction.LACKS_FUNDS)), create(bank)

    assert refusal(bank, NOW, receipt_id, code) == -31630
    assert refusal(bank, NOW, receipt_id, code) == -31103


def test_a_pay_for_an_unknown_receipt_leaves_the_code_unused(bank: Bank) -> None:
    code = bank.issue_code(NOW)

    assert refusal(bank, NOW, "0" * 24, code) == -31602
    pay(bank, NOW, create(bank), code)


def test_a_code_that_spells_its_behaviour_needs_no_issuing_and_works_once(bank: Bank) -> None:
    code = "00770000000000000001"

    pay(bank, NOW, create(bank), code)

    assert bank.held(NOW) == 100
    assert refusal(bank, NOW, create(bank), code) == -31103


def test_an_issued_code_never_looks_like_one_that_spells_its_behaviour(bank: Bank) -> None:
    assert not any(bank.issue_code(NOW).startswith("0077") for _ in range(20_000))
