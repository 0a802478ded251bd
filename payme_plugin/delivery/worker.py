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
from payme_plugin.secret import classes_and_places

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from hookspecs import QueueMessage
    from payme_plugin.clock import Clock
    from payme_plugin.delivery.rounds import Rounds
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.cancellation import KassaDesk
    from payme_plugin.settings import Settings

__all__ = ["Surroundings", "Worker"]

_log = Log()

_STEPPERS = 4
_WAITING_ROWS = 64
_LONGEST_IDLE_S = 20.0
_BUSY_IDLE_S = 0.5
_REST_S = 20.0


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
    run: Callable[[KassaDesk], bool]
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
        rounds: Callable[[], Rounds],
        surroundings: Surroundings,
        desk: Callable[[int, Settings], KassaDesk | None],
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
        self._futile: set[str] = set()
        self._rests_until: dict[str, float] = {}
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
                _log.error("the worker met a fault of the plugin: %s", classes_and_places(error))
            self._wake.wait(idle_s)
            self._wake.clear()

    def _hand_out(self) -> float:
        """Give what is due to the steppers; return how long to idle, in seconds."""
        rounds = self._rounds()
        with self._lock:
            under_way = frozenset(self._under_way)
        resting = self._resting(self._clock.monotonic())
        not_now = under_way | resting
        found = [(name, run) for name, run in self._due(rounds, not_now) if name not in not_now]
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

    def _resting(self, now: float) -> frozenset[str]:
        """Return the jobs that came to nothing a short while ago: a broken settings file or a full disk, say."""
        with self._lock:
            futile, self._futile = self._futile, set()
        self._rests_until = {name: until for name, until in self._rests_until.items() if until > now}
        self._rests_until.update(dict.fromkeys(futile, now + _REST_S))
        return frozenset(self._rests_until)

    def _due(self, rounds: Rounds, not_now: frozenset[str]) -> Iterator[tuple[str, Callable[[KassaDesk], bool]]]:
        """Give what is due, by name, but for what the host's queue takes."""
        for row in rounds.rows.due(_WAITING_ROWS):
            if _name(row) in not_now or self._stopping.is_set():
                continue
            if self._surroundings.enqueue is not None and rounds.offer(row, self._surroundings.enqueue):
                continue
            is_recorded = self._surroundings.is_recorded(row.payment_id) if row.cause is Cause.UNRECORDED else None
            yield _name(row), partial(_step, rounds, row, is_recorded)
        for link in rounds.links.due(_WAITING_ROWS):
            yield f"fiscal link {link.fiscal_link_id}", partial(rounds.send_link, link)

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
                _log.error("%s met a fault of the plugin: %s", job.name, classes_and_places(error))
            finally:
                with self._lock:
                    self._under_way.discard(job.name)
                    if not went_on:
                        self._futile.add(job.name)
                    is_last = not self._under_way
                if is_last:
                    self._wake.set()


def _name(row: CancellationRow) -> str:
    return f"cancellation {row.cancellation_id}"


def _step(rounds: Rounds, row: CancellationRow, is_recorded: bool | None, kassa: KassaDesk) -> bool:
    return rounds.step(row, kassa, is_recorded=is_recorded) is not None
