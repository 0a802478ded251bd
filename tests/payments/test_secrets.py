"""Guarantee 8 of docs/architecture.md: key, code and card are nowhere, the phone only in ``receipt_attributes``."""

from __future__ import annotations

import logging
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fakes.answer_changes import error, with_receipt
from fakes.world import World
from payme_plugin.sandbox import Behaviour
from payme_plugin.sandbox.receipt import Buyer

if TYPE_CHECKING:
    from pathlib import Path

    from fakes.paymego import Change

CODE = "11223344556677889900"
KEY = "canary-key-of-the-account"
PHONE = Buyer().phone
WORDS = f"code {CODE}, key {KEY}, phone +{PHONE}, card 8600061234566311, {CODE[:10]} {CODE[10:]}"


@pytest.mark.parametrize(
    "change",
    [
        lambda answer: answer,
        *(error(code, words) for code, words in ((-31630, WORDS), (-31999, {"ru": WORDS, "en": WORDS}))),
        with_receipt(description=WORDS, account=[{"name": KEY, "value": CODE}]),
        with_receipt(state=WORDS, _id=CODE),
    ],
    ids=["paid", "refused", "unknown error", "secrets in a receipt", "secrets in a state"],
)
@pytest.mark.parametrize("method", ["receipts.create", "receipts.pay"])
def test_no_secret_is_in_the_journal_the_log_or_the_result(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, method: str, change: Change
) -> None:
    caplog.set_level(logging.DEBUG)
    with closing(World(tmp_path, codePattern="[0-9]{20}", ignoredErrors="-31999")) as world:
        world.paymego.bank._know(CODE, world.paymego.now_ms, Behaviour())
        world.paymego.change(method, change)

        outcome = world.pay(CODE)

        stored = b"".join(file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
    shown = f"{caplog.text} {outcome!r} {outcome.message} {outcome.payment!r} {outcome.slips!r}"
    for secret in (CODE, KEY, Buyer().card, "8600061234566311", PHONE):
        assert secret.encode() not in stored
        assert secret not in shown
