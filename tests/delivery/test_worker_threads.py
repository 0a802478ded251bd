"""The worker's thread, over real HTTP: it calls the host, gives way to a sale, and is cut off at the stop."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import pytest

from fakes.journal_rows import walk
from fakes.owed_money import owe_paid, owe_refund
from fakes.till import ScriptedUi, VirtualHost, open_sale
from fakes.waiting import comes_true
from hookspecs import CancelRequest, HookFailed, PaymentStatus, QueueMessage, ReversalStatus
from payme_plugin.background import Background
from payme_plugin.clock import SystemClock
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.delivery.worker import Worker
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.locks import Leases
from payme_plugin.ledger.states import PaymentState
from payme_plugin.paymego.errors import NotSent
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import BuyerAction, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fakes.failing_journal import StagedJournal
    from fakes.hooked_world import HookedWorld
    from fakes.served_till import ServedTill
    from hookspecs import ReversalResult
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.cancellation import MerchantClient, StepOutcome

CANCEL, CHECK, CREATE, PAY = "receipts.cancel", "receipts.check", "receipts.create", "receipts.pay"


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


def plugin_of(till: ServedTill) -> PaymePlugin:
    (plugin,) = till.plugins._manager.get_plugins()
    assert isinstance(plugin, PaymePlugin)
    return plugin


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
    sandbox.inject(InjectedFault(FaultKind.ANSWER_LOST, CANCEL))

    result = cancel(till, till.code())

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert comes_true(lambda: till.live() == [])
    assert till.row().state is PaymentState.REVERSED
    assert sandbox.held(result.receipt_id) == 0


def test_the_host_is_called_from_its_own_thread_and_one_of_ours(
    new_till: Callable[..., ServedTill], tmp_path: Path
) -> None:
    host = WatchedHost(tmp_path / "till-1", takes_messages=False)
    till = new_till(host=host, payDuration=1000, frequency=100)

    owe(till, *range(1, 7))

    assert comes_true(lambda: till.live() == [])
    assert host.callers - {threading.current_thread().name} == {"payme-worker"}


def test_a_slow_answer_holds_up_the_others_for_no_longer_than_its_own_timeout(
    new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    till = new_till(payDuration=1000, frequency=100, timeout=2)
    till.host.takes_messages = True
    owe(till, *range(1, 6))
    assert comes_true(lambda: len(till.host.queue) == 5)
    till.plugins.on_stop()
    sandbox.inject(InjectedFault(FaultKind.SILENT, CHECK))
    make_due(till)
    began = time.monotonic()

    till.plugins.on_start(till.host)

    assert comes_true(lambda: len(till.live()) == 1, within_s=5)
    assert time.monotonic() - began < 5


def test_each_row_first_gives_way_to_a_sale(till: HookedWorld) -> None:
    owe_paid(till)
    till.host.takes_messages = True
    offered: list[int] = []
    till.background.yield_to_sale = lambda: offered.append(len(till.host.queue))  # type: ignore[method-assign]

    till.work()

    assert (offered, len(till.host.queue)) == ([0], 1)


def test_the_worker_waits_while_a_hook_runs_but_not_for_long_and_not_once_it_has_returned_even_by_a_fault(
    till: HookedWorld,
) -> None:
    def waited_s() -> float:
        began = time.monotonic()
        Background.yield_to_sale(till.background)
        return time.monotonic() - began

    def fail() -> None:
        with till.background.active_payment("p1"):
            assert 1.0 <= waited_s() < 2
            raise KeyError

    with pytest.raises(KeyError):
        fail()

    assert waited_s() < 0.5


def test_a_worker_that_waits_for_a_hook_goes_on_as_soon_as_it_returns(till: HookedWorld) -> None:
    has_gone_on = threading.Event()

    def give_way() -> None:
        Background.yield_to_sale(till.background)
        has_gone_on.set()

    with till.background.active_payment("p1"):
        thread = threading.Thread(target=give_way)
        thread.start()
        assert not has_gone_on.wait(0.2)
    assert has_gone_on.wait(0.5)
    thread.join()


def test_one_rows_fault_stops_neither_the_others_nor_the_worker(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = owe_refund(till, "p1", 1), owe_refund(till, "p2", 2)
    processor = till.background.processor()
    step = processor.step

    def failing(
        row: CancellationRow, merchants: Mapping[str, MerchantClient], *, is_recorded: bool | None
    ) -> StepOutcome | None:
        if row.cancellation_id == first.cancellation_id:
            raise KeyError("a fault")
        return step(row, merchants, is_recorded=is_recorded)

    processor.step = failing  # type: ignore[method-assign]
    till.work(30)

    assert till.journal.live_cancellations() == [first]
    assert till.paymego.state(second.receipt_id) == 50
    told = f"cancellation {first.cancellation_id} met a fault of the plugin: KeyError"
    assert 2 <= sum(told in line for line in caplog.messages) <= 3


def test_a_row_that_failed_rests_for_20_s_unless_a_hook_has_returned(till: HookedWorld) -> None:
    worker = till.background._worker
    owe_paid(till)
    disk = cast("StagedJournal", till.background.processor().journal)
    disk.fail_from(1)
    worker._run_once()
    disk.recover()

    worker.wake()
    worker._run_once()
    assert till.paymego.count(CANCEL) == 0, "a new row, and `payme worker` every second, wake it"

    worker.wake(retry=True)
    worker._run_once()
    assert till.paymego.count(CANCEL) == 1


def test_a_row_whose_lease_was_taken_is_taken_over_as_soon_as_that_is_free(till: HookedWorld) -> None:
    row, worker = owe_paid(till), till.background._worker
    with Leases(till.host.folder).try_acquire(row.cancellation_id):
        worker._run_once()
        assert till.paymego.count(CANCEL) == 0

    worker._run_once()

    assert till.paymego.count(CANCEL) == 1


def failing_steps(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let every step fail; return the payments of the rows that were tried, as they come."""
    tried: list[str] = []

    def step(_: object, row: CancellationRow, *args: object, **given: object) -> None:
        tried.append(row.payment_id)

    monkeypatch.setattr(CancellationProcessor, "step", step)
    return tried


def test_a_row_that_failed_has_its_turn_after_those_that_did_not(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("p1", "p2", "p3"):
        owe_paid(till, name)
    tried, worker = failing_steps(monkeypatch), till.background._worker
    worker._run_once()
    owe_paid(till, "p4")
    worker._run_once()

    assert tried == ["p1", "p2", "p3", "p4", "p1", "p2", "p3"]


@pytest.mark.parametrize("forgets", ["a hook has returned", "an hour is over"])
def test_no_backlog_holds_up_a_row_that_failed_once_for_ever(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch, forgets: str
) -> None:
    owe_paid(till, "p1")
    tried, worker = failing_steps(monkeypatch), till.background._worker
    worker._run_once()
    owe_paid(till, "p2")

    if forgets == "a hook has returned":
        worker.wake(retry=True)
    else:
        till.clock.sleep(3601)
    worker._run_once()

    assert tried == ["p1", "p1", "p2"]


def test_a_fault_before_a_round_does_not_end_the_worker(till: HookedWorld, caplog: pytest.LogCaptureFixture) -> None:
    rounds = threading.Semaphore(0)

    def fail() -> None:
        rounds.release()
        raise KeyError("a fault")

    till.background.do_housekeeping = fail  # type: ignore[method-assign]
    worker = Worker(till.background, SystemClock())
    worker.start()
    for _ in range(3):
        assert rounds.acquire(timeout=10)
        worker.wake()

    worker.stop(2.0)

    assert workers() == []
    assert "the worker met a fault of the plugin: KeyError" in caplog.text


def test_when_the_stop_returns_no_thread_of_the_worker_runs_any_more_though_the_server_never_answers(
    new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    till = new_till(timeout=30, payDuration=1000, frequency=100)
    till.host.takes_messages = True
    owe(till, *range(1, 9))
    till.plugins.on_stop()
    till.host.takes_messages = False
    make_due(till)
    sandbox.inject(InjectedFault(FaultKind.SILENT, times=None))
    asked = len(sandbox.requests)
    till.plugins.on_start(till.host)
    assert comes_true(lambda: len(sandbox.requests) == asked + 1)
    began = time.monotonic()

    till.plugins.on_stop()

    assert workers() == []
    assert time.monotonic() - began < 2
    assert len(till.live()) == 8


def test_the_stop_waits_no_longer_than_it_was_given_and_no_row_is_begun_after_it(till: HookedWorld) -> None:
    begun, goes_on = threading.Event(), threading.Event()
    begins: list[None] = []
    rows = [owe_refund(till, "p1", 1), owe_refund(till, "p2", 2)]

    def hang() -> None:
        begins.append(None)
        begun.set()
        goes_on.wait(10)

    till.background.do_housekeeping = lambda: None  # type: ignore[method-assign]
    till.background.yield_to_sale = hang  # type: ignore[method-assign]
    worker = Worker(till.background, SystemClock())
    worker.start()
    assert begun.wait(10)
    began = time.monotonic()

    worker.stop(1.0)

    assert 1.0 <= time.monotonic() - began < 3
    goes_on.set()
    assert comes_true(lambda: workers() == [])
    assert len(begins) == 1
    assert till.journal.live_cancellations() == rows


def test_a_thread_that_is_late_sends_nothing_after_the_stop(new_till: Callable[..., ServedTill]) -> None:
    till = new_till()
    dispatcher = plugin_of(till)._dispatcher
    assert dispatcher is not None
    background = dispatcher._service.background
    till.plugins.on_stop()

    merchants = background.merchants()

    assert merchants is not None
    (merchant,) = merchants.values()
    with pytest.raises(NotSent):
        merchant.client.begin(CHECK, {"id": "r"}, time.monotonic() + 1).answer()


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
    assert (result.status, till.row().state) == (ReversalStatus.QUEUED, PaymentState.REVERSING)
    assert len(till.live()) == 1


def test_with_broken_settings_the_rows_stay_and_nothing_spins(
    new_till: Callable[..., ServedTill], sandbox: Sandbox, tmp_path: Path
) -> None:
    first = new_till()
    sandbox.inject(InjectedFault(FaultKind.REQUEST_LOST, CANCEL, times=None))
    cancel(first, first.code())
    first.plugins.on_stop()
    sandbox.clear_faults()
    asked = len(sandbox.requests)
    host = WatchedHost(tmp_path / "till-1")

    till = new_till(host=host, url="soon")
    till.plugins.on_receipt_closed(open_sale(9, closed_at=1))  # it wakes the worker
    time.sleep(0.3)
    before = host.reads
    time.sleep(0.7)

    assert host.reads - before <= 10
    assert len(till.live()) == 1
    assert till.live()[0].attempts == first.live()[0].attempts
    assert len(sandbox.requests) == asked


@pytest.mark.parametrize("recorded", [True, False, None])
def test_at_the_start_nothing_is_decided_before_on_ready_and_everything_by_it(
    new_till: Callable[..., ServedTill], tmp_path: Path, recorded: bool | None
) -> None:
    host = VirtualHost(tmp_path / "till-1", recorded={"p1": recorded})
    journal = Journal(host.folder / FILE_NAME, host_identity="till-1", clock=SystemClock())
    walk(journal, PaymentState.PAID)
    journal.close()

    till = new_till(host=host, is_ready=False)
    assert till.row().state is PaymentState.PAID

    till.plugins.on_ready()
    # The veto ends the cancellation; without it the key for its account is missing.
    after = PaymentState.RECORDED if recorded else PaymentState.REVERSING
    assert comes_true(lambda: till.row().state is after)


def test_the_journal_of_another_till_is_never_decided_about(
    new_till: Callable[..., ServedTill], sandbox: Sandbox, tmp_path: Path
) -> None:
    host = VirtualHost(tmp_path / "copied", name="till-2", recorded={"p1": False})
    journal = Journal(host.folder / FILE_NAME, host_identity="till-1", clock=SystemClock())
    walk(journal, PaymentState.PAID)
    journal.close()
    asked = len(sandbox.requests)

    till = new_till(host=host, is_ready=False)
    with pytest.raises(HookFailed):
        till.plugins.on_ready()
    till.plugins.on_stop()

    assert till.row().state is PaymentState.PAID
    assert (till.live(), len(sandbox.requests)) == ([], asked)
