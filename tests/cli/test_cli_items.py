"""Items from a file: what is taken, and one clear sentence for what is not."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookspecs import GoodsKind, Item
from payme_plugin.cli.params import ITEMS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.conftest import Shop

pytestmark = pytest.mark.floor

BREAD = {"name": "Хлеб", "quantity": "1", "price": 400_000, "amount": 400_000}


def read(path: Path) -> tuple[Item, ...]:
    items: tuple[Item, ...] = ITEMS.convert(path, None, None)
    return items


def test_every_member_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "items.json"
    whole = {**BREAD, "quantity": "0.250", "barcode": "478", "goods": "tobacco", "marking": "0104"}
    path.write_text(json.dumps([BREAD, whole]), encoding="utf-8")

    assert read(path) == (
        Item(name="Хлеб", quantity=Decimal(1), price=400_000, amount=400_000),
        Item(
            name="Хлеб",
            quantity=Decimal("0.250"),
            price=400_000,
            amount=400_000,
            barcode="478",
            goods=GoodsKind.TOBACCO,
            marking="0104",
        ),
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is not JSON"),
        ("{}", "a list of at most 1000 items"),
        ("[1]", "item 1 has no amount"),
        (json.dumps([{**BREAD, "colour": "red"}]), "item 1 has 'colour'; allowed are amount, barcode"),
        (json.dumps([BREAD, {**BREAD, "name": 5}]), "item 2: name must be a text"),
        (json.dumps([{**BREAD, "name": "x" * 1001}]), "item 1: name must be a text of at most 1000"),
        (json.dumps([{**BREAD, "price": 4000.5}]), "item 1: price must be whole tiyin"),
        (json.dumps([{**BREAD, "amount": True}]), "item 1: amount must be whole tiyin"),
        (json.dumps([{**BREAD, "amount": -1}]), "item 1: amount must be whole tiyin"),
        (json.dumps([{**BREAD, "quantity": 1}]), 'item 1: quantity must be a number above zero as a text, "1"'),
        (json.dumps([{**BREAD, "quantity": "0"}]), "item 1: quantity"),
        (json.dumps([{**BREAD, "quantity": "NaN"}]), "item 1: quantity"),
        (json.dumps([{**BREAD, "quantity": "1e999999"}]), "item 1: quantity"),
        (json.dumps([{**BREAD, "quantity": "0.0000000001"}]), "item 1: quantity"),
        (json.dumps([{**BREAD, "goods": "weapons"}]), "item 1: goods must be one of ordinary, marked"),
        (json.dumps([{**BREAD, "marking": []}]), "item 1: marking must be a text"),
        ('[{"name": "a", "name": "b"}]', "a member of an object comes twice"),
        (json.dumps([BREAD] * 1001), "a list of at most 1000 items"),
        ("[" * 100_000, "it is nested too deep"),
        ('"' + "x" * 1_048_576 + '"', "it is larger than 1048576 bytes"),
    ],
)
def test_a_file_that_can_not_be_used_is_said_in_one_sentence(shop: Shop, content: str, said: str) -> None:
    path = shop.conf.with_name("items.json")
    path.write_text(content, encoding="utf-8")
    for command in (["pay", "--qr", "00770000000000000001"], ["refund", "p1"]):
        ended = shop.run(*command, "--items", str(path))
        assert ended.code == 2
        (sentence,) = ended.sentences
        assert "--items" in sentence
        assert str(path) in sentence
        assert said in sentence
    assert not shop.folder.exists()


def test_a_file_that_is_not_there(shop: Shop) -> None:
    ended = shop.run("refund", "p1", "--items", "/nowhere/items.json")
    assert ended.code == 2
    assert ended.sentences == [
        "Invalid value for '--items': /nowhere/items.json can't be read: No such file or directory"
    ]


@given(
    document=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5)
)
def test_no_document_does_anything_but_give_items_or_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, document: object
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_text(json.dumps([document, {**BREAD, "quantity": document}]), encoding="utf-8", errors="surrogatepass")
    with pytest.raises(click.BadParameter):
        read(path)


def test_a_sale_needs_an_amount_or_items_that_agree_with_it(shop: Shop) -> None:
    path = shop.conf.with_name("items.json")
    path.write_text(json.dumps([BREAD]), encoding="utf-8")
    code = ("--qr", "00770000000000000001")

    neither = shop.run("pay", *code)
    assert (neither.code, neither.sentences) == (2, ["Give --amount or --items."])
    other = shop.run("pay", *code, "--items", str(path), "--amount", "1")
    assert (other.code, len(other.sentences)) == (2, 1)
    kinds = shop.run("pay", *code, "--items", str(path), "--goods", "shoes")
    assert (kinds.code, len(kinds.sentences)) == (2, 1)
    unknown = shop.run("pay", *code, "--amount", "1", "--goods", "weapons")
    assert (unknown.code, "'ordinary', 'marked'" in unknown.err) == (2, True)
    path.write_text("[]", encoding="utf-8")
    nothing = shop.run("pay", *code, "--items", str(path))
    assert (nothing.code, "0 tiyin" in nothing.err) == (2, True)
    assert not shop.folder.exists()

    path.write_text(json.dumps([BREAD, BREAD]), encoding="utf-8")
    paid = shop.run("pay", *code, "--items", str(path), "--amount", "8000", "--json")
    assert (paid.code, paid.document["amount"]) == (0, 800_000)
