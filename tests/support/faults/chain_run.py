"""A chain whose broker, central workers and tills are killed at random moments while money goes back."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from fakes.journal_rows import UNRECORDED, intent_of
from fakes.till import TENDER
from fakes.waiting import comes_true
from faults import chain_tills
from faults.backlog import AMOUNT, paid_receipts
from faults.chain_tills import TillOrder, kept
from faults.child_process import without_coverage
from payme_plugin.clock import SystemClock
from payme_plugin.delivery.broker import Broker, BrokerError
from payme_plugin.delivery.chain_messages import PARKED, ChainMessage, Queues, decode, encode
from payme_plugin.ledger.cancellations import CONFIRMING_MS, Cancellations
from payme_plugin.ledger.journal import FILE_NAME, Journal
from payme_plugin.ledger.reader import JournalReader
from payme_plugin.ledger.rows import NewCancellation, StoredResult
from payme_plugin.ledger.states import Cause, End, PaymentState
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.sandbox import CancelPlan, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from faults.rabbitmq import RabbitMq
    from payme_plugin.ledger.rows import Intent

_ACCOUNTS = 40
_STORES_ONLINE = 8
_PROCESSES = 8
_WORKERS = 3
_DEAD_URL = "http://127.0.0.1:9/api"
_EVERY_BROKER_S, _EVERY_WORKER_S, _EVERY_TILLS_S = 13.0, 3.0, 2.5
_BROKER_UP_S = (3.0, 7.0)
_AWAY_S = 2.0
_POLL_S = 0.5
_EVERY_DUPLICATE_S, _EVERY_MALFORMED_S, _EVERY_FAULT_S = 0.4, 1.0, 1.0
_SETTLE_S = 3.0
_START_S = 4.0
_CALM_S = 90.0
_STOP_S = 30.0
_NEAR_S = 0.05
_MOST_SHOWN = 20
_FAULT = "a fault of the plugin"
"""What the log says of an unexpected exception."""
_OF_TEN = (*(Cause.CANCEL,) * 2, *(Cause.REFUND,) * 2, *(Cause.UNRECORDED,) * 6)
_UNKNOWN, _ORPHANS, _SOLD = {4, 5}, {6, 7, 8, 9}, {6, 7}
_FAULTS = (
    InjectedFault(FaultKind.ANSWER_LOST, method="receipts.cancel"),
    InjectedFault(FaultKind.SILENT_AFTER_EFFECT, method="receipts.cancel"),
    InjectedFault(FaultKind.HTTP_ERROR, method="receipts.check"),
    InjectedFault(FaultKind.HTTP_ERROR_AFTER_EFFECT, method="receipts.cancel"),
)
_FOREIGN = (
    b'{"v": 1, "till": "t", "cancellation_id": %d, "payment_id": "p", "receipt_id": "r", "posId": "another",'
    b' "amount": 1, "cause": "cancel", "created_at": 1, "begun_at": 1}'
)
_MALFORMED = (
    b"%d \xff\x00 not JSON",
    b'{"v": 2, "number": %d}',
    b'{"v": 1, "number": %d, "till": "till-1"}',
    _FOREIGN,
)
"""What workers park: no message, another version, a part of a message, another chain's account."""

_QUERY = """
    SELECT c.payment_id, c.receipt_id, c.cause, c.begun_at, c.offered_at, c.confirmed_at, c.ended_at, c.ended_as,
           p.acknowledged_at
    FROM cancellation AS c JOIN payment AS p USING (payment_id)
"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A run.

    Attributes:
        cancellations: how many.
        tills: at how many tills.
        seconds: how long processes are killed.
        seed: of every random choice; when a process is killed it also depends on the machine.
    """

    cancellations: int = 2_000
    tills: int = 200
    seconds: float = 25.0
    seed: int = 1


@dataclass(frozen=True, kw_only=True)
class Report:
    """What a run came to.

    Attributes:
        violations: what must not be.
        summary: the figures in one line.
    """

    violations: list[str]
    summary: str


@dataclass(frozen=True)
class _Row:
    payment_id: str
    receipt_id: str
    cause: str
    begun_at: int | None
    offered_at: int | None
    confirmed_at: int | None
    ended_at: int | None
    ended_as: str | None
    acknowledged_at: int | None

    @property
    def is_kept(self) -> bool:
        return self.ended_as == End.RECORDED.value


class _Child:
    """A process that is killed and started again; it ends by itself when stdin ends or at SIGTERM."""

    def __init__(self, name: str, command: Sequence[str | os.PathLike[str]], log: Path) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def runs(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own programs
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=without_coverage(os.environ),
            )

    def kill(self) -> None:
        """Kill it; AssertionError if it has ended by itself."""
        process, self._process = self._process, None
        if process is not None:
            status = process.poll()
            process.kill()
            process.communicate()
            assert status is None, f"{self.name} has ended with {status}: {self.log()[-2000:]}"

    def stop(self, *, by_signal: bool) -> None:
        """Let it end by itself; AssertionError if it doesn't."""
        process, self._process = self._process, None
        assert process is not None
        if by_signal:
            process.terminate()
        process.communicate(timeout=_STOP_S)
        assert process.returncode == 0, f"{self.name} has ended with {process.returncode}: {self.log()[-2000:]}"

    def end(self) -> None:
        """Leave no process behind."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")


class ChainRun:
    """A chain in a folder: a sandbox for each merchant account, tills, central workers, and a broker of its own."""

    def __init__(self, broker: RabbitMq, vhost: str, folder: Path, plan: Plan) -> None:
        self._broker = broker
        self._vhost = vhost
        self._folder = folder
        self._plan = plan
        self._random = random.Random(plan.seed)  # noqa: S311 - the choices of a test
        self._queues = Queues()
        self._sandboxes = [
            Sandbox(pos_id=f"store-{number}", cancel=CancelPlan(settle_s=0)) for number in range(_ACCOUNTS)
        ]
        self._orders: list[TillOrder] = []
        self._tills: list[_Child] = []
        self._workers: list[_Child] = []
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._counts: Counter[str] = Counter()
        self._malformed: set[bytes] = set()
        self._was_away = True
        self._began_at = 0.0

    def run(self) -> Report:
        """Play it."""
        with ExitStack() as running:
            for sandbox in self._sandboxes:
                running.enter_context(sandbox)
            self._set_up()
            for child in (*self._tills, *self._workers):
                running.callback(child.end)
            self._kill_at_random()
            killed_s = self._passed_s()
            violations = self._let_it_end()
            returned_s = self._passed_s() - killed_s
            violations += self._violations_at_broker()
            violations += self._ten_minutes_later()
            violations += self._violations()
        times = f"{killed_s:.0f} s of kills, then {returned_s:.0f} s until all money was returned"
        return Report(violations=violations, summary=f"{self._figures()}; {times}")

    # What there is when the first process starts.

    def _set_up(self) -> None:
        plan, per_till = self._plan, self._plan.cancellations // self._plan.tills
        accounts = self._folder / "accounts.conf"
        accounts.touch(mode=0o600)
        sections = [f'[Account {one.pos_id}]\nurl = "{one.url}"\nposKey = "{one.pos_key}"\n' for one in self._sandboxes]
        accounts.write_text("\n".join(["[Main]\ntimeout = 2\n", *sections]), encoding="utf-8")
        with closing(Broker(self._url)) as broker:
            broker.declare(self._queues)
        self._broker.flush_tables()
        self._orders = [self._new_till(number, per_till) for number in range(plan.tills)]
        for number in range(_PROCESSES):
            program = (sys.executable, chain_tills.__file__, self._orders_file(number))
            self._tills.append(_Child(f"tills-{number}", program, self._folder / f"tills-{number}.log"))
        options = ("worker", "--broker", self._url, "--accounts", accounts)
        for number in range(_WORKERS):
            command = (sys.executable, "-c", "from payme_plugin.cli import main; main()", *options)
            self._workers.append(_Child(f"worker-{number}", command, self._folder / f"worker-{number}.log"))
        self._write_orders()

    @property
    def _url(self) -> str:
        return self._broker.url(self._vhost)

    def _orders_file(self, process: int) -> Path:
        return self._folder / f"orders-{process}.json"

    def _write_orders(self) -> None:
        for process in range(_PROCESSES):
            orders = [asdict(order) for order in self._orders[process::_PROCESSES]]
            self._orders_file(process).write_text(json.dumps(orders), encoding="utf-8")

    def _new_till(self, number: int, rows: int) -> TillOrder:
        """Write the journal of a till whose buyers have paid, and whose money must go back soon."""
        store = number % _ACCOUNTS
        sandbox, name, folder = self._sandboxes[store], f"till-{number}", self._folder / f"till-{number}"
        folder.mkdir()
        settings = {
            "url": sandbox.url if store < _STORES_ONLINE else _DEAD_URL, "posId": sandbox.pos_id,
            "posKey": sandbox.pos_key, "paymentType": str(TENDER), "queueUrl": self._url,
        }  # fmt: skip
        journal = Journal(folder / FILE_NAME, host_identity=name, clock=SystemClock())
        with journal.reading() as connection:
            connection.execute("PRAGMA synchronous = OFF")  # only while it is written
        sales = {}
        for one, receipt_id in enumerate(paid_receipts(sandbox.bank, sandbox.now_ms(), rows)):
            payment_id, kind = f"{name}-{one}", one % len(_OF_TEN)
            if self._random.random() < 0.1:
                sandbox.plan_cancel(receipt_id, CancelPlan(settle_s=_SETTLE_S))
            intent = intent_of(payment_id, amount=AMOUNT, number=one)._replace(
                pos_id=sandbox.pos_id, url=sandbox.url, till=name
            )
            pause_s = _START_S + self._random.random() * self._plan.seconds
            _leave_behind(journal, intent, receipt_id, kind, int(pause_s * 1000))
            if kind in _SOLD:
                near = self._random.random() < 0.5
                pause_s += self._random.uniform(-_NEAR_S, _NEAR_S) if near else self._random.uniform(-pause_s, _START_S)
                sales[payment_id] = time.time() + pause_s
        journal.close()
        return TillOrder(folder=str(folder), name=name, settings=settings, sales=sales, amount=AMOUNT)

    # What happens at random moments.

    def _kill_at_random(self) -> None:
        self._began_at = time.monotonic()
        for child in (*self._tills, *self._workers):
            child.start()
        seconds = self._plan.seconds
        self._at(_START_S, partial(self._kill_broker, max(3, int(seconds / _EVERY_BROKER_S))))
        for every_s, until_s, what in (
            (_EVERY_WORKER_S, seconds, partial(self._kill_one, "worker", self._workers)),
            (_EVERY_TILLS_S, seconds, partial(self._kill_one, "tills", self._tills)),
            (_EVERY_DUPLICATE_S, seconds, self._publish_again),
            (_EVERY_MALFORMED_S, seconds, self._publish_malformed),
            (_EVERY_FAULT_S, seconds / 2, self._inject),  # a message that fails twice waits for half a minute
        ):
            for _ in range(int(seconds / every_s)):
                self._at(self._random.uniform(_START_S, until_s), what)
        while self._agenda:
            at, _, what = heappop(self._agenda)
            time.sleep(max(0.0, at - self._passed_s()))
            what()
        time.sleep(max(0.0, seconds - self._passed_s()))

    def _at(self, seconds: float, what: Callable[[], None]) -> None:
        heappush(self._agenda, (seconds, next(self._order), what))

    def _passed_s(self) -> float:
        return time.monotonic() - self._began_at

    def _soon(self, at_most_s: float, what: Callable[[], None]) -> None:
        self._at(self._passed_s() + self._random.random() * at_most_s, what)

    def _kill_broker(self, times: int) -> None:
        """Kill the broker so many times, each a few seconds after it has come back."""
        if not self._broker.greets:
            self._soon(_POLL_S, partial(self._kill_broker, times))
        elif self._was_away:
            self._was_away = False
            self._at(self._passed_s() + self._random.uniform(*_BROKER_UP_S), partial(self._kill_broker, times))
        else:
            self._broker.kill()
            self._was_away = True
            self._counts["broker"] += 1
            self._soon(_AWAY_S, self._broker.launch)
            if times > 1:
                self._at(self._passed_s() + _AWAY_S, partial(self._kill_broker, times - 1))

    def _kill_one(self, kind: str, children: list[_Child]) -> None:
        running = [child for child in children if child.runs]
        if running:
            child = self._random.choice(running)
            child.kill()
            self._counts[kind] += 1
            self._soon(_AWAY_S, child.start)
        else:
            self._soon(_AWAY_S, partial(self._kill_one, kind, children))

    def _inject(self) -> None:
        self._random.choice(self._sandboxes).inject(self._random.choice(_FAULTS))

    def _publish_again(self) -> None:
        """Publish a message that its till has published, or is about to."""
        number = self._random.randrange(len(self._orders))
        with closing(self._reader(number)) as reader:
            begun = [row for row in reader.live_cancellations() if row.begun_at is not None]
        if begun:
            message = ChainMessage.of(self._random.choice(begun), f"till-{number}")
            self._counts["duplicates"] += 1
            self._publish(encode(message), message.message_id)

    def _publish_malformed(self) -> None:
        number = len(self._malformed)
        body = _MALFORMED[number % len(_MALFORMED)] % number
        self._malformed.add(body)
        self._publish(body, f"malformed-{number}")

    def _publish(self, body: bytes, message_id: str) -> None:
        """Publish a message until the broker confirms it; what was not confirmed may be there twice."""
        try:
            with closing(Broker(self._url)) as broker:
                broker.publish(self._queues.work, body, message_id)
        except BrokerError:
            self._soon(_AWAY_S, partial(self._publish, body, message_id))

    # What must come of it.

    def _let_it_end(self) -> list[str]:
        """Kill nothing more, and wait until central workers have returned all money; return what is missing."""
        self._broker.wait_until_ready()
        is_over = comes_true(lambda: not self._waiting() and not self._owed(), _CALM_S, look_s=0.5)
        found = [] if is_over else [f"{len(self._owed())} receipts hold money, waiting: {self._waiting()}"]
        for child in self._workers:
            child.stop(by_signal=True)
        waiting = self._waiting()
        return found + ([f"workers that ended left {waiting}"] if is_over and waiting else [])

    def _ten_minutes_later(self) -> list[str]:
        """Let the stores be online, and tills ask Payme: what was confirmed ends, the rest is confirmed.

        Returns what is missing.
        """
        for child in self._tills:
            child.stop(by_signal=False)
        confirmed = {row.payment_id for row in self._rows() if row.confirmed_at is not None}
        self._counts["confirmed"] = len(confirmed)
        for number, order in enumerate(self._orders):
            online = {**order.settings, "url": self._sandboxes[number % _ACCOUNTS].url}
            self._orders[number] = replace(order, settings=online, ahead_ms=CONFIRMING_MS + 1_000)
        self._write_orders()
        for child in self._tills:
            child.start()

        def unsettled() -> list[str]:
            live = [row for row in self._rows() if row.ended_at is None]
            return [row.payment_id for row in live if row.payment_id in confirmed or row.confirmed_at is None]

        comes_true(lambda: not unsettled(), _CALM_S, look_s=1.0)
        for child in self._tills:
            child.stop(by_signal=False)
        return _named("rows are neither confirmed nor ended", unsettled())

    def _reader(self, till: int) -> JournalReader:
        reader = JournalReader.open_read_only(self._folder / f"till-{till}" / FILE_NAME)
        assert reader is not None
        return reader

    def _rows(self) -> list[_Row]:
        found = []
        for number in range(len(self._orders)):
            with closing(self._reader(number)) as reader, reader.reading() as connection:
                found += [_Row(*row) for row in connection.execute(_QUERY)]
        return found

    def _owed(self) -> list[_Row]:
        states = self._states()
        return [row for row in self._rows() if not row.is_kept and states[row.receipt_id] != ReceiptState.CANCELLED]

    def _states(self) -> dict[str, int]:
        return {receipt.receipt_id: receipt.state for sandbox in self._sandboxes for receipt in sandbox.receipts()}

    def _waiting(self) -> dict[str, int]:
        """Return how many messages wait in each queue, except those parked or confirming."""
        done = {PARKED, self._queues.delay(self._queues.confirming_s)}
        with closing(Broker(self._url)) as broker:
            sizes = {name: broker.size(name)[0] for name in self._queues.arguments() if name not in done}
        return {name: size for name, size in sizes.items() if size}

    def _contents(self, queue: str) -> list[bytes]:
        with closing(Broker(self._url)) as broker:
            bodies = []
            while (received := broker.get(queue)) is not None:
                bodies.append(received.body)
            return bodies

    def _violations_at_broker(self) -> list[str]:
        """Return what was lost, before the messages come back to be confirmed a second time."""
        rows, parked = self._rows(), self._contents(PARKED)
        bodies = self._contents(self._queues.delay(self._queues.confirming_s))
        confirming = {decode(ChainMessage, body).receipt_id for body in bodies}
        handed_over = [row for row in rows if row.offered_at is not None]
        self._counts["messages"] = len(handed_over)
        self._counts["parked twice"] = len(parked) - len(set(parked))
        return [
            *_named("messages were lost", [row.payment_id for row in handed_over if row.receipt_id not in confirming]),
            *_named(
                "rows ended before they were confirmed twice",
                [row.payment_id for row in rows if row.ended_at is not None and not row.is_kept],
            ),
            *_named("malformed messages were lost", self._malformed - set(parked)),
            *_named("messages were parked", set(parked) - self._malformed),
        ]

    def _violations(self) -> list[str]:
        rows, states = self._rows(), self._states()
        returned = Counter(
            movement.receipt_id
            for sandbox in self._sandboxes
            for movement in sandbox.bank.movements(sandbox.now_ms())
            if movement.amount < 0
        )
        kept_by_host = {name for order in self._orders for name in kept(Path(order.folder))}
        self._counts["kept"] = len(kept_by_host)
        logs = [child.name for child in (*self._tills, *self._workers) if _FAULT in child.log()]
        wrong: dict[str, Callable[[_Row], bool]] = {
            "receipts hold money without a sale": lambda row: (
                not row.is_kept and states[row.receipt_id] != ReceiptState.CANCELLED
            ),
            "sales lost their money": lambda row: row.is_kept and states[row.receipt_id] != ReceiptState.PAID,
            "sales were acknowledged in time, but not kept": lambda row: (
                row.payment_id in kept_by_host and not row.is_kept
            ),
            "rows were begun after their acknowledgement": _is_begun_too_late,
            "rows ended without two confirmations": lambda row: (
                row.ended_at is not None and not row.is_kept and not _is_confirmed_twice(row)
            ),
            "receipts were returned twice": lambda row: returned[row.receipt_id] > 1,
        }
        found = [f"there are {len(rows)} rows"] if len(rows) != self._plan.cancellations else []
        for what, is_wrong in wrong.items():
            found += _named(what, [row.payment_id for row in rows if is_wrong(row)])
        return found + _named("processes met a fault of the product", logs)

    def _figures(self) -> str:
        cancels = [
            str(request.params["id"])
            for sandbox in self._sandboxes
            for request in sandbox.requests
            if request.method == "receipts.cancel"
        ]
        counts = self._counts
        return (
            f"{self._plan.cancellations} cancellations of {self._plan.tills} tills, {counts['kept']} stopped by hosts;"
            f" killed: broker {counts['broker']}, workers {counts['worker']}, tills {counts['tills']};"
            f" messages {counts['messages']}, again {counts['duplicates']}, malformed {len(self._malformed)}"
            f" (parked twice {counts['parked twice']}), outcomes heard {counts['confirmed']};"
            f" receipts.cancel {len(cancels)} for {len(set(cancels))} receipts"
        )


def _is_begun_too_late(row: _Row) -> bool:
    if row.cause != Cause.UNRECORDED.value or row.begun_at is None:
        return False
    return row.is_kept or (row.acknowledged_at is not None and row.begun_at > row.acknowledged_at)


def _is_confirmed_twice(row: _Row) -> bool:
    if row.ended_as != End.CANCELLED.value or row.confirmed_at is None or row.ended_at is None:
        return False
    return row.ended_at - row.confirmed_at >= CONFIRMING_MS


def _named(what: str, which: Collection[object]) -> list[str]:
    return [f"{len(which)} {what}: {sorted(map(str, which))[:_MOST_SHOWN]}"] if which else []


def _leave_behind(journal: Journal, intent: Intent, receipt_id: str, kind: int, pause_ms: int) -> None:
    """Write a payment and its cancellation, which is due after a pause, by the same steps as a till."""
    cause = _OF_TEN[kind]
    row = journal.add_intent(intent, "a payment")
    code = journal.fingerprint(intent.payment_id)
    row = journal.move(row, PaymentState.PAYING, "the code leaves", receipt_id=receipt_id, fingerprint=code)
    if kind in _UNKNOWN:
        result = StoredResult(message="unknown")
        journal.move(row, PaymentState.UNKNOWN, "payDuration is over", result=result, cancellation=UNRECORDED)
    else:
        row = journal.move(row, PaymentState.PAID, "paid", paid_at=journal.now_ms())
        if kind not in _ORPHANS:
            row = journal.acknowledge(row)
        request_id = f"refund-of-{intent.payment_id}" if cause is Cause.REFUND else ""
        cancellation = NewCancellation(cause=cause, request_id=request_id)
        journal.move(row, PaymentState.REVERSING, "the money goes back", cancellation=cancellation)
    rows = Cancellations(journal)
    rows.postpone(rows.live_of(intent.payment_id), pause_ms, "the store is offline")
