from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, read_code, write_code

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
    assert write_code(behaviour, serial=1) == code


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


@given(st.sampled_from(SPELT), st.integers(0, 999_999_999))
def test_every_serial_number_makes_a_code_of_its_own(spelt: tuple[str, Behaviour], serial: int) -> None:
    code = write_code(spelt[1], serial)

    assert len(code) == 20
    assert read_code(code) == spelt[1]
    assert int(code[11:]) == serial


@given(st.text(alphabet="0123456789", min_size=20, max_size=20))
def test_what_is_read_is_written_the_same(code: str) -> None:
    marked = "0077" + code[4:]
    behaviour = read_code(marked)

    assert behaviour is None or read_code(write_code(behaviour, int(marked[11:]))) == behaviour


@pytest.mark.parametrize(
    ("behaviour", "serial"),
    [
        (Behaviour(BuyerAction.CONFIRMS, after_s=2.5), 1),
        (Behaviour(BuyerAction.CONFIRMS, after_s=3.0, cancel=CancelPlan()), 1),
        (Behaviour(BuyerAction.FAILS, error_code=-131_630), 1),
        (Behaviour(), -1),
        (Behaviour(), 1_000_000_000),
    ],
)
def test_what_the_digits_can_not_say_is_refused(behaviour: Behaviour, serial: int) -> None:
    with pytest.raises(ValueError, match=r"no code spells|serial is"):
        write_code(behaviour, serial)
