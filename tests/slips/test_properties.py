"""Any receipt that the server could send becomes a valid slip from which the facts can be read back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slips import LANGUAGES, OPERATIONS, SlipRenderer
from slips.characters import clean, text_width
from slips.source import read_xml

if TYPE_CHECKING:
    from collections.abc import Mapping

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=[]), max_size=60) | st.sampled_from(
    [
        "\x00\x1b[2J",
        "\u202eevil",
        "\ud800",
        "a\u0301" * 30,
        "商" * 40,
        "\u00a0",
        "]]>",
        "${amount}",
        "x" * 2000,
        "\ufffe",
    ]
)
TIYIN = st.integers(0, 10**15) | st.just(2**63 - 1)
MOMENT = st.integers(-(10**6), 10**14)
TITLE = ANY_TEXT | st.dictionaries(st.sampled_from(["ru", "uz", "en"]), ANY_TEXT)
JUNK = st.none() | st.booleans() | st.integers() | st.floats() | st.lists(ANY_TEXT, max_size=2)


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Return objects with any of these fields."""
    return st.fixed_dictionaries({}, optional=fields)


NAMES = st.sampled_from(["order_id", "xEntityTaxpayerID"]) | ANY_TEXT
ENTRY = some(name=NAMES, title=TITLE, value=ANY_TEXT | st.integers(), main=st.booleans())
MERCHANT = some(
    name=ANY_TEXT | JUNK,
    organization=ANY_TEXT,
    address=TITLE,
    epos=some(merchantId=ANY_TEXT, terminalId=ANY_TEXT) | JUNK,
    type=TITLE,
    payer=some(phone=ANY_TEXT),
)
RECEIPT = some(
    _id=ANY_TEXT,
    create_time=MOMENT | JUNK,
    pay_time=MOMENT,
    cancel_time=MOMENT,
    state=st.integers(),
    amount=TIYIN | JUNK,
    commission=TIYIN | JUNK,
    account=st.lists(ENTRY, max_size=4) | JUNK,
    card=some(number=ANY_TEXT, expire=ANY_TEXT) | JUNK,
    merchant=MERCHANT | JUNK,
    payer=some(phone=ANY_TEXT) | JUNK,
    description=ANY_TEXT,
)
DATA = st.builds(
    lambda always, sometimes: always | sometimes,
    st.fixed_dictionaries(
        {
            "operation": st.sampled_from(OPERATIONS),
            "amount": TIYIN,
            "receipt_id": st.text("0123456789abcdef", min_size=24, max_size=24),
            "receipt": RECEIPT | JUNK,
        }
    ),
    some(
        paid_at=MOMENT,
        reversed_at=MOMENT,
        till=ANY_TEXT,
        shift=st.integers(),
        number=st.integers(),
        sale=some(shift=st.integers(), number=st.integers()),
        status=ANY_TEXT,
    ),
)


def without_spaces(text: str) -> str:
    return "".join(text.split())


@pytest.mark.parametrize("language", LANGUAGES)
@given(data=DATA, width=st.integers(24, 80))
def test_any_receipt_fills_a_shipped_template(
    renderer: SlipRenderer, language: str, data: Mapping[str, object], width: int
) -> None:
    template = renderer.load(None, language)
    made = renderer.render(template, data, width)

    assert all(text_width(line) <= width for line in made.lines)
    assert all(line.isprintable() for line in made.lines), "no control bytes, nothing invisible"
    assert made == renderer.render(template, data, width), "twice the same bytes"
    made.xml.encode()

    root = read_xml(made.xml.encode()).root
    printed = without_spaces("".join(made.lines))
    amount = data["amount"]
    assert isinstance(amount, int)
    sums = f"{amount // 100}.{amount % 100:02d}"
    assert any(without_spaces(pair.text or "").startswith(sums) for pair in root.iter("pair"))
    assert sums in printed
    assert str(data["receipt_id"]) in printed


CARD_NUMBER = st.from_regex(r"[0-9]{6}(\*{6}|[0-9]{3,9})[0-9]{4}", fullmatch=True)


@pytest.mark.parametrize("language", LANGUAGES)
@given(number=CARD_NUMBER, width=st.integers(24, 80))
def test_the_card_can_be_read_back_by_its_ends(renderer: SlipRenderer, language: str, number: str, width: int) -> None:
    made = renderer.render(
        renderer.load(None, language), {"operation": "pay", "receipt": {"card": {"number": number}}}, width
    )
    masked = number[:6] + "*" * (len(number) - 10) + number[-4:]
    assert masked in without_spaces("".join(made.lines))
    assert number == masked or number not in made.xml


@given(text=st.text(alphabet=st.characters(exclude_categories=[])))
def test_cleaned_text_is_printable_short_and_clean_already(text: str) -> None:
    once = clean(text)
    assert once.isprintable()
    assert len(once) <= 512
    assert clean(once) == once


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a\r\n\t b\u00a0\u2003c ", "a b c"),
        ("a\x07b", "a[U+0007]b"),
        ("\ud800", "[U+D800]"),
        ("\u202eabc", "[U+202E]abc"),
        ("\U000f0000", "[U+F0000]"),
        ("и\u0306", "й"),
        ("x" * 600, "x" * 511 + "…"),
    ],
)
def test_characters_that_cannot_be_printed_are_shown_by_their_number(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned
