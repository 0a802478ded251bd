"""A server that repeats the buyer's code or the key: it is redacted, in whatever shape it comes."""

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
from tests.protocol.conftest import RECEIPT, begin_check

if TYPE_CHECKING:
    from faults.server import Connection
    from tests.protocol.conftest import ClientOf, Serve, Time

CODE = "90172612939123456789"
SHORT = "417263"
CARD = "8600123456789012"
FAR = 4096
BETWEEN = st.text(alphabet=" .,-_/()\u00a0\u2011ab\n", max_size=4)


def redacted(value: object, *secrets: Secret) -> object:
    receipt = {"detail": value}
    result: dict[str, object] = {"receipt": receipt}
    redact_in_place(result, secrets, json.dumps(result, ensure_ascii=False).encode())
    return receipt["detail"]


@given(code=st.from_regex(r"[0-9]{8,64}", fullmatch=True), data=st.data())
def test_a_code_is_found_whatever_stands_between_its_digits(code: str, data: st.DataObject) -> None:
    shown = code[0] + "".join(data.draw(BETWEEN) + digit for digit in code[1:])
    text = str(redacted(f"оплата {shown} принята", Secret(code)))
    assert code not in re.sub(r"[^0-9]", "", text)
    assert text.startswith("оплата ***")
    assert text.endswith(" принята")


@pytest.mark.parametrize("text", [f"№{SHORT}", f"code={SHORT}.", SHORT])
def test_a_short_code_is_found_as_a_whole_number(text: str) -> None:
    assert redacted(text, Secret(SHORT)) == text.replace(SHORT, "***")


@pytest.mark.parametrize("text", [f"1{SHORT}", f"{SHORT}0", "41.72.63", "4172:63", RECEIPT])
def test_a_short_code_inside_another_number_stays(text: str) -> None:
    assert redacted(text, Secret(SHORT)) == text


@given(text=st.text(alphabet="0123456789 .-a"), code=st.from_regex(r"[0-9]{6,9}", fullmatch=True))
def test_what_does_not_repeat_the_code_stays_as_it_is(text: str, code: str) -> None:
    if code not in re.sub(r"[^0-9]", "", text):
        assert redact(text, Secret(code)) == text


def test_every_repetition_of_a_code_is_redacted_and_the_usual_id_of_a_receipt_stays() -> None:
    code = "12345678"
    assert redacted(f"{code} {code}, 1234 5678", Secret(code)) == "*** ***, ***"
    assert redacted("ab12345678ab12345678abcd", Secret(code)) == "ab12345678ab12345678abcd"


def test_a_code_of_an_ids_length_is_redacted_though_an_id_may_look_so() -> None:
    code = "123456789012345678901234"
    assert redacted(code, Secret(code)) == "***"
    assert redacted(code[::-1], Secret(code)) == code[::-1]


def test_a_code_that_comes_as_a_number_is_redacted() -> None:
    assert redacted(int(CODE), Secret(CODE)) == "***"
    assert redacted(int(SHORT), Secret(SHORT)) == int(SHORT), "it may be an amount"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("code", ["12345678", "111111"])
def test_a_long_text_full_of_the_code_takes_no_longer_than_another(code: str) -> None:
    text = redact(f"{code} " * 100_000, Secret(code))
    assert text == "*** " * 100_000
    assert redact("1" * 750_000, Secret("111111")) == "1" * 750_000


@pytest.mark.parametrize("shown", ["0827 - 1612 - 939", "0827/1612/939", "08271612939"])
def test_a_code_is_redacted_in_an_errors_words(shown: str) -> None:
    assert display_text(f"код {shown} не принят", [Secret("08271612939")]) == "код *** не принят"


def test_a_code_is_redacted_in_the_answers_that_follow_its_own(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def repeating(connection: Connection) -> None:
        while request := connection.read_request():
            receipt = {"_id": RECEIPT, "state": 4, "description": f"код {CODE[:8]} {CODE[8:]}"}
            connection.answer(request, result={"receipt": receipt})

    client = client_of(serve(repeating).url)
    client.begin("receipts.pay", receipts.pay(RECEIPT, Secret(CODE)), time.monotonic() + 5).answer()
    assert receipts.receipt_of(begin_check(client).answer()).raw["description"] == "код ***"


@pytest.mark.floor
@given(
    kept=st.integers(0, 40),
    number=st.sampled_from([CARD, "8600 1234 5678 9012", "8600-1234-5678-9012", "+998 (90) 111-22-33", "123456"]),
    blank=st.sampled_from([" ", "\n", "\x00", "\u00a0"]),
)
def test_a_number_is_masked_wherever_a_long_text_is_cut(kept: int, number: str, blank: str) -> None:
    # All the blanks become one, so that what stands far behind is what is shown.
    shown = display_text(f"no{blank * (FAR - 2 - kept)}{number} and more", ())
    assert shown.startswith("no")
    # Of a whole number its last four digits are shown; of one that may go on behind the cut, none.
    assert sum(letter.isdigit() for letter in shown) == (4 if kept > len(number) + 1 else 0)


@pytest.mark.floor
@pytest.mark.parametrize("kept", [0, 1, 5, 12, 17, 30])
def test_a_secret_is_redacted_wherever_a_long_text_is_cut(kept: int) -> None:
    key, code = Secret("k3y-canary-of-ours"), Secret("90172612939")
    for said in ("k3y-canary-of-ours", "90172612939", "9017 - 2612 - 939", "9 0 1 7 2 6 1 2 9 3 9"):
        shown = display_text(f"no{' ' * (FAR - 2 - kept)}{said} and more", [key, code])
        assert "canary" not in shown
        assert not any(letter.isdigit() for letter in shown)


@pytest.mark.floor
def test_a_long_text_is_shown_as_far_as_a_short_one() -> None:
    assert display_text("Карта не найдена. " * 500, ()) == ("Карта не найдена. " * 500)[:300]
    assert display_text("1" * 10_000, ()) == "*" * 300
    assert display_text("x" * FAR + "1", ()) == "x" * 300
