"""``payme queue`` and ``worker``: cancellations and fiscal receipts shown, delivered, closed and added by hand."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import walk
from fakes.waiting import comes_true
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.states import Hold, PaymentState
from payme_plugin.sandbox import CancelPlan, FaultKind, InjectedFault
from tests.command.conftest import OTHER_TILL, payme, running, worker_process

if TYPE_CHECKING:
    from tests.command.conftest import CommandTill

pytestmark = pytest.mark.floor

NOTHING = {"ended": [], "left": [], "confirming": [], "fiscal_links": {"ended": [], "left": []}}
REASON = "the buyer is at the counter"
REFUSED = CancelPlan(refused_with=-31800)


def owe_paid(shop: CommandTill, plan: CancelPlan, payment_id: str = "p1") -> str:
    """Leave a cancellation of a paid receipt, whose cancellations go by ``plan``; return its receipt id."""
    receipt_id = str(shop.pay(shop.sandbox.issue_code(), "--payment-id", payment_id).document["receipt_id"])
    shop.sandbox.plan_cancel(receipt_id, REFUSED)
    assert shop.run("refund", payment_id).code == 3
    shop.sandbox.plan_cancel(receipt_id, plan)
    return receipt_id


# ---------------------------------------------------------------------------------------------------------------------
# Shown
# ---------------------------------------------------------------------------------------------------------------------


def test_a_cancellation_is_listed_with_its_cause_age_and_tries_and_shown_with_everything(shop: CommandTill) -> None:
    receipt_id = shop.owe()
    (row,) = shop.queued()
    shown = shop.run("queue", "show", str(row["id"]), "--json").document

    assert (row["payment_id"], row["receipt_id"], row["cause"]) == ("p1", receipt_id, "unrecorded")
    assert (row["confirming"], row["held"], 0 <= row["age_s"] < 60) == (False, None, True)
    heading, line = shop.run("queue", "list").out.splitlines()
    assert heading.split()[:5] == ["Id", "Cause", "Age", "Tries", "Payment"]
    assert {"unrecorded", "p1"} <= set(line.split())
    assert {name: shown[name] for name in row} == {**row, "age_s": shown["age_s"]}
    assert (shown["amount"], shown["pos_id"], shown["url"]) == (1_500_000, shop.sandbox.pos_id, shop.sandbox.url)
    assert (shown["ended_at"], shown["outcome"], shown["offered_at"]) == (None, None, None)
    assert [event["state"] for event in shown["events"] if event["state"]][-1] == "refused"
    text = shop.run("queue", "show", str(row["id"])).out
    assert receipt_id in text
    assert "Next try      now" in text


@pytest.mark.parametrize("number", ["2", "99999999999999999999", "0", "first"])
def test_an_unknown_cancellation_is_an_error(shop: CommandTill, number: str) -> None:
    shop.owe()
    for command in (["show", number], ["close", number, "--reason", "x"]):
        ended = shop.run("queue", *command)
        assert (ended.code, len(ended.sentences)) == (1 if number == "2" else 2, 1)
    empty = shop.folder / "none"
    empty.mkdir()
    assert payme("queue", "show", "1", "--data-dir", str(empty)).code == 1


# ---------------------------------------------------------------------------------------------------------------------
# Delivered
# ---------------------------------------------------------------------------------------------------------------------


def test_delivering_until_empty_gives_all_money_back_and_what_is_confirming_stays_listed(shop: CommandTill) -> None:
    shop.owe("p1")
    owe_paid(shop, CancelPlan(settle_s=0.5), "p2")
    delivered = shop.run("queue", "deliver", "--until-empty", "--json")
    shop.owe("p3")

    assert (delivered.code, delivered.err) == (0, "")
    assert delivered.document == {**NOTHING, "ended": [1, 2], "confirming": [1, 2]}
    assert shop.sandbox.held() == 0
    assert [receipt.state for receipt in shop.sandbox.receipts()] == [50, 50, 0]
    shown = shop.run("queue", "show", "2", "--json").document
    assert (shown["confirming"], shown["ended_as"], shown["ended_at"]) == (True, None, None)
    listed = [(row["id"], row["confirming"]) for row in shop.queued()]
    assert listed == [(1, True), (2, True), (3, False)], "oldest first"
    shop.change_journal("UPDATE cancellation SET confirmed_at = confirmed_at - 600000, due_at = 0")  # ten minutes later
    later = shop.run("queue", "deliver")
    assert (later.code, later.out.splitlines()[0]) == (0, "Delivered: 1. Left: 0.")
    assert later.out.splitlines()[1].startswith("Confirming: 1. The money is back"), "the first two have ended"
    ended = shop.run("queue", "show", "2", "--json").document
    assert (ended["confirming"], ended["ended_as"]) == (False, "cancelled")
    assert ended["outcome"] == "Payme says cancelled (50)"


def test_a_setting_that_stops_charging_is_printed_and_does_not_stop_the_return_of_money(shop: CommandTill) -> None:
    shop.owe()
    shop.configure(staleCodes="-1")
    refused = shop.pay(shop.sandbox.issue_code())
    delivered = shop.run("queue", "deliver", "--until-empty")

    assert (refused.code, delivered.code) == (2, 0)
    assert "staleCodes" in delivered.err
    assert [receipt.state for receipt in shop.sandbox.receipts()] == [50]


def test_delivering_steps_what_is_due_once(shop: CommandTill) -> None:
    owe_paid(shop, CancelPlan(settle_s=60.0))
    shop.change_journal("UPDATE cancellation SET due_at = 0")  # as if its pause were over
    first = shop.run("queue", "deliver", "--json")

    assert first.code == 3
    assert [row["last_error"] for row in first.document["left"]] == ["Payme is cancelling (21)"]
    asked = len(shop.sandbox.requests)
    shop.change_journal("UPDATE cancellation SET due_at = due_at + 60000")
    second = shop.run("queue", "deliver")
    assert (second.code, second.out) == (3, "Delivered: 0. Left: 1.\n")
    assert len(shop.sandbox.requests) == asked, "it is not due yet"


def test_with_nothing_to_deliver_it_is_done_and_makes_nothing(shop: CommandTill) -> None:
    shop.folder.mkdir()
    delivered = shop.run("queue", "deliver", "--until-empty", "--json")

    assert (delivered.code, delivered.document, shop.files()) == (0, NOTHING, {})


def test_it_delivers_while_another_command_runs(shop: CommandTill) -> None:
    shop.owe()
    with running(*shop.options, "pay", "--amount", "1", stdin=subprocess.PIPE) as other:
        assert other.stderr is not None
        other.stderr.read(1)
        delivered = shop.run("queue", "deliver", "--until-empty")
        other.communicate(timeout=60)

    assert (delivered.code, shop.sandbox.receipts()[0].state) == (0, 50)


def test_another_tills_cancellations_are_delivered_and_its_payments_not_changed(shop: CommandTill) -> None:
    shop.owe()
    shop.cut_off_a_payment("open")
    shop.give_journal_to()
    (shop.folder / "till.lock").unlink()
    delivered = shop.run("queue", "deliver", "--until-empty", "--json")

    assert (delivered.code, len(delivered.document["ended"])) == (0, 1)
    assert shop.payment("open")["state"] == "paying", "that till decides"
    assert shop.sandbox.held() == 100
    assert not (shop.folder / "till.lock").exists()
    with Leases(shop.folder).try_acquire(LEADER) as is_free:
        assert is_free


# ---------------------------------------------------------------------------------------------------------------------
# Closed by hand
# ---------------------------------------------------------------------------------------------------------------------


def test_a_cancellation_is_closed_after_a_last_check_which_is_printed_and_kept(shop: CommandTill) -> None:
    receipt_id = owe_paid(shop, REFUSED)
    asked = shop.sent("receipts.check")
    closed = shop.run("queue", "close", "1", "--reason", "Anna paid the cash out", "--json")

    outcome = "closed by hand: Anna paid the cash out; last check: paid (4)"
    assert (closed.code, closed.document) == (
        0,
        {"id": 1, "payment_id": "p1", "receipt_id": receipt_id, "last_state": 4, "outcome": outcome},
    )
    assert "Payme says: paid (4)" in closed.sentences[0]
    assert shop.sent("receipts.check") == asked + 1
    assert shop.queued() == []
    shown = shop.run("queue", "show", "1", "--json").document
    assert shown["outcome"] == outcome
    assert any(outcome in event["text"] for event in shown["events"])
    assert shop.run("queue", "close", "1", "--reason", "again").code == 1


def test_a_cancellation_is_closed_with_its_payment_if_the_money_is_back_and_also_without_an_answer(
    shop: CommandTill,
) -> None:
    receipt_id = owe_paid(shop, REFUSED)
    shop.owe("p2")
    shop.sandbox.put_state(receipt_id, 50)
    closed = shop.run("queue", "close", "1", "--reason", "by hand in the cabinet")
    shop.sandbox.stop()
    unanswered = shop.run("queue", "close", "2", "--reason", "the shop is closed for good", "--json")

    assert (closed.code, closed.err, shop.payment("p1")["status"]) == (0, "", "REVERSED")
    assert (unanswered.code, unanswered.document["last_state"]) == (0, None)
    assert "no usable answer" in unanswered.sentences[0]


def test_closing_does_not_promise_to_stop_what_a_chains_broker_has_taken(shop: CommandTill) -> None:
    for payment_id in ("p1", "p2"):
        owe_paid(shop, REFUSED, payment_id)
    shop.configure(queueUrl="amqp://u:p@127.0.0.1:1")
    with closing(sqlite3.connect(shop.folder / "journal.sqlite3")) as journal, journal:
        journal.execute("UPDATE cancellation SET offered_at = 1 WHERE payment_id = 'p1'")
    taken, own = (shop.run("queue", "close", number, "--reason", "enough") for number in "12")

    assert "central workers may still return" in taken.sentences[0]
    assert "no longer returned" in own.sentences[0]


def test_a_cancellation_that_another_process_works_on_is_not_closed(shop: CommandTill) -> None:
    shop.owe()
    with Leases(shop.folder).try_acquire(1):
        ended = shop.run("queue", "close", "1", "--reason", "enough")

    assert (ended.code, len(shop.queued())) == (1, 1)
    assert "Another process" in ended.sentences[0]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "two\nlines", None])
def test_nothing_is_closed_or_added_without_a_reason(shop: CommandTill, reason: str | None) -> None:
    shop.owe()
    before = shop.files()
    for command in (["close", "1"], ["add", "p1"]):
        ended = shop.run("queue", *command, *([] if reason is None else ["--reason", reason]))
        assert ended.code == 2
        assert "--reason" in ended.sentences[0]
    assert shop.files() == before


# ---------------------------------------------------------------------------------------------------------------------
# Added by hand
# ---------------------------------------------------------------------------------------------------------------------


def leave(shop: CommandTill, state: PaymentState, *, is_closed: bool = False) -> None:
    """Let a till that has ended leave the payment p1 in a state."""
    with closing(Journal(shop.folder / FILE_NAME, host_identity=OTHER_TILL, clock=SystemClock())) as journal:
        row = walk(journal, state)
        if is_closed:
            journal.acknowledge(row, closed_at=1)


def test_at_another_tills_journal_the_money_of_an_added_payment_goes_back(shop: CommandTill) -> None:
    shop.cut_off_a_payment()
    shop.give_journal_to()

    added = shop.run("queue", "add", "p1", "--reason", REASON, "--json")

    receipt_id = shop.sandbox.receipts()[0].receipt_id
    assert (added.code, added.err) == (0, "")
    assert added.document == {"id": 1, "payment_id": "p1", "receipt_id": receipt_id}
    payment = shop.payment()
    assert payment["state"] == "unknown"
    assert f"queued by hand: {REASON}" in [event["text"] for event in payment["events"]]
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    assert shop.sandbox.held() == 0


@pytest.mark.parametrize("state", PaymentState, ids=lambda state: state.value)
def test_a_payment_may_be_added_until_it_has_ended(shop: CommandTill, state: PaymentState) -> None:
    leave(shop, state)
    before = shop.payment()

    ended = shop.run("queue", "add", "p1", "--reason", REASON)

    if state in {PaymentState.CREATED, PaymentState.PAYING, PaymentState.PAID, PaymentState.RECORDED}:
        assert ended.code == 0
        assert ended.out.startswith("Payment p1 is returned by cancellation 1;")
        assert [(row["payment_id"], row["cause"]) for row in shop.queued()] == [("p1", "unrecorded")]
    elif state is PaymentState.INTENT:
        assert (ended.code, shop.queued(), shop.payment()["status"]) == (0, [], "REFUSED"), "it never had a receipt"
    else:
        assert (ended.code, shop.payment()) == (1, before)
        assert "is no longer open" in ended.sentences[0]


def test_one_of_a_closed_sale_is_a_refund_at_the_till_and_while_the_till_runs_the_till_decides(
    shop: CommandTill,
) -> None:
    leave(shop, PaymentState.RECORDED, is_closed=True)
    closed = shop.run("queue", "add", "p1", "--reason", REASON)
    with Leases(shop.folder).try_acquire(LEADER):
        beside_the_till = shop.run("queue", "add", "p1", "--reason", REASON)

    assert (closed.code, beside_the_till.code, shop.queued()) == (1, 1, [])
    assert "The till is running" in beside_the_till.sentences[0]


def test_a_recorded_or_unknown_payment_is_not_added(shop: CommandTill) -> None:
    shop.pay(shop.sandbox.issue_code(), "--payment-id", "p1")
    shop.change_journal("UPDATE payment SET closed_at = NULL")

    assert shop.run("queue", "add", "p1", "--reason", REASON).code == 1
    (sentence,) = shop.run("queue", "add", "p2", "--reason", REASON).sentences
    assert sentence.startswith("There is no payment 'p2'")
    assert (shop.payment()["status"], shop.queued()) == ("PAID", [])


@pytest.mark.parametrize("why", [Hold.OLD, Hold.HOST])
def test_a_cancellation_that_is_held_is_released_if_it_is_old_but_not_if_the_till_vetoed_it(
    shop: CommandTill, why: Hold
) -> None:
    leave(shop, PaymentState.PAID)
    assert shop.run("queue", "add", "p1", "--reason", "once").code == 0
    over_a_week_ms = 8 * 24 * 3_600_000
    change = "UPDATE cancellation SET held = ?, last_error = 'held', created_at = created_at + ?"
    shop.change_journal(change, why.value, over_a_week_ms)
    assert shop.queued()[0]["held"] == why.value

    again = shop.run("queue", "add", "p1", "--reason", REASON, "--json")

    (row,) = shop.queued()
    if why is Hold.OLD:
        assert (again.code, again.document["id"], row["held"]) == (0, row["id"], None)
        assert any(REASON in event["text"] for event in shop.payment()["events"])
    else:
        assert (again.code, row["held"]) == (1, "host")


# ---------------------------------------------------------------------------------------------------------------------
# Fiscal receipts
# ---------------------------------------------------------------------------------------------------------------------

LINK = "https://ofd.soliq.uz/check?t=UZ000000000000&r=121&c=20240312184051&s=123456789012"
SET_FISCAL_DATA = "receipts.set_fiscal_data"


def pay_with_link(shop: CommandTill, payment_id: str = "p1") -> str:
    paid = shop.pay(shop.sandbox.issue_code(), "--payment-id", payment_id, "--fiscal-url", LINK)
    assert paid.code == 0
    return str(paid.document["receipt_id"])


def test_a_link_waits_in_the_queue_and_queue_deliver_sends_it_to_payme(shop: CommandTill) -> None:
    receipt_id = pay_with_link(shop)
    assert (shop.sent(SET_FISCAL_DATA), shop.queued()) == (0, []), "no money is on its way back"

    (link,) = shop.run("queue", "list", "--fiscal-links", "--json").document
    row = {"id": 1, "payment_id": "p1", "receipt_id": receipt_id, "link": LINK}
    assert link == {**row, "age_s": link["age_s"], "attempts": 0, "last_error": None}
    title, heading, cells = shop.run("queue", "list", "--fiscal-links").out.splitlines()
    assert shop.run("queue", "list").out == f"No pending cancellations.\n\n{title}\n{heading}\n{cells}\n"
    assert title == "Fiscal receipts that Payme does not have yet:"
    assert heading.split()[:4] == ["Id", "Age", "Tries", "Payment"]
    assert "p1" in cells.split()

    delivered = shop.run("queue", "deliver", "--json")
    assert (delivered.code, delivered.document["fiscal_links"]) == (0, {"ended": [1], "left": []})
    (receipt,) = shop.sandbox.receipts()
    assert receipt.fiscal_data is not None
    assert receipt.fiscal_data["qr_code_url"] == LINK
    assert shop.run("queue", "list", "--fiscal-links").out == "Payme has all fiscal receipts.\n"


def test_a_link_that_is_left_is_tried_again_by_until_empty_whatever_its_pause_and_owes_no_money(
    shop: CommandTill,
) -> None:
    pay_with_link(shop)
    shop.sandbox.inject(InjectedFault(FaultKind.HTTP_ERROR, SET_FISCAL_DATA))
    first = shop.run("queue", "deliver", "--json")
    assert first.code == 0
    (left,) = first.document["fiscal_links"]["left"]
    assert (left["attempts"], bool(left["last_error"])) == (1, True)
    shop.change_journal("UPDATE fiscal_link SET due_at = due_at + 60000")
    assert shop.run("queue", "deliver").out == "Delivered: 0. Left: 0.\nFiscal receipts ended: 0. Left: 1.\n"
    assert shop.sent(SET_FISCAL_DATA) == 1, "its pause is not over"

    assert shop.run("queue", "deliver", "--until-empty").out.endswith("Fiscal receipts ended: 1. Left: 0.\n")
    assert shop.sent(SET_FISCAL_DATA) == 2


def test_a_silent_server_holds_the_command_up_no_longer_than_pay_duration_and_one_timeout(shop: CommandTill) -> None:
    shop.configure(payDuration=1000, timeout=1)
    for number in range(3):
        pay_with_link(shop, f"p{number}")
    shop.sandbox.inject(InjectedFault(FaultKind.SILENT, SET_FISCAL_DATA, times=None))

    left = shop.run("queue", "deliver", "--until-empty", "--json").document["fiscal_links"]["left"]

    assert (len(left), shop.sent(SET_FISCAL_DATA) <= 2) == (3, True)


# ---------------------------------------------------------------------------------------------------------------------
# The worker
# ---------------------------------------------------------------------------------------------------------------------


def delivered(shop: CommandTill) -> bool:
    return comes_true(lambda: not shop.returning(), 20)


def test_it_delivers_new_cancellations_while_it_runs_and_ends_on_sigterm(shop: CommandTill) -> None:
    with worker_process(*shop.options, "--json") as process:
        shop.owe("p1")
        assert process.stdout is not None
        started = json.loads("".join(process.stdout.readline() for _ in range(4)))
        assert delivered(shop), "it waited for the journal to be there"
        shop.owe("p2")
        assert delivered(shop)
        with Leases(shop.folder).try_acquire(LEADER) as is_free:
            assert is_free, "an idle worker is not the one that decides"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=20)

    assert (process.returncode, out, err) == (0, "", "")
    assert (started["data_dir"], started["till"].partition("@")[0]) == (str(shop.folder), "reference-till")
    assert [receipt.state for receipt in shop.sandbox.receipts()] == [50, 50]
    assert "cancellation 1 of payment" in (shop.folder / "terminal.log").read_text(encoding="utf-8")


def test_at_another_tills_journal_it_delivers_too_and_logs_to_stderr_where_the_folder_has_no_log(
    shop: CommandTill,
) -> None:
    shop.owe()
    shop.give_journal_to()
    (shop.folder / "terminal.log").unlink()
    with worker_process(*shop.options) as process:
        assert delivered(shop)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)

    assert process.returncode == 0
    assert out.startswith(f"Delivering the cancellations of till {OTHER_TILL}")
    assert "INFO  payme  - cancellation 1 of payment" in err
    assert not (shop.folder / "terminal.log").exists()


def test_with_settings_that_can_not_be_used_it_does_not_start(shop: CommandTill) -> None:
    shop.configure(frequency="often")
    ended = shop.run("worker")

    assert ended.code == 2
    assert ended.sentences[0].startswith("frequency")


def test_a_worker_delivers_although_its_stdout_can_not_be_written(shop: CommandTill) -> None:
    shop.owe()
    with Path("/dev/full").open("wb") as full, running(*shop.options, "worker", stdout=full.fileno()) as process:
        assert delivered(shop)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)

    assert process.returncode == 0
    assert err == "payme: The output can't be written: No space left on device.\n"


def test_a_worker_whose_journal_is_replaced_ends_so_that_its_next_one_opens_the_new_file(shop: CommandTill) -> None:
    shop.owe()
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
