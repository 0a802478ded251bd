"""The host's queue: the worker offers each durable row once; a row that the host accepts stays live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fakes.owed_money import owe, owe_paid, owe_refund
from hookspecs import QueueVerdict
from payme_plugin.delivery.host_queue import message_of
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.sandbox import FaultKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from fakes.hooked_world import HookedWorld
    from hookspecs import QueueMessage
    from payme_plugin.ledger.rows import CancellationRow

HOUR_S = 3600
CANCEL, CHECK = "receipts.cancel", "receipts.check"


@pytest.fixture
def till(till: HookedWorld) -> HookedWorld:
    """The till has a queue, which takes every message."""
    till.host.takes_messages = True
    return till


@pytest.mark.parametrize("owing", [owe, owe_refund])
def test_no_hook_offers_anything_the_worker_does_once(
    till: HookedWorld, owing: Callable[[HookedWorld], CancellationRow]
) -> None:
    row = owing(till)
    assert till.host.queue == []

    till.work(60)
    till.restart()
    till.work(600)
    assert till.host.queue == [message_of(row)]


def test_accepted_it_stays_live_for_an_hour_and_then_our_own_worker_takes_it_too_and_offers_it_no_more(
    till: HookedWorld,
) -> None:
    row = owe_paid(till)
    till.work(HOUR_S - 10)

    (live,) = till.live()
    assert (live.cancellation_id, live.attempts, live.offered_at is not None) == (row.cancellation_id, 0, True)
    assert till.paymego.count(CANCEL) == 0
    assert till.events()[-1].text == "cancellation: the host's queue took it"

    till.work(70)
    assert (till.live(), till.paymego.held(), len(till.host.queue)) == ([], 0, 1)


def test_steps_for_the_hosts_queue_that_end_nothing_take_nothing_of_its_hour_and_then_the_pauses_are_the_rows_own(
    till: HookedWorld,
) -> None:
    owe_paid(till)
    till.work()
    (message,) = till.host.queue
    offered_at = till.live()[0].offered_at
    assert offered_at is not None
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    assert [till.message(message) for _ in range(3)] == [QueueVerdict.RETRY] * 3
    asked = till.paymego.count(CHECK)
    left_s = (offered_at - till.clock.wall_ms()) / 1000 + HOUR_S

    till.work(left_s - 1)
    assert till.paymego.count(CHECK) == asked
    till.work(100)
    assert till.paymego.count(CHECK) - asked >= 3


@pytest.mark.parametrize("answer", [False, None, "yes", 1, RuntimeError("no queue")], ids=repr)
def test_a_host_that_does_not_take_it_leaves_it_to_our_worker_at_once(till: HookedWorld, answer: object) -> None:
    offered: list[str] = []

    def enqueue(message: QueueMessage) -> object:
        offered.append(message.message_id)
        if isinstance(answer, Exception):
            raise answer
        return answer

    till.host.enqueue = enqueue  # type: ignore[method-assign, assignment]
    owe_paid(till)

    till.work(20)

    assert (till.live(), till.paymego.held()) == ([], 0)
    assert offered


def test_a_queue_that_comes_later_is_offered_what_is_still_owed(till: HookedWorld) -> None:
    till.host.takes_messages = False
    row = owe_refund(till)
    till.paymego.inject_fault(FaultKind.REQUEST_LOST, CANCEL, times=None)
    till.work(30)
    assert till.live() != []

    till.host.takes_messages = True
    till.work(30)

    assert [message.message_id for message in till.host.queue] == [message_of(row).message_id]


def test_one_whose_offer_can_not_be_stored_is_stepped_by_our_own_worker_and_offered_once(till: HookedWorld) -> None:
    rows = [owe_paid(till, f"p{number}", number) for number in (1, 2)]
    journal = till.background.processor().journal
    journal.fail_from(1)  # type: ignore[attr-defined]

    till.work(600)

    assert [message.message_id for message in till.host.queue] == [message_of(row).message_id for row in rows]
    journal.recover()  # type: ignore[attr-defined]
    till.work(60)
    assert (till.live(), till.paymego.held(), len(till.host.queue)) == ([], 0, 2)
    assert {till.message(message) for message in till.host.queue} == {QueueVerdict.DONE}


def test_one_whose_offer_could_not_be_stored_is_offered_again_under_the_same_id_by_the_next_process(
    till: HookedWorld,
) -> None:
    row = owe_paid(till)
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    till.background.processor().journal.fail_from(1)  # type: ignore[attr-defined]
    till.work(60)
    till.restart()
    till.work(60)

    assert [message.message_id for message in till.host.queue] == [message_of(row).message_id] * 2
    assert till.live()[0].offered_at is not None


def test_a_row_that_can_not_be_decided_does_not_delay_the_others(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    # Nobody knows whether another till decides, so its host is not asked; a refund does not need the host's answer.
    till.host.takes_messages = False
    unrecorded, refund = owe_paid(till, "p1", 1), owe_refund(till, "p2", 2)
    till.restart()
    sent = len(till.paymego.sent)

    def unwritable() -> bool:
        raise Unavailable("read-only file system")

    till.background._try_lead = unwritable  # type: ignore[method-assign]
    till.work(120)

    assert unrecorded.receipt_id not in {each.receipt_id for each in till.paymego.sent[sent:]}
    assert [row.cancellation_id for row in till.live("p1")] == [unrecorded.cancellation_id]
    assert (till.live("p2"), till.paymego.state(refund.receipt_id)) == ([], 50)
    assert 6 <= caplog.text.count(f"cancellation {unrecorded.cancellation_id} waits: read-only file system") <= 8


def test_a_clock_that_jumps_back_a_day_neither_keeps_our_worker_from_an_accepted_row_nor_hastens_it(
    till: HookedWorld,
) -> None:
    owe_paid(till)
    till.work()
    till.paymego.inject_fault(FaultKind.SILENT, CHECK, times=None)
    till.clock.set_wall(-24 * HOUR_S * 1000)
    asked = till.paymego.count(CHECK)

    till.work(200)
    assert 4 <= till.paymego.count(CHECK) - asked <= 9

    till.paymego.faults.clear()
    till.work(2000)
    assert till.live() == []


def test_a_row_whose_hook_still_runs_is_not_offered(till: HookedWorld) -> None:
    sold = till.sell()
    seen: set[int] = set()

    def work() -> None:
        till.work()
        seen.add(len(till.host.queue))

    till.cancel(sold, ui=till.meanwhile(work))

    assert seen == {0}
