"""The card is always masked, and the buyer's phone is never printed."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slips import LANGUAGES, SlipPress, TemplateError, sample_data

PAN = "8600123412343456"
PHONE = "998901112233"


def card(press: SlipPress, number: object, placeholder: str = "${receipt.card.number}") -> str:
    template = press.load_text(f"<slip><line>{placeholder}</line></slip>".encode(), "test")
    return press.make(template, {"operation": "pay", "receipt": {"card": {"number": number}}}, 80).lines[0]


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        (PAN, "860012******3456"),
        ("8600 1234 1234 3456", "860012******3456"),
        ("8600-1234-1234-3456", "860012******3456"),
        ("860012******3456", "860012******3456"),
        ("860012xxxxxx3456", "860012******3456"),
        ("************3456", "************3456"),
        ("123456789012", "123456**9012"),
        ("3456", "****3456"),
        ("12345678901", "****8901"),
        ("8" * 64, "888888*********8888"),
        ("８６００１２３４１２３４３４５６", "****************"),
        ("", ""),
        (None, ""),
        (8600123412343456, ""),
        ({"ru": PAN}, ""),
    ],
)
def test_at_most_the_first_six_and_the_last_four_digits_are_shown(
    press: SlipPress, number: object, printed: str
) -> None:
    assert card(press, number) == printed
    assert card(press, number, "${receipt.card.number|mask}") == printed


@settings(deadline=None)
@given(number=st.text(alphabet="0123456789 *-x", max_size=64))
def test_no_card_number_shows_more_than_ten_digits(press: SlipPress, number: str) -> None:
    printed = card(press, number)
    assert sum(sign.isdigit() for sign in printed) <= 10
    assert len(printed) <= 19


@pytest.mark.parametrize("language", LANGUAGES)
def test_neither_card_nor_phone_leaks_through_the_servers_free_texts(press: SlipPress, language: str) -> None:
    template = press.load_text(
        b"<slip><line>${receipt.merchant.name}</line><line>${receipt.description}</line>"
        b"<qr>${receipt.account.order_id}</qr><line>${receipt.account.other}</line></slip>",
        "test",
        language,
    )
    receipt = {
        "card": {"number": PAN},
        "payer": {"phone": f"+{PHONE}"},
        "merchant": {"name": f"Shop {PAN}", "payer": {"phone": PHONE}},
        "description": f"tel +{PHONE}, 901112233",
        "account": [{"name": "order_id", "value": int(PHONE)}, {"name": "other", "value": PAN}],
    }
    made = press.make(template, {"operation": "pay", "receipt": receipt}, 80)
    for text in (made.xml, "\n".join(made.lines)):
        assert PAN not in text
        assert PHONE[-9:] not in text
    assert made.lines[0] == "Shop ****************"


def test_a_phone_that_is_a_number_is_found_too(press: SlipPress) -> None:
    template = press.load_text(b"<slip><line>${receipt.description}</line></slip>", "test")
    data = {"operation": "pay", "receipt": {"payer": {"phone": int(PHONE)}, "description": PHONE}}
    assert press.make(template, data, 80).lines == ("998*********",)


@pytest.mark.parametrize(
    "name", ["receipt.payer.phone", "receipt.merchant.payer.phone", "receipt.account.phone", "phone"]
)
def test_no_template_can_name_the_phone(press: SlipPress, name: str) -> None:
    with pytest.raises(TemplateError, match="the buyer's phone is never printed"):
        press.load_text(f"<slip><line>${{{name}}}</line></slip>".encode(), "test")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_shipped_slip_prints_the_phone(press: SlipPress, language: str) -> None:
    data = sample_data("pay")
    receipt = data["receipt"]
    assert isinstance(receipt, dict)
    receipt["payer"] = {"phone": PHONE}
    made = press.make(press.load(None, language), data, 48)
    assert PHONE not in made.xml + "".join(made.lines)
