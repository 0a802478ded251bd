"""The catalogue of the server's error codes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.paymego.codes import CATALOGUE, MANUAL_CODES, find, is_documented, proves_no_charge

MANUAL = [
    *[-32300, -32700, -32600, -32400, -32601, -32602, -32504, -31301, -31300, -31302, -31303, -31002, -31001, -31400],
    *[-31101, -31102, -31103, -31110, -31700, -31613, -31630, -31602, -31601, -31620, -31100, -31624, -31623, -31900],
    *[-31640, -31901, -31200, -31800],
]
PROOFS = {
    *[-32300, -32700, -32600, -32601, -32602, -32504, -32500, -31300, -31301, -31303, -31400, -31101, -31102, -31103],
    *[-31110, -31613, -31630, -31601, -31900, -31901],
}


def test_the_manuals_codes_are_all_here_in_its_order() -> None:
    assert list(MANUAL_CODES) == MANUAL
    assert len(MANUAL) == 32


def test_only_codes_that_are_a_refusal_in_every_reading_prove_that_nothing_was_charged() -> None:
    assert {entry.code for entry in CATALOGUE if proves_no_charge(entry.code)} == PROOFS


@pytest.mark.parametrize("code", [-31602, -32400, -31002, -31001, -31100, -31623, -31302, -31640, -31200, -31800])
def test_a_doubtful_code_proves_nothing(code: int) -> None:
    assert not proves_no_charge(code)


@given(st.integers())
def test_an_unknown_code_proves_nothing(code: int) -> None:
    if find(code) is None:
        assert not proves_no_charge(code)
        assert not is_documented(code)


def test_a_code_is_here_once_and_says_what_it_means() -> None:
    assert len({entry.code for entry in CATALOGUE}) == len(CATALOGUE)
    for entry in CATALOGUE:
        assert find(entry.code) is entry
        assert entry.meaning
        assert is_documented(entry.code) is (entry.code in MANUAL)
