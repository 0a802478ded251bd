"""Finished payments are deleted after keepDays; what is still owed or may be asked for again never is."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from fakes.journal_rows import walk
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.retention import forget_finished
from payme_plugin.ledger.rows import Intent, NewCancellation, PaymentRow
from payme_plugin.ledger.states import Cause, End, PaymentState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.floor

DAY_MS = 24 * 3_600_000


class Calendar:
    """A wall clock that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 1_700_000_000_000

    def wall_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, duration_s: float) -> None:
        self.now += int(duration_s * 1000)


@pytest.fixture
def calendar() -> Calendar:
    return Calendar()


@pytest.fixture
def journal(tmp_path: Path, calendar: Calendar) -> Iterator[Journal]:
    with closing(Journal(tmp_path / "journal.sqlite3", host_identity="till 1", clock=calendar)) as journal:
        yield journal


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


def sell_after(journal: Journal, calendar: Calendar, days: float) -> None:
    """Let the till sell something so many days later: what came before is older than the newest sale."""
    calendar.now += int(days * DAY_MS)
    recorded(journal, f"sold {days} days later")


def names(journal: Journal) -> set[str]:
    return {row.payment_id for row in journal.payments()}


def test_a_finished_payment_is_deleted_with_its_events_after_keep_days(journal: Journal, calendar: Calendar) -> None:
    recorded(journal, "old")
    calendar.now += 400 * DAY_MS + 1
    recorded(journal, "new")

    assert forget_finished(journal, 400, most=10) == 1

    assert names(journal) == {"new"}
    assert journal.events("old") == []
    assert journal.events("new") != []


def test_a_finished_payment_stays_until_then(journal: Journal, calendar: Calendar) -> None:
    recorded(journal, "young")
    calendar.now += 400 * DAY_MS
    recorded(journal, "new")

    assert forget_finished(journal, 400, most=10) == 0
    assert names(journal) == {"young", "new"}


def test_money_that_is_still_owed_is_never_deleted(journal: Journal, calendar: Calendar) -> None:
    row = journal.move(
        recorded(journal, "owed"),
        PaymentState.REVERSING,
        "refund",
        cancellation=NewCancellation(cause=Cause.REFUND, request_id="r"),
    )
    sell_after(journal, calendar, 4000)

    assert forget_finished(journal, 400, most=10) == 0

    rows = Cancellations(journal)
    rows.end(rows.live_of(row.payment_id), End.CANCELLED, "done")
    assert forget_finished(journal, 400, most=10) == 0, "it was touched just now"
    sell_after(journal, calendar, 401)
    assert forget_finished(journal, 400, most=1) == 1
    assert "owed" not in names(journal)


@pytest.mark.parametrize("state", [PaymentState.REFUSED, PaymentState.ABORTED, PaymentState.UNKNOWN])
def test_a_result_whose_money_is_still_owed_is_never_deleted(
    journal: Journal, calendar: Calendar, state: PaymentState
) -> None:
    walk(journal, state, "owed")
    sell_after(journal, calendar, 4000)

    assert forget_finished(journal, 400, most=10) == 0
    assert [row.payment_id for row in journal.live_cancellations()] == ["owed"]
    rows = Cancellations(journal)
    rows.end(rows.live_of("owed"), End.CANCELLED, "done")
    assert forget_finished(journal, 400, most=10) == 1


def test_an_unfinished_payment_is_never_forgotten(journal: Journal, calendar: Calendar) -> None:
    intent = Intent(
        payment_id="open", payment_type=1, amount=1, till="1", shift=1, number=1, pos_id="k", url="u", owner="o"
    )
    journal.add_intent(intent, "a sale")
    sell_after(journal, calendar, 4000)

    assert forget_finished(journal, 400, most=10) == 0
    assert "open" in names(journal)


def test_a_payment_of_a_sale_that_is_still_open_is_never_forgotten(journal: Journal, calendar: Calendar) -> None:
    row = walk(journal, PaymentState.RECORDED, "parked")
    sell_after(journal, calendar, 4000)
    assert forget_finished(journal, 400, most=10) == 0

    journal.acknowledge(row, closed_at=journal.now_ms())
    assert forget_finished(journal, 400, most=10) == 0, "its receipt closed just now"
    sell_after(journal, calendar, 401)
    assert forget_finished(journal, 400, most=1) == 1
    assert "parked" not in names(journal)


@pytest.mark.parametrize("state", list(PaymentState))
@pytest.mark.parametrize("jump_days", [401, 36_500, -401])
def test_a_clock_that_jumps_forgets_nothing(
    journal: Journal, calendar: Calendar, state: PaymentState, jump_days: int
) -> None:
    row = walk(journal, state, "p1")
    recorded(journal, "p2")
    calendar.now += jump_days * DAY_MS
    if state is PaymentState.PAID:
        journal.move(row, PaymentState.RECORDED, "the till has it")  # recovery writes under the wrong clock

    assert forget_finished(journal, 400, most=10) == 0
    assert names(journal) == {"p1", "p2"}


def test_after_a_sale_under_a_clock_that_was_ahead_the_right_one_counts(journal: Journal, calendar: Calendar) -> None:
    recorded(journal, "p1")
    calendar.now += 4000 * DAY_MS
    recorded(journal, "under a wrong clock")
    calendar.now -= 3999 * DAY_MS

    assert forget_finished(journal, 400, most=10) == 0


def test_an_empty_journal_has_nothing_to_forget(journal: Journal) -> None:
    assert forget_finished(journal, 400, most=10) == 0


def test_nothing_is_deleted_from_a_journal_with_an_invalid_state(journal: Journal, calendar: Calendar) -> None:
    recorded(journal, "old")
    walk(journal, PaymentState.PAYING, "invalid")
    sell_after(journal, calendar, 401)
    with journal.writing() as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute("UPDATE payment SET state = 'paie' WHERE payment_id = 'invalid'")

    with pytest.raises(Damaged, match="the payment 'invalid' is invalid: its state"):
        forget_finished(journal, 400, most=10)
    assert journal.damage is not None
    assert journal.find("old") is not None


def test_a_fiscal_receipt_that_payme_does_not_have_yet_keeps_its_payment(journal: Journal, calendar: Calendar) -> None:
    row = recorded(journal, "told later")
    FiscalLinks(journal).add(row, "https://ofd.soliq.uz/check?t=UZ1&r=1&c=20260101000000&s=1")
    sell_after(journal, calendar, 4000)

    assert forget_finished(journal, 400, most=10) == 0


def test_it_deletes_only_so_many_at_once(journal: Journal, calendar: Calendar) -> None:
    for number in range(5):
        recorded(journal, f"payment {number}")
    sell_after(journal, calendar, 401)

    assert [forget_finished(journal, 400, most=2) for _ in range(4)] == [2, 2, 1, 0]
