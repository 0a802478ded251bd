"""A chain for tests: two merchant accounts with a sandbox each, the file of their keys, and messages of tills."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fakes.waiting import comes_true
from faults.backlog import AMOUNT, paid_receipts
from payme_plugin.clock import SystemClock
from payme_plugin.delivery.accounts import AccountClients, AccountsFile
from payme_plugin.delivery.broker import Broker
from payme_plugin.delivery.central_worker import HEARTBEAT_S, CentralWorker
from payme_plugin.delivery.chain_messages import PARKED, ChainMessage, OutcomeMessage, Queues, decode, encode
from payme_plugin.ledger.states import Cause
from payme_plugin.sandbox import CancelPlan, Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from payme_plugin.delivery.broker import Received
    from payme_plugin.delivery.central_metrics import Metrics

QUICK = Queues(delays_s=(1, 2), confirming_s=3)
"""The queues with pauses that a test can wait for."""


def message_about(receipt_id: str, pos_id: str = "A", number: int = 1) -> ChainMessage:
    """Return the message of a row that a till wrote just now."""
    now_ms = SystemClock().wall_ms()
    return ChainMessage(
        till="till-1",
        cancellation_id=number,
        payment_id=f"payment-{number}",
        receipt_id=receipt_id,
        pos_id=pos_id,
        amount=AMOUNT,
        cause=Cause.CANCEL,
        created_at=now_ms,
        begun_at=now_ms,
    )


@dataclass
class Chain:
    """Two accounts, A and B, with a server each, and a broker.

    Attributes:
        url: the broker.
        folder: where the file of the keys is.
        queues: the queues in use.
        timeout_s: the timeout in the file.
    """

    url: str
    folder: Path
    queues: Queues = QUICK
    timeout_s: int = 2
    a: Sandbox = field(default_factory=lambda: Sandbox(pos_id="A", cancel=CancelPlan(settle_s=0)))
    b: Sandbox = field(default_factory=lambda: Sandbox(pos_id="B", cancel=CancelPlan(settle_s=0)))

    @property
    def accounts(self) -> Path:
        """The file of the keys."""
        return self.folder / "accounts.conf"

    def write_accounts(self, *sandboxes: Sandbox) -> None:
        """Write the file of the keys."""
        sections = [f'[Account {each.pos_id}]\nurl = "{each.url}"\nposKey = "{each.pos_key}"\n' for each in sandboxes]
        self.accounts.touch(mode=0o600)
        self.accounts.write_text("\n".join([f"[Main]\ntimeout = {self.timeout_s}\n", *sections]), encoding="utf-8")

    def connect(self) -> Broker:
        """Open a connection."""
        return Broker(self.url, heartbeat_s=HEARTBEAT_S)

    def declare(self) -> None:
        """Declare the queues as a worker does."""
        with closing(self.connect()) as broker:
            broker.declare(self.queues)

    def delete_queues(self) -> None:
        """Delete every queue that a test may have declared."""
        with closing(self.connect()) as broker:
            for name in {*QUICK.arguments(), *Queues().arguments()}:
                broker._channel.queue_delete(name)

    def owe(self, sandbox: Sandbox, count: int = 1) -> list[ChainMessage]:
        """Let buyers pay at an account; return a message for each payment, not published yet."""
        ids = paid_receipts(sandbox.bank, sandbox.now_ms(), count)
        return [message_about(each, sandbox.pos_id, number) for number, each in enumerate(ids, start=1)]

    def publish(self, *messages: ChainMessage, queue: str | None = None) -> None:
        """Publish messages as a till does."""
        with closing(self.connect()) as broker:
            for each in messages:
                broker.publish(queue or self.queues.work, encode(each), each.message_id)

    def sizes(self) -> dict[str, int]:
        """Return the number of messages in each queue that has any."""
        with closing(self.connect()) as broker:
            sizes = {name: broker.size(name)[0] for name in self.queues.arguments()}
        return {name: size for name, size in sizes.items() if size}

    def parked(self) -> list[Received]:
        """Take the parked messages."""
        with closing(self.connect()) as broker:
            found = []
            while (received := broker.get(PARKED)) is not None:
                broker.acknowledge(received)
                found.append(received)
            return found

    def take(self, queue: str) -> ChainMessage | None:
        """Take the next message of a queue."""
        with closing(self.connect()) as broker:
            received = broker.get(queue)
            if received is None:
                return None
            broker.acknowledge(received)
            return decode(ChainMessage, received.body)

    @contextmanager
    def outcomes(self, pos_id: str) -> Iterator[list[OutcomeMessage]]:
        """Listen for outcomes as a till does; ``heard`` reads what has come."""
        with closing(self.connect()) as broker:
            heard: list[OutcomeMessage] = []
            queue = broker.listen(lambda received: heard.append(decode(OutcomeMessage, received.body)))
            broker.bind(queue, pos_id)
            self._listener = broker
            yield heard

    def hears(self, heard: list[OutcomeMessage], count: int, timeout_s: float = 10) -> bool:
        """Return whether so many outcomes come in time."""

        def has_all() -> bool:
            self._listener.wait(0.05)
            return len(heard) >= count

        return comes_true(has_all, timeout_s)

    @contextmanager
    def worker(self, *, consumers: int = 8, metrics: Metrics | None = None) -> Iterator[CentralWorker]:
        """Run a central worker in this process."""
        clock = SystemClock()
        running = CentralWorker(
            self.connect,
            AccountsFile(self.accounts),
            AccountClients(clock),
            clock,
            queues=self.queues,
            metrics=metrics,
            consumers=consumers,
        )
        running.start()
        try:
            yield running
        finally:
            running.stop(2)
