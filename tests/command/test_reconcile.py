"""``payme reconcile``: the journal against Payme's list."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault
from tests.command.conftest import payme

if TYPE_CHECKING:
    from tests.command.conftest import Ended, Shop

NOW = datetime.now(timezone.utc).astimezone()
DAYS = ("--from", f"{NOW - timedelta(days=1):%Y-%m-%d}", "--to", f"{NOW + timedelta(days=1):%Y-%m-%d}")


def reconcile(shop: Shop) -> Ended:
    return shop.run("reconcile", *DAYS, "--json")


def kinds(ended: Ended) -> list[tuple[str, Any]]:
    return [(each["kind"], each["payment_id"]) for each in ended.document["differences"]]


@pytest.fixture
def used(shop: Shop) -> Shop:
    """Every way a payment ends, told and delivered."""
    for payment_id, behaviour in (
        ("paid", Behaviour()),
        ("refunded", Behaviour()),
        ("refused", Behaviour(BuyerAction.LACKS_FUNDS)),
    ):
        shop.pay(shop.sandbox.issue_code(behaviour), "--payment-id", payment_id)
    shop.run("refund", "refunded")
    shop.run("queue", "deliver", "--until-empty")
    return shop


def change(shop: Shop, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(shop.folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute(statement, values)


def test_where_both_agree_there_is_no_difference(used: Shop) -> None:
    before = (used.folder / FILE_NAME).read_bytes()
    ended = reconcile(used)

    assert (ended.code, ended.err) == (0, "")
    document = ended.document
    assert (document["differences"], document["returning"], document["agreed"]) == ([], [], 3)
    assert document["in_journal"] == document["at_payme"] == 1_500_000
    assert (used.folder / FILE_NAME).read_bytes() == before
    assert {request.method for request in used.sandbox.requests[-1:]} == {"receipts.get_all"}
    said = used.run("reconcile", *DAYS)
    assert "Receipts that agree: 3. Differences: 0.\n" in said.out
    assert "Paid in the journal: 15 000.00. Payme holds: 15 000.00.\n" in said.out


def test_a_state_that_payme_changed_by_itself(used: Shop) -> None:
    used.sandbox.put_state(used.sandbox.receipts()[0].receipt_id, 50)
    ended = reconcile(used)

    assert (ended.code, kinds(ended)) == (1, [("state", "paid")])
    (difference,) = ended.document["differences"]
    assert difference["journal"]["status"] == "PAID"
    assert difference["payme"]["state"] == 50


def test_a_receipt_that_only_payme_has(used: Shop) -> None:
    change(used, "DELETE FROM payment WHERE payment_id = 'paid'")
    ended = reconcile(used)

    assert (ended.code, kinds(ended)) == (1, [("only-there", None)])
    (difference,) = ended.document["differences"]
    assert difference["receipt_id"] == used.sandbox.receipts()[0].receipt_id
    assert difference["payme"]["account"].startswith("order_id=")
    said = used.run("reconcile", *DAYS).out
    assert "only-there  journal: nothing; Payme: paid (4) 15 000.00" in said


def test_a_receipt_that_only_the_journal_has(used: Shop) -> None:
    change(used, "UPDATE payment SET receipt_id = ? WHERE payment_id = 'paid'", "a" * 24)
    ended = reconcile(used)

    assert ended.code == 1
    assert sorted(kinds(ended), key=str) == [("only-here", "paid"), ("only-there", None)]


def test_an_amount_that_differs(used: Shop) -> None:
    change(used, "UPDATE payment SET amount = 1 WHERE payment_id = 'paid'")
    ended = reconcile(used)

    assert (ended.code, kinds(ended)) == (1, [("amount", "paid")])
    assert ended.document["in_journal"] != ended.document["at_payme"]


def test_money_on_its_way_back_is_no_difference(used: Shop) -> None:
    receipt_id = str(used.pay(used.sandbox.issue_code(), "--payment-id", "late").document["receipt_id"])
    used.sandbox.plan_cancel(receipt_id, CancelPlan(refused_with=-31800))
    used.run("refund", "late")
    ended = reconcile(used)

    assert (ended.code, ended.document["differences"]) == (0, [])
    assert [each["payment_id"] for each in ended.document["returning"]] == ["late"]
    (row,) = used.returning()
    used.run("queue", "close", str(row["id"]), "--reason", "paid out in cash")
    closed = reconcile(used)
    assert (closed.code, kinds(closed)) == (1, [("state", "late")])


def test_payments_of_another_merchant_account_are_counted_and_not_compared(used: Shop) -> None:
    change(used, "UPDATE payment SET pos_id = 'another' WHERE payment_id = 'paid'")
    ended = reconcile(used)

    assert ended.document["of_other_accounts"] == 1
    assert kinds(ended) == [("only-there", None)]


def test_the_list_is_read_page_by_page(used: Shop) -> None:
    for _ in range(120):
        order = {"amount": 100, "account": {"order_id": "of another till"}}
        used.sandbox.bank.call(used.sandbox.now_ms(), "receipts.create", order)
    ended = reconcile(used)

    assert len(ended.document["differences"]) == 120
    offsets = [request.params["offset"] for request in used.sandbox.requests if request.method == "receipts.get_all"]
    assert offsets == [0, 50, 100]


def test_the_days_are_local_and_the_last_one_counts(used: Shop) -> None:
    yesterday = f"{NOW - timedelta(days=2):%Y-%m-%d}"
    before = used.run("reconcile", "--from", "2020-01-01", "--to", yesterday, "--json")

    assert (before.code, before.document["agreed"]) == (0, 0)
    (asked,) = [request for request in used.sandbox.requests if request.method == "receipts.get_all"]
    assert before.document["from"].startswith("2020-01-01T00:00:00.000")
    begin = datetime.fromisoformat(before.document["from"])
    assert asked.params["from"] == int(begin.timestamp() * 1000) - 3_600_000, "an hour more, for clocks differ"


@pytest.mark.parametrize("day", ["yesterday", "2026-02-30", "2026-1-1", "20260101", "", "9999-12-31", "01.02.2026"])
@pytest.mark.parametrize("option", ["--from", "--to"])
def test_a_day_that_is_none(shop: Shop, option: str, day: str) -> None:
    days = {"--from": "2026-01-01", "--to": "2026-01-31", option: day}
    ended = shop.run("reconcile", *(word for pair in days.items() for word in pair))

    assert ended.code == 2
    (sentence,) = ended.sentences
    assert option in sentence
    assert "e.g. 2026-01-31" in sentence


def test_days_in_the_wrong_order(shop: Shop) -> None:
    ended = shop.run("reconcile", "--from", "2026-01-02", "--to", "2026-01-01")
    assert (ended.code, ended.sentences) == (2, ["--from 2026-01-02 is after --to 2026-01-01."])


def test_a_list_that_can_not_be_had_is_said(used: Shop) -> None:
    used.sandbox.inject(InjectedFault(FaultKind.HTML, method="receipts.get_all"))
    ended = reconcile(used)

    assert (ended.code, ended.out) == (1, "")
    assert "Payme's list of receipts is unavailable: receipts.get_all" in ended.sentences[0]
    used.sandbox.stop()
    assert reconcile(used).code == 1


def test_without_a_journal_everything_is_only_there(used: Shop) -> None:
    (used.folder / "none").mkdir()
    options = ("--conf", str(used.conf), "--data-dir", str(used.folder / "none"))
    ended = payme(*options, "reconcile", *DAYS, "--json")
    assert (ended.code, {each["kind"] for each in ended.document["differences"]}) == (1, {"only-there"})
    assert "There is no journal" in ended.sentences[0]
    assert list((used.folder / "none").iterdir()) == []


def test_another_tills_journal_may_be_read(used: Shop) -> None:
    used.give_journal_to("till-7 of another shop")
    assert reconcile(used).code == 0
