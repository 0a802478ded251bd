"""A code is issued or spells its behaviour; it works once, for thirty seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.sandbox import Bank, Behaviour, BuyerAction, read_code
from payme_plugin.sandbox.bank import CODE_LIFE_MS
from tests.sandbox import conftest
from tests.sandbox.conftest import NOW, ask, create


def pay(bank: Bank, receipt_id: str, code: str, now_ms: int = NOW) -> None:
    ask(bank, "pay", {"id": receipt_id, "token": code}, now_ms)


def refusal(bank: Bank, receipt_id: str, code: str, now_ms: int = NOW) -> int:
    return conftest.refusal(bank, "pay", {"id": receipt_id, "token": code}, now_ms)[0]


def test_an_issued_code_is_twenty_digits_and_may_begin_with_zeros(bank: Bank) -> None:
    codes = {bank.issue_code(NOW) for _ in range(200)}

    assert len(codes) == 200
    assert all(len(code) == 20 and code.isascii() and code.isdigit() for code in codes)
    assert any(code.startswith("0") for code in codes)


def test_a_code_nobody_issued_is_not_found(bank: Bank) -> None:
    assert refusal(bank, create(bank), "12345678901234567890") == -31400


def test_a_code_works_until_its_thirtieth_second_and_no_longer(bank: Bank) -> None:
    code, late = bank.issue_code(NOW), bank.issue_code(NOW)

    pay(bank, create(bank), code, NOW + CODE_LIFE_MS - 1)

    assert bank.held(NOW + CODE_LIFE_MS) == 100
    assert refusal(bank, create(bank), late, NOW + CODE_LIFE_MS) == -31101
    assert bank.held(NOW + CODE_LIFE_MS) == 100


def test_a_code_works_once_even_for_another_receipt(bank: Bank) -> None:
    code = bank.issue_code(NOW)
    pay(bank, create(bank), code)

    assert refusal(bank, create(bank), code, NOW + 1) == -31103
    assert bank.held(NOW + 1) == 100


def test_a_refusal_by_the_buyers_bank_uses_the_code_up(bank: Bank) -> None:
    code, receipt_id = bank.issue_code(NOW, Behaviour(BuyerAction.LACKS_FUNDS)), create(bank)

    assert refusal(bank, receipt_id, code) == -31630
    assert refusal(bank, receipt_id, code) == -31103


def test_a_pay_for_an_unknown_receipt_leaves_the_code_unused(bank: Bank) -> None:
    code = bank.issue_code(NOW)

    assert refusal(bank, "0" * 24, code) == -31602
    pay(bank, create(bank), code)


def test_a_code_that_spells_its_behaviour_needs_no_issuing_and_works_once(bank: Bank) -> None:
    code = "00770000000000000001"

    pay(bank, create(bank), code)

    assert bank.held(NOW) == 100
    assert refusal(bank, create(bank), code) == -31103


def test_an_issued_code_never_looks_like_one_that_spells_its_behaviour(bank: Bank) -> None:
    assert not any(bank.issue_code(NOW).startswith("0077") for _ in range(20_000))


@pytest.mark.parametrize(
    "code",
    [
        "", "0077000000000000000", "007700000000000000011", "10770000000000000001", "0077 000000000000001",
        "٠٠77000000000000000١", "00770000001000000001", "00770100000000000001", "00770500000000000001",
        "00770199999000000001", "00779900000000000001",
    ],
)  # fmt: skip
def test_a_code_of_another_form_spells_nothing(code: str) -> None:
    assert read_code(code) is None


@given(st.text("0123456789", min_size=16, max_size=16))
def test_any_digits_behind_the_mark_spell_a_valid_behaviour_or_nothing(digits: str) -> None:
    assert isinstance(read_code("0077" + digits), Behaviour | None)
