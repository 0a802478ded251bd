"""``payme journal repair``: what it says, what it leaves, and what Payme has that the saved journal lacks."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.operations.receipt_list import MARGIN_MS

if TYPE_CHECKING:
    from tests.command.conftest import CommandTill

PAGE = 4096


@pytest.fixture
def used(shop: CommandTill) -> CommandTill:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")
    shop.owe("p2")
    return shop


def damage(shop: CommandTill, table: str) -> bytes:
    """Fill the page of a table or an index with rubbish; return the whole file."""
    path = shop.folder / FILE_NAME
    with closing(sqlite3.connect(path)) as connection:
        (root,) = connection.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (table,)).fetchone()
    whole = path.read_bytes()
    damaged = whole[: (root - 1) * PAGE] + b"\xff" * PAGE + whole[root * PAGE :]
    path.write_bytes(damaged)
    return damaged


def test_a_sound_journal_is_left_untouched(used: CommandTill) -> None:
    before, asked = (used.folder / FILE_NAME).read_bytes(), len(used.sandbox.requests)
    said = used.run("journal", "repair")
    document = used.run("journal", "repair", "--json").document

    assert (said.code, said.err) == (0, "")
    assert said.out == f"The journal {used.folder / FILE_NAME} is intact; nothing was changed.\n"
    assert (document["repaired"], document["set_aside"], document["only_at_payme"]) == (False, None, None)
    assert ((used.folder / FILE_NAME).read_bytes(), len(used.sandbox.requests)) == (before, asked)


def test_a_damaged_journal_is_set_aside_copied_and_in_use_again(used: CommandTill) -> None:
    with closing(sqlite3.connect(used.folder / FILE_NAME)) as connection:
        (oldest_ms,) = connection.execute("SELECT min(created_at) FROM payment").fetchone()
    damaged = damage(used, "payment_by_age")
    ended = used.run("journal", "repair", "--json")

    assert (ended.code, ended.err) == (0, "")
    assert used.sandbox.requests[-1].params["from"] == oldest_ms - MARGIN_MS
    document = ended.document
    assert (document["repaired"], document["journal"]) == (True, str(used.folder / FILE_NAME))
    (kept,) = used.folder.glob(f"{FILE_NAME}.damaged-*")
    assert document["set_aside"] == str(kept)
    assert kept.read_bytes() == damaged
    assert (document["copied"]["payment"], document["copied"]["cancellation"], document["unreadable"]) == (2, 1, 0)
    assert document["only_at_payme"] == []
    assert [row["payment_id"] for row in used.run("status", "--json").document] == ["p2", "p1"]
    assert used.pay(used.sandbox.issue_code()).code == 0
    assert used.run("refund", "p1").code == 0
    assert used.run("queue", "deliver", "--until-empty").code == 0


def test_what_payme_has_and_the_journal_lost_is_listed_with_the_money_first_and_can_be_refunded(
    used: CommandTill,
) -> None:
    (used.folder / FILE_NAME).write_bytes(b"nothing at all" * 1000)
    ended = used.run("journal", "repair", "--json", "--days", "1")
    paid, unpaid = ended.document["only_at_payme"]
    receipts = used.sandbox.receipts()
    assert (paid["receipt_id"], paid["state"], paid["amount"]) == (receipts[0].receipt_id, 4, 1_500_000)
    assert (unpaid["receipt_id"], unpaid["state"]) == (receipts[1].receipt_id, 0)
    assert paid["account"] == f"order_id={receipts[0].account['order_id']}"

    (used.folder / FILE_NAME).write_bytes(b"nothing at all" * 1000)
    said = used.run("journal", "repair")
    assert said.code == 0
    assert f"15 000.00  paid (4), receipt {receipts[0].receipt_id}" in said.out
    assert (used.run("refund", "p1").code, used.sandbox.held()) == (0, 0), "from the till's record"


def test_a_cancellation_that_was_lost_is_queued_again_and_counted(used: CommandTill) -> None:
    damage(used, "cancellation")
    document = used.run("journal", "repair", "--json").document
    assert (document["copied"]["cancellation"], document["queued_again"]) == (0, 1)
    assert [(row["payment_id"], row["cause"]) for row in used.queued()] == [("p2", "unrecorded")]

    damage(used, "cancellation")
    said = used.run("journal", "repair")
    assert "Cancellations that could not be read and are queued again: 1.\n" in said.out
    assert used.run("queue", "deliver", "--until-empty").code == 0


@pytest.mark.parametrize("settings", [{"url": "http://127.0.0.1:1/api"}, {"payDuration": "ten"}])
def test_without_the_server_or_usable_settings_it_repairs_and_warns(
    used: CommandTill, settings: dict[str, str]
) -> None:
    damage(used, "payment_by_age")
    used.configure(**settings)
    ended = used.run("journal", "repair")

    assert (ended.code, f"{FILE_NAME}.damaged-" in ended.out) == (0, True)
    reason = "payDuration" if "payDuration" in settings else "Payme's list of receipts is unavailable"
    assert ended.sentences[0].startswith(f"Warning: what the journal lacks is not known: {reason}")


def test_another_tills_journal_is_repaired_only_by_its_name(used: CommandTill) -> None:
    used.give_journal_to("till-7")
    damaged = damage(used, "payment_by_age")
    refused = used.run("journal", "repair")

    assert (refused.code, refused.out) == (2, "")
    assert "'till-7'" in refused.sentences[0]
    assert "--till" in refused.sentences[0]
    assert (used.folder / FILE_NAME).read_bytes() == damaged
    assert used.run("journal", "repair", "--till", "till-8").code == 2
    assert used.run("journal", "repair", "--till", "till-7").code == 0
    assert used.run("queue", "list").code == 0
