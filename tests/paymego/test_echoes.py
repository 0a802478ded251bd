"""A server that says the buyer's code or the kassa's key again: it is struck out, in whatever shape it comes."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.paymego import receipts
from payme_plugin.paymego.redaction import display_text, redact, redact_in_place
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.paymego.client import PaymeGoClient
    from tests.paymego.conftest import Peer, Time, Visit

    ClientOf = Callable[..., PaymeGoClient]
    Serve = Callable[..., Peer]

CODE = "90172612939123456789"
SHORT = "417263"
RECEIPT = "65f0a1b2c3d4e5f601234567"
BETWEEN = st.text(alphabet=" .,-_/()\u00a0\u2011ab\n", max_size=4)


def struck_out(value: object, *secrets: Secret) -> object:
    receipt = {"detail": value}
    result: dict[str, object] = {"receipt": receipt}
    redact_in_place(result, secrets, json.dumps(result, ensure_ascii=False).encode())
    return receipt["detail"]


@given(code=st.from_regex(r"[0-9]{8,64}", fullmatch=True), data=st.data())
def test_a_code_is_found_whatever_stands_between_its_digits(code: str, data: st.DataObject) -> None:
    shown = code[0] + "".join(data.draw(BETWEEN) + digit for digit in code[1:])
    told = str(struck_out(f"оплата {shown} принята", Secret(code)))
    assert code not in re.sub(r"[^0-9]", "", told)
    assert told.startswith("оплата ***")
    assert told.endswith(" принята")


@pytest.mark.parametrize("text", [f"№{SHORT}", f"code={SHORT}.", SHORT])
def test_a_short_code_is_found_as_a_whole_number(text: str) -> None:
    assert struck_out(text, Secret(SHORT)) == text.replace(SHORT, "***")


@pytest.mark.parametrize("text", [f"1{SHORT}", f"{SHORT}0", "41.72.63", "4172:63", RECEIPT])
def test_a_short_code_inside_another_number_stays(text: str) -> None:
    assert struck_out(text, Secret(SHORT)) == text


@given(text=st.text(alphabet="0123456789 .-a"), code=st.from_regex(r"[0-9]{6,9}", fullmatch=True))
def test_what_does_not_repeat_the_code_stays_as_it_is(text: str, code: str) -> None:
    if code not in re.sub(r"[^0-9]", "", text):
        assert redact(text, Secret(code)) == text


def test_every_echo_of_a_code_is_struck_out_and_the_usual_id_of_a_receipt_stays() -> None:
    code = "12345678"
    assert struck_out(f"{code} {code}, 1234 5678", Secret(code)) == "*** ***, ***"
    assert struck_out("ab12345678ab12345678abcd", Secret(code)) == "ab12345678ab12345678abcd"


def test_a_code_of_an_ids_length_is_struck_out_though_an_id_may_look_so() -> None:
    code = "123456789012345678901234"
    assert struck_out(code, Secret(code)) == "***"
    assert struck_out(code[::-1], Secret(code)) == code[::-1]


def test_a_code_that_comes_as_a_number_is_struck_out() -> None:
    assert struck_out(int(CODE), Secret(CODE)) == "***"
    assert struck_out(int(SHORT), Secret(SHORT)) == int(SHORT), "it may be an amount"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("code", ["12345678", "111111"])
def test_a_long_text_full_of_the_code_takes_no_longer_than_another(code: str) -> None:
    told = redact(f"{code} " * 100_000, Secret(code))
    assert told == "*** " * 100_000
    assert redact("1" * 750_000, Secret("111111")) == "1" * 750_000


@pytest.mark.parametrize("shown", ["0827 - 1612 - 939", "0827/1612/939", "08271612939"])
def test_a_code_is_struck_out_of_an_errors_words(shown: str) -> None:
    assert display_text(f"код {shown} не принят", [Secret("08271612939")]) == "код *** не принят"


def test_a_code_is_struck_out_of_the_answers_that_follow_its_own(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def forgetful(visit: Visit) -> None:
        while heard := visit.request():
            receipt = {"_id": RECEIPT, "state": 4, "description": f"код {CODE[:8]} {CODE[8:]}"}
            visit.answer(heard, result={"receipt": receipt})

    client = client_of(serve(forgetful).url)
    client.begin("receipts.pay", receipts.pay(RECEIPT, Secret(CODE)), time.after(5)).answer()
    answer = client.begin("receipts.get", receipts.by_id(RECEIPT), time.after(5)).answer()
    assert receipts.receipt_of(answer).raw["description"] == "код ***"
