"""``payme queue add``: a person sends a payment back that the till does not have and nobody decides about any more."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import walk
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import LEADER, Leases
from payme_plugin.ledger.states import Hold, PaymentState

if TYPE_CHECKING:
    from tests.command.conftest import Shop

OTHER_TILL = "till-7 of another shop"
REASON = "the buyer is at the counter"
MAY_BE_ADDED = (PaymentState.CREATED, PaymentState.PAYING, PaymentState.PAID, PaymentState.RECORDED)
HAS_ENDED = (
    PaymentState.REFUSED,
    PaymentState.ABORTED,
    PaymentState.UNKNOWN,
    PaymentState.REVERSING,
    PaymentState.REVERSED,
)


def leave(shop: Shop, state: PaymentState, *, is_closed: bool = False) -> None:
    """Let a till that has ended leave a payment in a state."""
    with closing(Journal(shop.folder / FILE_NAME, host_identity=OTHER_TILL, clock=SystemClock())) as journal:
        row = walk(journal, state)
        if is_closed:
            journal.acknowledge(row, closed_at=1)


def test_at_another_tills_journal_its_money_goes_back(shop: Shop) -> None:
    shop.cut_off_a_payment()
    shop.give_journal_to(OTHER_TILL)

    added = shop.run("queue", "add", "p1", "--reason", REASON, "--json")

    receipt_id = shop.sandbox.receipts()[0].receipt_id
    assert (added.code, added.err) == (0, "")
    assert added.document == {"id": 1, "payment_id": "p1", "receipt_id": receipt_id}
    story = shop.run("status", "p1", "--json").document
    assert story["state"] == "unknown"
    assert f"queued by hand: {REASON}" in [event["text"] for event in story["events"]]
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    assert shop.sandbox.held() == 0


@pytest.mark.parametrize("state", MAY_BE_ADDED, ids=lambda state: state.value)
def test_any_payment_that_nobody_decides_about_may_be_added(shop: Shop, state: PaymentState) -> None:
    leave(shop, state)

    added = shop.run("queue", "add", "p1", "--reason", REASON)

    assert added.code == 0
    assert added.out.startswith("Payment p1 is returned by cancellation 1;")
    (row,) = shop.run("queue", "list", "--json").document
    assert (row["payment_id"], row["cause"]) == ("p1", "unrecorded")


def test_one_that_never_had_a_receipt_ends_without_a_cancellation(shop: Shop) -> None:
    leave(shop, PaymentState.INTENT)

    added = shop.run("queue", "add", "p1", "--reason", REASON, "--json")

    assert (added.code, added.document) == (0, {"id": None, "payment_id": "p1", "receipt_id": None})
    assert shop.run("queue", "list", "--json").document == []
    assert shop.run("status", "p1", "--json").document["status"] == "REFUSED"


@pytest.mark.parametrize("state", HAS_ENDED, ids=lambda state: state.value)
def test_one_that_has_ended_is_not_added_again(shop: Shop, state: PaymentState) -> None:
    leave(shop, state)
    before = shop.run("status", "p1", "--json").document

    ended = shop.run("queue", "add", "p1", "--reason", REASON)

    assert ended.code == 1
    assert "is no longer open" in ended.sentences[0]
    assert shop.run("status", "p1", "--json").document == before


def test_one_of_a_closed_sale_is_a_refund_at_the_till(shop: Shop) -> None:
    leave(shop, PaymentState.RECORDED, is_closed=True)

    assert shop.run("queue", "add", "p1", "--reason", REASON).code == 1
    assert shop.run("queue", "list", "--json").document == []


def test_one_that_the_reference_till_has_is_not_added(shop: Shop) -> None:
    shop.cut_off_a_payment()
    assert shop.run("queue", "deliver").code == 0
    assert shop.run("status", "p1", "--json").document["status"] == "PAID"

    assert shop.run("queue", "add", "p1", "--reason", REASON).code == 1
    assert shop.sandbox.held() == 100


def test_while_the_till_runs_the_till_decides(shop: Shop) -> None:
    leave(shop, PaymentState.PAID)
    with Leases(shop.folder).try_acquire(LEADER):
        ended = shop.run("queue", "add", "p1", "--reason", REASON)

    assert (ended.code, ended.out) == (1, "")
    assert "The till is running" in ended.sentences[0]
    assert shop.run("queue", "list", "--json").document == []


def test_a_payment_that_is_not_there(shop: Shop) -> None:
    shop.folder.mkdir()
    assert shop.run("queue", "add", "p1", "--reason", REASON).code == 1
    assert list(shop.folder.iterdir()) == []
    leave(shop, PaymentState.PAID)

    ended = shop.run("queue", "add", "p2", "--reason", REASON)

    assert ended.code == 1
    assert "There is no payment 'p2'" in ended.sentences[0]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "two\nlines"])
def test_nothing_is_added_without_a_reason(shop: Shop, reason: str) -> None:
    leave(shop, PaymentState.PAID)

    ended = shop.run("queue", "add", "p1", "--reason", reason)

    assert ended.code == 2
    assert "--reason" in ended.sentences[0]
    assert shop.run("queue", "list", "--json").document == []


def leave_held(shop: Shop, why: Hold) -> None:
    """Let a till that has ended leave a paid receipt of 1 sum whose cancellation is held."""
    shop.cut_off_a_payment()
    shop.give_journal_to(OTHER_TILL)
    assert shop.run("queue", "add", "p1", "--reason", REASON).code == 0
    with closing(Journal(shop.folder / FILE_NAME, host_identity=OTHER_TILL, clock=SystemClock())) as journal:
        (row,) = Cancellations(journal).live()
        Cancellations(journal).postpone(row, 0, "held", held=why)
        over_a_week_ms = 8 * 24 * 3_600_000
        with journal.writing() as connection:
            connection.execute("UPDATE cancellation SET created_at = created_at + ?", (over_a_week_ms,))


def test_one_that_is_held_because_it_is_old_is_released_and_goes_back(shop: Shop) -> None:
    leave_held(shop, Hold.OLD)
    (held,) = shop.run("queue", "list", "--json").document
    assert held["held"] == "old"

    released = shop.run("queue", "add", "p1", "--reason", REASON, "--json")

    assert (released.code, released.document["id"]) == (0, held["id"])
    (row,) = shop.run("queue", "list", "--json").document
    assert (row["id"], row["held"]) == (held["id"], None)
    story = shop.run("status", "p1", "--json").document
    assert any(REASON in event["text"] for event in story["events"])
    assert shop.run("queue", "deliver", "--until-empty").code == 0
    assert shop.sandbox.held() == 0


def test_one_that_the_till_vetoed_is_not_released(shop: Shop) -> None:
    leave_held(shop, Hold.HOST)

    assert shop.run("queue", "add", "p1", "--reason", REASON).code == 1
    (row,) = shop.run("queue", "list", "--json").document
    assert row["held"] == "host"
