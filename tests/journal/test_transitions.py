"""A payment's transitions, each a compare-and-set, and its events."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.clock import VirtualClock
from fakes.journal_rows import UNRECORDED, contents, intent_of, note_now, walk
from faults.journal_process import ask, journal_process
from payme_plugin.ledger.errors import Conflict, Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.rows import Event, EventRow, StoredResult
from payme_plugin.ledger.states import EventKind, PaymentState

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


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


def named(pair: tuple[PaymentState, PaymentState]) -> str:
    return f"{pair[0].value}-{pair[1].value}"


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair in ALLOWED], ids=named)
def test_a_transition_in_the_table_is_made_and_is_an_event(
    shared: Journal, pair: tuple[PaymentState, PaymentState]
) -> None:
    before, after = pair
    row = walk(shared, before, named(pair))

    moved = shared.move(row, after, "as the table says", receipt_id=named(pair) if before is INTENT else None)

    assert moved == shared.payment(row.payment_id)
    assert moved.state is after
    last = shared.events(row.payment_id)[-1]
    assert (last.before, last.after, last.text) == (before, after, "as the table says")


@pytest.mark.parametrize("pair", [pair for pair in PAIRS if pair not in ALLOWED], ids=named)
def test_any_other_transition_raises_and_changes_nothing(
    shared: Journal, pair: tuple[PaymentState, PaymentState]
) -> None:
    before, after = pair
    row = walk(shared, before, named(pair))
    held = contents(shared)

    with pytest.raises(Conflict, match=f"from {before.value} to {after.value}"):
        shared.move(row, after, "not in the table", result=StoredResult(message="no"), cancellation=UNRECORDED)

    assert contents(shared) == held


# ---------------------------------------------------------------------------------------------------------------------
# Every change is a compare-and-set: it fails if the row or its owner has changed since it was read.
# ---------------------------------------------------------------------------------------------------------------------


def test_an_intent_is_stored_with_its_merchant_account_its_owner_and_its_sale(
    journal: Journal, clock: VirtualClock
) -> None:
    row = journal.add_intent(intent_of(), "a tender was picked")

    assert row == journal.find("p1")
    assert (row.state, row.receipt_id, row.attempt) == (PaymentState.INTENT, None, 1)
    assert (row.pos_id, row.url, row.owner) == ("account-1", "http://localhost/api", "process-1")
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


def test_a_transition_of_an_outdated_row_is_refused_and_stores_no_event(journal: Journal) -> None:
    seen = walk(journal, PAYING)
    result = StoredResult(message="Оплата не прошла.\nПовторите. (-31630)", error_code=-31630)
    row = journal.move(seen, REFUSED, "refused", result=result, cancellation=UNRECORDED)
    assert (row.message, row.error_code, row.cancellation_queued) == (result.message, -31630, True)
    assert row.receipt_id == "receipt-of-p1", "values that are not given again stay"
    held = contents(journal)

    with pytest.raises(Conflict, match="no longer paying"):
        journal.move(seen, PAID, "a late answer", events=[Event(at_ms=1, kind=EventKind.ANSWER, text="state 4")])
    assert contents(journal) == held


def test_taking_over_changes_only_the_owner_and_makes_earlier_rows_outdated(journal: Journal) -> None:
    seen = walk(journal, PAYING)

    taken = journal.take_over(seen, "process-2", "the host asks again")

    assert (taken.owner, taken.state, taken.receipt_id) == ("process-2", seen.state, seen.receipt_id)
    last = journal.events("p1")[-1]
    assert (last.before, last.after, last.text) == (None, None, "the host asks again")
    held = contents(journal)
    with pytest.raises(Conflict):
        journal.move(seen, PAID, "a late answer")
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


def test_an_unknown_payment_can_not_be_changed(journal: Journal, tmp_path: Path, clock: VirtualClock) -> None:
    row = walk(journal, PAYING)
    with closing(Journal(tmp_path / "another.sqlite3", host_identity="till-1", clock=clock)) as other:
        with pytest.raises(Conflict):
            other.move(row, UNKNOWN, "over", cancellation=UNRECORDED)
        with pytest.raises(Conflict):
            other.take_over(row, "process-2", "again")
        assert other.payments() == []


# ---------------------------------------------------------------------------------------------------------------------
# Two at one journal: threads of a process, and processes of a till by mistake. Each change has one winner.
# ---------------------------------------------------------------------------------------------------------------------


def test_while_another_commits_reading_goes_on_and_a_change_waits_and_gives_up_without_a_trace(
    journal: Journal, path: Path, clock: VirtualClock
) -> None:
    row = walk(journal, PAYING)
    held = contents(journal)
    with journal.reading() as connection:
        connection.execute("PRAGMA busy_timeout = 10")
    with closing(Journal(path, host_identity="till-1", clock=clock)) as other:
        assert other.payment("p1") == row
        with other.writing():
            assert journal.payment("p1") == row
            with pytest.raises(Unavailable, match="locked"):
                journal.move(row, PAID, "4")
        assert contents(journal) == held

        paid = other.move(row, PAID, "4")
        assert journal.payment("p1") == paid
        with pytest.raises(Conflict):
            journal.move(row, UNKNOWN, "time is over")


def test_of_many_processes_one_takes_a_payment_over(journal: Journal, path: Path) -> None:
    walk(journal, PAYING)
    with ExitStack() as stack:
        processes = [stack.enter_context(journal_process("take-over", path)) for _ in range(4)]
        owners = {f"process-{process.pid}" for process in processes}
        with ThreadPoolExecutor(4) as together:
            answers = sorted(together.map(ask, processes, ["go"] * 4))

    assert answers == ["lost", "lost", "lost", "won"]
    assert journal.payment("p1").owner in owners
    assert [event.text for event in journal.events("p1")].count("the host asks again") == 1


def test_of_many_threads_one_stores_a_payment(journal: Journal) -> None:
    together = threading.Barrier(8)

    def sell(name: str) -> str | None:
        together.wait()
        try:
            return journal.add_intent(intent_of("p1", owner=name), "begun").owner
        except Conflict:
            return None

    with ThreadPoolExecutor(8) as threads:
        stored = [owner for owner in threads.map(sell, [f"thread-{index}" for index in range(8)]) if owner]
    assert [journal.payment("p1").owner] == stored


# ---------------------------------------------------------------------------------------------------------------------
# Events: one for each transition, others before it, in the order of the commits.
# ---------------------------------------------------------------------------------------------------------------------


def test_events_before_a_transition_keep_their_own_times_and_the_order_is_that_of_the_commits(
    journal: Journal, clock: VirtualClock
) -> None:
    row = journal.add_intent(intent_of(), "1500000 tiyin")
    journal.add_intent(intent_of("p2"), "of another payment")
    asked = clock.wall_ms()
    clock.sleep(2)
    clock.set_wall(-86_400_000)
    answers = [Event(at_ms=asked + number, kind=EventKind.ANSWER, text=f"answer {number}") for number in range(2)]
    journal.move(row, CREATED, "Payme created the receipt", receipt_id="r1", events=answers)

    def event_row(at_ms: int, kind: EventKind, text: str, *states: PaymentState | None) -> EventRow:
        before, after = states or (None, None)
        return EventRow(at_ms=at_ms, kind=kind, before=before, after=after, cause=None, ended_as=None, text=text)

    assert journal.events("p1") == [
        event_row(asked, EventKind.TRANSITION, "1500000 tiyin", None, INTENT),
        event_row(asked, EventKind.ANSWER, "answer 0"),
        event_row(asked + 1, EventKind.ANSWER, "answer 1"),
        event_row(clock.wall_ms(), EventKind.TRANSITION, "Payme created the receipt", INTENT, CREATED),
    ]


def test_the_event_of_the_request_that_leaves_after_a_transition_is_stored_with_it_and_is_the_last(
    journal: Journal, clock: VirtualClock
) -> None:
    row = walk(journal, CREATED)
    scanned = Event(at_ms=clock.wall_ms(), kind=EventKind.ANSWER, text="scanned")
    request = Event(at_ms=1, kind=EventKind.REQUEST, text="request receipts.pay")
    clock.sleep(0.001)

    journal.move(row, PAYING, "the code is stored", fingerprint="f1", events=[scanned], request=request)

    assert [(event.text, event.at_ms) for event in journal.events("p1")[-3:]] == [
        ("scanned", scanned.at_ms),
        ("the code is stored", clock.wall_ms()),
        ("request receipts.pay", clock.wall_ms()),
    ]


@settings(max_examples=30 * settings().max_examples // 100)
@given(texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]))))
def test_whatever_is_noted_is_read_back_to_the_letter(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str]
) -> None:
    path = tmp_path_factory.mktemp("events") / FILE_NAME
    with closing(Journal(path, host_identity="till-1", clock=VirtualClock())) as journal:
        journal.add_intent(intent_of(), "begun")
        note_now(journal, "p1", [Event(at_ms=2**62, kind=EventKind.NOTE, text=text) for text in texts])

        assert [(event.at_ms, event.text) for event in journal.events("p1")[1:]] == [(2**62, text) for text in texts]
