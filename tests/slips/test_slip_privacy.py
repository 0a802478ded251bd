"""The card is always masked, and the buyer's phone is never printed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slips import LANGUAGES, SlipRenderer, TemplateError, sample_data

PAN = "8600123412343456"
PHONE = "998901112233"
CARDS = (
    "8600495473316478",
    "9860010112345674",
    "4111111111111111",
    "378282246310005",
    "4222222222222",
    "6304000000000000000",
)


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


def test_a_phone_that_is_a_number_is_found_too(renderer: SlipRenderer) -> None:
    template = renderer.load_text(b"<slip><line>${receipt.description}</line></slip>", "test")
    data = {"operation": "pay", "receipt": {"payer": {"phone": int(PHONE)}, "description": PHONE}}
    assert renderer.render(template, data, 80).lines == ("998*********",)


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


def described(
    renderer: SlipRenderer, text: object, card_number: object = "860012******3456", phone: str = PHONE
) -> str:
    """Print a free text of the server's."""
    receipt = {"card": {"number": card_number}, "payer": {"phone": phone}, "description": text}
    template = renderer.load_text(b"<slip><line>${receipt.description}</line></slip>", "test")
    return renderer.render(template, {"operation": "pay", "receipt": receipt}, 80).lines[0]


@pytest.mark.parametrize("number", ["", "860012******3456", PAN])
@pytest.mark.parametrize(
    "written", [PAN, *CARDS, "8600 1234 1234 3456", "8600-4954-7331-6478", "8600  4954 – 73316478"]
)
def test_a_card_in_a_free_text_is_struck_out_whatever_the_receipts_own_card_is(
    renderer: SlipRenderer, number: str, written: str
) -> None:
    count = sum(sign.isdigit() for sign in written)
    for before, behind in (("", ""), ("Shop ", "."), ("tel.12 ", " кв. 5"), ("card", ""), ("№", "/2")):
        assert described(renderer, before + written + behind, number) == before + "*" * count + behind


def test_a_card_that_came_as_a_number_or_in_other_digits_is_struck_out_too(renderer: SlipRenderer) -> None:
    assert described(renderer, 8600495473316478) == "*" * 16
    assert described(renderer, 8600495473316478.0) == "*" * 16 + ".0"
    assert described(renderer, {"ru": "8600495473316478"}) == "*" * 16
    assert described(renderer, "".join(chr(0xFF10 + int(digit)) for digit in CARDS[0])) == "*" * 16


@pytest.mark.parametrize(
    "written",
    [
        "+998 90 111-22-33",
        "998 (90) 111 22 33",
        "90-111-22-33",
        "(90) - 111 - 22 - 33",
        "+998/90/1112233",
        "998_90_111_22_33",
        "90.111.22.33",
    ],
)
def test_the_phone_is_struck_out_however_it_is_written(renderer: SlipRenderer, written: str) -> None:
    printed = described(renderer, f"tel {written}!")
    assert "*********!" in printed
    assert {*printed} <= {*"tel +998/_ (.*!"}


@pytest.mark.parametrize(
    "text",
    [
        "65f0a1b2c3d4e5f601234567",
        "a8600495473316478b0000000",
        "5e8600495473316478",
        "550e8400-e29b-41d4-a716-446655440000",
        "3-12-118-1",
        "12-8600-118-1",
        "301234567890",
        "8600495473316479",
        "86004954733164781234",
        "1 234 500.00 + 12 345 678.90",
        "31.01.2026 14:33:16",
        "860012******3456",
        "90001234567 / 92001234",
        "909111-22-33",
    ],
)
def test_ids_order_numbers_amounts_and_times_stay_as_they_are(renderer: SlipRenderer, text: str) -> None:
    assert described(renderer, text) == text.replace("8600495473316479", "*" * 16)


@given(
    before=st.text(alphabet="abz .№(", max_size=6),
    card=st.sampled_from([PAN, *CARDS]),
    groups=st.lists(st.integers(4, 8), max_size=4),
    between=st.sampled_from(["", " ", "-", " -", "\u2013", "."]),
    behind=st.text(alphabet="xyz ,)", max_size=6),
)
def test_no_card_comes_through_in_any_grouping(
    renderer: SlipRenderer, before: str, card: str, groups: list[int], between: str, behind: str
) -> None:
    pieces: list[str] = []
    rest = card
    for length in groups:
        pieces, rest = [*pieces, rest[:length]], rest[length:]
    written = between.join(piece for piece in [*pieces, rest] if piece)
    printed = described(renderer, f"{before.rstrip('ab')}{written}{behind}")
    assert not any(sign.isdigit() for sign in printed)


@given(identifier=st.text("0123456789abcdef", min_size=24, max_size=24).filter(lambda text: not text.isdigit()))
def test_a_receipts_id_is_never_struck_out(renderer: SlipRenderer, identifier: str) -> None:
    assert described(renderer, f"{identifier} {identifier}", phone="") == f"{identifier} {identifier}"
