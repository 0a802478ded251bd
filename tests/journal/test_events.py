"""The events of a payment: one for each transition, others before it, in the order of the commits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fakes.clock import VirtualClock
from fakes.journal_rows import ROAD_TO, UNRECORDED, intent_of, note_now, walk
from payme_plugin.ledger.errors import Conflict
from payme_plugin.ledger.journal import Journal
from payme_plugin.ledger.rows import Event, EventRow
from payme_plugin.ledger.states import EventKind, PaymentState

pytestmark = pytest.mark.floor

INTENT, CREATED, PAYING = PaymentState.INTENT, PaymentState.CREATED, PaymentState.PAYING


@pytest.mark.parametrize("state", list(PaymentState), ids=lambda state: state.value)
def test_each_transition_is_one_event(journal: Journal, state: PaymentState) -> None:
    walk(journal, state)

    stored = [(event.before, event.after) for event in journal.events("p1") if event.after is not None]

    states = (INTENT, *ROAD_TO[state])
    assert stored == list(zip((None, *states), states, strict=False))


def event_row(
    at_ms: int, kind: EventKind, text: str, before: PaymentState | None = None, after: PaymentState | None = None
) -> EventRow:
    return EventRow(at_ms=at_ms, kind=kind, before=before, after=after, cause=None, ended_as=None, text=text)


def test_events_before_a_transition_keep_their_own_times(journal: Journal, clock: VirtualClock) -> None:
    row = journal.add_intent(intent_of(), "1500000 tiyin")
    asked = clock.wall_ms()
    clock.sleep(2)
    journal.move(
        row,
        CREATED,
        "Payme created the receipt",
        receipt_id="r1",
        events=[
            Event(at_ms=asked, kind=EventKind.ANSWER, text="receipts.create: no usable answer"),
            Event(at_ms=asked + 1, kind=EventKind.ANSWER, text="again"),
        ],
    )

    assert journal.events("p1") == [
        event_row(asked, EventKind.TRANSITION, "1500000 tiyin", after=INTENT),
        event_row(asked, EventKind.ANSWER, "receipts.create: no usable answer"),
        event_row(asked + 1, EventKind.ANSWER, "again"),
        event_row(clock.wall_ms(), EventKind.TRANSITION, "Payme created the receipt", before=INTENT, after=CREATED),
    ]


def test_the_order_is_that_of_the_commits_even_if_the_clock_was_set_back(journal: Journal, clock: VirtualClock) -> None:
    row = journal.add_intent(intent_of(), "first")
    clock.set_wall(-86_400_000)
    row = journal.move(row, CREATED, "second", receipt_id="r1")
    clock.set_wall(2 * 86_400_000)
    note_now(journal, "p1", [Event(at_ms=clock.wall_ms(), kind=EventKind.ANSWER, text="third")])

    assert [event.text for event in journal.events("p1")] == ["first", "second", "third"]


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


def test_events_of_a_transition_that_failed_are_not_stored(journal: Journal) -> None:
    seen = walk(journal, PAYING)
    journal.move(seen, PaymentState.UNKNOWN, "time is over", cancellation=UNRECORDED)
    stored = journal.events("p1")

    with pytest.raises(Conflict):
        journal.move(
            seen,
            PaymentState.PAID,
            "late",
            events=[Event(at_ms=1, kind=EventKind.ANSWER, text="receipts.check: state 4")],
        )

    assert journal.events("p1") == stored


def test_events_of_two_payments_do_not_mix(journal: Journal) -> None:
    first = journal.add_intent(intent_of("p1"), "one")
    journal.add_intent(intent_of("p2"), "two")
    journal.move(first, CREATED, "three", receipt_id="r1")

    assert [event.text for event in journal.events("p1")] == ["one", "three"]
    assert [event.text for event in journal.events("p2")] == ["two"]


@settings(max_examples=40 * settings().max_examples // 100)
@given(
    new=st.lists(
        st.builds(
            Event,
            at_ms=st.integers(0, 2**62),
            kind=st.sampled_from([EventKind.ANSWER, EventKind.NOTE]),
            text=st.text(st.characters(exclude_categories=["Cs"])),
        )
    )
)
def test_whatever_is_noted_is_read_back_to_the_letter(
    tmp_path_factory: pytest.TempPathFactory, new: list[Event]
) -> None:
    journal = Journal(
        tmp_path_factory.mktemp("events") / "journal.sqlite3", host_identity="till-1", clock=VirtualClock()
    )
    journal.add_intent(intent_of(), "begun")

    note_now(journal, "p1", new)

    assert [(event.at_ms, event.text) for event in journal.events("p1")[1:]] == [
        (event.at_ms, event.text) for event in new
    ]
    journal.close()
