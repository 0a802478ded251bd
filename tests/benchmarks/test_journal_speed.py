"""What queueing a cancellation costs in a long journal, and a verdict's commit beside a worker that drains."""

from __future__ import annotations

import statistics
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import pytest

from fakes.memory_folder import folder_in_memory
from faults.backlog import owe
from faults.killed_host import IDENTITY
from faults.sandbox_process import served
from hookspecs import BaseHost
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.rows import Intent, NewCancellation, StoredResult
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.plugin import PaymePlugin
from tests.benchmarks.conftest import SLACK, Ratio, Tell, compare

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from faults.sandbox_process import Served
    from payme_plugin.ledger.rows import PaymentRow

pytestmark = [pytest.mark.benchmark, pytest.mark.timeout(600)]

LONG_ROWS = 100_000
DRAINED_ROWS = 10_000
VERDICTS = 1_000
BETWEEN_SALES_S = 0.005
LONG_CPU_AT_MOST = 1.2
LONG_P99_AT_MOST = 2.0
DRAINING_P99_AT_MOST = 2.0

# One row of each kind becomes so many copies, with ids of their own, in one transaction.
COPIES = """
WITH RECURSIVE copy(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM copy WHERE n < :rows)
INSERT INTO {table} ({columns}) SELECT {values} FROM copy, {table} AS made
WHERE made.payment_id = 'owed-1'
"""
OWN = {
    "payment_id": "made.payment_id || '.' || n",
    "receipt_id": "made.receipt_id || '.' || n",
    "fingerprint": "made.fingerprint || '.' || n",
    "number": "made.number + n",
}
COUNTED = {"event_id", "cancellation_id"}


def lengthen(folder: Path, rows: int) -> None:
    """Fill a journal with so many payments whose cancellations are all live."""
    owe(folder, ["receipt-1"], pos_id="kassa", url="http://127.0.0.1/api")
    with closing(Journal(folder / FILE_NAME, host_identity=IDENTITY, clock=SystemClock())) as journal:
        with journal.writing() as connection:
            for table in ("payment", "event", "code", "cancellation"):
                found = connection.execute(f"SELECT name FROM pragma_table_info('{table}')")  # noqa: S608 - ours
                names = [name for (name,) in found if name not in COUNTED]
                values = ", ".join(OWN.get(name, f"made.{name}") for name in names)
                copy = COPIES.format(table=table, columns=", ".join(names), values=values)
                connection.execute(copy, {"rows": rows})
        with journal.reading() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


class Verdicts:
    """Payments whose code has left, and their verdicts: each one commit with a cancellation in it."""

    def __init__(self, journal: Journal, name: str) -> None:
        self._journal = journal
        self._name = name
        self._made = 0

    def paying(self) -> PaymentRow:
        """Bring a payment to where its verdict is due."""
        self._made += 1
        intent = Intent(
            payment_id=f"{self._name}-{self._made}",
            payment_type=7,
            amount=1_500_000,
            till=IDENTITY,
            shift=2,
            number=self._made,
            pos_id="kassa",
            url="http://127.0.0.1/api",
            owner=self._name,
        )
        row = self._journal.add_intent(intent, "a payment")
        receipt_id = f"{self._name} receipt {self._made}"
        fingerprint = self._journal.fingerprint(f"{self._name} {self._made}")
        paying = PaymentState.PAYING
        return self._journal.move(row, paying, "the code leaves", receipt_id=receipt_id, fingerprint=fingerprint)

    def queue(self, clock: Callable[[], float]) -> float:
        """Commit one verdict with its cancellation; return the seconds of the commit alone."""
        row = self.paying()
        result, cancellation = StoredResult(message="unknown"), NewCancellation(cause=Cause.UNRECORDED)
        begin = clock()
        self._journal.move(row, PaymentState.UNKNOWN, "time is up", result=result, cancellation=cancellation)
        return clock() - begin


@contextmanager
def short_and_long(folder: Path) -> Iterator[tuple[Verdicts, Verdicts]]:
    """Yield the same work on a journal without rows and on a long one."""
    lengthen(folder / "long", LONG_ROWS)
    short = Journal(folder / "short" / FILE_NAME, host_identity=IDENTITY, clock=SystemClock())
    long = Journal(folder / "long" / FILE_NAME, host_identity=IDENTITY, clock=SystemClock())
    with closing(short), closing(long):
        yield Verdicts(short, "short"), Verdicts(long, "long")


def p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[-1]


def test_queueing_a_cancellation_costs_no_more_processor_time_in_a_journal_of_a_hundred_thousand_rows(
    tell: Tell,
) -> None:
    with folder_in_memory() as folder, short_and_long(folder) as (short, long):
        ratio = compare(lambda: long.queue(time.thread_time), lambda: short.queue(time.thread_time), 500, 50)

    tell(f"queueing a cancellation, processor, {LONG_ROWS} rows / none", ratio)
    assert ratio.ratio <= LONG_CPU_AT_MOST * SLACK


def test_its_slowest_commits_on_disk_stay_near_those_of_an_empty_journal(tmp_path: Path, tell: Tell) -> None:
    with short_and_long(tmp_path) as (short, long):
        pairs = [(long.queue(time.perf_counter), short.queue(time.perf_counter)) for _ in range(VERDICTS)]

    ours, theirs = p99([pair[0] for pair in pairs]), p99([pair[1] for pair in pairs])
    tell(
        f"queueing a cancellation, p99 on disk, {LONG_ROWS} rows / none", Ratio(ours / theirs, ours * 1e3, theirs * 1e3)
    )
    assert ours / theirs <= LONG_P99_AT_MOST * SLACK


class Till(BaseHost):
    """A till that owes money to many buyers."""

    identity = IDENTITY

    def __init__(self, folder: Path, settings: Mapping[str, str]) -> None:
        self._folder = folder
        self._settings = settings

    def settings(self, plugin: str) -> Mapping[str, str]:
        return self._settings

    def data_dir(self, plugin: str) -> Path:
        return self._folder


def left(folder: Path) -> int:
    """Return how many of the owed rows are live."""
    reader = JournalReader.open_read_only(folder / FILE_NAME)
    assert reader is not None
    with closing(reader), reader.reading() as connection:
        live = "ended_at IS NULL AND confirmed_at IS NULL"
        count = f"SELECT count(*) FROM cancellation WHERE {live} AND payment_id LIKE 'owed-%'"  # noqa: S608 - our own text
        return int(connection.execute(count).fetchone()[0])


@contextmanager
def selling(plugin: PaymePlugin, folder: Path, kassa: Served) -> Iterator[Verdicts]:
    """Start a till; yield verdicts that are committed over its own journal."""
    settings = {"paymentType": "7", "url": kassa.url, "posId": kassa.pos_id, "posKey": kassa.pos_key}
    plugin.on_start(Till(folder, settings))
    assert plugin._dispatcher is not None
    try:
        yield Verdicts(plugin._dispatcher._service.storage.journal(), "sale")
    finally:
        plugin.on_stop()


def test_a_verdict_is_committed_almost_as_fast_while_the_worker_drains_ten_thousand_rows(
    tmp_path: Path, tell: Tell
) -> None:
    plugin = PaymePlugin()
    with served(DRAINED_ROWS) as kassa, selling(plugin, tmp_path, kassa) as sales:
        idle = [sales.queue(time.perf_counter) for _ in range(VERDICTS)]
        owe(tmp_path, kassa.receipt_ids, pos_id=kassa.pos_id, url=kassa.url)
        dispatcher = plugin._dispatcher
        assert dispatcher is not None
        background = dispatcher._service.background
        background.wake()
        rows = [left(tmp_path)]
        busy = []
        for _ in range(VERDICTS):
            time.sleep(BETWEEN_SALES_S)
            with background.active_payment("a sale"):
                busy.append(sales.queue(time.perf_counter))
        rows.append(left(tmp_path))

    assert 0 < rows[1] < rows[0], "the worker must be at work the whole time"
    ratio = Ratio(p99(busy) / p99(idle), p99(busy) * 1e3, p99(idle) * 1e3)
    tell(f"p99 of a verdict's commit while a worker drains ({rows[0] - rows[1]} rows meanwhile) / idle", ratio)
    assert ratio.ratio <= DRAINING_P99_AT_MOST * SLACK
