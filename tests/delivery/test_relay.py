"""A till of a chain hands its cancellations over to a broker: which, when, and what becomes of them."""

from __future__ import annotations

import itertools
import json
import sqlite3
import subprocess
import sys
from typing import TYPE_CHECKING, Any, cast

import pytest

from fakes.owed_money import owe, owe_paid, owe_refund
from fakes.relay import BROKER_URL, ChainTill, outcome
from hookspecs import ReversalStatus
from payme_plugin.delivery.chain_messages import encode
from payme_plugin.ledger.cancellations import CONFIRMING_MS, Cancellations
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.states import Cause, End, Hold, PaymentState
from payme_plugin.sandbox import FaultKind
from payme_plugin.texts import Text
from tests.delivery.test_veto import leave_orphan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from fakes.failing_journal import StagedJournal
    from payme_plugin.delivery.chain_messages import ChainMessage, OutcomeMessage
    from payme_plugin.ledger.rows import CancellationRow

MINUTE_S, HOUR_S, WEEK_S = 60, 3600, 7 * 86_400
CANCEL, CHECK = "receipts.cancel", "receipts.check"
NOTICE = "payme.broker"


@pytest.fixture
def till(tmp_path: Path) -> Iterator[ChainTill]:
    """A till on virtual time whose settings name a broker, which takes every message."""
    till = ChainTill(tmp_path)
    yield till
    till.close()


def row_of(till: ChainTill, number: int = 1) -> CancellationRow:
    row = till.journal.cancellation(number)
    assert row is not None
    return row


def disk_of_worker(till: ChainTill) -> StagedJournal:
    return cast("StagedJournal", till.background.processor().journal)


def hand_over(till: ChainTill) -> CancellationRow:
    """Let a row be handed over; return it as it is stored then."""
    owe_paid(till)
    till.work()
    assert len(till.broker.messages) == 1
    return row_of(till)


def carried_out(till: ChainTill) -> bool:
    """Return whether this till has returned the money."""
    return (till.live(), till.paymego.held(), till.paymego.count(CANCEL)) == ([], 0, 1)


# Which rows are handed over.


@pytest.mark.parametrize("owing", [owe, owe_paid, owe_refund])
def test_a_row_is_handed_over_once_and_this_till_asks_payme_nothing(
    till: ChainTill, owing: Callable[[ChainTill], CancellationRow]
) -> None:
    row = owing(till)
    asked = len(till.paymego.sent)

    till.work(HOUR_S - MINUTE_S)

    assert [each.message_id for each in till.broker.messages] == [f"payme.cancel.{row.receipt_id}.1"]
    assert (len(till.paymego.sent), row_of(till).offered_at is not None) == (asked, True)
    assert till.events()[-1].text == "cancellation: the broker took it"


def test_the_begun_mark_is_on_disk_before_the_message_leaves(till: ChainTill) -> None:
    owe_paid(till)
    on_disk: list[int | None] = []

    def look(message: ChainMessage) -> None:
        journal = Journal(till.host.folder / FILE_NAME, host_identity="till-1", clock=till.clock)
        row = journal.cancellation(message.cancellation_id)
        journal.close()
        on_disk.extend([message.begun_at, None if row is None else row.begun_at])

    till.clock.sleep(1)
    till.broker.on_publish = look
    till.work()

    assert on_disk == [till.clock.wall_ms()] * 2


def test_a_row_whose_begun_mark_can_not_be_stored_is_not_published(till: ChainTill) -> None:
    owe_paid(till)
    disk_of_worker(till).fail_from(1)
    till.work(MINUTE_S)
    assert till.broker.messages == []

    disk_of_worker(till).recover()
    till.work(MINUTE_S)
    assert len(till.broker.messages) == 1


def test_the_hosts_veto_is_asked_for_first_and_ends_the_row(till: ChainTill) -> None:
    leave_orphan(till)
    till.host.recorded["p1"] = True

    till.work(HOUR_S * 2)

    assert (till.broker.messages, row_of(till).ended_as) == ([], End.RECORDED)


def test_a_held_row_is_not_handed_over(till: ChainTill) -> None:
    row = owe_paid(till)
    Cancellations(till.journal).postpone(row, 0, "the till says that it has this payment", held=Hold.HOST)

    till.work(MINUTE_S)

    assert (till.broker.messages, till.paymego.count(CANCEL)) == ([], 0)


def test_an_orphan_that_may_be_older_than_a_week_is_not_handed_over(till: ChainTill) -> None:
    till.sell()
    till.clock.sleep(WEEK_S)
    till.restart()
    till.dispatcher.ready()

    till.work(MINUTE_S)

    assert (till.broker.messages, [row.held for row in till.live()]) == ([], [Hold.OLD])


def test_a_refund_of_an_old_sale_is_handed_over(till: ChainTill) -> None:
    sold = till.sell_and_close()
    till.clock.sleep(WEEK_S)
    till.paymego.inject_fault(FaultKind.REQUEST_LOST, CANCEL)
    assert till.refund(sold).status is ReversalStatus.QUEUED

    till.work(MINUTE_S)

    assert [each.cause for each in till.broker.messages] == [Cause.REFUND]


def test_an_acknowledgement_before_the_begun_mark_keeps_the_row_here(till: ChainTill) -> None:
    sold = leave_orphan(till)
    begin = till.background.processor().cancellations.begin

    def acknowledge_then_begin(row: CancellationRow) -> None:
        till.acknowledge(sold.record)
        begin(row)

    till.background.processor().cancellations.begin = acknowledge_then_begin  # type: ignore[method-assign,assignment]
    till.work(MINUTE_S)

    assert (till.broker.messages, row_of(till).ended_as) == ([], End.RECORDED)


def test_an_acknowledgement_after_the_begun_mark_is_too_late_and_the_row_goes_on(till: ChainTill) -> None:
    sold = leave_orphan(till)
    till.broker.on_publish = lambda _: till.acknowledge(sold.record)
    till.work()

    assert (len(till.broker.messages), row_of(till).ended_at) == (1, None)
    assert (till.row().acknowledged_at is not None, row_of(till).offered_at is not None) == (True, True)


def test_no_key_is_needed_to_hand_over(till: ChainTill) -> None:
    row = owe_paid(till)
    till.set(posId="0" * 24, queueUrl=BROKER_URL)
    till.work(MINUTE_S)

    assert row.pos_id not in till.merchants
    assert [each.pos_id for each in till.broker.messages] == [row.pos_id]


def test_a_confirming_row_is_not_handed_over(till: ChainTill) -> None:
    till.broker.takes = False
    row = owe_paid(till)
    till.work()
    till.background.processor().deliver_until_empty(till.merchants, 20.0)
    assert row_of(till).confirmed_at is not None
    till.broker.takes = True

    till.work(11 * MINUTE_S)

    assert (till.broker.messages, row_of(till, row.cancellation_id).ended_as) == ([], End.CANCELLED)


def test_a_row_that_the_host_cancels_after_the_hand_over_is_carried_out_here(till: ChainTill) -> None:
    row = hand_over(till)
    Cancellations(till.journal).take_for_host(row)

    till.work(MINUTE_S)

    assert (till.paymego.held(), len(till.broker.messages)) == (0, 1)


def test_queue_deliver_carries_out_directly(till: ChainTill) -> None:
    row = hand_over(till)

    till.background.processor().deliver(row, till.merchants)
    till.background.processor().deliver_until_empty(till.merchants, 20.0)

    assert carried_out(till)
    assert len(till.broker.messages) == 1


# What a message holds.


def test_a_message_holds_these_members_and_no_secret(till: ChainTill) -> None:
    row = hand_over(till)
    body = encode(till.broker.messages[0]).decode()

    assert json.loads(body) == {
        "v": 1,
        "till": "till-1",
        "cancellation_id": 1,
        "payment_id": "p1",
        "receipt_id": row.receipt_id,
        "posId": till.settings.pos_id,
        "amount": row.amount,
        "cause": "unrecorded",
        "created_at": row.created_at,
        "begun_at": row.begun_at,
        "attempts": 0,
        "unknown_attempts": 0,
        "confirmed_at": None,
    }
    for secret in (till.settings.pos_key.reveal(), till.settings.url, "canary"):
        assert secret not in body


# After the hand-over.


def test_without_an_outcome_this_till_goes_on_itself_after_an_hour_and_hands_over_no_more(till: ChainTill) -> None:
    hand_over(till)

    till.work(HOUR_S - MINUTE_S)
    assert till.paymego.count(CANCEL) == 0

    till.work(2 * MINUTE_S)
    assert carried_out(till)
    assert len(till.broker.messages) == 1


def test_a_hand_over_that_can_not_be_stored_is_carried_out_here_and_not_published_for_ever(till: ChainTill) -> None:
    owe_paid(till)
    disk = disk_of_worker(till)
    till.broker.on_publish = lambda _: disk.fail_from(1)

    till.work(10 * MINUTE_S)

    assert (len(till.broker.messages), till.paymego.held()) == (1, 0)


def test_a_restart_listens_for_what_was_handed_over_in_the_last_hour_and_asks_payme_about_it_at_once(
    till: ChainTill,
) -> None:
    hand_over(till)
    till.restart()
    till.work(MINUTE_S)

    assert till.relay.listens_to == {till.settings.pos_id}
    assert (till.paymego.held(), till.paymego.count(CANCEL), len(till.broker.messages)) == (0, 1, 1)


def test_a_restart_does_not_listen_for_what_was_handed_over_earlier(till: ChainTill) -> None:
    hand_over(till)
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    till.work(2 * HOUR_S)
    till.restart()
    till.work()

    assert till.relay.listens_to == set()


def test_a_full_disk_at_a_restart_does_not_stop_a_row_that_has_begun(till: ChainTill) -> None:
    begun = owe_refund(till, "p2", 2)
    till.clock.sleep(HOUR_S)
    processor = till.background.processor()
    processor.step(owe_paid(till), till.merchants, is_recorded=None, relay=till.background.relay())
    assert len(till.broker.messages) == 1
    till.restart()
    disk_of_worker(till).fail_from(1)

    till.work(MINUTE_S)

    assert till.paymego.held(begun.receipt_id) == 0


def test_a_till_that_has_handed_nothing_over_listens_to_nothing(till: ChainTill) -> None:
    till.sell_and_close()
    till.work(MINUTE_S)

    assert (till.relay.listens_to, till.broker.messages) == (set(), [])


def test_a_row_that_was_published_but_not_stored_as_such_is_published_again_by_the_next_process(
    till: ChainTill,
) -> None:
    owe_paid(till)
    disk = disk_of_worker(till)
    till.broker.on_publish = lambda _: disk.fail_from(1)
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    till.work(MINUTE_S)
    till.broker.on_publish = lambda _: None
    till.restart()
    till.work(MINUTE_S)

    assert len({each.message_id for each in till.broker.messages}) == 1
    assert len(till.broker.messages) == 2


# The broker is away.


def test_while_the_broker_is_away_a_row_is_offered_at_least_once_a_minute_and_goes_as_soon_as_it_is_back(
    till: ChainTill,
) -> None:
    offered: list[float] = []
    till.broker.takes = False
    till.broker.on_publish = lambda _: offered.append(till.clock.monotonic())
    row = owe_paid(till)

    till.work(HOUR_S - 2 * MINUTE_S)

    pauses = [later - earlier for earlier, later in itertools.pairwise(offered)]
    assert max(pauses) <= MINUTE_S + 1
    assert len(pauses) < 100
    assert (till.paymego.count(CANCEL), row_of(till).offered_at, row_of(till).held) == (0, None, None)
    till.broker.takes = True
    till.work(MINUTE_S)
    assert [each.receipt_id for each in till.broker.messages] == [row.receipt_id]


def test_while_the_broker_is_away_the_till_sells(till: ChainTill) -> None:
    till.broker.takes = False
    owe_paid(till)
    till.work(MINUTE_S)

    till.sell_and_close("p2", 2)

    assert till.row("p2").state is PaymentState.RECORDED


def test_a_row_that_is_an_hour_old_before_the_broker_is_back_is_carried_out_here(till: ChainTill) -> None:
    till.broker.takes = False
    row = owe_paid(till)
    left_s = HOUR_S - (till.clock.wall_ms() - row.created_at) / 1000
    till.work(left_s - 1)
    assert till.paymego.count(CANCEL) == 0

    till.work(MINUTE_S + 10)
    assert till.paymego.count(CANCEL) == 1
    till.work(HOUR_S)
    assert carried_out(till)


def test_a_row_from_before_the_clock_was_set_back_is_carried_out_here(till: ChainTill) -> None:
    owe_paid(till)
    till.clock.set_wall(-86_400_000)

    till.work(MINUTE_S)

    assert (till.broker.messages, till.paymego.held()) == ([], 0)


@pytest.mark.parametrize("needs_operator", [True, False])
def test_a_notice_tells_of_a_broker_that_needs_an_operator_until_it_does_not(
    till: ChainTill, *, needs_operator: bool
) -> None:
    till.work()
    till.relay.needs_operator = needs_operator
    till.work()
    assert till.host.notices.get(NOTICE) == (till.text(Text.NOTICE_BROKER) if needs_operator else None)

    till.relay.needs_operator = False
    till.work()
    assert NOTICE not in till.host.notices


# Outcomes.


def take(till: ChainTill, *outcomes: OutcomeMessage) -> None:
    """Let outcomes come through the relay."""
    till.relay.deliver(*outcomes)
    till.work()


@pytest.mark.parametrize(("owing", "state"), [(owe_paid, PaymentState.UNKNOWN), (owe_refund, PaymentState.REVERSED)])
def test_an_outcome_of_50_makes_the_row_confirming_and_this_till_asks_ten_minutes_later(
    till: ChainTill, owing: Callable[[ChainTill], CancellationRow], state: PaymentState
) -> None:
    row = owing(till)
    till.work()
    till.paymego.bank.put_state(till.paymego.now_ms, row.receipt_id, 50)
    asked = till.paymego.count(CHECK)

    take(till, outcome(row))

    now = row_of(till)
    assert (now.confirmed_at, now.due_at) == (till.clock.wall_ms(), till.clock.wall_ms() + CONFIRMING_MS)
    assert (now.ended_at, till.journal.live_cancellations()) == (None, [])
    assert (till.row().state, till.paymego.count(CHECK)) == (state, asked)
    till.work(11 * MINUTE_S)
    assert (row_of(till).ended_as, till.paymego.count(CHECK)) == (End.CANCELLED, asked + 1)


def test_a_second_50_ends_the_row_if_it_comes_ten_minutes_later_and_not_before(till: ChainTill) -> None:
    row = hand_over(till)
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    second = outcome(row, at=1 + CONFIRMING_MS, confirmed_at=1)
    take(till, outcome(row))
    take(till, outcome(row), second)
    till.work(CONFIRMING_MS / 1000 - 30)
    take(till, second)
    assert row_of(till).ended_at is None

    till.work(MINUTE_S)
    take(till, second)
    assert row_of(till).ended_as is End.CANCELLED


@pytest.mark.parametrize(("at", "confirmed_at"), [(2, None), (CONFIRMING_MS, 1), (1, CONFIRMING_MS + 1)])
def test_outcomes_that_payme_gave_within_ten_minutes_don_t_end_a_row_however_late_they_are_read(
    till: ChainTill, at: int, confirmed_at: int | None
) -> None:
    row = hand_over(till)
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    take(till, outcome(row))
    till.work(CONFIRMING_MS / 1000 + MINUTE_S)
    take(till, outcome(row, at=at, confirmed_at=confirmed_at))
    assert row_of(till).ended_at is None


def test_payme_s_4_after_an_outcome_reopens_the_row_and_this_till_returns_the_money(till: ChainTill) -> None:
    row = hand_over(till)
    take(till, outcome(row))

    till.work(11 * MINUTE_S)

    assert (row_of(till).reopened_at is not None, till.paymego.held(), len(till.broker.messages)) == (True, 0, 1)


def test_outcomes_from_before_payme_s_4_don_t_end_a_reopened_row(till: ChainTill) -> None:
    row = hand_over(till)
    take(till, outcome(row))
    while row_of(till).reopened_at is None or row_of(till).confirmed_at is None:
        till.work(MINUTE_S)
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    till.work(11 * MINUTE_S)
    take(till, outcome(row, at=1 + CONFIRMING_MS, confirmed_at=1))

    assert row_of(till).ended_at is None


@pytest.mark.parametrize(
    "changes", [{"receipt_id": "f" * 24}, {"cancellation_id": 2}, {"state": 4}, {"state": 21}, {"state": 0}], ids=str
)
def test_an_outcome_of_another_row_or_state_changes_nothing(till: ChainTill, changes: dict[str, Any]) -> None:
    row = hand_over(till)

    take(till, outcome(row, **changes))

    assert row_of(till) == row


def test_an_outcome_for_a_row_that_has_not_begun_or_has_ended_changes_nothing(till: ChainTill) -> None:
    till.broker.takes = False
    leave_orphan(till)
    row = row_of(till)
    processor = till.background.processor()
    processor.take_outcome(outcome(row))
    assert row_of(till) == row

    processor.cancellations.end(row, End.CLOSED, "paid (4)", closed_reason="settled")
    ended = row_of(till)
    processor.take_outcome(outcome(row))
    assert row_of(till) == ended


def test_an_outcome_for_a_row_on_which_somebody_works_waits_for_the_tills_own_query(till: ChainTill) -> None:
    row = hand_over(till)
    with till.background._storage.opened.leases.try_acquire(row.cancellation_id):
        take(till, outcome(row))
    assert row_of(till) == row

    till.work(HOUR_S + MINUTE_S)
    assert carried_out(till)


def test_an_outcome_that_can_not_be_stored_waits_for_the_tills_own_query(till: ChainTill) -> None:
    row = hand_over(till)
    disk = disk_of_worker(till)
    disk.fail_from(1)
    take(till, outcome(row))
    assert row_of(till) == row

    disk.recover()
    till.work(HOUR_S + MINUTE_S)
    assert carried_out(till)


def test_an_outcome_that_can_not_be_stored_loses_no_other_and_delays_no_row(till: ChainTill) -> None:
    for number in (1, 2):
        owe_paid(till, f"p{number}", number)
    till.work()
    first, second = row_of(till, 1), row_of(till, 2)
    owe_paid(till, "p3", 3)
    disk = disk_of_worker(till)

    def fail_once(_: int) -> None:
        disk.recover()
        raise sqlite3.OperationalError("database is locked")

    disk.before = fail_once
    take(till, outcome(first), outcome(second))

    assert row_of(till, 1).confirmed_at is None
    assert row_of(till, 2).confirmed_at is not None
    assert len(till.broker.messages) == 3


# The setting.


def test_another_address_gets_another_relay_which_listens_for_what_the_former_one_was_given(
    till: ChainTill, tmp_path: Path
) -> None:
    hand_over(till)
    former = till.relay
    till.set(queueUrl=BROKER_URL.replace("localhost", "127.0.0.1"))
    till.work()

    assert (former.is_closed, till.relay.is_closed, len(till.broker.relays)) == (True, False, 2)
    assert (till.relay.url, till.relay.listens_to) == (till.settings.queue_url, {till.settings.pos_id})


def test_without_the_setting_rows_are_carried_out_here_and_those_at_the_broker_after_their_hour(
    till: ChainTill,
) -> None:
    hand_over(till)
    till.set()
    owe_paid(till, "p2", 2)
    till.work(MINUTE_S)
    assert till.relay.is_closed
    assert (till.live("p2"), len(till.live("p1")), len(till.broker.messages)) == ([], 1, 1)

    till.work(HOUR_S)
    assert (till.live(), till.paymego.held()) == ([], 0)


def test_with_broken_settings_nothing_is_lost(till: ChainTill) -> None:
    owe_paid(till)
    till.broken = True
    till.work(MINUTE_S)
    till.broken = False
    till.work(MINUTE_S)

    assert len(till.broker.messages) == 1


def test_a_host_with_a_queue_is_offered_nothing_while_the_setting_names_a_broker(till: ChainTill) -> None:
    till.host.takes_messages = True
    hand_over(till)

    assert till.host.queue == []


def test_a_till_without_the_setting_loads_nothing_that_only_a_chain_needs() -> None:
    code = "import sys, payme_plugin.service; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603

    only_of_a_chain = {f"payme_plugin.delivery.{name}" for name in ("amqp", "broker", "chain_messages")} | {"pika"}
    assert only_of_a_chain.isdisjoint(loaded.stdout.split())


def test_a_stop_closes_the_relay(till: ChainTill) -> None:
    hand_over(till)
    till.background.stop()

    assert till.relay.is_closed
    assert till.background.relay() is None
