"""Measure a chain: the rate of central workers, a broker with a backlog, a till with very many live rows.

``python tests/chain/scale.py workers``, ``broker`` or ``till`` prints a line for each figure. It takes minutes, and
other work on the machine changes the figures. docs/scale.md has some, and says what they mean for a large chain.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "support")]

from fakes.chain import message_about
from fakes.till import TENDER, ScriptedUi, VirtualHost, open_sale, request_for
from fakes.waiting import comes_true
from faults.backlog import owe
from faults.killed_host import IDENTITY
from faults.rabbitmq import RabbitMq
from faults.sandbox_process import served
from hookspecs import PaymentStatus
from payme_plugin.clock import SystemClock
from payme_plugin.delivery.broker import Broker
from payme_plugin.delivery.chain_messages import OutcomeMessage, Queues, decode, encode
from payme_plugin.ledger.journal import FILE_NAME
from payme_plugin.plugin import PaymePlugin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from faults.sandbox_process import Served
    from payme_plugin.delivery.broker import Received
    from payme_plugin.delivery.chain_messages import ChainMessage

ANSWER_S = 0.05
CONSUMERS = 8
WAIT_S = 600.0
WORK = Queues().work
MIB = 1 << 20
PAYME = (sys.executable, "-c", "from payme_plugin.cli import main; main(prog_name='payme')")


def say(text: str) -> None:
    """Print a figure."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def seconds(work: Callable[[], object]) -> float:
    """Return how long ``work`` takes."""
    began = time.monotonic()
    work()
    return time.monotonic() - began


def cpu_s(*pids: int) -> float:
    """Return the processor time of processes so far."""
    spent = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        spent += int(fields[11]) + int(fields[12])
    return spent / os.sysconf("SC_CLK_TCK")


def resident(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def on_disk(folder: Path) -> float:
    """Return the MiB that a folder takes."""
    return sum(each.stat().st_blocks * 512 for each in folder.rglob("*") if each.is_file()) / MIB


@dataclass
class Measured:
    """A broker, the folder of a measurement, and the vhost in use."""

    rabbitmq: RabbitMq
    folder: Path
    vhost: str = "/"

    @property
    def url(self) -> str:
        """The address of the broker."""
        return self.rabbitmq.url(self.vhost)

    @property
    def environment(self) -> dict[str, str]:
        """The environment of commands."""
        return {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "PAYME_WORKER_BROKER": self.url}

    def connect(self) -> Broker:
        """Open a connection that needs no attention for ten minutes."""
        return Broker(self.url, heartbeat_s=600)

    def declare(self) -> None:
        """Declare the queues anew, so that they are empty."""
        with closing(self.connect()) as broker:
            for name in Queues().arguments():
                broker._channel.queue_delete(name)
            broker.declare(Queues())

    def publish(self, messages: Sequence[ChainMessage]) -> None:
        """Publish without waiting for each confirm, which takes most of the time."""
        with closing(self.connect()) as broker:
            channel = broker._connection.channel()
            persistent = broker._pika.BasicProperties(delivery_mode=2)
            for each in messages:
                persistent.message_id = each.message_id
                channel.basic_publish("", WORK, encode(each), persistent)
            channel.close()

    def size(self) -> tuple[int, int]:
        """Return the messages and the consumers of the work queue."""
        with closing(self.connect()) as broker:
            return broker.size(WORK)

    @contextmanager
    def accounts(self, number: int, receipts: int) -> Iterator[list[Served]]:
        """Serve so many accounts, which have ``receipts`` receipts together, and write the file of their keys."""
        with ExitStack() as opened:
            sandboxes = [
                opened.enter_context(served(-(-receipts // number), pos_id=f"account-{each}", answer_s=ANSWER_S))
                for each in range(number)
            ]
            sections = [f'[Account {each.pos_id}]\nurl = "{each.url}"\nposKey = "{each.pos_key}"' for each in sandboxes]
            conf = self.folder / "accounts.conf"
            conf.touch(mode=0o600)
            conf.write_text("\n".join(sections) + "\n", encoding="utf-8")
            yield sandboxes

    @contextmanager
    def workers(self, number: int) -> Iterator[list[int]]:
        """Run so many worker processes; yield their pids at once."""
        command = [*PAYME, "worker", "--accounts", str(self.folder / "accounts.conf")]
        with ExitStack() as opened:
            log = opened.enter_context((self.folder / "workers.log").open("ab"))
            processes = [
                opened.enter_context(
                    subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)  # noqa: S603 - our own command
                )
                for _ in range(number)
            ]
            try:
                yield [each.pid for each in processes]
            finally:
                for each in processes:
                    each.terminate()

    def outcomes(self, sandboxes: Sequence[Served], number: int, then: Callable[[], object]) -> list[float]:
        """Do ``then`` and wait for the outcomes of so many receipts; return when each came, from the beginning."""
        came: dict[str, float] = {}

        def note(received: Received) -> None:
            came.setdefault(decode(OutcomeMessage, received.body).receipt_id, time.monotonic())

        with closing(self.connect()) as broker:
            queue = broker.listen(note)
            for each in sandboxes:
                broker.bind(queue, each.pos_id)
            began = time.monotonic()
            then()
            while len(came) < number:
                assert time.monotonic() - began < WAIT_S, f"{len(came)} of {number} outcomes came"
                broker.wait(0.05)
        return [each - began for each in came.values()]


def messages_about(sandboxes: Sequence[Served], number: int) -> list[ChainMessage]:
    """Return messages about the receipts of the accounts in turn, and then about receipts that do not exist."""
    real = [
        message_about(receipt_id, each.pos_id)
        for ids in zip(*(each.receipt_ids for each in sandboxes), strict=True)
        for each, receipt_id in zip(sandboxes, ids, strict=True)
    ][:number]
    template = real[0]
    false = [replace(template, receipt_id=f"{each:024x}") for each in range(number - len(real))]
    return [replace(each, cancellation_id=position) for position, each in enumerate((*real, *false), start=1)]


def measure_workers(measured: Measured, numbers: Sequence[int], messages: int, accounts: int) -> None:
    """Print the rate of so many messages with each number of worker processes."""
    first_rate = None
    for number in numbers:
        measured.declare()
        with measured.accounts(accounts, messages) as sandboxes, measured.workers(number) as pids:
            assert comes_true(partial(has_consumers, measured, number), WAIT_S, look_s=0.1)
            broker_pid, sandbox_pids = measured.rabbitmq.process_id, [each.pid for each in sandboxes]
            all_pids = ([*pids], [broker_pid], sandbox_pids)
            before = [cpu_s(*each) for each in all_pids]
            owed = messages_about(sandboxes, messages)
            took = max(measured.outcomes(sandboxes, messages, partial(measured.publish, owed)))
            spent = [(cpu_s(*each) - start) / messages * 1000 for each, start in zip(all_pids, before, strict=True)]
            rate = messages / took
            first_rate = first_rate or rate
            say(
                f"{number} workers, {accounts} accounts: {rate:.0f} messages/s, {rate / first_rate:.2f} x; processor "
                f"ms a message: workers {spent[0]:.1f}, broker {spent[1]:.1f}, sandboxes {spent[2]:.1f}; "
                f"{resident(pids[0]):.0f} MiB a worker"
            )


def measure_broker(measured: Measured, messages: int, drained: int, connections: int) -> None:
    """Print what a broker with so many messages needs, and how fast two workers take ``drained`` of them."""
    rabbitmq, data = measured.rabbitmq, measured.folder / "broker" / "data"

    def state(when: str) -> None:
        say(f"{when}: {resident(rabbitmq.process_id):.0f} MiB of memory, {on_disk(data):.0f} MiB on disk")

    measured.declare()
    state("without messages")
    with measured.accounts(4, drained) as sandboxes:
        owed = messages_about(sandboxes, messages)
        confirmed = owed[: min(2_000, messages)]
        with closing(measured.connect()) as broker:

            def publish() -> None:
                for each in confirmed:
                    broker.publish("", encode(each), each.message_id, exchange=WORK)

            say(f"published, each confirmed before the next: {len(confirmed) / seconds(publish):.0f} messages/s")
        measured.publish(owed[len(confirmed) :])
        assert comes_true(lambda: measured.size()[0] == messages, WAIT_S, look_s=0.2)
        state(f"with {messages} messages of {len(encode(owed[0]))} bytes")
        listed = [*PAYME, "--data-dir", str(measured.folder), "queue", "list"]
        environment = measured.environment
        took = seconds(lambda: subprocess.run(listed, env=environment, check=True, capture_output=True))  # noqa: S603
        say(f"payme queue list: {took:.1f} s")
        rabbitmq.stop()
        say(f"start after a stop: {rabbitmq.start():.1f} s")
        rabbitmq.kill()
        started_s, back_s = rabbitmq.start(), seconds(lambda: all_back(measured, messages))
        say(f"start after SIGKILL: {started_s:.1f} s, all messages {back_s:.1f} s later")
        state("started again")
        with ExitStack() as opened:
            came = measured.outcomes(sandboxes, drained, lambda: opened.enter_context(measured.workers(2)))
        rate = (len(came) - 1) / (max(came) - min(came))
        say(f"2 workers: first outcome after {min(came):.1f} s, then {rate:.0f} messages/s")
    measured.declare()
    before = resident(rabbitmq.process_id)
    with ExitStack() as opened:
        began = time.monotonic()
        for _ in range(connections):
            listen(opened.enter_context(closing(measured.connect())))
        took_ms = (time.monotonic() - began) / connections * 1000
        each = (resident(rabbitmq.process_id) - before) * 1024 / connections
        say(f"{connections} tills that listen: {each:.0f} KiB of memory each, {took_ms:.0f} ms to connect")


def has_consumers(measured: Measured, workers: int) -> bool:
    """Return whether all consumers of so many workers listen."""
    return measured.size()[1] == workers * CONSUMERS


def all_back(measured: Measured, messages: int) -> None:
    """Wait until the work queue has its messages again."""
    assert comes_true(lambda: measured.size()[0] == messages, WAIT_S, look_s=0.1)


def listen(broker: Broker) -> None:
    """Do what a till's relay does after it has connected."""
    broker.declare(Queues())
    broker.bind(broker.listen(lambda _: None), "account-0")


def measure_till(measured: Measured, rows: int, payments: int, seconds_each: float) -> None:
    """Print what a till with so many live rows does, and for comparison one without any."""
    template, till = measured.folder / "template", measured.folder / "till"
    template.mkdir()
    with served(0) as sandbox:
        write_rows(template, rows, sandbox)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        away = f"amqp://guest:guest@127.0.0.1:{nobody.getsockname()[1]}"
        for name, url in (("no broker", ""), ("broker away", away), ("broker there", measured.url)):
            for number in (0, rows):
                shutil.rmtree(till, ignore_errors=True)
                shutil.copytree(template, till) if number else till.mkdir()
                measured.declare()
                with served(0) as sandbox:
                    command = [
                        sys.executable,
                        __file__,
                        "run-till",
                        str(till),
                        sandbox.url,
                        sandbox.pos_id,
                        sandbox.pos_key,
                    ]
                    command += [url, str(payments), str(seconds_each)]
                    ran = subprocess.run(command, stdout=subprocess.PIPE, check=True, encoding="utf-8")  # noqa: S603
                say(f"{name}, {number} live rows: {ran.stdout.strip()}; {measured.size()[0]} messages at the broker")


def write_rows(folder: Path, rows: int, sandbox: Served) -> None:
    """Write a journal with so many live rows of just now: a thousand as a till does, the others as copies of them."""
    first = min(rows, 1000)
    owe(folder, (f"{each:024x}" for each in range(first)), pos_id=sandbox.pos_id, url=sandbox.url)
    with closing(sqlite3.connect(folder / FILE_NAME)) as connection, connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(
            "CREATE TEMP TABLE copy AS WITH RECURSIVE each(n) AS"
            " (SELECT 1 UNION ALL SELECT n + 1 FROM each WHERE n < ?) SELECT n FROM each",
            (max(1, rows // first - 1),),
        )
        changed = {
            "payment_id": "payment_id || '-' || n",
            "receipt_id": "substr(receipt_id, 1, 12) || printf('%06x', n) || substr(receipt_id, 19)",
            "number": "number + n * 1000",
            "cancellation_id": "cancellation_id + n * 1000",
        }
        for table in ("payment", "cancellation") if rows > first else ():
            columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
            values = ", ".join(changed.get(name, name) for name in columns)
            connection.execute(f"INSERT INTO {table} SELECT {values} FROM {table}, copy")  # noqa: S608 - our own names


def run_till(folder: str, url: str, pos_id: str, pos_key: str, broker: str, payments: str, seconds_each: str) -> None:
    """Run a till on a folder; print its figures."""
    given = {"paymentType": str(TENDER), "url": url, "posId": pos_id, "posKey": pos_key, "queueUrl": broker}
    plugin, clock = PaymePlugin(), SystemClock()
    numbers = iter(range(1, 1_000_000))

    def sell() -> None:
        number = next(numbers)
        request = request_for(f"sold-{number}", receipt=open_sale(5_000_000 + number, till=IDENTITY))
        result = plugin.on_payment(request, ScriptedUi(clock, [f"00770000000{number:09d}"]))
        assert result is not None
        assert result.status is PaymentStatus.PAID, result
        assert result.payment is not None
        plugin.on_payment_recorded(result.payment)

    def start() -> None:
        plugin.on_start(VirtualHost(Path(folder), given, name=IDENTITY))
        plugin.on_ready()
        sell()

    started_s = seconds(start)
    waited = float(seconds_each)
    with closing(sqlite3.connect(f"file:{folder}/{FILE_NAME}?mode=ro", uri=True)) as reader:

        def count() -> tuple[int, int]:
            stepped, offered = reader.execute(
                "SELECT count(nullif(attempts, 0)), count(offered_at) FROM cancellation"
            ).fetchone()
            return stepped, offered

        before = count()
        time.sleep(waited)
        after = count()
    sold = sorted(seconds(sell) for _ in range(int(payments)))
    assert plugin._dispatcher is not None
    background = plugin._dispatcher._service.background
    with background.host_lock:
        processor = background.processor()
        looked = statistics.median(seconds(lambda: background._notify_cancellations(processor)) for _ in range(3))
    memory = resident(os.getpid())
    stopped_s = seconds(plugin.on_stop)
    rates = [(end - start) / waited for start, end in zip(before, after, strict=True)]
    say(
        f"start and first payment {started_s:.2f} s, {memory:.0f} MiB, {rates[0]:.0f} rows tried and "
        f"{rates[1]:.0f} handed over a second, payment median {statistics.median(sold) * 1000:.0f} ms, "
        f"p99 {sold[int(len(sold) * 0.99)] * 1000:.0f} ms, longest {sold[-1] * 1000:.0f} ms, "
        f"look at all rows {looked * 1000:.0f} ms, stop {stopped_s:.2f} s"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what the arguments name."""
    parser = argparse.ArgumentParser(description="Measure a chain.")
    commands = parser.add_subparsers(dest="command", required=True)
    workers = commands.add_parser("workers")
    workers.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    workers.add_argument("--messages", type=int, default=2_000)
    workers.add_argument("--accounts", type=int, default=4)
    broker = commands.add_parser("broker")
    broker.add_argument("--messages", type=int, default=100_000)
    broker.add_argument("--drained", type=int, default=4_000)
    broker.add_argument("--connections", type=int, default=1_000)
    till = commands.add_parser("till")
    till.add_argument("--rows", type=int, default=1_000_000)
    till.add_argument("--payments", type=int, default=200)
    till.add_argument("--seconds", type=float, default=20.0)
    run = commands.add_parser("run-till")
    run.add_argument("figures", nargs=7)
    chosen = parser.parse_args(arguments)
    if chosen.command == "run-till":
        run_till(*chosen.figures)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the broker ends too
    with (
        tempfile.TemporaryDirectory(prefix="payme-scale-") as name,
        closing(RabbitMq(Path(name) / "broker")) as rabbitmq,
    ):
        say(f"broker started in {rabbitmq.start():.1f} s; load of the machine before: {os.getloadavg()[0]:.1f}")
        measured = Measured(rabbitmq, Path(name))
        if chosen.command == "workers":
            measure_workers(measured, chosen.workers, chosen.messages, chosen.accounts)
        elif chosen.command == "broker":
            measure_broker(measured, chosen.messages, chosen.drained, chosen.connections)
        else:
            measure_till(measured, chosen.rows, chosen.payments, chosen.seconds)


if __name__ == "__main__":
    main()
