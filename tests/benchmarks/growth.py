"""How a till's work grows with its journal, and how fast many due cancellations are delivered.

Each journal has a process of its own, which carries out what this file tells it to; the processes take turns. As a
script, this file is that process: ``python growth.py FOLDER [SETTINGS]``.
"""

from __future__ import annotations

import json
import logging
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "support")]

from fakes.journal_rows import UNRECORDED, intent_of
from fakes.long_journal import IDENTITY, make_long_journal
from fakes.memory_folder import folder_in_memory
from fakes.till import VirtualHost
from faults.backlog import owe
from faults.sandbox_process import served
from payme_plugin import PLUGIN_NAME
from payme_plugin.clock import SystemClock
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.retention import forget_finished
from payme_plugin.ledger.rows import StoredResult
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.receipt_list import ReceiptList
from payme_plugin.operations.reconciliation import TillAccounts, read_journal, reconcile
from payme_plugin.paymego import codes
from payme_plugin.paymego.receipts import ServerReceipt
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.plugin import PaymePlugin
from payme_plugin.settings import read_settings
from tests.benchmarks.measure import CLEAN, Figure, quartiles, ratio_of

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from payme_plugin.ledger.rows import PaymentRow

GROWTH = "Growth with the journal"
BACKLOG = "Ten thousand due cancellations"
LENGTHS = (0, 1_000, 100_000, 1_000_000)
GATE_LENGTHS = (0, 1_000, 10_000)
GATE_ROUNDS = 2
"""In as few rounds only ``GATE_LENGTHS`` are measured, in processor time, which a busy disk does not change."""
AT_MOST = 1.5
MEMORY_AT_MOST = 1.2
DUE = 10_000
ROUND_TRIPS_S = (0.005, 0.1)

_ROOT = Path(__file__).parents[2]
_DAY_MS = 86_400_000
_PROCESSOR, _WALL = ("thread_time", "process_time"), ("perf_counter", "perf_counter")
"""The clocks of a till and of a command."""
_ORPHANS = 20
_RESULTS = 40
_FORGOTTEN_AT_ONCE = 20
_BATCHES = 5
_SETTLED_S = 0.2
_STATUS = """
import sys, time
clock = getattr(time, sys.argv[2])
begin = clock()
from payme_plugin.cli import main
main(["status", "--data-dir", sys.argv[1]], standalone_mode=False)
seconds = clock() - begin
from pathlib import Path
peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
print(seconds, int(peak.split()[1]) * 1024 / 1e6, file=sys.stderr)
"""
_NOWHERE = {"paymentType": "7", "url": "http://127.0.0.1:9/api", "posId": "65aa00112233445566778899", "posKey": "key"}
"""An account that no server answers for; the long journals are of it."""


# ---------------------------------------------------------------------------------------------------------------------
# The rows
# ---------------------------------------------------------------------------------------------------------------------


def with_journal(rounds: int) -> list[Figure]:
    """Measure everything with journals of several lengths; the ratios are to the shortest one that has the work."""
    is_gate = rounds <= GATE_ROUNDS
    lengths, clocks = (GATE_LENGTHS, _PROCESSOR) if is_gate else (LENGTHS, _WALL)
    with ExitStack() as stack:
        folder = stack.enter_context(folder_in_memory() if is_gate else _folder_on_disk())
        folders = {length: folder / str(length) for length in lengths}
        for length, folder in folders.items():
            make_long_journal(folder, length)
        tills = {length: stack.enter_context(_till(folder, clock=clocks[0])) for length, folder in folders.items()}
        measured: dict[str, dict[int, list[float]]] = {}
        for number in range(rounds + 1):
            for length in lengths[:: 1 if number % 2 else -1]:
                taken = {**tills[length].ask("round"), **_status(folders[length], clocks[1])}
                if number:  # the first round fills the caches and loads modules
                    for name, value in taken.items():
                        measured.setdefault(name, {}).setdefault(length, []).append(value)
        for _ in range(rounds):
            for length in lengths[1:]:
                value = tills[length].ask("forget")["seconds"]
                measured.setdefault("longest commit that deletes 20 payments", {}).setdefault(length, []).append(value)
    del measured["reconciliation of a day"][0]
    return [figure for name, by_length in measured.items() for figure in _figures(name, by_length, has_limits=is_gate)]


@contextmanager
def _folder_on_disk() -> Iterator[Path]:
    with TemporaryDirectory() as folder:
        yield Path(folder)


def _figures(name: str, by_length: Mapping[int, Sequence[float]], *, has_limits: bool) -> Iterator[Figure]:
    shortest, *longer = by_length
    unit, limit = ("MB", MEMORY_AT_MOST) if name.startswith("memory") else ("s", AT_MOST)
    for length in longer:
        ratio = ratio_of(by_length[length], by_length[shortest])
        yield Figure(
            GROWTH, f"{name}: {length:,} payments", ratio.value, "x", ratio.low, ratio.high, ratio.ours, ratio.theirs,
            f"{shortest:,} payments", limit if has_limits else None, unit,
        )  # fmt: skip


def backlog(rounds: int) -> list[Figure]:
    """Let a till deliver due cancellations for so many seconds, at two round trips."""
    return [figure for round_trip_s in ROUND_TRIPS_S for figure in _drained(round_trip_s, rounds)]


def _drained(round_trip_s: float, duration_s: int) -> Iterator[Figure]:
    with TemporaryDirectory() as made, served(DUE, answer_s=round_trip_s) as server:
        folder = Path(made)
        owe(folder, server.receipt_ids, pos_id=server.pos_id, url=server.url)
        settings = {"paymentType": "7", "url": server.url, "posId": server.pos_id, "posKey": server.pos_key}
        with _till(folder, settings) as till:
            found = till.ask("drain", duration_s)
    name = f"round trip {round_trip_s * 1000:.0f} ms"
    low, median, high = quartiles(found["rates"])
    yield Figure(BACKLOG, f"{name}: cancellations a minute", median * 60, "", low * 60, high * 60)
    minutes = [DUE / rate / 60 for rate in (high, median, low)]
    yield Figure(BACKLOG, f"{name}: minutes for {DUE:,}", minutes[1], "min", minutes[0], minutes[2])
    for what, unit in (("connections", ""), ("memory", "MB")):
        low, median, high = quartiles(found[what])
        yield Figure(BACKLOG, f"{name}: {what}", median, unit, low, high)


def _status(folder: Path, clock: str) -> dict[str, float]:
    """Run ``payme status``; return its seconds and the most memory that it had, in MB."""
    command = [sys.executable, "-c", _STATUS, str(folder), clock]
    ended = subprocess.run(command, cwd=_ROOT, env=CLEAN, capture_output=True, text=True, check=True)  # noqa: S603
    took_s, peak_mb = ended.stderr.splitlines()[-1].split()
    return {"payme status": float(took_s), "memory of payme status": float(peak_mb)}


@dataclass(frozen=True)
class _Till:
    """A process with one journal."""

    process: subprocess.Popen[str]

    def ask(self, what: str, *arguments: object) -> dict[str, Any]:
        """Let it carry out a method of ``_Work``; return what that returns."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps([what, *arguments]) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@contextmanager
def _till(folder: Path, settings: Mapping[str, str] = _NOWHERE, clock: str = "perf_counter") -> Iterator[_Till]:
    command = [sys.executable, __file__, str(folder), json.dumps(settings), clock]
    with subprocess.Popen(  # noqa: S603 - our own script
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=CLEAN
    ) as process:
        yield _Till(process)
        process.communicate(timeout=30)


# ---------------------------------------------------------------------------------------------------------------------
# The process of one journal
# ---------------------------------------------------------------------------------------------------------------------


class _Work:
    """What a process does with its journal; each method returns what it measured."""

    def __init__(self, folder: Path, settings: Mapping[str, str], clock: str) -> None:
        self._folder = folder
        self._settings = settings
        self._now: Callable[[], float] = getattr(time, clock)
        self._made = 0
        with closing(self._journal()) as journal:
            newest = journal.payments(most=1)
        self._newest_ms = newest[0].created_at if newest else 0

    def round(self) -> dict[str, float]:
        """Start a till that finds orphans, queue cancellations and reconcile a day."""
        with closing(self._journal()) as journal:
            for _ in range(_ORPHANS):
                self._send_code(journal)
        plugin = PaymePlugin()
        start_s = self._seconds(lambda: plugin.on_start(VirtualHost(self._folder, self._settings, IDENTITY)))
        ready_s = self._seconds(plugin.on_ready)
        time.sleep(_SETTLED_S)  # the housekeeping of the start is over
        memory_mb = _memory_mb()
        plugin.on_stop()
        with closing(self._journal()) as journal:
            return {
                "on_start": start_s,
                f"on_ready with {_ORPHANS} orphans": ready_s,
                "queueing a cancellation": statistics.median(self._queue(journal) for _ in range(_RESULTS)),
                "reconciliation of a day": self._reconcile(journal),
                "memory after the start": memory_mb,
            }

    def forget(self) -> dict[str, float]:
        """Delete old payments; return the seconds of the longest transaction."""
        longest_s = 0.0
        with closing(self._journal()) as journal:
            writing = journal.writing

            @contextmanager
            def timed() -> Iterator[sqlite3.Connection]:
                nonlocal longest_s
                begin = self._now()
                with writing() as connection:
                    yield connection
                longest_s = max(longest_s, self._now() - begin)

            journal.writing = timed  # type: ignore[method-assign]
            for _ in range(_BATCHES):
                assert forget_finished(journal, 0, _FORGOTTEN_AT_ONCE) == _FORGOTTEN_AT_ONCE
        return {"seconds": longest_s}

    def drain(self, duration_s: int) -> dict[str, list[float]]:
        """Let the worker deliver what is due; look at it every second."""
        plugin, port = PaymePlugin(), int(self._settings["url"].rpartition(":")[2].partition("/")[0])
        found: dict[str, list[float]] = {"rates": [], "connections": [], "memory": []}
        with closing(self._journal()) as journal:
            rows = Cancellations(journal)
            plugin.on_start(VirtualHost(self._folder, self._settings, IDENTITY))
            left, at_s = rows.backlog()[0], time.perf_counter()
            for _ in range(duration_s):
                time.sleep(1.0)
                former, (left, *_), before_s, at_s = left, rows.backlog(), at_s, time.perf_counter()
                found["rates"].append((former - left) / (at_s - before_s))
                found["connections"].append(_connections_to(port))
                found["memory"].append(_memory_mb())
            plugin.on_stop()
        return found

    def _seconds(self, work: Callable[[], object]) -> float:
        begin = self._now()
        work()
        return self._now() - begin

    def _journal(self) -> Journal:
        return Journal(self._folder / FILE_NAME, host_identity=IDENTITY, clock=SystemClock())

    def _send_code(self, journal: Journal) -> PaymentRow:
        """Store a payment whose code leaves."""
        self._made += 1
        name = f"made-{self._made}"
        row = journal.add_intent(intent_of(name, number=self._made, owner="an earlier process"), "a payment")
        fingerprint = journal.fingerprint(name)
        return journal.move(row, PaymentState.PAYING, "the code leaves", receipt_id=name, fingerprint=fingerprint)

    def _queue(self, journal: Journal) -> float:
        """Store a payment without a result and its cancellation; return the seconds of the commit."""
        row, result = self._send_code(journal), StoredResult(message="unknown")
        return self._seconds(
            lambda: journal.move(row, PaymentState.UNKNOWN, "time is up", result=result, cancellation=UNRECORDED)
        )

    def _reconcile(self, journal: Journal) -> float:
        """Compare the newest day with a list that has the same receipts; return the seconds."""
        begin_ms, end_ms = period = (self._newest_ms - _DAY_MS, self._newest_ms)
        settings = read_settings(self._settings, None, codes)
        receipts = [_receipt_of(row) for row in journal.payments_between(begin_ms, end_ms)]
        listed = ReceiptList(tuple(receipts), end_ms)
        begin = self._now()
        stored = read_journal(journal, settings, listed, None, period)
        is_ours = TillAccounts(settings.account, stored.tills)
        found = reconcile(stored, listed, None, is_ours, period, as_of_ms=end_ms + _DAY_MS)
        took_s = self._now() - begin
        assert (found.agreed, found.differences) == (len(receipts), ())
        return took_s


def _receipt_of(row: PaymentRow) -> ServerReceipt:
    """Return a receipt that agrees with a payment."""
    state = ReceiptState.PAID if row.state is PaymentState.RECORDED else ReceiptState.CANCELLED
    return ServerReceipt(row.receipt_id, state, row.amount, row.created_at, row.paid_at, None, {})


def _memory_mb() -> float:
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024 / 1e6


def _connections_to(port: int) -> int:
    """Return how many open connections this machine has to a port of its own."""
    lines = Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:]
    return sum(f":{port:04X}" in line.split()[2] and line.split()[3] == "01" for line in lines)


def _serve(folder: str, settings: str, clock: str) -> None:
    logging.getLogger(PLUGIN_NAME).addHandler(logging.NullHandler())
    work = _Work(Path(folder), json.loads(settings), clock)
    for line in sys.stdin:
        what, *arguments = json.loads(line)
        print(json.dumps(getattr(work, what)(*arguments)), flush=True)  # noqa: T201 - the answer


if __name__ == "__main__":
    _serve(*sys.argv[1:])
