"""Rows that a bad disk made senseless, and a journal that is replaced: the command says what helps."""

from __future__ import annotations

import hashlib
import shutil
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from payme_plugin.cli import status
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.sandbox import Behaviour, BuyerAction
from tests.command.conftest import worker_process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Shop

OTHER_TILL = "till-7 of another shop"
CORRUPTIONS = {
    "payment": "UPDATE payment SET state = 'paie' WHERE payment_id = 'p1'",
    "cancellation": "UPDATE cancellation SET cause = 'whim' WHERE payment_id = 'p1'",
    "event": "UPDATE event SET text = CAST(x'd0' AS TEXT) WHERE payment_id = 'p1'",
}
LOOKS = {
    "payment": [["status"], ["status", "p1"]],
    "cancellation": [["queue", "list"], ["queue", "show", "1"]],
    "event": [["status", "p1"], ["queue", "show", "1"]],
}


def owe(shop: Shop, payment_id: str) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", payment_id)


def corrupt(shop: Shop, statement: str) -> None:
    with closing(sqlite3.connect(shop.folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(statement)


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.is_file()}


@pytest.fixture
def owing(shop: Shop) -> Shop:
    for payment_id in ("p1", "p2"):
        owe(shop, payment_id)
    return shop


@pytest.mark.parametrize(("table", "look"), [(table, look) for table, looks in LOOKS.items() for look in looks])
@pytest.mark.parametrize("more", [[], ["--json"]], ids=["text", "json"])
def test_looking_at_one_says_what_helps_and_makes_nothing_in_another_hosts_folder(
    owing: Shop, table: str, look: list[str], more: list[str]
) -> None:
    corrupt(owing, CORRUPTIONS[table])
    owing.give_journal_to(OTHER_TILL)
    (owing.folder / "terminal.log").unlink()
    before = digests(owing.folder)
    ended = owing.run(*look, *more)

    assert (ended.code, ended.out) == (2, "")
    (sentence,) = ended.sentences
    assert sentence.startswith(f"The journal {owing.folder / FILE_NAME} can't be used: the {table}")
    assert sentence.endswith("`payme journal repair` saves what can be read of it.")
    assert digests(owing.folder) == before


def test_delivery_ends_the_others_and_then_says_what_helps(owing: Shop) -> None:
    corrupt(owing, CORRUPTIONS["cancellation"])
    ended = owing.run("queue", "deliver", "--until-empty")

    assert (ended.code, ended.out) == (2, "")
    assert ended.sentences[-1].endswith("`payme journal repair` saves what can be read of it.")
    assert [receipt.state for receipt in owing.sandbox.receipts()] == [0, 50]


def test_a_repair_keeps_what_is_owed_and_it_is_delivered_then(owing: Shop) -> None:
    for statement in (CORRUPTIONS["payment"], CORRUPTIONS["cancellation"]):
        corrupt(owing, statement)
    repaired = owing.run("journal", "repair", "--json")

    counts = {name: repaired.document[name] for name in ("unreadable", "queued_again")}
    assert (repaired.code, repaired.document["copied"]["cancellation"]) == (0, 1)
    assert counts == {"unreadable": 2, "queued_again": 1}
    assert {row["payment_id"]: row["status"] for row in owing.run("status", "--json").document} == {
        "p1": "REFUSED",
        "p2": "REFUSED",
    }
    assert owing.run("queue", "deliver", "--until-empty").code == 0
    assert [receipt.state for receipt in owing.sandbox.receipts()] == [50, 50]


def test_an_unforeseen_fault_makes_no_log_in_another_hosts_folder(owing: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> object:
        raise ZeroDivisionError(folder)

    owing.give_journal_to(OTHER_TILL)
    (owing.folder / "terminal.log").unlink()
    before = digests(owing.folder)
    monkeypatch.setattr(status, "read_journal", broken)
    ended = owing.run("status")

    assert ended.code == 70
    (sentence,) = ended.sentences
    assert sentence == "Internal error (ZeroDivisionError in broken). The outcome was not reported: run `payme status`."
    assert digests(owing.folder) == before


def test_a_worker_whose_journal_is_replaced_ends_so_that_its_next_one_opens_the_new_file(shop: Shop) -> None:
    owe(shop, "p1")
    with worker_process(*shop.options) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("Delivering")
        journal = shop.folder / FILE_NAME
        shutil.copy2(journal, shop.folder / "copy")
        (shop.folder / "copy").replace(journal)
        _, err = process.communicate(timeout=20)

    assert process.returncode == 2
    assert err.splitlines()[-1] == (
        f"payme: The journal {journal} can't be used: {journal} was replaced while it was open;"
        " put it back or restart the till"
    )
