"""What queueing a cancellation costs in a long journal, and a sale's commits beside a worker that drains."""

from __future__ import annotations

import threading
import time
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from fakes.journal_rows import UNRECORDED, intent_of
from fakes.long_journal import make_long_journal
from fakes.memory_folder import folder_in_memory
from fakes.till import VirtualHost
from faults.backlog import owe
from faults.killed_host import IDENTITY
from faults.sandbox_process import served
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.rows import StoredResult
from payme_plugin.ledger.states import PaymentState
from payme_plugin.plugin import PaymePlugin
from tests.benchmarks.measure import CONTRACT, Figure, compare, compare_p99

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from faults.sandbox_process import Served
    from payme_plugin.background import Background

LONG_ROWS = 100_000
DRAINED_ROWS = 10_000
WARM_UP = 50
BETWEEN_SALES_S = 0.005
SALES_IN_TURN = 10
LONG_CPU_AT_MOST = 1.1
LONG_P99_AT_MOST = 1.5
DRAINING_P99_AT_MOST = 1.5


class Results:
    """Payments whose code has left, and their results: each one commit with a cancellation in it."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal = journal
        self._name = name
        self._made = 0

    def queue(self, clock: Callable[[], float]) -> float:
        """Commit one result with its cancellation; return the seconds of the commit alone."""
        return self.commits(clock)[-1]

    def commits(self, clock: Callable[[], float]) -> list[float]:
        """Make the three commits of a payment, the last with a cancellation; return the seconds of each."""
        self._made += 1
        payment_id, receipt_id = f"{self._name}-{self._made}", f"{self._name} receipt {self._made}"
        journal, fingerprint = self._journal, self._journal.fingerprint(payment_id)
        intent, result = intent_of(payment_id, number=self._made), StoredResult(message="unknown")
        began = [clock()]
        row = journal.add_intent(intent, "a payment")
        began.append(clock())
        row = journal.move(row, PaymentState.PAYING, "the code leaves", receipt_id=receipt_id, fingerprint=fingerprint)
        began.append(clock())
        journal.move(row, PaymentState.UNKNOWN, "time is up", result=result, cancellation=UNRECORDED)
        began.append(clock())
        return [later - earlier for earlier, later in pairwise(began)]


@contextmanager
def short_and_long(folder: Path) -> Iterator[tuple[Results, Results]]:
    """Yield the same work on a journal without rows and on one of live cancellations."""
    make_long_journal(folder / "long", LONG_ROWS, is_owed=True)
    short = Journal(folder / "short" / FILE_NAME, host_identity=VirtualHost.name, clock=SystemClock())
    long = Journal(folder / "long" / FILE_NAME, host_identity=VirtualHost.name, clock=SystemClock())
    with closing(short), closing(long):
        yield Results(short, "short"), Results(long, "long")


def queueing_cpu(rounds: int) -> list[Figure]:
    """Compare the processor time of queueing a cancellation in a long journal and in an empty one."""
    with folder_in_memory() as folder, short_and_long(folder) as (short, long):
        ratio = compare(lambda: long.queue(time.thread_time), lambda: short.queue(time.thread_time), rounds, WARM_UP)
    name = f"queueing a cancellation in {LONG_ROWS:,} rows: CPU"
    return [ratio.figure(CONTRACT, name, "in no rows", LONG_CPU_AT_MOST)]


def queueing_p99(rounds: int) -> list[Figure]:
    """Compare the slowest commits of a cancellation on disk, in a long journal and in an empty one."""
    with TemporaryDirectory() as folder, short_and_long(Path(folder)) as (short, long):
        pairs = []
        for number in range(rounds):
            # Each is first in turns, as in ``compare``.
            if number % 2:
                second, first = short.queue(time.perf_counter), long.queue(time.perf_counter)
            else:
                first, second = long.queue(time.perf_counter), short.queue(time.perf_counter)
            pairs.append((first, second))
    name = f"queueing a cancellation in {LONG_ROWS:,} rows: p99 on disk"
    return [compare_p99(*zip(*pairs, strict=True)).figure(CONTRACT, name, "in no rows", LONG_P99_AT_MOST)]


def left(folder: Path) -> int:
    """Return how many of the owed rows are live."""
    reader = JournalReader.open_read_only(folder / FILE_NAME)
    assert reader is not None
    with closing(reader), reader.reading() as connection:
        live = "ended_at IS NULL AND confirmed_at IS NULL"
        count = f"SELECT count(*) FROM cancellation WHERE {live} AND payment_id LIKE 'owed-%'"  # noqa: S608 - our own text
        return int(connection.execute(count).fetchone()[0])


@contextmanager
def selling(plugin: PaymePlugin, folder: Path, server: Served) -> Iterator[Results]:
    """Start a till; yield results that are committed over its own journal."""
    settings = {"paymentType": "7", "url": server.url, "posId": server.pos_id, "posKey": server.pos_key}
    plugin.on_start(VirtualHost(folder, settings, IDENTITY))
    assert plugin._dispatcher is not None
    try:
        yield Results(plugin._dispatcher._service.storage.journal(), "sale")
    finally:
        plugin.on_stop()


class Pause:
    """Lets the worker pause before its next row or commit, and tells when it does."""

    def __init__(self, background: Background) -> None:
        self._goes_on = threading.Event()
        self._waits = threading.Event()
        self._yield = background.yield_to_sale
        background.yield_to_sale = self._yield_or_wait  # type: ignore[method-assign]
        self._goes_on.set()

    def __enter__(self) -> None:
        self._goes_on.clear()
        assert self._waits.wait(10), "the worker must be at work the whole time"

    def __exit__(self, *_: object) -> None:
        self._waits.clear()
        self._goes_on.set()

    def _yield_or_wait(self) -> bool:
        if not self._goes_on.is_set():
            self._waits.set()
            self._goes_on.wait()
        return self._yield()


def draining(rounds: int) -> list[Figure]:
    """Compare the slowest commits of a sale while the worker drains and while it pauses, ten by ten in turns.

    A worker that is in the middle of a commit can't yield to a sale that begins; to its later commits it does.
    """
    plugin = PaymePlugin()
    with TemporaryDirectory() as name, served(DRAINED_ROWS) as server, selling(plugin, Path(name), server) as sales:
        owe(Path(name), server.receipt_ids, pos_id=server.pos_id, url=server.url)
        assert plugin._dispatcher is not None
        service = plugin._dispatcher._service
        pause = Pause(service.background)
        service.background.wake()
        idle, busy = list[list[float]](), list[list[float]]()

        def sell(commits: list[list[float]]) -> None:
            for _ in range(SALES_IN_TURN):
                time.sleep(BETWEEN_SALES_S)
                with service.background.active_payment("a sale"):
                    commits.append(sales.commits(time.perf_counter))

        rows = [left(Path(name))]
        for _ in range(rounds // SALES_IN_TURN):
            with pause:
                sell(idle)
            sell(busy)
        rows.append(left(Path(name)))
    assert 0 < rows[1] < rows[0] - rounds // SALES_IN_TURN, "the worker must be at work the whole time"
    first, result = (compare_p99([each[n] for each in busy], [each[n] for each in idle]) for n in (0, -1))
    name = f"p99 of a commit while a worker drains {DRAINED_ROWS:,} rows"
    return [
        result.figure(CONTRACT, name, "idle", DRAINING_P99_AT_MOST),
        first.figure(CONTRACT, f"{name}: a sale's first one", "idle"),
    ]
