"""The numbers of the protocol, written a second time, because a typing error would change results."""

from __future__ import annotations

import pytest

from payme_plugin.paymego.codes import CATALOGUE, MANUAL_CODES, find, is_documented, is_transient, proves_no_charge
from payme_plugin.paymego.states import ReceiptState

MANUAL = (
    -32300, -32700, -32600, -32400, -32601, -32602, -32504, -31301, -31300, -31302, -31303, -31002, -31001, -31400,
    -31101, -31102, -31103, -31110, -31700, -31613, -31630, -31602, -31601, -31620, -31100, -31624, -31623, -31900,
    -31640, -31901, -31200, -31800,
)  # fmt: skip
SEEN_ELSEWHERE = (
    -32500, -31610, -31611, -31612, -31622, -31625, -31050, -31003, -31007, -31008, -31201, -31151,
)  # fmt: skip
PROOFS = {
    -32700, -32602, -32601, -32600, -32504, -32500, -32300, -31901, -31900, -31630, -31613, -31601, -31400, -31303,
    -31301, -31300, -31110, -31103, -31102, -31101,
}  # fmt: skip
TRANSIENT = {-32504, -32400, -31625, -31624, -31623, -31622, -31620, -31100, -31002, -31001}


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("CREATED", 0),
        ("CHECKING", 1),
        ("DEBITING", 2),
        ("CLOSING", 3),
        ("PAID", 4),
        ("HELD", 5),
        ("HOLDING", 6),
        ("PAUSED", 20),
        ("CANCELLING", 21),
        ("CLOSING_QUEUED", 30),
        ("CANCELLED", 50),
    ],
)
def test_a_state_of_a_receipt_has_the_number_that_payme_publishes(name: str, number: int) -> None:
    assert ReceiptState[name] == number
    assert ReceiptState(number).name == name


def test_the_manuals_codes_are_those_of_its_setting_in_its_order() -> None:
    assert MANUAL_CODES == MANUAL
    assert all(is_documented(code) for code in MANUAL)


def test_the_other_known_codes_are_not_the_manuals() -> None:
    assert tuple(entry.code for entry in CATALOGUE if entry.code not in MANUAL) == SEEN_ELSEWHERE
    assert not any(is_documented(code) for code in SEEN_ELSEWHERE)


def test_a_code_proves_that_nothing_was_charged_only_if_it_is_one_of_these_twenty() -> None:
    assert {code for code in range(-33_000, 1) if proves_no_charge(code)} == PROOFS


def test_a_request_may_succeed_later_only_after_one_of_these_ten_codes() -> None:
    assert {code for code in range(-33_000, 1) if is_transient(code)} == TRANSIENT


def test_an_unknown_code_is_documented_nowhere_and_proves_nothing() -> None:
    assert find(-31999) is None
    assert not is_documented(-31999)
    assert not proves_no_charge(-31999)
