from __future__ import annotations

import re
from decimal import Decimal

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payme_plugin.cli.params import AMOUNT

pytestmark = pytest.mark.floor

LARGEST = 2**63 - 1


def tiyin_of(text: str) -> int:
    amount: int = AMOUNT.convert(text, None, None)
    return amount


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("15000", 1_500_000),
        ("15000.0", 1_500_000),
        ("15000.00", 1_500_000),
        ("0.01", 1),
        ("0.1", 10),
        ("007.50", 750),
        ("92233720368547758.07", LARGEST),
    ],
)
def test_an_amount_becomes_tiyin(text: str, amount: int) -> None:
    assert tiyin_of(text) == amount


@given(amount=st.integers(min_value=1, max_value=LARGEST))
def test_every_amount_can_be_written_and_read_back(amount: int) -> None:
    assert tiyin_of(f"{amount // 100}.{amount % 100:02d}") == amount
    assert tiyin_of(str(Decimal(amount) / 100)) == amount


@pytest.mark.parametrize(
    "text",
    [
        *("0", "0.00", "000", "-1", "-0", "+1", "10.005", "10.000", "NaN", "nan", "Infinity", "-Infinity", "inf"),
        *("1e9", "1E+2", "", " ", " 1", "1 ", "1\n", "1.", ".5", "1.2.3", "15,000.00", "15000,00", "15 000", "1_000"),
        *("0x10", "٣", "１５", "1.٣", "15000 UZS", "\x00", "\udcff", "92233720368547758.08", "9" * 20, "9" * 5000),
    ],
)
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        tiyin_of(text)

    sentence = refused.value.message
    assert re.search(r"use a positive number|at most", sentence)
    assert len(sentence) < 200
    assert "\n" not in sentence


@given(text=st.text(max_size=30))
@example("1e9")
@example("10.005")
def test_only_plain_decimals_above_zero_ever_pass(text: str) -> None:
    try:
        amount = tiyin_of(text)
    except click.BadParameter:
        return
    assert re.fullmatch(r"[0-9]+(\.[0-9]{1,2})?", text)
    assert 0 < amount == Decimal(text) * 100 <= LARGEST
