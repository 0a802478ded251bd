"""The worker's thread calls the host, pauses for a sale, and ends at ``on_stop``."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, cast
from unittest.mock import Mock

import pytest

from fakes.hooked_world import OFD_LINK
from fakes.owed_money import owe_paid, owe_refund
from fakes.till import ScriptedUi, VirtualHost, open_sale
from fakes.waiting import comes_true
from hookspecs import CancelRequest, ReversalStatus
from payme_plugin.background import Background
from payme_plugin.clock import SystemClock
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.delivery.worker import Worker
from payme_plugin.ledger.errors import Unavailable
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.states import PaymentState
from payme_plugin.paymego.errors import NotSent
from payme_plugin.plugin import PaymePlugin
from payme_plugin.sandbox import BuyerAction, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fakes.failing_journal import StagedJournal
    from fakes.hooked_world import HookedWorld
    from fakes.served_till import ServedTill
    from hookspecs import ReversalResult
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.cancellation import MerchantClient, StepOutcome

CANCEL, CHECK, CREATE, PAY = "receipts.cancel", "receipts.check", "receipts.create", "receipts.pay"


def owe(till: ServedTill, *numbers: int) -> None:
    """Let payments be refused with their money on the way back, one a number."""
    for number in numbers:
        result = till.pay(till.code(BuyerAction.LACKS_FUNDS), payment_id=f"p{number}", receipt=open_sale(number))
        assert result.cancellation_queued


def stop_with_due_rows(till: ServedTill, count: int) -> None:
    """Let the host's queue take so many rows, stop the till, and let them be due at its next start."""
    till.host.takes_messages = True
    owe(till, *range(1, count + 1))
    assert comes_true(lambda: len(till.host.queue) == count)
    till.plugins.on_stop()
    journal = Journal(till.host.folder / FILE_NAME, host_identity="till-1", clock=SystemClock())
    with journal.writing() as connection:
        connection.execute("UPDATE cancellation SET due_at = 0")
    journal.close()


def workers() -> list[str]:
    """Return the worker's threads that live."""
    return [each.name for each in threading.enumerate() if each.name.startswith("payme-worker")]


def background_of(till: ServedTill) -> Background:
    """Return the background of a till in service."""
    (plugin,) = till.plugins._manager.get_plugins()
    assert isinstance(plugin, PaymePlugin)
    assert plugin._dispatcher is not None
    return plugin._dispatcher._service.background


def cancel(till: ServedTill) -> ReversalResult:
    paid = till.pay(till.code())
    assert paid.payment is not None
    request = CancelRequest(payment=paid.payment, receipt=open_sale(payments=(paid.payment,)))
    result = till.plugins.on_cancel(request, ScriptedUi(SystemClock()))
    assert result is not None
    return result


# Over real HTTP.


def test_what_a_hook_queues_is_delivered_in_the_background(
    new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    till = new_till()
    sandbox.inject(InjectedFault(FaultKind.ANSWER_LOST, CANCEL))

    result = cancel(till)

    assert (result.status, result.cancellation_queued) == (ReversalStatus.QUEUED, True)
    assert comes_true(lambda: till.live() == [])
    assert till.row().state is PaymentState.REVERSED
    assert sandbox.held(result.receipt_id) == 0


def test_the_worker_has_one_thread_and_connections_of_its_own(
    new_till: Callable[..., ServedTill], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    till, callers = new_till(), set[str]()

    def settings(host: VirtualHost, _: str) -> Mapping[str, str]:
        callers.add(threading.current_thread().name)
        return host.given

    monkeypatch.setattr(VirtualHost, "settings", settings)
    asked = len(sandbox.requests)

    owe(till, 1, 2)

    assert comes_true(lambda: till.live() == [])
    assert callers - {threading.current_thread().name} == {"payme-worker"}
    sale, delivery = (
        {request.connection for request in sandbox.requests[asked:] if request.method in methods}
        for methods in ({CREATE, PAY}, {CANCEL})
    )
    assert delivery
    assert not delivery & sale


def test_a_slow_answer_holds_up_the_others_for_no_longer_than_its_own_timeout(
    new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    till = new_till()
    stop_with_due_rows(till, 3)
    sandbox.inject(InjectedFault(FaultKind.SILENT, CHECK))

    till.plugins.on_start(till.host)

    assert comes_true(lambda: len(till.live()) == 1, within_s=4)


def test_when_the_stop_returns_no_thread_of_the_worker_runs_any_more_though_the_server_never_answers(
    new_till: Callable[..., ServedTill], sandbox: Sandbox
) -> None:
    till = new_till(timeout=30)
    stop_with_due_rows(till, 2)
    sandbox.inject(InjectedFault(FaultKind.SILENT, times=None))
    asked = len(sandbox.requests)
    till.plugins.on_start(till.host)
    assert comes_true(lambda: len(sandbox.requests) == asked + 1)
    began = time.monotonic()

    till.plugins.on_stop()

    assert workers() == []
    assert time.monotonic() - began < 2
    assert len(till.live()) == 2


def test_a_thread_that_is_late_sends_nothing_after_the_stop(new_till: Callable[..., ServedTill]) -> None:
    till = new_till()
    background = background_of(till)
    till.plugins.on_stop()

    merchants = background.merchants()

    assert merchants is not None
    (merchant,) = merchants.values()
    with pytest.raises(NotSent):
        merchant.client.begin(CHECK, {"id": "r"}, time.monotonic() + 1).answer()


def test_with_broken_settings_the_rows_stay_and_nothing_spins(
    new_till: Callable[..., ServedTill], sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    till = new_till()
    sandbox.inject(InjectedFault(FaultKind.REQUEST_LOST, CANCEL, times=None))
    cancel(till)
    till.plugins.on_stop()
    (row,) = till.live()
    asked, runs, run_once = len(sandbox.requests), list[None](), Worker._run_once

    def counted(worker: Worker) -> float:
        runs.append(None)
        return run_once(worker)

    monkeypatch.setattr(Worker, "_run_once", counted)
    till.host.given = {**till.host.given, "url": "soon"}
    till.plugins.on_start(till.host)
    background_of(till).wake()
    time.sleep(0.3)

    assert 2 <= len(runs) <= 5
    assert (till.live(), len(sandbox.requests)) == ([row], asked)


# Beside a sale.


def test_an_acknowledgement_wakes_the_worker_once_all_of_it_is_stored(till: HookedWorld) -> None:
    stored: list[tuple[PaymentState, int]] = []

    def look(**_: object) -> None:
        stored.append((till.row().state, len(till.journal.live_fiscal_links())))

    sold = till.sell()
    till.background.wake = look  # type: ignore[method-assign]
    till.dispatcher.acknowledge(sold.record)
    till.close_sale(sold, link=OFD_LINK)

    assert stored == [(PaymentState.RECORDED, 0), (PaymentState.RECORDED, 1)]


def test_housekeeping_and_then_each_row_first_give_way_to_a_sale(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    owe_paid(till)
    till.host.takes_messages = True
    done: list[str] = []

    def give_way() -> bool:
        done.append("a sale")
        return True

    till.background.yield_to_sale = give_way  # type: ignore[method-assign]
    monkeypatch.setattr(till.background, "_notify_cancellations", lambda _: done.append("a look"))

    till.work()

    assert (done, len(till.host.queue)) == (["a sale", "a look", "a sale"], 1)


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


@pytest.mark.parametrize(
    ("ended", "seen"), [(True, ["housekeeping", "a row", "begin", "confirm"]), (False, ["housekeeping", "a row"])]
)
def test_a_step_gives_way_before_each_commit_but_not_to_a_sale_that_it_has_waited_for_in_vain(
    new_till: Callable[..., ServedTill], seen: list[str], *, ended: bool
) -> None:
    till = new_till()
    background, asked = background_of(till), list[str]()

    def give_way() -> bool:
        for row in till.live():
            asked.append("confirm" if row.begun_at is not None else ("housekeeping", "a row", "begin")[len(asked)])
        assert threading.current_thread().name == "payme-worker"
        return ended

    background._forget_at = float("inf")
    background.yield_to_sale = give_way  # type: ignore[method-assign]
    owe(till, 1)
    assert comes_true(lambda: till.live() == [])
    (row,) = background.journal().confirming_cancellations()
    background.processor().cancellations.leave(row, "nothing new")

    assert asked == seen


def test_neither_what_a_queue_has_taken_nor_an_outcome_gives_way(till: HookedWorld) -> None:
    owe_paid(till)
    till.host.takes_messages = True
    waits: list[bool] = []
    worker = till.background._worker
    worker._thread = threading.current_thread()

    def give_way() -> bool:
        waits.append(True)
        return True

    till.background.yield_to_sale = give_way  # type: ignore[method-assign]
    till.background.processor().journal.before_writing = worker.yield_before_commit

    till.work()

    assert (len(waits), len(till.host.queue)) == (2, 1), "it gives way before housekeeping and the row only"


def test_a_checkpoint_is_made_once_a_minute(till: HookedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Mock()
    monkeypatch.setattr(Journal, "checkpoint", made)

    till.work(130)

    assert made.call_count == 2


@pytest.mark.parametrize(("rows", "expected"), [(31, 0), (32, 1)])
def test_a_checkpoint_is_made_once_32_rows_were_delivered(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch, rows: int, expected: int
) -> None:
    for number in range(1, rows + 1):
        owe_refund(till, f"p{number}", number)
    monkeypatch.setattr(CancellationProcessor, "step", Mock())
    till.background._worker._run_once()
    made = Mock()
    monkeypatch.setattr(Journal, "checkpoint", made)

    till.background._worker._run_once()

    assert made.call_count == expected


# Faults of one row, and of a run.


def test_one_rows_fault_stops_neither_the_others_nor_the_worker(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = owe_refund(till, "p1", 1), owe_refund(till, "p2", 2)
    processor = till.background.processor()
    step = processor.step

    def failing(
        row: CancellationRow, merchants: Mapping[str, MerchantClient], *, is_recorded: bool | None, relay: None
    ) -> StepOutcome | None:
        if row.cancellation_id == first.cancellation_id:
            raise KeyError("a fault")
        return step(row, merchants, is_recorded=is_recorded, relay=relay)

    processor.step = failing  # type: ignore[assignment,method-assign]
    till.work(30)

    assert till.journal.live_cancellations() == [first]
    assert till.paymego.state(second.receipt_id) == 50
    line = f"cancellation {first.cancellation_id} met a fault of the plugin: KeyError"
    assert 2 <= sum(line in each for each in caplog.messages) <= 3


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


@pytest.mark.parametrize("since", ["nothing", "a hook has returned", "an hour is over"])
def test_a_row_that_failed_has_its_turn_after_those_that_did_not_but_not_for_ever(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch, since: str
) -> None:
    tried: list[str] = []
    monkeypatch.setattr(CancellationProcessor, "step", lambda _, row, *__, **___: tried.append(row.payment_id))
    owe_paid(till, "p1")
    owe_paid(till, "p2")
    worker = till.background._worker
    worker._run_once()
    owe_paid(till, "p3")

    if since == "a hook has returned":
        worker.wake(retry=True)
    if since == "an hour is over":
        till.clock.sleep(3601)
    worker._run_once()

    assert tried == ["p1", "p2", *(["p3", "p1", "p2"] if since == "nothing" else ["p1", "p2", "p3"])]


def test_old_payments_are_deleted_twenty_a_run_until_none_is_left_and_then_once_a_day(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget = Mock(side_effect=[20, 20, 7, 0])
    monkeypatch.setattr("payme_plugin.background.forget_finished", forget)
    for _ in range(4):
        till.background.do_housekeeping()
    assert forget.call_count == 3

    till.clock.sleep(86_400)
    till.background.do_housekeeping()

    assert forget.call_count == 4


def test_every_state_is_checked_in_parts_before_anything_is_deleted_and_again_the_next_day(
    till: HookedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    check, forget = Mock(side_effect=[10_000, 20_000, None, 10_000, None]), Mock(side_effect=[20, 0, 0])
    monkeypatch.setattr("payme_plugin.background.check_states", check)
    monkeypatch.setattr("payme_plugin.background.forget_finished", forget)
    for _ in range(2):
        till.background.do_housekeeping()
    assert forget.call_count == 0
    for _ in range(3):
        till.background.do_housekeeping()
    assert forget.call_count == 2
    till.clock.sleep(86_400)
    for _ in range(3):
        till.background.do_housekeeping()

    assert [call.args[1] for call in check.call_args_list] == [0, 10_000, 20_000, 0, 10_000]
    assert forget.call_count == 3


def test_while_a_payment_runs_nothing_is_deleted(till: HookedWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    forget = Mock(return_value=0)
    monkeypatch.setattr("payme_plugin.background.forget_finished", forget)
    with till.background.active("p1"):
        till.background.do_housekeeping()
    assert forget.call_count == 0

    till.background.do_housekeeping()

    assert forget.call_count == 1


def test_a_fault_in_the_housekeeping_does_not_end_the_worker(
    till: HookedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    runs = threading.Semaphore(0)

    def fail() -> None:
        runs.release()
        raise KeyError("a fault")

    till.background.do_housekeeping = fail  # type: ignore[method-assign]
    worker = Worker(till.background, SystemClock())
    worker.start()
    for _ in range(3):
        assert runs.acquire(timeout=10)
        worker.wake()

    worker.stop(2.0)

    assert workers() == []
    assert "the housekeeping met a fault of the plugin: KeyError" in caplog.text


def test_the_stop_ends_a_look_at_all_rows_that_runs(
    new_till: Callable[..., ServedTill], monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, ended = threading.Event(), list[str]()

    def long_look(background: Background, processor: CancellationProcessor) -> None:
        numbers = "WITH RECURSIVE number(n) AS (SELECT has_begun() UNION ALL SELECT n + 1 FROM number LIMIT 100000000)"
        query = f"{numbers} SELECT count(*) FROM number"  # noqa: S608 - our own text
        try:
            with processor.journal.reading() as connection:
                connection.create_function("has_begun", 0, begun.set)
                connection.execute(query).fetchone()
        except Unavailable as error:
            ended.append(str(error))

    monkeypatch.setattr(Background, "_notify_cancellations", long_look)
    till = new_till()
    assert begun.wait(10)

    till.plugins.on_stop()

    assert (ended, workers()) == (["interrupted"], [])


def test_the_stop_waits_no_longer_than_it_was_given_and_no_row_is_begun_after_it(till: HookedWorld) -> None:
    begun, goes_on = threading.Semaphore(0), threading.Event()
    rows = [owe_refund(till, "p1", 1), owe_refund(till, "p2", 2)]

    def hang() -> bool:
        begun.release()
        return goes_on.wait(10)

    till.background.do_housekeeping = lambda: None  # type: ignore[method-assign]
    till.background.yield_to_sale = hang  # type: ignore[method-assign]
    worker = Worker(till.background, SystemClock())
    worker.start()
    assert begun.acquire(timeout=10)
    began = time.monotonic()

    worker.stop(0.5)

    assert 0.5 <= time.monotonic() - began < 3
    goes_on.set()
    assert comes_true(lambda: workers() == [])
    assert not begun.acquire(blocking=False)
    assert till.journal.live_cancellations() == rows
