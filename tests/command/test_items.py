"""Items from a file: what is taken, and one clear sentence for what is not."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hookspecs import GoodsKind, Item
from payme_plugin.cli.output import CommandFailed
from payme_plugin.cli.params import items_in

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Shop

pytestmark = pytest.mark.floor

BREAD = {"name": "Хлеб", "quantity": "1", "price": 400_000, "amount": 400_000}
FISCAL = {"code": "0190", "package_code": "1520285", "vat_percent": 12}


def test_every_member_is_taken(tmp_path: Path) -> None:
    path = tmp_path / "items.json"
    whole = {**BREAD, "quantity": "0.250", "barcode": "478", "goods": "tobacco", "marking": "0104"}
    path.write_text(json.dumps([BREAD, whole]), encoding="utf-8")

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
        ),
    )


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is not a JSON list of items"),
        ('[{"name": "a", "name": "b"}]', "it is not a JSON list of items"),
        ("[" * 100_000, "it is not a JSON list of items"),
        ('"' + "x" * 1_048_576 + '"', "it is not a JSON list of items of at most 1048576 bytes"),
        ("{}", "items: use a list of at most 1000 items"),
        (json.dumps([BREAD] * 1001), "items: use a list of at most 1000 items"),
        ("[1]", "items[0]: use an object with name, quantity, price and amount"),
        (json.dumps([{**BREAD, "colour": ""}]), "items[0]: use an object with name, quantity, price and amount"),
        (json.dumps([BREAD, {**BREAD, "price": 4000.5}]), "items[1].price: use whole tiyin, 0 to 9223372036854775807"),
        (json.dumps([{**BREAD, "amount": -1}]), "items[0].amount: use whole tiyin, 0 to 9223372036854775807"),
        (json.dumps([{**BREAD, "name": "x" * 1001}]), "items[0].name: use a text of at most 1000 characters"),
        (json.dumps([{**BREAD, "barcode": 1}]), "items[0].barcode: use a text of at most 1000 characters"),
        (json.dumps([{**BREAD, "goods": "arms"}]), "items[0].goods: use ordinary, marked, alcohol, tobacco, shoes or"),
        *(
            (
                json.dumps([{**BREAD, "quantity": each}]),
                'items[0].quantity: use a number above 0 as a text, e.g. "0.250"',
            )
            for each in ("0", "1e999999", "0.0000000001", 1, "١")
        ),
        (
            json.dumps([{**BREAD, "fiscal": {}}]),
            "items[0].fiscal: use an object with code, package_code and vat_percent",
        ),
        (
            json.dumps([{**BREAD, "fiscal": {**FISCAL, "vat_percent": 101}}]),
            "items[0].fiscal.vat_percent: use a whole number, 0 to 100",
        ),
        (json.dumps([{**BREAD, "fiscal": {**FISCAL, "units": -1}}]), "items[0].fiscal.units: use a whole number, 0 to"),
        (json.dumps([{**BREAD, "fiscal": {**FISCAL, "discount": -1}}]), "items[0].fiscal.discount: use whole tiyin, 0"),
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
    for language in ("ru", "uz"):
        allowed = shop.run("refund", "p1", "--items", str(path), "--lang", language).err.rpartition(str(path))[2]
        assert not re.search("(?i)use|must|allowed|cli[.]|JSON list", allowed), allowed
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
    with pytest.raises(CommandFailed):
        items_in(str(path))


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
    assert (nothing.code, "The items come to 0.00; allowed are 0.01 to" in nothing.err) == (2, True)
    assert not shop.folder.exists()

    path.write_text(json.dumps([BREAD, BREAD]), encoding="utf-8")
    paid = shop.run("pay", *code, "--items", str(path), "--amount", "8000", "--json")
    assert (paid.code, paid.document["amount"]) == (0, 800_000)
