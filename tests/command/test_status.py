from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from payme_plugin.sandbox import Behaviour, BuyerAction
from tests.command.conftest import payme

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Shop

TIME = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {each.name: (each.read_bytes(), each.stat().st_mtime_ns) for each in folder.iterdir() if each.is_file()}


def test_without_a_journal_the_lists_are_empty_and_nothing_is_made(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    folder.mkdir()
    for command in (["status"], ["queue", "list"]):
        assert payme(*command, "--json", "--data-dir", str(folder)).document == []
        assert payme(*command, "--data-dir", str(folder)).code == 0
    assert list(folder.iterdir()) == []


def test_payments_are_listed_newest_first(shop: Shop) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "first")
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "second", amount="0.50")

    second, first = shop.run("status", "--json").document
    assert (first["payment_id"], first["status"], first["amount"]) == ("first", "PAID", 1_500_000)
    assert (second["payment_id"], second["status"], second["amount"]) == ("second", "REFUSED", 50)
    assert second["receipt_id"] == shop.sandbox.receipts()[1].receipt_id
    heading, *lines = shop.run("status").out.splitlines()
    assert heading.split() == ["Time", "Amount", "Status", "Payment"]
    assert [re.sub(TIME, "", line).split() for line in lines] == [
        ["0.50", "REFUSED", "second"],
        ["15", "000.00", "PAID", "first"],
    ]


def test_one_payment_tells_its_whole_story_with_times(shop: Shop) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")
    payment = shop.run("status", "p1", "--json").document

    states = [event["state"] for event in payment["events"] if event["state"] is not None]
    assert states == ["intent", "paying", "paid", "recorded"]
    times = [event["at_ms"] for event in payment["events"]]
    assert times == sorted(times)
    assert (payment["payment_id"], payment["status"], payment["receipt_id"]) == (
        "p1",
        "PAID",
        shop.sandbox.receipts()[0].receipt_id,
    )
    assert payment["acknowledged_at"] is not None
    shown = shop.run("status", "p1").out
    assert re.search(f"^Stored .*{TIME}$", shown, re.MULTILINE)
    story = r"^  \d\d:\d\d:\d\d\.\d{3}  (intent|paying|paid|recorded) "
    assert re.findall(story, shown, re.MULTILINE) == states
    assert len(re.findall(r"^\d{4}-\d\d-\d\d$", shown, re.MULTILINE)) in {1, 2}, "once a day"


def test_a_story_is_told_in_order_from_the_intent_to_the_delivery(shop: Shop) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "p1")
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    events = shop.run("status", "p1", "--json").document["events"]

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
    shown = shop.run("status", "p1").out
    assert [shown.index(f"  {event['text']}\n") for event in events] == sorted(
        shown.index(f"  {event['text']}\n") for event in events
    )


def test_every_request_has_an_event_when_it_ends_and_one_that_may_act_when_it_begins(
    shop: Shop,
) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.CONFIRMS, after_s=0.3)), "--payment-id", "p1")
    events = [event["text"] for event in shop.run("status", "p1", "--json").document["events"]]

    *asked, for_the_slip = dict.fromkeys(request.method for request in shop.sandbox.requests)
    assert (asked, for_the_slip) == (["receipts.create", "receipts.pay", "receipts.check"], "receipts.get")
    ended = [text.partition(":")[0] for text in events if text.startswith("receipts.")]
    assert list(dict.fromkeys(ended)) == asked
    assert [text[8:] for text in events if text.startswith("request ")] == ["receipts.create", "receipts.pay"]
    assert events[-1] == "the receipt is closed"


def test_a_payment_that_is_not_there(shop: Shop) -> None:
    shop.folder.mkdir()
    ended = shop.run("status", "nobody", "--json")

    assert (ended.code, ended.out) == (1, "")
    assert ended.sentences == [f"There is no payment 'nobody' in the journal of {shop.folder}."]


def test_cancellations_show_their_cause_age_and_tries(shop: Shop) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "p1")

    (row,) = shop.run("queue", "list", "--json").document
    assert row == {
        "id": row["id"],
        "payment_id": "p1",
        "receipt_id": shop.sandbox.receipts()[0].receipt_id,
        "cause": "unrecorded",
        "confirming": False,
        "age_s": row["age_s"],
        "attempts": row["attempts"],
        "held": None,
        "last_error": row["last_error"],
    }
    assert isinstance(row["id"], int)
    assert 0 <= row["age_s"] < 60
    heading, line = shop.run("queue", "list").out.splitlines()
    assert heading.split()[:5] == ["Id", "Cause", "Age", "Tries", "Payment"]
    assert {"unrecorded", "p1"} <= set(line.split())


@pytest.mark.parametrize("command", [["status"], ["status", "p1"], ["queue", "list"]])
def test_looking_changes_not_a_byte(shop: Shop, command: list[str]) -> None:
    shop.pay(shop.sandbox.issue_code(Behaviour(BuyerAction.LACKS_FUNDS)), "--payment-id", "p1")
    before = files(shop.folder)

    assert shop.run(*command).code == 0
    assert files(shop.folder) == before


def test_the_data_folder_is_the_users_where_the_till_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert payme("status").out in (
        f"There are no payments in {tmp_path / 'payme'}.\n",
        "There are no payments in /linuxcash/cash/data/payme.\n",
    )
    monkeypatch.setenv("XDG_DATA_HOME", "not/from/the/root")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert "not/from" not in payme("status").out
