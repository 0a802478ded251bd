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


def card(renderer: SlipRenderer, number: object, placeholder: str = "${receipt.card.number}") -> str:
    template = renderer.load_text(f"<slip><line>{placeholder}</line></slip>".encode(), "test")
    return renderer.render(template, {"operation": "pay", "receipt": {"card": {"number": number}}}, 80).lines[0]


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
    renderer: SlipRenderer, number: object, printed: str
) -> None:
    assert card(renderer, number) == printed
    assert card(renderer, number, "${receipt.card.number|mask}") == printed


@given(number=st.text(alphabet="0123456789 *-x", max_size=64))
def test_no_card_number_shows_more_than_ten_digits(renderer: SlipRenderer, number: str) -> None:
    printed = card(renderer, number)
    assert sum(sign.isdigit() for sign in printed) <= 10
    assert len(printed) <= 19


@pytest.mark.parametrize("language", LANGUAGES)
def test_neither_card_nor_phone_leaks_through_the_servers_free_texts(renderer: SlipRenderer, language: str) -> None:
    template = renderer.load_text(
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
    made = renderer.render(template, {"operation": "pay", "receipt": receipt}, 80)
    for text in (made.xml, "\n".join(made.lines)):
        assert PAN not in text
        assert PHONE[-9:] not in text
    assert made.lines[0] == "Shop ****************"


@pytest.mark.parametrize(
    "name", ["receipt.payer.phone", "receipt.merchant.payer.phone", "receipt.account.phone", "phone"]
)
def test_no_template_can_name_the_phone(renderer: SlipRenderer, name: str) -> None:
    with pytest.raises(TemplateError, match="the buyer's phone is never printed"):
        renderer.load_text(f"<slip><line>${{{name}}}</line></slip>".encode(), "test")


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_shipped_slip_prints_the_phone(renderer: SlipRenderer, language: str) -> None:
    data = sample_data("pay")
    receipt = data["receipt"]
    assert isinstance(receipt, dict)
    receipt["payer"] = {"phone": PHONE}
    made = renderer.render(renderer.load(None, language), data, 48)
    assert PHONE not in made.xml + "".join(made.lines)


def described(renderer: SlipRenderer, text: object, card_number: object = MASKED, phone: object = PHONE) -> str:
    """Print a text that the server wrote freely."""
    receipt = {"card": {"number": card_number}, "payer": {"phone": phone}, "description": text}
    template = renderer.load_text(b"<slip><line>${receipt.description}</line></slip>", "test")
    return renderer.render(template, {"operation": "pay", "receipt": receipt}, 80).lines[0]


def stars(text: str) -> str:
    return "".join("*" if sign.isdigit() else sign for sign in text)


# ---------------------------------------------------------------------------------------------------------------------
# The receipt's own card and phone, wherever the server repeats them
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "known",
    [
        PAN,
        MASKED,
        "8600 12** **** 3456",
        "8600-1234-1234-3456",
        "8600.1234.1234.3456",
        "8600/1234/1234/3456",
        "\uff18\uff16\uff10\uff10" + PAN[4:],  # digits of full width
        int(PAN),
    ],
)
@pytest.mark.parametrize(
    "written", [PAN, "8600 1234 1234 3456", "8600-1234-1234-3456", "8600 1234 – 12343456", "8.6.0.0/12341234_3456"]
)
def test_the_receipts_card_becomes_stars_whether_the_server_masked_its_field_or_not(
    renderer: SlipRenderer, known: object, written: str
) -> None:
    for before, behind in (("", ""), ("Shop ", "."), ("card", " кв. 5"), ("№", "/2")):
        assert described(renderer, before + written + behind, known) == before + stars(written) + behind


@pytest.mark.parametrize("place", ["receipt", "payer", "merchant"])
@pytest.mark.parametrize("phone", [PHONE, f"+{PHONE}", int(PHONE), "+998 (90) 111-22-33", PHONE[-9:]])
@pytest.mark.parametrize(
    "written",
    [PHONE, "+998 90 111-22-33", "998 (90) 111 22 33", "90-111-22-33", "(90) - 111 - 22 - 33", "998_90_111_22_33"],
)
def test_the_buyers_phone_becomes_stars_in_any_grouping_and_from_each_place_where_payme_puts_it(
    renderer: SlipRenderer, place: str, phone: object, written: str
) -> None:
    holder = {"phone": phone}
    nested: dict[str, dict[str, object]] = {"payer": {"payer": holder}, "merchant": {"merchant": {"payer": holder}}}
    receipt = nested.get(place, {"phone": phone})
    template = renderer.load_text(b"<slip><line>${receipt.description}</line></slip>", "test")
    data = {"operation": "pay", "receipt": {**receipt, "description": f"tel {written}!"}}
    printed = renderer.render(template, data, 80).lines[0]
    assert PHONE[-9:] not in "".join(sign for sign in printed if sign.isdigit())
    assert len([sign for sign in printed if sign.isdigit()]) <= 3, "at most the country code is left"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        (int(PAN), "*" * 16),
        (float(PAN), "*" * 16 + ".0"),
        ({"ru": PAN}, "*" * 16),
        ("".join(chr(0xFF10 + int(digit)) for digit in PAN), "*" * 16),
        ("".join(chr(0x0660 + int(digit)) for digit in PAN), "*" * 16),
        ("".join("⁰¹²³⁴⁵⁶⁷⁸⁹"[int(digit)] for digit in PAN), "*" * 16),
        ("860012㉞ 12343456", "******* ********"),
    ],
)
def test_digits_of_any_script_and_a_value_of_any_type_are_found(
    renderer: SlipRenderer, text: object, printed: str
) -> None:
    assert described(renderer, text) == printed


def test_a_card_that_is_split_over_two_fields_of_one_text_is_found(renderer: SlipRenderer) -> None:
    template = renderer.load_text(b"<slip><line>${receipt.account.a} ${receipt.account.b}</line></slip>", "test")
    receipt = {"card": {"number": MASKED}, "account": {"a": PAN[:8], "b": PAN[8:]}}
    assert renderer.render(template, {"operation": "pay", "receipt": receipt}, 80).lines == ("******** ********",)


def test_a_card_is_found_in_an_amount_and_in_the_receipts_id_too(renderer: SlipRenderer) -> None:
    template = renderer.load_text(b"<slip><line>${receipt.commission}</line><line>${receipt_id}</line></slip>", "test")
    data = {"operation": "pay", "receipt": {"card": {"number": PAN}, "commission": int(PAN), "_id": PAN}}
    assert renderer.render(template, data, 80).lines == ("** *** *** *** ***.**", "*" * 16)


@given(
    known=st.sampled_from([PAN, MASKED]),
    before=st.text(alphabet="abz .№(", max_size=6),
    groups=st.lists(st.integers(1, 8), max_size=6),
    between=st.sampled_from(["", " ", "-", " -", "–", ".", "\u00a0", "/"]),
    behind=st.text(alphabet="xyz ,)", max_size=6),
)
def test_the_card_comes_through_in_no_grouping(
    renderer: SlipRenderer, known: str, before: str, groups: list[int], between: str, behind: str
) -> None:
    pieces: list[str] = []
    rest = PAN
    for length in groups:
        pieces, rest = [*pieces, rest[:length]], rest[length:]
    written = between.join(piece for piece in [*pieces, rest] if piece)
    assert not any(sign.isdigit() for sign in described(renderer, f"{before}{written}{behind}", known))


# ---------------------------------------------------------------------------------------------------------------------
# Every other number stays
# ---------------------------------------------------------------------------------------------------------------------

LIKE_CARDS = (
    "8600495473316478",
    "9860010112345674",
    "4111111111111111",
    "378282246310005",
    "4222222222222",
    "6304000000000000000",
)
"""Numbers with a right check digit."""


@pytest.mark.parametrize(
    "text",
    [
        *LIKE_CARDS,
        "30101850123456",
        "1001-1203-1002-1",
        "8600 4954 7331 6478",
        "65f0a1b2c3d4e5f601234567",
        "550e8400-e29b-41d4-a716-446655440000",
        "3-12-118-1",
        "301234567890",
        "1 234 500.00 + 12 345 678.90",
        "31.01.2026 14:33:16",
        MASKED,
        "8600121234123457",
        "90001234567 / 92001234",
        "901112234",
    ],
)
@pytest.mark.parametrize("card_number", [None, "", PAN, MASKED, "************3456", "3456", {}, []])
def test_tax_numbers_order_numbers_and_all_others_stay_as_they_are(
    renderer: SlipRenderer, text: str, card_number: object
) -> None:
    assert described(renderer, text, card_number) == text


@given(number=st.text("0123456789", min_size=9, max_size=20), phone=st.sampled_from([PHONE, "", "12345678", None]))
def test_a_number_becomes_stars_only_if_it_holds_the_card_or_the_phone(
    renderer: SlipRenderer, number: str, phone: object
) -> None:
    is_private = PHONE[-9:] in number or re.search("860012......3456", number)
    assert (described(renderer, number, phone=phone) == number) == (not is_private)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_shops_tax_number_is_printed_by_every_shipped_template(renderer: SlipRenderer, language: str) -> None:
    data = sample_data("pay")
    data["receipt"] = {"card": {"number": MASKED}, "account": {"xEntityTaxpayerID": "30101850123456"}}
    assert "30101850123456" in "".join(renderer.render(renderer.load(None, language), data, 48).lines)
