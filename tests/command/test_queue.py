"""``payme queue``: cancellations shown, delivered, and ended by hand."""

from __future__ import annotations

import sqlite3
import subprocess
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.sandbox import Behaviour, BuyerAction, CancelPlan, FaultKind, InjectedFault
from tests.command.conftest import command_line, environment, payme

if TYPE_CHECKING:
    from pathlib import Path

    from tests.command.conftest import Shop

pytestmark = pytest.mark.floor

OTHER_TILL = "till-7 of another shop"


def owe(shop: Shop, payment_id: str = "p1") -> str:
    """Leave a cancellation in the journal; return its receipt id."""
    lacking = Behaviour(BuyerAction.LACKS_FUNDS)
    refused = shop.pay(shop.sandbox.issue_code(lacking), "--payment-id", payment_id)
    assert refused.document["cancellation_queued"] is True
    return str(refused.document["receipt_id"])


def owe_paid(shop: Shop, plan: CancelPlan, payment_id: str = "p1") -> str:
    """Leave a cancellation of a paid receipt, whose cancellations go by ``plan``; return its receipt id."""
    receipt_id = str(shop.pay(shop.sandbox.issue_code(), "--payment-id", payment_id).document["receipt_id"])
    shop.sandbox.plan_cancel(receipt_id, CancelPlan(refused_with=-31800))
    assert shop.run("refund", payment_id).code == 3
    shop.sandbox.plan_cancel(receipt_id, plan)
    return receipt_id


def states(shop: Shop) -> list[int]:
    return [receipt.state for receipt in shop.sandbox.receipts()]


def test_a_setting_that_stops_charging_is_printed_and_does_not_stop_the_return_of_money(shop: Shop) -> None:
    owe(shop)
    shop.configure(staleCodes="-1")
    refused = shop.pay(shop.sandbox.issue_code())
    delivered = shop.run("queue", "deliver", "--until-empty")

    assert (refused.code, delivered.code) == (2, 0)
    assert "staleCodes" in delivered.err
    assert states(shop) == [50]


def test_one_cancellation_tells_everything(shop: Shop) -> None:
    receipt_id = owe(shop)
    (row,) = shop.run("queue", "list", "--json").document
    shown = shop.run("queue", "show", str(row["id"]), "--json").document

    assert {name: shown[name] for name in row} == {**row, "age_s": shown["age_s"]}
    assert (shown["amount"], shown["pos_id"], shown["url"]) == (1_500_000, shop.sandbox.pos_id, shop.sandbox.url)
    assert (shown["ended_at"], shown["outcome"], shown["offered_at"]) == (None, None, None)
    assert [event["state"] for event in shown["events"] if event["state"]][-1] == "refused"
    text = shop.run("queue", "show", str(row["id"])).out
    assert receipt_id in text
    assert "Next try      now" in text


@pytest.mark.parametrize("number", ["2", "99999999999999999999", "0", "first"])
def test_a_cancellation_that_is_not_there(shop: Shop, number: str) -> None:
    owe(shop)
    for command in (["show", number], ["close", number, "--reason", "x"]):
        ended = shop.run("queue", *command)
        assert ended.code == (1 if number == "2" else 2)
        assert len(ended.sentences) == 1
    empty = shop.folder / "none"
    empty.mkdir()
    assert payme("queue", "show", "1", "--data-dir", str(empty)).code == 1


def test_delivering_until_empty_gives_all_money_back(shop: Shop) -> None:
    owe(shop, "p1")
    owe_paid(shop, CancelPlan(settle_s=0.5), "p2")
    delivered = shop.run("queue", "deliver", "--until-empty", "--json")

    assert (delivered.code, delivered.err) == (0, "")
    assert delivered.document == {"ended": [1, 2], "left": [], "fiscal_links": {"ended": [], "left": []}}
    assert states(shop) == [50, 50]
    assert shop.sandbox.held() == 0
    shown = shop.run("queue", "show", "2", "--json").document
    assert (shown["confirming"], shown["ended_as"], shown["ended_at"]) == (True, None, None)


def test_the_list_is_oldest_first_whatever_is_confirming(shop: Shop) -> None:
    owe(shop, "p1")
    shop.run("queue", "deliver")
    owe(shop, "p2")

    assert [(row["id"], row["confirming"]) for row in shop.run("queue", "list", "--json").document] == [
        (1, True),
        (2, False),
    ]


def test_a_confirming_cancellation_is_listed_and_ends_ten_minutes_later(shop: Shop) -> None:
    owe(shop)
    assert shop.run("queue", "deliver").code == 0
    (row,) = shop.run("queue", "list", "--json").document
    assert row["confirming"] is True
    with closing(sqlite3.connect(shop.folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("UPDATE cancellation SET confirmed_at = confirmed_at - 600000, due_at = 0")
    assert shop.run("queue", "deliver").code == 0

    assert shop.run("queue", "list", "--json").document == []
    shown = shop.run("queue", "show", "1", "--json").document
    assert (shown["confirming"], shown["ended_as"]) == (False, "cancelled")


def test_delivering_steps_what_is_due_once(shop: Shop) -> None:
    owe_paid(shop, CancelPlan(settle_s=60.0))
    with closing(sqlite3.connect(shop.folder / FILE_NAME, isolation_level=None)) as connection:
        connection.execute("UPDATE cancellation SET due_at = 0")  # as if its pause were over
    first = shop.run("queue", "deliver", "--json")

    assert first.code == 3
    assert [row["last_error"] for row in first.document["left"]] == ["Payme is cancelling (21)"]
    asked = len(shop.sandbox.requests)
    shop.lengthen_pauses("cancellation")
    second = shop.run("queue", "deliver")
    assert (second.code, second.out) == (3, "Ended: 0. Left: 1.\n")
    assert len(shop.sandbox.requests) == asked, "it is not due yet"


def test_delivering_until_empty_ends_when_a_whole_round_changed_nothing(shop: Shop) -> None:
    owe_paid(shop, CancelPlan(refused_with=-31800))
    started = time.monotonic()
    left = shop.run("queue", "deliver", "--until-empty", "--json")

    assert left.code == 3
    assert time.monotonic() - started < 3.0
    assert [row["last_error"] for row in left.document["left"]] == ["receipts.cancel: error -31800"]


def test_with_nothing_to_deliver_it_is_done_and_makes_nothing(shop: Shop) -> None:
    shop.folder.mkdir()
    delivered = shop.run("queue", "deliver", "--until-empty", "--json")

    assert delivered.code == 0
    assert delivered.document == {"ended": [], "left": [], "fiscal_links": {"ended": [], "left": []}}
    assert list(shop.folder.iterdir()) == []


def test_delivering_first_finishes_what_a_killed_command_left(shop: Shop) -> None:
    shop.cut_off_a_payment()
    delivered = shop.run("queue", "deliver", "--until-empty")

    assert delivered.code == 0
    (payment,) = shop.run("status", "--json").document
    assert payment["status"] == "PAID", "the till has it, and so has Payme"
    assert (shop.sandbox.held(), shop.sent("receipts.pay")) == (100, 1)


def test_beside_another_command_it_delivers_all_the_same(shop: Shop) -> None:
    owe(shop)
    with subprocess.Popen(  # noqa: S603 - our own command
        command_line(*shop.options, "pay", "--amount", "1"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as other:
        assert other.stderr is not None
        other.stderr.read(1)
        delivered = shop.run("queue", "deliver", "--until-empty")
        other.communicate(timeout=60)

    assert (delivered.code, states(shop)[0]) == (0, 50)


def test_another_tills_cancellations_are_delivered_and_its_payments_left_alone(shop: Shop) -> None:
    owe(shop)
    shop.sandbox.inject(InjectedFault(FaultKind.SILENT_AFTER_EFFECT, method="receipts.pay"))
    code = shop.sandbox.issue_code()
    with subprocess.Popen(  # noqa: S603 - our own command
        command_line(*shop.options, "pay", "--amount", "1", "--qr", code, "--payment-id", "open"), env=environment()
    ) as process:
        while not shop.sandbox.held():
            assert process.poll() is None
            time.sleep(0.01)
        process.kill()
    shop.give_journal_to(OTHER_TILL)
    (shop.folder / "till.lock").unlink()
    delivered = shop.run("queue", "deliver", "--until-empty", "--json")

    assert (delivered.code, len(delivered.document["ended"])) == (0, 1)
    assert shop.run("status", "open", "--json").document["state"] == "paying", "that till decides"
    assert shop.sandbox.held() == 100
    assert not (shop.folder / "till.lock").exists()
    with Leases(shop.folder).try_acquire(LEADER) as is_free:
        assert is_free


@pytest.mark.parametrize(
    "command", [["pay", "--amount", "1", "--qr", "00770000000000000001"], ["cancel", "p1"], ["refund", "p1"]]
)
def test_at_another_tills_journal_the_other_commands_end_with_2(shop: Shop, command: list[str]) -> None:
    owe(shop)
    shop.give_journal_to(OTHER_TILL)
    before = (len(shop.sandbox.requests), files(shop.folder))
    ended = shop.run(*command)

    assert (ended.code, ended.out) == (2, "")
    (sentence,) = ended.sentences
    assert OTHER_TILL in sentence
    assert (len(shop.sandbox.requests), files(shop.folder)) == before


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# ---------------------------------------------------------------------------------------------------------------------
# Ended by hand
# ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "two\nlines"])
def test_a_case_is_not_closed_without_a_reason(shop: Shop, reason: str) -> None:
    owe(shop)
    asked = len(shop.sandbox.requests)
    ended = shop.run("queue", "close", "1", "--reason", reason)

    assert ended.code == 2
    assert "--reason" in ended.sentences[0]
    assert len(shop.run("queue", "list", "--json").document) == 1
    assert len(shop.sandbox.requests) == asked
    assert shop.run("queue", "close", "1").code == 2


def test_a_case_is_closed_after_a_last_check_which_is_told_and_kept(shop: Shop) -> None:
    receipt_id = owe_paid(shop, CancelPlan(refused_with=-31800))
    asked = shop.sent("receipts.check")
    closed = shop.run("queue", "close", "1", "--reason", "Anna paid the cash out", "--json")

    outcome = "closed by hand: Anna paid the cash out; last check: paid (4)"
    assert closed.code == 0
    assert closed.document == {
        "id": 1,
        "payment_id": "p1",
        "receipt_id": receipt_id,
        "last_state": 4,
        "outcome": outcome,
    }
    assert "Payme says: paid (4)" in closed.sentences[0]
    assert shop.sent("receipts.check") == asked + 1
    assert shop.run("queue", "list", "--json").document == []
    shown = shop.run("queue", "show", "1", "--json").document
    assert shown["outcome"] == outcome
    assert any(outcome in event["text"] for event in shown["events"])
    assert shop.run("queue", "close", "1", "--reason", "again").code == 1


def test_a_case_whose_money_is_back_closes_its_payment_too(shop: Shop) -> None:
    receipt_id = owe_paid(shop, CancelPlan(refused_with=-31800))
    shop.sandbox.put_state(receipt_id, 50)
    closed = shop.run("queue", "close", "1", "--reason", "by hand in the cabinet")

    assert (closed.code, closed.err) == (0, "")
    assert shop.run("status", "p1", "--json").document["status"] == "REVERSED"


def test_a_case_can_be_closed_while_payme_does_not_answer(shop: Shop) -> None:
    owe(shop)
    shop.sandbox.stop()
    closed = shop.run("queue", "close", "1", "--reason", "the shop is closed for good", "--json")

    assert (closed.code, closed.document["last_state"]) == (0, None)
    assert "no usable answer" in closed.sentences[0]


def test_a_case_that_another_process_works_on_is_not_closed(shop: Shop) -> None:
    owe(shop)
    with Leases(shop.folder).try_acquire(1) as is_ours:
        assert is_ours
        ended = shop.run("queue", "close", "1", "--reason", "enough")

    assert ended.code == 1
    assert "Another process" in ended.sentences[0]
    assert len(shop.run("queue", "list", "--json").document) == 1


def test_the_log_of_the_till_has_what_was_delivered(shop: Shop) -> None:
    owe(shop)
    shop.run("queue", "deliver", "--until-empty")

    log = (shop.folder / "terminal.log").read_text(encoding="utf-8")
    assert "cancellation 1 of payment p1: Payme says cancelled (50)" in log


def test_delivering_beside_a_pending_payment_ends_with_3(shop: Shop) -> None:
    shop.cut_off_a_payment()
    with Leases(shop.folder).try_acquire(LEADER):
        delivered = shop.run("queue", "deliver", "--until-empty")

    assert (delivered.code, delivered.out) == (3, "Ended: 0. Left: 0.\n")
    assert "Receipt 1 was left unfinished by an earlier command: PENDING" in delivered.err
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    assert shop.sandbox.held() == 100
