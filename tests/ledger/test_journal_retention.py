"""Finished payments are forgotten after keepDays; anything that is still owed never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.retention import forget_finished
from payme_plugin.ledger.rows import Intent, NewCancellation, PaymentRow
from payme_plugin.ledger.states import Cause, PaymentState

if TYPE_CHECKING:
    from pathlib import Path

DAY_MS = 24 * 3_600_000


class Calendar:
    """A wall clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def wall_ms(self) -> int:
        return self.now


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def journal(tmp_path: Path, calendar: Calendar) -> Journal:
    return Journal(tmp_path / "journal.sqlite3", host_identity="till 1", clock=calendar)


def recorded(journal: Journal, name: str) -> PaymentRow:
    intent = Intent(
        payment_id=name,
        payment_type=1,
        amount=100,
        till="1",
        shift=1,
        number=1,
        pos_id="kassa",
        url="http://127.0.0.1/api",
        owner="nobody",
    )
    row = journal.add_intent(intent, "a sale")
    row = journal.move(row, PaymentState.CREATED, "created", receipt_id=f"receipt of {name}")
    row = journal.move(row, PaymentState.PAYING, "paying", fingerprint=journal.fingerprint(name))
    row = journal.move(row, PaymentState.PAID, "paid")
    return journal.move(row, PaymentState.RECORDED, "closed", closed_at=journal.now_ms())


def names(journal: Journal) -> set[str]:
    return {row.payment_id for row in journal.payments()}


def test_a_finished_payment_is_forgotten_with_its_story_after_keep_days(journal: Journal, calendar: Calendar) -> None:
    recorded(journal, "old")
    calendar.now += 400 * DAY_MS + 1
    recorded(journal, "new")

    assert forget_finished(journal, 400, most=10) == 1

    assert names(journal) == {"new"}
    assert journal.events("old") == []
    assert journal.events("new") != []


def test_a_finished_payment_stays_until_then(journal: Journal, calendar: Calendar) -> None:
    recorded(journal, "young")
    calendar.now += 400 * DAY_MS - 1

    assert forget_finished(journal, 400, most=10) == 0
    assert names(journal) == {"young"}


def test_money_that_is_still_on_its_way_is_never_forgotten(journal: Journal, calendar: Calendar) -> None:
    row = journal.move(
        recorded(journal, "owed"),
        PaymentState.REVERSING,
        "refund",
        cancellation=NewCancellation(cause=Cause.REFUND, request_id="r"),
    )
    calendar.now += 4000 * DAY_MS

    assert forget_finished(journal, 400, most=10) == 0

    rows = Cancellations(journal)
    rows.end(rows.live_of(row.payment_id), "done", reversed_at_payme=True)
    assert forget_finished(journal, 400, most=10) == 0, "it was touched just now"
    calendar.now += 401 * DAY_MS
    assert forget_finished(journal, 400, most=10) == 1


def test_an_unfinished_payment_is_never_forgotten(journal: Journal, calendar: Calendar) -> None:
    intent = Intent(
        payment_id="open", payment_type=1, amount=1, till="1", shift=1, number=1, pos_id="k", url="u", owner="o"
    )
    journal.add_intent(intent, "a sale")
    calendar.now += 4000 * DAY_MS

    assert forget_finished(journal, 400, most=10) == 0
    assert names(journal) == {"open"}


def test_a_fiscal_receipt_that_payme_does_not_have_yet_keeps_its_payment(journal: Journal, calendar: Calendar) -> None:
    row = recorded(journal, "told later")
    FiscalLinks(journal).add(row, "https://ofd.soliq.uz/check?t=UZ1&r=1&c=20260101000000&s=1")
    calendar.now += 4000 * DAY_MS

    assert forget_finished(journal, 400, most=10) == 0


def test_it_deletes_only_so_many_at_once(journal: Journal, calendar: Calendar) -> None:
    for number in range(5):
        recorded(journal, f"payment {number}")
    calendar.now += 401 * DAY_MS

    assert [forget_finished(journal, 400, most=2) for _ in range(4)] == [2, 2, 1, 0]
