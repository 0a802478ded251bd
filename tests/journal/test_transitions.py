"""A payment's transitions, each a compare-and-set."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.clock import VirtualClock
from fakes.journal_rows import UNRECORDED, contents, intent_of, walk
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.rows import Event, StoredResult
from payme_plugin.ledger.states import EventKind, PaymentState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from payme_plugin.ledger.rows import PaymentRow

pytestmark = pytest.mark.floor

# ---------------------------------------------------------------------------------------------------------------------
# The table of transitions (docs/payment.md): what is in it passes, anything else changes nothing.
# ---------------------------------------------------------------------------------------------------------------------


INTENT, CREATED, PAYING = PaymentState.INTENT, PaymentState.CREATED, PaymentState.PAYING
PAID, RECORDED = PaymentState.PAID, PaymentState.RECORDED
REFUSED, ABORTED, UNKNOWN = PaymentState.REFUSED, PaymentState.ABORTED, PaymentState.UNKNOWN
REVERSING, REVERSED = PaymentState.REVERSING, PaymentState.REVERSED

ALLOWED = {
    (INTENT, CREATED), (INTENT, PAYING), (INTENT, REFUSED), (INTENT, ABORTED),
    (CREATED, PAYING), (CREATED, REFUSED), (CREATED, ABORTED), (CREATED, UNKNOWN),
    (PAYING, CREATED), (PAYING, PAID), (PAYING, REFUSED), (PAYING, ABORTED), (PAYING, UNKNOWN),
    (PAID, RECORDED), (PAID, REVERSING),
    (RECORDED, REVERSING),
    (REVERSING, REVERSED), (REVERSING, RECORDED), (REVERSED, REVERSING),
}  # fmt: skip

PAIRS = [(before, after) for before in PaymentState for after in PaymentState]


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Journal]:
    path = tmp_path_factory.mktemp("transitions") / FILE_NAME
    journal = Journal(path, host_identity="till-1", clock=VirtualClock())
    yield journal
    journal.close()


def _named(pair: tuple[PaymentState, PaymentState]) -> str:
    return f"{pair[0].value}-{pair[1].value}"


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair in ALLOWED], ids=_named)
def test_a_transition_in_the_table_is_made_and_is_an_event(
    shared: Journal, pair: tuple[PaymentState, PaymentState]
) -> None:
    before, after = pair
    row = walk(shared, before, _named(pair))

    moved = shared.move(row, after, "as the table says", receipt_id=_named(pair) if before is INTENT else None)

    assert moved == shared.payment(row.payment_id)
    assert moved.state is after
    last = shared.events(row.payment_id)[-1]
    assert (last.before, last.after, last.text) == (before, after, "as the table says")


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair not in ALLOWED], ids=_named)
def test_any_other_transition_raises_and_changes_nothing(
    shared: Journal, pair: tuple[PaymentState, PaymentState]
) -> None:
    before, after = pair
    row = walk(shared, before, _named(pair))
    held = contents(shared)

    with pytest.raises(Conflict, match=f"from {before.value} to {after.value}"):
        shared.move(row, after, "no such road", result=StoredResult(message="no"), cancellation=UNRECORDED)

    assert contents(shared) == held


# ---------------------------------------------------------------------------------------------------------------------
# Every change is a compare-and-set: whoever saw an older state, or is no longer the owner, changes nothing.
# ---------------------------------------------------------------------------------------------------------------------


def test_an_intent_is_stored_with_its_kassa_its_owner_and_its_sale(journal: Journal, clock: VirtualClock) -> None:
    row = journal.add_intent(intent_of(), "a tender was picked")

    assert row == journal.find("p1")
    assert (row.state, row.receipt_id, row.attempt) == (PaymentState.INTENT, None, 1)
    assert (row.pos_id, row.url, row.owner) == ("kassa", "http://localhost/api", "process-1")
    assert (row.till, row.shift, row.number) == ("till-1", 3, 1)
    assert (row.created_at, row.updated_at) == (clock.wall_ms(), clock.wall_ms())


def test_a_payment_id_is_stored_once(journal: Journal) -> None:
    journal.add_intent(intent_of(), "the first")
    held = contents(journal)

    with pytest.raises(Conflict, match="in the journal already"):
        journal.add_intent(intent_of(amount=5), "the second")

    assert contents(journal) == held


def test_attempts_are_counted_per_sale(journal: Journal) -> None:
    attempts = [
        journal.add_intent(intent_of(f"p{index}", number=number), "").attempt
        for index, number in enumerate((1, 1, 2, 1, 2))
    ]

    assert attempts == [1, 2, 1, 3, 2]


def test_a_payment_that_moved_on_is_not_moved_by_who_saw_it_before(journal: Journal) -> None:
    seen = walk(journal, PaymentState.PAYING)
    journal.move(seen, PaymentState.UNKNOWN, "time is over", cancellation=UNRECORDED)
    held = contents(journal)

    with pytest.raises(Conflict, match="no longer paying"):
        journal.move(seen, PaymentState.PAID, "a late answer")

    assert contents(journal) == held


def test_a_payment_that_another_process_took_is_not_moved_by_its_former_owner(journal: Journal) -> None:
    seen = walk(journal, PaymentState.PAYING)
    journal.take_over(seen, "process-2", "the host asks again")
    held = contents(journal)

    with pytest.raises(Conflict):
        journal.move(seen, PaymentState.PAID, "a late answer")

    assert contents(journal) == held


def test_taking_over_changes_only_the_owner_and_is_an_event(journal: Journal) -> None:
    seen = walk(journal, PaymentState.PAYING)

    taken = journal.take_over(seen, "process-2", "the host asks again")

    assert (taken.owner, taken.state, taken.receipt_id) == ("process-2", seen.state, seen.receipt_id)
    last = journal.events("p1")[-1]
    assert (last.before, last.after, last.text) == (None, None, "the host asks again")


def test_of_two_who_take_a_payment_over_the_second_fails(journal: Journal) -> None:
    seen = walk(journal, PaymentState.PAYING)
    journal.take_over(seen, "process-2", "first")
    held = contents(journal)

    with pytest.raises(Conflict, match="taken by another process"):
        journal.take_over(seen, "process-3", "second")

    assert contents(journal) == held


def test_a_receipt_id_belongs_to_one_payment(journal: Journal) -> None:
    walk(journal, PaymentState.CREATED, "p1")
    second = walk(journal, PaymentState.INTENT, "p2")
    held = contents(journal)

    with pytest.raises(Conflict, match="belongs to another payment"):
        journal.move(second, PaymentState.CREATED, "Payme created it", receipt_id="receipt-of-p1")

    assert contents(journal) == held
    found = journal.find_receipt("receipt-of-p1")
    assert found is not None
    assert found.payment_id == "p1"


def test_values_that_are_not_given_again_stay(journal: Journal) -> None:
    paying = walk(journal, PaymentState.PAYING)
    paid = journal.move(paying, PaymentState.PAID, "4", paid_at=1_700_000_000_000)
    recorded = journal.move(paid, PaymentState.RECORDED, "closed", closed_at=1_700_000_060_000)

    assert (recorded.receipt_id, recorded.paid_at) == ("receipt-of-p1", 1_700_000_000_000)
    assert recorded.closed_at == 1_700_000_060_000


def test_a_result_is_kept_word_for_word(journal: Journal) -> None:
    paying = walk(journal, PaymentState.PAYING)
    result = StoredResult(message="Оплата не прошла.\nПовторите. (-31630)", error_code=-31630)

    row = journal.move(paying, PaymentState.REFUSED, "refused", result=result, cancellation=UNRECORDED)

    assert (row.message, row.error_code, row.cancellation_queued) == (result.message, -31630, True)


def test_a_recorded_payment_is_marked_closed_once(journal: Journal) -> None:
    row = walk(journal, PaymentState.RECORDED)

    journal.acknowledge(row, closed_at=1_700_000_000_000)
    count = len(journal.events("p1"))
    journal.acknowledge(row, closed_at=1_800_000_000_000)

    assert journal.payment("p1").closed_at == 1_700_000_000_000
    assert len(journal.events("p1")) == count


@pytest.mark.parametrize(
    "change",
    [
        lambda journal, row: journal.move(
            row, PaymentState.PAID, "4", events=[Event(at_ms=1, kind=EventKind.NOTE, text="x")]
        ),
        lambda journal, row: journal.move(row, PaymentState.UNKNOWN, "over", cancellation=UNRECORDED),
        lambda journal, row: journal.take_over(row, "process-2", "again"),
    ],
    ids=["paid", "unknown", "take-over"],
)
def test_an_unknown_payment_can_not_be_changed(
    journal: Journal, tmp_path: Path, clock: VirtualClock, change: Callable[[Journal, PaymentRow], object]
) -> None:
    row = walk(journal, PaymentState.PAYING)
    other = Journal(tmp_path / "another.sqlite3", host_identity="till-1", clock=clock)

    with pytest.raises(Conflict):
        change(other, row)

    assert other.payments() == []
    other.close()
