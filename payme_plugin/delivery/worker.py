"""The worker: one thread that speaks with the host and picks what is due, and a few that carry it out.

A slow answer holds up one of the few. The host is called from one thread alone, as the contract wants it: what the
others need of it, its settings too, is in the job that they are given.
"""

from __future__ import annotations

import queue
import threading
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.states import Cause
from payme_plugin.log import Log
from payme_plugin.secret import safe_traceback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager

    from hookspecs import QueueMessage
    from payme_plugin.clock import Clock
    from payme_plugin.delivery.processor import CancellationProcessor
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.cancellation import MerchantClient
    from payme_plugin.settings import Settings

__all__ = ["Surroundings", "Worker"]

_log = Log()

_STEPPERS = 4
_WAITING_ROWS = 64
_LONGEST_IDLE_S = 20.0
_BUSY_IDLE_S = 0.5
_REST_S = 20.0
_FUTILE_REMEMBERED_S = 3600.0
"""What came to nothing within the hour waits for what never did, each in its turn."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the worker asks of its surroundings; all but ``gives_way`` is called from one thread.

    Attributes:
        before_round: called before each round: recovery that is still to be done, and notices.
        settings: gives the settings of this moment; None: they can't be used now.
        is_recorded: the host's answer, by payment id.
        enqueue: offers a message to the host's queue; None: there is none to offer to.
        gives_way: called before each step: waits a short while where a sale needs the machine more.
        turn: held while the others are called: a host expects one thread of the plugin's at a time.
    """

    before_round: Callable[[], None]
    settings: Callable[[], Settings | None]
    is_recorded: Callable[[str], bool | None]
    enqueue: Callable[[QueueMessage], bool] | None
    gives_way: Callable[[], object]
    turn: AbstractContextManager[object] = field(default_factory=nullcontext)


@dataclass(frozen=True, slots=True)
class _Job:
    name: str
    run: Callable[[MerchantClient], bool]
    settings: Settings | None


class Worker:
    """Steps cancellations in the background, from ``start`` to ``stop``.

    Args:
        rounds: gives what works on a row, opened when first needed; it may raise ``JournalError``.
        surroundings: what it asks of them.
        desk: gives the kassa of the settings with a client of the thread's own, by the thread's number; None: there is
            none any more.
        clock: time.
    """

    def __init__(
        self,
        rounds: Callable[[], CancellationProcessor],
        surroundings: Surroundings,
        desk: Callable[[int, Settings], MerchantClient | None],
        clock: Clock,
    ) -> None:
        self._rounds = rounds
        self._surroundings = surroundings
        self._desk = desk
        self._clock = clock
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._lock = threading.Lock()
        self._under_way: set[str] = set()
        self._futile_at: dict[str, float] = {}
        self._work: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._threads = [threading.Thread(target=self._dispatch, name="payme-worker", daemon=True)] + [
            threading.Thread(target=self._carry_out, args=(number,), name=f"payme-worker-{number}", daemon=True)
            for number in range(_STEPPERS)
        ]

    def start(self) -> None:
        """Start the threads.

        Money effect: may cancel, later: whatever is due.
        """
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """Look at once for what is due; a row was just written, say."""
        self._wake.set()

    def stop(self, timeout_s: float, cut_off: Callable[[], None]) -> None:
        """Stop: begin nothing more, cut off what is under way, and wait at most ``timeout_s`` seconds for the threads.

        Args:
            timeout_s: for all threads together.
            cut_off: shuts the connections of the desks, so that no thread waits for an answer any more.

        A step that is cut off is repeated later by whoever comes next; its row is as it was.
        """
        self._stopping.set()
        self._wake.set()
        for _ in range(_STEPPERS):
            self._work.put(None)
        cut_off()
        ends = self._clock.monotonic() + timeout_s
        for thread in self._threads:
            if thread is not threading.current_thread() and thread.is_alive():
                thread.join(max(0.0, ends - self._clock.monotonic()))

    def _dispatch(self) -> None:
        while not self._stopping.is_set():
            idle_s = _LONGEST_IDLE_S
            try:
                with self._surroundings.turn:
                    self._surroundings.before_round()
                    idle_s = self._hand_out()
            except JournalError as error:
                _log.error("the worker can't use the journal: %s", error)
            except Exception as error:  # noqa: BLE001 - the worker never stops silently
                _log.error("the worker met a fault of the plugin: %s", safe_traceback(error))
            self._wake.wait(idle_s)
            self._wake.clear()

    def _hand_out(self) -> float:
        """Give what is due to the steppers; return how long to idle, in seconds."""
        rounds = self._rounds()
        with self._lock:
            under_way = frozenset(self._under_way)
        resting = self._resting()
        found = list(self._due(rounds, under_way | resting))
        settings = self._surroundings.settings() if found else None
        jobs = [_Job(name, run, settings) for name, run in found]
        for job in jobs[: _WAITING_ROWS - len(under_way)]:
            with self._lock:
                self._under_way.add(job.name)
            self._work.put(job)
        if jobs or under_way or resting:
            return _BUSY_IDLE_S
        next_due_in_ms = (rounds.rows.next_due_in_ms(), rounds.links.next_due_in_ms())
        return min(
            [_LONGEST_IDLE_S, *(due_in_ms / 1000 + 0.001 for due_in_ms in next_due_in_ms if due_in_ms is not None)]
        )

    def _resting(self) -> frozenset[str]:
        """Return the jobs that came to nothing a short while ago: a broken settings file or a full disk, say."""
        now = self._clock.monotonic()
        with self._lock:
            self._futile_at = {name: at for name, at in self._futile_at.items() if now - at < _FUTILE_REMEMBERED_S}
            return frozenset(name for name, at in self._futile_at.items() if now - at < _REST_S)

    def _due(
        self, rounds: CancellationProcessor, not_now: frozenset[str]
    ) -> Iterator[tuple[str, Callable[[MerchantClient], bool]]]:
        """Give what is due, by name, but for what the host's queue takes."""
        with self._lock:
            futile_at = dict(self._futile_at)
        # What could not be stored stays the longest due: it must not be all that is ever looked at.
        most = _WAITING_ROWS + len(not_now | futile_at.keys())
        rows = {_name(row): row for row in rounds.rows.due(most)}
        for name in _in_turn(rows, not_now, futile_at):
            if self._stopping.is_set():
                continue
            job = self._job_of(rounds, rows[name], name)
            if job is not None:
                yield name, job
        links = {f"fiscal link {link.fiscal_link_id}": link for link in rounds.links.due(most)}
        for name in _in_turn(links, not_now, futile_at):
            yield name, partial(rounds.send_link, links[name])

    def _job_of(
        self, rounds: CancellationProcessor, row: CancellationRow, name: str
    ) -> Callable[[MerchantClient], bool] | None:
        """Return what is to be done for a row; None: the host's queue took it, or it must wait for the host's word."""
        if self._is_taken(rounds, row, name):
            return None
        try:
            is_recorded = self._surroundings.is_recorded(row.payment_id) if row.cause is Cause.UNRECORDED else None
        except JournalError as error:
            # The others do not wait for it.
            _log.error("%s waits: %s", name, error)
            self._note_futile(name)
            return None
        return partial(_step, rounds, row, is_recorded)

    def _is_taken(self, rounds: CancellationProcessor, row: CancellationRow, name: str) -> bool:
        try:
            return self._surroundings.enqueue is not None and rounds.offer(row, self._surroundings.enqueue)
        except JournalError as error:
            _log.error("%s is not offered: %s", name, error)
            return False

    def _note_futile(self, name: str) -> None:
        with self._lock:
            self._futile_at[name] = self._clock.monotonic()

    def _carry_out(self, number: int) -> None:
        while (job := self._work.get()) is not None:
            went_on = False
            try:
                self._surroundings.gives_way()
                kassa = None
                if job.settings is not None and not self._stopping.is_set():
                    kassa = self._desk(number, job.settings)
                went_on = kassa is not None and job.run(kassa)
            except JournalError as error:
                _log.error("%s waits: %s", job.name, error)
            except Exception as error:  # noqa: BLE001 - the worker never stops silently
                _log.error("%s met a fault of the plugin: %s", job.name, safe_traceback(error))
            finally:
                now = self._clock.monotonic()
                with self._lock:
                    self._under_way.discard(job.name)
                    self._futile_at.pop(job.name, None)
                    if not went_on:
                        self._futile_at[job.name] = now
                    is_last = not self._under_way
                if is_last:
                    self._wake.set()


def _in_turn(due: Iterable[str], not_now: frozenset[str], futile_at: Mapping[str, float]) -> list[str]:
    """Return whose turn it is of what is due, the longest due first: first what never came to nothing, then the others.

    Of those the one that came to nothing the longest ago is first, so that each has its turn.
    """
    turns = sorted((name for name in due if name not in not_now), key=lambda name: futile_at.get(name, float("-inf")))
    return turns[:_WAITING_ROWS]


def _name(row: CancellationRow) -> str:
    return f"cancellation {row.cancellation_id}"


def _step(rounds: CancellationProcessor, row: CancellationRow, is_recorded: bool | None, kassa: MerchantClient) -> bool:
    return rounds.step(row, kassa, is_recorded=is_recorded) is not None
