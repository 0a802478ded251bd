"""Which amounts and lists of items are valid; an invalid one is refused with one sentence."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hookspecs import GoodsKind, Item, ItemFiscal
from payme_plugin.cli.params import AMOUNT, items_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import CommandTill

pytestmark = pytest.mark.floor

LARGEST = 2**63 - 1
BREAD = {"name": "Хлеб", "quantity": "1", "price": 400_000, "amount": 400_000}
FISCAL = {"code": "0190", "package_code": "1520285", "vat_percent": 12}
CODE = ("--qr", "00770000000000000001")


# ---------------------------------------------------------------------------------------------------------------------
# Amounts
# ---------------------------------------------------------------------------------------------------------------------


def tiyin_of(text: str) -> int:
    amount: int = AMOUNT.convert(text, None, None)
    return amount


@given(amount=st.integers(min_value=1, max_value=LARGEST))
@example(10)
@example(LARGEST)
def test_every_amount_can_be_written_and_read_back(amount: int) -> None:
    assert tiyin_of(f"{amount // 100}.{amount % 100:02d}") == amount
    assert tiyin_of(str(Decimal(amount) / 100)) == amount


@pytest.mark.parametrize(
    "text",
    [
        *("0", "0.00", "-1", "+1", "10.005", "NaN", "Infinity", "1e9", "", " 1", "1\n", "1.", ".5", "15,000.00"),
        *("1_000", "0x10", "٣", "１５", "1.٣", "15000 UZS", "\x00", "\udcff", "92233720368547758.08", "9" * 5000),
    ],
)
def test_any_other_amount_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(click.BadParameter) as refused:
        tiyin_of(text)

    sentence = refused.value.message
    assert re.search(r"use a positive number|at most", sentence)
    assert (len(sentence) < 200, "\n" in sentence) == (True, False)


@given(text=st.text("0123456789.-+e ٣x", max_size=22))
@example("10.005")
def test_only_plain_decimals_above_zero_ever_pass(text: str) -> None:
    try:
        amount = tiyin_of(text)
    except click.BadParameter:
        return
    assert re.fullmatch(r"[0-9]+(\.[0-9]{1,2})?", text)
    assert 0 < amount == Decimal(text) * 100 <= LARGEST


# ---------------------------------------------------------------------------------------------------------------------
# Items
# ---------------------------------------------------------------------------------------------------------------------


def test_every_member_of_an_item_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "items.json"
    more = {"quantity": "0.250", "barcode": "478", "goods": "tobacco", "marking": "0104", "fiscal": FISCAL}
    path.write_text(json.dumps([BREAD, {**BREAD, **more}]), encoding="utf-8")

    assert items_in(str(path)) == (
        Item(name="Хлеб", quantity=Decimal(1), price=400_000, amount=400_000),
        Item(
            name="Хлеб",
            quantity=Decimal("0.250"),
            price=400_000,
            amount=400_000,
            barcode="478",
            goods=GoodsKind.TOBACCO,
            marking="0104",
            fiscal=ItemFiscal(code="0190", package_code="1520285", vat_percent=12),
        ),
    )


QUANTITY = 'items[0].quantity: use a number above 0 as a text, e.g. "0.250"'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is not a JSON list of items"),
        ('[{"name": "a", "name": "b"}]', "it is not a JSON list of items"),
        ('"' + "x" * 1_048_576 + '"', "it is not a JSON list of items of at most 1048576 bytes"),
        ([BREAD] * 1001, "items: use a list of at most 1000 items"),
        ([{**BREAD, "colour": ""}], "items[0]: use an object with name, quantity, price and amount"),
        ([BREAD, {**BREAD, "price": 4000.5}], "items[1].price: use whole tiyin, 0 to 9223372036854775807"),
        ([{**BREAD, "name": "x" * 1001}], "items[0].name: use a text of at most 1000 characters"),
        ([{**BREAD, "goods": "arms"}], "items[0].goods: use ordinary, marked, alcohol, tobacco, shoes or"),
        *(([{**BREAD, "quantity": each}], QUANTITY) for each in ("0", "1e999999", "0.0000000001", 1, "١")),
        ([{**BREAD, "fiscal": {}}], "items[0].fiscal: use an object with code, package_code and vat_percent"),
        *(
            ([{**BREAD, "fiscal": {**FISCAL, name: value}}], f"items[0].fiscal.{name}: use {allowed}")
            for name, value, allowed in (
                ("vat_percent", 101, "a whole number, 0 to 100"),
                ("units", -1, "a whole number, 0 to"),
                ("discount", -1, "whole tiyin, 0"),
            )
        ),
    ],
)
def test_a_file_that_can_not_be_used_is_refused_in_one_sentence(shop: CommandTill, content: object, said: str) -> None:
    path = shop.conf.with_name("items.json")
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    for command in (["pay", *CODE], ["refund", "p1"]):
        ended = shop.run(*command, "--items", str(path))
        assert ended.code == 2
        (sentence,) = ended.sentences
        assert [each for each in ("--items", str(path), said) if each not in sentence] == []
    for language in ("ru", "uz"):
        allowed = shop.run("refund", "p1", "--items", str(path), "--lang", language).err.rpartition(str(path))[2]
        assert not re.search("(?i)use|must|allowed|cli[.]|JSON list", allowed), allowed
    assert not shop.folder.exists()


def test_a_sale_needs_an_amount_or_items_that_agree_with_it(shop: CommandTill) -> None:
    path = shop.conf.with_name("items.json")
    items = ("--items", str(path))
    for listed, options, said in (
        ([BREAD], (), "Give --amount or --items."),
        ([BREAD], (*items, "--amount", "1"), "4 000.00"),
        ([BREAD], (*items, "--goods", "shoes"), "--goods"),
        ([BREAD], ("--amount", "1", "--goods", "weapons"), "'ordinary', 'marked'"),
        ([], items, "The items come to 0.00; allowed are 0.01 to"),
        ([BREAD], ("--items", "/nowhere/items.json"), "/nowhere/items.json can't be read: No such file or directory"),
    ):
        path.write_text(json.dumps(listed), encoding="utf-8")
        ended = shop.run("pay", *CODE, *options)
        (sentence,) = ended.sentences
        assert (ended.code, said in sentence, shop.folder.exists()) == (2, True, False), sentence

    path.write_text(json.dumps([BREAD, BREAD]), encoding="utf-8")
    paid = shop.run("pay", *CODE, *items, "--amount", "8000", "--json")
    assert (paid.code, paid.document["amount"]) == (0, 800_000)
