from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, read_code

SPELT = [
    ("00770000000000000001", Behaviour()),
    ("00770100003000000001", Behaviour(BuyerAction.CONFIRMS, after_s=3.0)),
    ("00770200010000000001", Behaviour(BuyerAction.DECLINES, after_s=10.0)),
    ("00770300000000000001", Behaviour(BuyerAction.LACKS_FUNDS)),
    ("00770400000000000001", Behaviour(BuyerAction.NEVER_ANSWERS)),
    ("00770531400000000001", Behaviour(BuyerAction.FAILS, error_code=-31400)),
    ("00770600005000000001", Behaviour(cancel=CancelPlan(settle_s=5.0))),
    ("00770731800000000001", Behaviour(cancel=CancelPlan(refused_with=-31800))),
    ("00770800002000000001", Behaviour(cancel=CancelPlan(turns_back_after_s=2.0))),
]


@pytest.mark.parametrize(("code", "behaviour"), SPELT)
def test_a_code_spells_its_behaviour(code: str, behaviour: Behaviour) -> None:
    assert read_code(code) == behaviour


@pytest.mark.parametrize(
    "code",
    [
        "",
        "0077000000000000000",
        "007700000000000000011",
        "10770000000000000001",
        "0077 000000000000001",
        "٠٠77000000000000000١",
        "00770000001000000001",
        "00770100000000000001",
        "00770500000000000001",
        "00770199999000000001",
        "00779900000000000001",
    ],
)
def test_a_code_of_another_form_spells_nothing(code: str) -> None:
    assert read_code(code) is None


@given(st.text("0123456789", min_size=16, max_size=16))
def test_any_digits_behind_the_mark_spell_a_valid_behaviour_or_nothing(digits: str) -> None:
    assert isinstance(read_code("0077" + digits), Behaviour | None)
