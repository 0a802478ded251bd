"""``payme status`` lists the journal's payments; ``reconcile`` compares them with Payme's receipts."""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.sandbox import CancelPlan, FaultKind, InjectedFault
from tests.command.conftest import payme

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import CommandTill, Ended

pytestmark = pytest.mark.floor

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def test_without_a_journal_the_lists_are_empty_and_nothing_is_made(tmp_path: Path) -> None:
    for command in (["status"], ["queue", "list"]):
        assert payme(*command, "--json", "--data-dir", str(tmp_path)).document == []
        assert payme(*command, "--data-dir", str(tmp_path)).code == 0
    assert list(tmp_path.iterdir()) == []


def test_payments_are_listed_newest_first_with_as_many_as_are_asked_for(shop: CommandTill) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "first")
    shop.owe("second")

    def ids(*options: str) -> list[str]:
        return [each["payment_id"] for each in shop.run("--json", "status", *options).document]

    second, first = shop.run("status", "--json").document
    assert (first["payment_id"], first["status"], first["amount"]) == ("first", "PAID", 1_500_000)
    assert (second["payment_id"], second["status"]) == ("second", "REFUSED")
    assert second["receipt_id"] == shop.sandbox.receipts()[1].receipt_id
    heading, *lines = shop.run("status").out.splitlines()
    assert heading.split() == ["Time", "Amount", "Status", "Payment"]
    assert [re.sub(TIME, "", line).split() for line in lines] == [
        ["15", "000.00", "REFUSED", "second"],
        ["15", "000.00", "PAID", "first"],
    ]
    assert (ids("--limit", "1"), ids("--limit", "0")) == (["second"], ["second", "first"])
    assert ids("--status", "refused", "--status", "UNKNOWN") == ["second"]
    assert (ids("--since", time.strftime("%Y-%m-%d")), ids("--since", "2999-01-01")) == (["second", "first"], [])
    assert shop.run("status", "--limit", "1").out.splitlines()[-1] == "Shown: 1 of 2; --limit 0 shows all."
    assert shop.run("status", "--since", "2999-01-01").out == "No payments match.\n"


def test_a_payment_is_shown_with_every_event_and_its_time_from_the_intent_to_the_delivery(shop: CommandTill) -> None:
    receipt_id = shop.owe()
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    payment = shop.payment()
    events, shown = payment["events"], shop.run("status", "p1").out

    assert (payment["payment_id"], payment["receipt_id"], payment["acknowledged_at"]) == ("p1", receipt_id, None)
    assert [(event["state"], event["text"]) for event in events[1:]] == [
        (None, "request receipts.create"),
        (None, "receipts.create: state 0"),
        ("paying", "the code is about to leave"),
        (None, "request receipts.pay"),
        (None, "receipts.pay: error -31630"),
        ("refused", "error -31630 proves that nothing was charged"),
        (None, "cancellation: queued, cause unrecorded"),
        (None, "receipts.check: state 0"),
        (None, "request receipts.cancel"),
        (None, "receipts.cancel: state 50"),
        (None, "cancellation: Payme says cancelled (50)"),
    ]
    assert [event["at_ms"] for event in events] == sorted(event["at_ms"] for event in events)
    lines = re.findall(r"^  \d\d:\d\d:\d\d\.\d{3}  (.{9})  (.*)$", shown, re.MULTILINE)
    assert [(state.strip(), text) for state, text in lines] == [(each["state"] or "", each["text"]) for each in events]
    assert len(re.findall(r"^\d{4}-\d\d-\d\d$", shown, re.MULTILINE)) in {1, 2}, "once a day"


def test_a_recorded_payment_is_shown_with_the_time_at_which_the_till_stored_it(shop: CommandTill) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")

    assert [event["state"] for event in shop.payment()["events"] if event["state"]][-2:] == ["paid", "recorded"]
    assert re.search(f"^Stored .*{TIME}$", shop.run("status", "p1").out, re.MULTILINE)


# ---------------------------------------------------------------------------------------------------------------------
# reconcile
# ---------------------------------------------------------------------------------------------------------------------

NOW = datetime.now(timezone.utc).astimezone()
DAYS = ("--from", f"{NOW - timedelta(days=1):%Y-%m-%d}", "--to", f"{NOW + timedelta(days=1):%Y-%m-%d}")


def reconcile(shop: CommandTill) -> Ended:
    return shop.run("reconcile", *DAYS, "--json")


def kinds(ended: Ended) -> list[tuple[str, Any]]:
    return [(each["kind"], each["payment_id"]) for each in ended.document["differences"]]


@pytest.fixture
def used(shop: CommandTill) -> CommandTill:
    """A paid, a refunded and a refused payment, delivered."""
    for payment_id in ("paid", "refunded"):
        shop.pay(shop.sandbox.issue_code(), "--payment-id", payment_id)
    shop.run("refund", "refunded")
    shop.owe("refused")
    shop.run("queue", "deliver", "--until-empty")
    return shop


def test_where_both_agree_there_is_no_difference(used: CommandTill) -> None:
    before = {**used.files(), "terminal.log": b""}
    ended = reconcile(used)

    assert (ended.code, ended.err) == (0, "")
    document = ended.document
    assert (document["differences"], document["returning"], document["agreed"]) == ([], [], 3)
    assert document["in_journal"] == document["at_payme"] == 1_500_000
    assert {**used.files(), "terminal.log": b""} == before
    assert used.sandbox.requests[-1].method == "receipts.get_all"
    said = used.run("reconcile", *DAYS)
    assert "Receipts that agree: 3. Differences: 0.\n" in said.out
    assert "Paid in the journal: 15 000.00. Payme holds: 15 000.00.\n" in said.out


@pytest.mark.parametrize("change", ["DELETE FROM payment", "UPDATE payment SET pos_id = 'another'"])
def test_what_only_payme_has_is_a_difference(used: CommandTill, change: str) -> None:
    used.change_journal(f"{change} WHERE payment_id = 'paid'")
    ended, said = reconcile(used), used.run("reconcile", *DAYS).out

    assert (ended.code, kinds(ended)) == (1, [("only-there", None)])
    assert ended.document["of_other_accounts"] == int("another" in change)
    (difference,) = ended.document["differences"]
    assert difference["receipt_id"] == used.sandbox.receipts()[0].receipt_id
    assert difference["payme"]["account"].startswith("order_id=")
    assert "only-there  journal: nothing; Payme: paid (4) 15 000.00" in said


def test_what_payme_has_otherwise_is_a_difference(used: CommandTill) -> None:
    used.sandbox.put_state(used.sandbox.receipts()[0].receipt_id, 50)
    used.change_journal("UPDATE payment SET amount = 1 WHERE payment_id = 'refunded'")
    ended = reconcile(used)

    assert (ended.code, sorted(kinds(ended))) == (1, [("amount", "refunded"), ("state", "paid")])
    (state,) = [each for each in ended.document["differences"] if each["kind"] == "state"]
    assert (state["journal"]["status"], state["payme"]["state"]) == ("PAID", 50)


def test_a_pending_cancellation_is_not_a_difference(used: CommandTill) -> None:
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


def test_the_list_is_read_page_by_page(shop: CommandTill) -> None:
    shop.folder.mkdir()
    for _ in range(120):
        order = {"amount": 100, "account": {"order_id": "of another till"}}
        shop.sandbox.bank.call(shop.sandbox.now_ms(), "receipts.create", order)
    ended = reconcile(shop)

    assert (ended.code, kinds(ended)) == (1, [("only-there", None)] * 120)
    assert "There is no journal" in ended.sentences[0]
    assert shop.files() == {}
    offsets = [request.params["offset"] for request in shop.sandbox.requests if request.method == "receipts.get_all"]
    assert offsets == [0, 50, 100]


def test_the_days_are_local_and_the_last_one_counts(used: CommandTill) -> None:
    yesterday = f"{NOW - timedelta(days=2):%Y-%m-%d}"
    before = used.run("reconcile", "--from", "2020-01-01", "--to", yesterday, "--json")

    assert (before.code, before.document["agreed"]) == (0, 0)
    (asked,) = [request for request in used.sandbox.requests if request.method == "receipts.get_all"]
    assert before.document["from"].startswith("2020-01-01T00:00:00.000")
    begin = datetime.fromisoformat(before.document["from"])
    assert asked.params["from"] == int(begin.timestamp() * 1000) - 3_600_000, "an hour more, for clocks differ"


def test_a_list_that_can_not_be_had_is_an_error_and_another_tills_journal_may_be_read(used: CommandTill) -> None:
    used.give_journal_to()
    assert reconcile(used).code == 0
    used.sandbox.inject(InjectedFault(FaultKind.HTML, method="receipts.get_all"))
    ended = reconcile(used)

    assert (ended.code, ended.out) == (1, "")
    assert "Payme's list of receipts is unavailable: receipts.get_all" in ended.sentences[0]
