"""The worker's threads, over real HTTP: the host is called from one of them, a slow answer holds up nobody else."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest

from hookspecs import CancelRequest, PaymentStatus, QueueMessage, ReversalStatus
from journal_walks import walk
from owed_money import owe_paid, owe_refund
from payme_plugin.clock import SystemClock
from payme_plugin.delivery.worker import Surroundings, Worker
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.states import PaymentState
from payme_plugin.sandbox import BuyerAction, Fault, FaultKind, Sandbox
from virtual_till import ScriptedUi, VirtualHost, open_sale
from waiting import comes_true

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from hooked_world import HookedWorld
    from hookspecs import ReversalResult
    from payme_plugin.settings import Settings
    from served_till import ServedTill

CANCEL, CHECK, CREATE, PAY = "receipts.cancel", "receipts.check", "receipts.create", "receipts.pay"
STEPPERS = 4


@dataclass(eq=False)
class WatchedHost(VirtualHost):
    """A till that writes down which threads call it."""

    callers: set[str] = field(default_factory=set)
    reads: int = 0

    def settings(self, plugin: str) -> Mapping[str, str]:
        self.callers.add(threading.current_thread().name)
        self.reads += 1
        return super().settings(plugin)

    def is_recorded(self, payment_id: str) -> bool | None:
        self.callers.add(threading.current_thread().name)
        return super().is_recorded(payment_id)

    def enqueue(self, message: QueueMessage) -> bool:
        self.callers.add(threading.current_thread().name)
        return super().enqueue(message)

    def notice(self, key: str, text: str | None) -> None:
        self.callers.add(threading.current_thread().name)
        super().notice(key, text)


def owe(till: ServedTill, *numbers: int) -> None:
    """Let payments end with their money on the way back, one a number."""
    for number in numbers:
        code = till.code(BuyerAction.NEVER_ANSWERS)
        result = till.pay(code, payment_id=f"p{number}", receipt=open_sale(number))
        assert result.status is PaymentStatus.UNKNOWN


def make_due(till: ServedTill) -> None:
    """Let every row be due now."""
    journal = Journal(till.host.folder / FILE_NAME, host_identity="till-1", clock=SystemClock())
    with journal.writing() as connection:
        connection.execute("UPDATE cancellation SET due_at = 0")
    journal.close()


def workers() -> list[str]:
    """Return the worker's threads that live."""
    return [each.name for each in threading.enumerate() if each.name.startswith("payme-worker")]


def cancel(till: ServedTill, code: str) -> ReversalResult:
    paid = till.pay(code)
    assert paid.payment is not None
    request = CancelRequest(payment=paid.payment, receipt=open_sale(payments=(paid.payment,)))
    result = till.plugins.on_cancel(request, ScriptedUi(SystemClock()))
    assert result is not None
    return result


def test_what_a_hook_queues_is_delivered_in_the_background(
    new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    till = new_till()
    sandbox.inject(Fault(FaultKind.ANSWER_LOST, CANCEL))

    result = cancel(till, till.code())

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert comes_true(lambda: till.live() == [])
    assert till.row().state is PaymentState.REVERSED
    assert sandbox.held(result.receipt_id) == 0


def test_the_host_is_called_from_its_own_thread_and_one_of_ours(
    new_till: Callable[..., ServedTill], tmp_path: Path
) -> None:
    host = WatchedHost(tmp_path / "till-1", takes_messages=False)
    till = new_till(host=host, payDuration=60, frequency=30)

    owe(till, *range(1, 7))

    assert comes_true(lambda: till.live() == [])
    assert host.callers - {threading.current_thread().name} == {"payme-worker"}


def test_one_slow_answer_does_not_hold_up_the_others(new_till: Callable[..., ServedTill], sandbox: Sandbox) -> None:
    till = new_till(payDuration=60, frequency=30, timeout=8)
    till.host.takes_messages = True
    owe(till, *range(1, 6))
    assert comes_true(lambda: len(till.host.queue) == 5)
    till.plugins.on_stop()
    sandbox.inject(Fault(FaultKind.ANSWER_DELAYED, CHECK, after_s=6))
    make_due(till)
    began = time.monotonic()

    till.plugins.on_start(till.host)

    assert comes_true(lambda: len(till.live()) == 1, within_s=5)
    assert time.monotonic() - began < 5


def test_each_step_first_gives_way_to_a_sale(world: HookedWorld) -> None:
    owe_paid(world)
    steps: list[str] = []

    def desk(number: int, settings: Settings) -> None:
        steps.append("begins")

    surroundings = Surroundings(
        before_round=lambda: None,
        settings=world.read_settings,
        is_recorded=lambda payment_id: None,
        enqueue=None,
        gives_way=lambda: steps.append("gives way"),
    )
    worker = Worker(world.background.rounds, surroundings, desk, SystemClock())
    worker.start()

    assert comes_true(lambda: steps == ["gives way", "begins"])
    worker.stop(2.0, cut_off=lambda: None)


def test_the_worker_need_not_give_way_once_the_hook_has_returned_even_where_the_hook_failed(
    world: HookedWorld,
) -> None:
    def fail() -> None:
        with world.background.in_hand("p1"):
            assert not world.background._nothing_in_hand.is_set()
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert world.background._nothing_in_hand.is_set()


def test_when_the_stop_returns_no_thread_of_the_worker_runs_any_more_though_the_server_never_answers(
    new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    till = new_till(timeout=30, payDuration=60, frequency=30)
    till.host.takes_messages = True
    owe(till, *range(1, 9))
    till.plugins.on_stop()
    till.host.takes_messages = False
    make_due(till)
    sandbox.inject(Fault(FaultKind.SILENT, times=None))
    asked = len(sandbox.requests)
    till.plugins.on_start(till.host)
    assert comes_true(lambda: len(sandbox.requests) == asked + STEPPERS)
    began = time.monotonic()

    till.plugins.on_stop()

    assert workers() == []
    assert time.monotonic() - began < 2
    assert len(till.live()) == 8


def test_all_threads_of_the_worker_share_one_time_to_stop(world: HookedWorld) -> None:
    begun, goes_on = threading.Semaphore(0), threading.Event()
    for number in range(1, STEPPERS + 1):
        owe_refund(world, f"p{number}", number)

    def desk(number: int, settings: Settings) -> None:
        begun.release()
        goes_on.wait(10)

    surroundings = replace(world.background._surroundings(), before_round=lambda: None, gives_way=lambda: None)
    worker = Worker(world.background.rounds, surroundings, desk, SystemClock())
    worker.start()
    assert all(begun.acquire(timeout=10) for _ in range(STEPPERS))
    began = time.monotonic()

    worker.stop(1.0, cut_off=lambda: None)

    assert 1.0 <= time.monotonic() - began < 3
    goes_on.set()
    assert comes_true(lambda: workers() == [])


def test_a_thread_that_is_late_opens_no_connection_after_the_stop(world: HookedWorld) -> None:
    world.background.stop()

    assert world.background.desk(0, world.settings) is None
    assert world.background.kassa(0) is None


def test_the_workers_connections_are_not_the_sales(new_till: Callable[..., ServedTill], sandbox: Sandbox) -> None:
    till = new_till()
    asked = len(sandbox.requests)
    result = till.pay(till.code(BuyerAction.LACKS_FUNDS))
    sold = {request.connection for request in sandbox.requests[asked:] if request.method in {CREATE, PAY}}

    assert result.cancellation_queued
    assert comes_true(lambda: till.live() == [])
    delivered = {request.connection for request in sandbox.requests[asked:] if request.method == CANCEL}
    assert delivered
    assert not delivered & sold


def test_no_port_is_open_and_nothing_is_lost_when_the_server_is_not_there(new_till: Callable[..., ServedTill]) -> None:
    till = new_till()
    paid = till.pay(till.code())
    till.plugins.on_stop()
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        till.host.given = {**till.host.given, "url": f"http://127.0.0.1:{unused.getsockname()[1]}/api"}
        till.plugins.on_start(till.host)
        assert paid.payment is not None
        result = till.plugins.on_cancel(
            CancelRequest(payment=paid.payment, receipt=open_sale(payments=(paid.payment,))), ScriptedUi(SystemClock())
        )

    assert result is not None
    assert (result.status, till.row().state) == (ReversalStatus.REFUSED, PaymentState.PAID)


def test_with_broken_settings_the_rows_stay_and_nothing_spins(
    new_till: Callable[..., ServedTill], sandbox: Sandbox, tmp_path: Path
) -> None:
    first = new_till()
    sandbox.inject(Fault(FaultKind.REQUEST_LOST, CANCEL, times=None))
    cancel(first, first.code())
    first.plugins.on_stop()
    sandbox.clear_faults()
    asked = len(sandbox.requests)
    host = WatchedHost(tmp_path / "till-1")

    till = new_till(host=host, frequency="soon")
    time.sleep(0.3)
    before = host.reads
    time.sleep(0.7)

    assert host.reads - before <= 10
    assert len(till.live()) == 1
    assert till.live()[0].attempts == first.live()[0].attempts
    assert len(sandbox.requests) == asked


@pytest.mark.parametrize(("recorded", "after"), [(False, PaymentState.REVERSING), (True, PaymentState.RECORDED)])
def test_at_the_start_what_a_dead_process_left_is_decided_in_the_background(
    new_till: Callable[..., ServedTill], tmp_path: Path, recorded: bool, after: PaymentState
) -> None:
    host = VirtualHost(tmp_path / "till-1", recorded={"p1": recorded})
    journal = Journal(host.folder / FILE_NAME, host_identity="till-1", clock=SystemClock())
    walk(journal, PaymentState.PAID)
    journal.close()

    till = new_till(host=host)

    assert comes_true(lambda: till.row().state is after)


def test_the_journal_of_another_till_is_never_decided_about(
    new_till: Callable[..., ServedTill], sandbox: Sandbox, tmp_path: Path
) -> None:
    host = VirtualHost(tmp_path / "copied", name="till-2", recorded={"p1": False})
    journal = Journal(host.folder / FILE_NAME, host_identity="till-1", clock=SystemClock())
    walk(journal, PaymentState.PAID)
    journal.close()
    asked = len(sandbox.requests)

    till = new_till(host=host)
    time.sleep(0.3)
    till.plugins.on_stop()

    assert till.row().state is PaymentState.PAID
    assert (till.live(), len(sandbox.requests)) == ([], asked)
