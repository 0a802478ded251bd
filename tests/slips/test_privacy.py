"""The card is always masked, and the buyer's phone is never printed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slips import LANGUAGES, SlipRenderer, TemplateError, sample_data

PAN = "8600123412343456"
PHONE = "998901112233"
MASKED = "860012******3456"
FULL_WIDTH = "".join(chr(0xFF10 + int(digit)) for digit in PAN)


def printed(renderer: SlipRenderer, body: str, receipt: dict[str, object]) -> tuple[str, ...]:
    template = renderer.load_text(f"<slip>{body}</slip>".encode(), "test")
    return renderer.render(template, {"operation": "pay", "receipt": receipt}, 80).lines


def described(renderer: SlipRenderer, text: object, card_number: object = MASKED, phone: object = PHONE) -> str:
    """Print a text that the server wrote freely."""
    receipt = {"card": {"number": card_number}, "payer": {"phone": phone}, "description": text}
    return printed(renderer, "<line>${receipt.description}</line>", receipt)[0]


def stars(text: str) -> str:
    return "".join("*" if sign.isdigit() else sign for sign in text)


@pytest.mark.parametrize(
    ("number", "masked"),
    [
        (PAN, MASKED),
        ("8600 1234-1234 3456", MASKED),
        (MASKED, MASKED),
        ("860012xxxxxx3456", MASKED),
        ("************3456", "************3456"),
        ("123456789012", "123456**9012"),
        ("12345678901", "****8901"),
        ("8" * 64, "888888*********8888"),
        (FULL_WIDTH, "*" * 16),
        ("", ""),
        (None, ""),
        ({"ru": PAN}, ""),
    ],
)
def test_at_most_the_first_six_and_last_four_digits_show(renderer: SlipRenderer, number: object, masked: str) -> None:
    for placeholder in ("${receipt.card.number}", "${receipt.card.number|mask}"):
        assert printed(renderer, f"<line>{placeholder}</line>", {"card": {"number": number}}) == (masked,)


@given(number=st.text(alphabet="0123456789 *-x", max_size=64))
def test_no_card_number_shows_more_than_ten_digits(renderer: SlipRenderer, number: str) -> None:
    (shown,) = printed(renderer, "<line>${receipt.card.number}</line>", {"card": {"number": number}})
    assert sum(sign.isdigit() for sign in shown) <= 10
    assert len(shown) <= 19


@pytest.mark.parametrize(
    "name", ["receipt.payer.phone", "receipt.merchant.payer.phone", "receipt.account.phone", "phone"]
)
def test_no_template_can_name_the_phone(renderer: SlipRenderer, name: str) -> None:
    with pytest.raises(TemplateError, match="the buyer's phone is never printed"):
        renderer.load_text(f"<slip><line>${{{name}}}</line></slip>".encode(), "test")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_shipped_slip_prints_a_tax_number_but_neither_phone_nor_card(renderer: SlipRenderer, language: str) -> None:
    data = sample_data("pay")
    account = {"xEntityTaxpayerID": "30101850123456"}
    merchant = {"name": f"Shop {PAN}", "address": f"tel +{PHONE}"}
    data["receipt"] = {"card": {"number": PAN}, "payer": {"phone": PHONE}, "merchant": merchant, "account": account}
    made = renderer.render(renderer.load(None, language), data, 48)
    text = made.xml + "\n".join(made.lines)
    assert [each in text for each in (PAN, PHONE[-9:], MASKED, "30101850123456")] == [False, False, True, True]


# The receipt's own card and phone, wherever the server repeats them


@given(
    known=st.sampled_from([PAN, MASKED, "8600 12** **** 3456", "8600/1234.1234-3456", FULL_WIDTH, int(PAN)]),
    before=st.text(alphabet="abz .№(", max_size=6),
    groups=st.lists(st.integers(1, 8), max_size=6),
    between=st.sampled_from(["", " ", "-", " - ", "–", ".", "\u00a0", "/", "_"]),
    zero=st.sampled_from([ord("0"), 0xFF10, 0x0660]),
    behind=st.text(alphabet="xyz ,)", max_size=6),
)
def test_the_card_comes_through_in_no_grouping_or_script(
    renderer: SlipRenderer, known: object, before: str, groups: list[int], between: str, zero: int, behind: str
) -> None:
    pieces, rest = list[str](), "".join(chr(zero + int(digit)) for digit in PAN)
    for length in groups:
        pieces, rest = [*pieces, rest[:length]], rest[length:]
    written = between.join(piece for piece in [*pieces, rest] if piece)
    shown = described(renderer, f"{before}{written}{behind}", known)
    assert not any(sign.isdigit() for sign in shown)
    assert stars(written).replace("\u00a0", " ") in shown, "nothing else is hidden"


@pytest.mark.parametrize("place", ["receipt", "payer", "merchant"])
@pytest.mark.parametrize("phone", [PHONE, int(PHONE), "+998 (90) 111-22-33", PHONE[-9:]])
@pytest.mark.parametrize("written", [PHONE, "+998 90 111-22-33", "(90) - 111 - 22 - 33", "998_90_111_22_33"])
def test_the_buyers_phone_becomes_stars_in_any_grouping_and_from_each_place_where_payme_puts_it(
    renderer: SlipRenderer, place: str, phone: object, written: str
) -> None:
    receipt: dict[str, object] = {"phone": phone}
    for holder in {"payer": ["payer"], "merchant": ["payer", "merchant"]}.get(place, []):
        receipt = {holder: receipt}
    (shown,) = printed(renderer, "<line>${receipt.description}</line>", {**receipt, "description": f"tel {written}!"})
    assert len([sign for sign in shown if sign.isdigit()]) <= 3, "at most the country code is left"


def test_a_card_is_found_in_a_value_of_any_type_and_in_two_fields_of_one_text(renderer: SlipRenderer) -> None:
    assert described(renderer, {"ru": PAN}) == described(renderer, int(PAN)) == "*" * 16
    assert described(renderer, float(PAN)) == "*" * 16 + ".0"
    assert described(renderer, "860012㉞ 12343456") == "******* ********", "one sign that is printed as two digits"
    body = "<line>${receipt.account.a} ${receipt.account.b}</line><line>${receipt.commission}</line>"
    receipt = {"card": {"number": PAN}, "account": {"a": PAN[:8], "b": PAN[8:]}, "commission": int(PAN), "_id": PAN}
    assert printed(renderer, f"{body}<line>${{receipt_id}}</line>", receipt) == (
        "******** ********",
        "** *** *** *** ***.**",
        "*" * 16,
    )


# Every other number stays


@pytest.mark.parametrize(
    "text",
    [
        "8600495473316478",  # a right check digit
        "30101850123456",
        "550e8400-e29b-41d4-a716-446655440000",
        "1 234 500.00 + 12 345 678.90",
        MASKED,
        "8600121234123457",
        "90001234567 / 92001234",
    ],
)
@pytest.mark.parametrize("card_number", [None, PAN, MASKED, "************3456", "3456", []])
def test_tax_numbers_order_numbers_and_others_stay(renderer: SlipRenderer, text: str, card_number: object) -> None:
    assert described(renderer, text, card_number) == text


@given(number=st.text("0123456789", min_size=9, max_size=20), phone=st.sampled_from([PHONE, "", "12345678", None]))
def test_a_number_is_hidden_only_if_it_holds_card_or_phone(renderer: SlipRenderer, number: str, phone: object) -> None:
    is_private = PHONE[-9:] in number or re.search("860012......3456", number)
    assert (described(renderer, number, phone=phone) == number) == (not is_private)
