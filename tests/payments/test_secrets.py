"""Guarantee 8 of docs/architecture.md: key, code and card are nowhere, the phone only in ``receipt_attributes``."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import error, with_receipt
from fakes.world import World
from hookspecs import PaymentStatus
from payme_plugin.sandbox import Behaviour, FaultKind
from payme_plugin.sandbox.receipt import Buyer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from hookspecs import PaymentResult

CODE = "11223344556677889900"
KEY = "canary-key-of-the-kassa"
PHONE, CARD = Buyer().phone, Buyer().card
WORDS = f"code {CODE}, key {KEY}, phone +{PHONE}, card 8600061234566311, {CODE[:10]} {CODE[10:]}"


def _everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


def _told(result: PaymentResult) -> str:
    return f"{result!r} {result.message} {result.payment!r} {result.slips!r}"


_HISTORIES: dict[str, Callable[[World], object]] = {
    "paid": lambda world: None,
    "refused": lambda world: world.paymego.change("receipts.pay", error(-31630, WORDS)),
    "unknown code": lambda world: world.paymego.change("receipts.pay", error(-31999, {"ru": WORDS, "en": WORDS})),
    "lost": lambda world: world.paymego.befall(FaultKind.ANSWER_LOST, "receipts.pay"),
    "foreign": lambda world: world.paymego.befall(FaultKind.FOREIGN_ID, "receipts.pay"),
    "create refused": lambda world: world.paymego.change("receipts.create", error(-31999, WORDS)),
    "a receipt that tells": lambda world: world.paymego.change(
        "receipts.pay", with_receipt(description=WORDS, account=[{"name": KEY, "value": CODE}])
    ),
    "a state that tells": lambda world: world.paymego.change("receipts.pay", with_receipt(state=WORDS, _id=CODE)),
}


@pytest.mark.parametrize("history", list(_HISTORIES), ids=lambda name: name.replace(" ", "-"))
def test_no_secret_is_in_the_journal_the_log_or_the_verdict(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, history: str
) -> None:
    caplog.set_level(logging.DEBUG)
    world = World(tmp_path, codePattern="[0-9]{20}", ignoredErrors="-31999")
    world.paymego.bank._know(CODE, world.paymego.now_ms, Behaviour())
    _HISTORIES[history](world)

    result = world.pay(CODE)

    stored = _everything(tmp_path)
    world.close()
    for secret in (CODE, KEY, CARD, "8600061234566311"):
        assert secret.encode() not in stored
        assert secret not in caplog.text
        assert secret not in _told(result)
    assert PHONE.encode() not in stored
    assert PHONE not in caplog.text
    assert PHONE not in _told(result)


def test_the_phone_is_in_the_receipt_attributes_of_this_sale_alone(tmp_path: Path) -> None:
    world = World(tmp_path)

    first = world.pay(world.paymego.code())
    world.paymego.change("receipts.pay", with_receipt(payer=None))
    second = world.pay(world.paymego.code(), payment_id="p2")

    assert first.receipt_attributes["PhoneNumber"] == PHONE
    assert "PhoneNumber" not in second.receipt_attributes
    assert second.status is PaymentStatus.PAID
    world.close()
