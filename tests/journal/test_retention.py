"""Finished payments are deleted after keepDays, but not while money is owed or the host may repeat them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import walk
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.retention import check_states, forget_finished
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, End, PaymentState
from tests.journal.test_salvage import corrupt

if TYPE_CHECKING:
    import sqlite3
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fakes.clock import VirtualClock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow

pytestmark = pytest.mark.floor

DAY_S = 24 * 3_600
DAY_MS = 1000 * DAY_S


def sold(journal: Journal, name: str) -> PaymentRow:
    return journal.acknowledge(walk(journal, PaymentState.RECORDED, name), closed_at=journal.now_ms())


def sell_after(journal: Journal, clock: VirtualClock, days: float) -> None:
    """Let the till sell something so many days later: what came before is older than the newest sale."""
    clock.sleep(days * DAY_S)
    sold(journal, f"sold {days} days later")


def names(journal: Journal) -> set[str]:
    return {row.payment_id for row in journal.payments()}


def test_finished_payments_are_deleted_with_their_events_after_keep_days_so_many_at_once(
    journal: Journal, clock: VirtualClock
) -> None:
    assert forget_finished(journal, 400, most=10) == 0, "an empty journal has nothing to forget"
    for name in ("p1", "p2", "p3"):
        sold(journal, name)
    clock.sleep(400 * DAY_S)
    sold(journal, "new")
    assert forget_finished(journal, 400, most=10) == 0, "not before"

    clock.sleep(0.001)
    sold(journal, "newest")
    assert [forget_finished(journal, 400, most=2) for _ in range(3)] == [2, 1, 0]
    assert names(journal) == {"new", "newest"}
    assert (journal.events("p1"), journal.events("new") != []) == ([], True)


def test_a_journal_of_an_earlier_build_gets_the_index_of_its_deletions(journal: Journal, clock: VirtualClock) -> None:
    with journal.writing() as connection:
        connection.execute("DROP INDEX cancellation_of_payment")
    sold(journal, "p1")
    clock.sleep(401 * DAY_S)
    sold(journal, "new")

    assert forget_finished(journal, 400, most=10) == 1
    with journal.reading() as connection:
        assert connection.execute("PRAGMA index_list(cancellation)").fetchall()[0]["name"] == "cancellation_of_payment"


@pytest.mark.parametrize("state", [PaymentState.UNKNOWN, PaymentState.REFUSED, PaymentState.REVERSING])
def test_a_payment_whose_money_is_still_owed_is_never_deleted(
    journal: Journal, clock: VirtualClock, state: PaymentState
) -> None:
    walk(journal, state, "owed")
    sell_after(journal, clock, 4000)
    assert forget_finished(journal, 400, most=10) == 0
    assert [row.payment_id for row in journal.live_cancellations()] == ["owed"]

    rows = Cancellations(journal)
    rows.end(rows.live_of("owed"), End.CANCELLED, "done")
    sell_after(journal, clock, 401)
    assert forget_finished(journal, 400, most=1) == 1
    assert "owed" not in names(journal)


def test_an_unfinished_payment_and_one_whose_fiscal_receipt_payme_does_not_have_yet_are_never_forgotten(
    journal: Journal, clock: VirtualClock
) -> None:
    walk(journal, PaymentState.INTENT, "open")
    FiscalLinks(journal).add(sold(journal, "later"), "https://ofd.soliq.uz/check?t=UZ1&r=1&c=20260101000000&s=1")
    sell_after(journal, clock, 4000)

    assert forget_finished(journal, 400, most=10) == 0


def test_a_payment_of_a_sale_that_is_still_open_is_never_forgotten(journal: Journal, clock: VirtualClock) -> None:
    row = walk(journal, PaymentState.RECORDED, "parked")
    sell_after(journal, clock, 4000)
    assert forget_finished(journal, 400, most=10) == 0

    journal.acknowledge(row, closed_at=journal.now_ms())
    assert forget_finished(journal, 400, most=10) == 0, "its receipt closed just now"
    sell_after(journal, clock, 401)
    assert forget_finished(journal, 400, most=1) == 1
    assert "parked" not in names(journal)


@pytest.mark.parametrize("state", list(PaymentState))
@pytest.mark.parametrize("jump_days", [401, 36_500, -401])
def test_a_clock_that_jumps_forgets_nothing(
    journal: Journal, clock: VirtualClock, state: PaymentState, jump_days: int
) -> None:
    row = walk(journal, state, "p1")
    sold(journal, "p2")
    clock.set_wall(jump_days * DAY_MS)
    if state is PaymentState.PAID:
        journal.move(row, PaymentState.RECORDED, "the till has it")  # recovery writes under the wrong clock

    assert forget_finished(journal, 400, most=10) == 0
    assert names(journal) == {"p1", "p2"}


def test_after_a_sale_under_a_clock_that_was_ahead_the_right_one_counts(journal: Journal, clock: VirtualClock) -> None:
    sold(journal, "p1")
    clock.set_wall(4000 * DAY_MS)
    sold(journal, "under a wrong clock")
    clock.set_wall(-3999 * DAY_MS)

    assert forget_finished(journal, 400, most=10) == 0


def test_a_payment_that_is_refunded_while_it_is_to_be_deleted_is_kept(
    journal: Journal, path: Path, clock: VirtualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = sold(journal, "refunded")
    sold(journal, "old")
    sell_after(journal, clock, 401)
    writing = journal.writing

    def refunded_first() -> AbstractContextManager[sqlite3.Connection]:
        monkeypatch.setattr(journal, "writing", writing)
        journal.move(row, PaymentState.REVERSING, "a refund", cancellation=NewCancellation(cause=Cause.REFUND))
        return writing()

    monkeypatch.setattr(journal, "writing", refunded_first)

    assert forget_finished(journal, 400, most=10) == 1
    assert names(journal) == {"refunded", "sold 401 days later"}
    assert journal.events("refunded") != []


def test_states_are_checked_in_parts_of_a_few_rows(journal: Journal) -> None:
    for number in range(5):
        walk(journal, PaymentState.INTENT, f"p{number}")

    assert check_states(journal, 0, most=2) == 2
    assert check_states(journal, 2, most=2) == 4
    assert check_states(journal, 4, most=2) is None
    assert check_states(journal, 0, most=10) is None


@pytest.mark.parametrize("state", ["paie", b"\xff", None])
def test_an_invalid_state_is_damage_in_its_part(journal: Journal, path: Path, state: str | bytes | None) -> None:
    for name in ("p1", "p2", "invalid", "p4"):
        walk(journal, PaymentState.PAYING, name)
    corrupt(path, "payment", "state", state, "payment_id = 'invalid'")

    assert check_states(journal, 0, most=2) == 2
    assert journal.damage is None
    with pytest.raises(Damaged, match="the payment 'invalid' is invalid: its state"):
        check_states(journal, 2, most=2)
    assert journal.damage is not None
