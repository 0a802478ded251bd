"""A chain around the till: RabbitMQ on virtual time, where anything goes wrong, and the central workers.

What the broker holds is bytes, written and read with the product's own functions. It may be away, refuse, be slow, take
a message and not confirm it, lose everything, and deliver messages and outcomes late, twice, in another order. A worker
may be killed at any point; what it had not acknowledged is delivered again.
"""

from __future__ import annotations

import itertools
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from payme_plugin.delivery.accounts import Accounts
from payme_plugin.delivery.broker import BrokerAway, Received
from payme_plugin.delivery.central_worker import CentralWorker
from payme_plugin.delivery.chain_messages import OUTCOMES, PARKED, ChainMessage, OutcomeMessage, Queues, decode, encode
from payme_plugin.paymego.protocols import MerchantAccount
from simulator.stage import Life
from simulator.wire import SimClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from random import Random

    from payme_plugin.delivery.broker import Broker
    from payme_plugin.settings import Settings
    from simulator.invariants import GuaranteeChecks
    from simulator.stage import Actor, Stage
    from simulator.wire import SimPaymeGo

PASSWORD = "canary-password-of-the-broker"
URL = f"amqps://till:{PASSWORD}@broker.example/chain"

_QUEUES = Queues()
_DELAYS_S = {_QUEUES.delay(each): float(each) for each in (*_QUEUES.delays_s, _QUEUES.confirming_s)}
_LATE_S = (0.5, 20.0, 700.0, 4_000.0)
_SLOW_S = (0.5, 2.0, 5.0)
_AWAY_S = (10.0, 90.0, 900.0, 5_000.0)
_RESTART_S = (1.0, 30.0, 900.0)
_ANOTHER_RECEIPT = "f" * 24
_AGAIN_AFTER_S = 700.0
_HOUR_S = 3_600.0
_LONGEST_S = 86_400.0
_ROUND_S = 1_200.0
_MOST_ROUNDS = 20
_HEADS = 0.5
_MOST_COPIES = 3


class SimBroker:
    """RabbitMQ as tills and central workers see it.

    Attributes:
        away_until: until then it can't be used, virtual seconds.
        refuses: while it can't be used it refuses, so that an operator is needed.
        level: the chance that something befalls a message.
        bodies: every message that a till or a worker published, and every outcome.
        promised: the receipts whose message it has confirmed to a till, and not lost since.
    """

    def __init__(self, stage: Stage, rng: Random) -> None:
        self.stage = stage
        self.rng = rng
        self.away_until = 0.0
        self.refuses = False
        self.level = 0.0
        self.bodies: set[bytes] = set()
        self.promised: set[str] = set()
        self.checks: GuaranteeChecks
        self._tags = itertools.count(1)
        self._messages: dict[int, Received] = {}
        self._ready: list[int] = []
        self._parked: list[int] = []
        self._relays: list[SimRelay] = []
        self._idle: list[Actor] = []

    @property
    def is_away(self) -> bool:
        """Whether it can't be used now."""
        return self.stage.monotonic() < self.away_until

    @property
    def is_empty(self) -> bool:
        """Whether no message is left; parked ones count."""
        return not self._messages

    def happens(self) -> bool:
        """Return whether something befalls a message."""
        return bool(self.level) and self.rng.random() < self.level

    def lateness_s(self) -> float:
        """Return how late a message comes."""
        return self.rng.choice(_LATE_S) if self.happens() else 0.0

    def relay(self, life: Life, on_outcome: Callable[[], None]) -> SimRelay:
        """Return the relay of a process."""
        relay = SimRelay(self, life, on_outcome)
        self._relays.append(relay)
        return relay

    def take(self, message: ChainMessage) -> bool:
        """Take a till's message; return whether that is confirmed."""
        body = encode(message)
        self.checks.saw_published(body)
        self._put(_QUEUES.work, body, message.message_id)
        if self.happens():  # a till of the same account has a row of this number, and its money is back
            other = OutcomeMessage(
                cancellation_id=message.cancellation_id, receipt_id=_ANOTHER_RECEIPT, state=50, at=message.begun_at
            )
            self._route(message.pos_id, encode(other), (0.0, _AGAIN_AFTER_S))
        self.stage.point()  # the power may fail before the confirm comes
        if self.happens():
            return False
        self.promised.add(message.receipt_id)
        return True

    # What central workers use; the methods are those of ``payme_plugin.delivery.broker.Broker``.

    def publish(
        self, routing_key: str, body: bytes, message_id: str, *, exchange: str = "", headers: object = None
    ) -> None:
        """Publish what follows from an attempt.

        Raises:
            BrokerAway: it can't be used, or does not confirm.
        """
        self.stage.point()
        if self.is_away:
            raise BrokerAway
        if exchange == OUTCOMES:
            times = () if self.happens() else (self.lateness_s(), *((self.lateness_s(),) if self.happens() else ()))
            self._route(routing_key, body, times)
        else:
            self._put(routing_key, body, message_id)
        self.stage.point()
        if self._doubles(message_id):
            raise BrokerAway

    def acknowledge(self, message: Received) -> None:
        """Remove a message."""
        self.stage.point()
        self._messages.pop(message.tag, None)

    def give_back(self, *messages: Received) -> None:
        """Leave messages in their queue, unless they are lost."""
        for message in messages:
            if message.tag in self._messages:
                self._make_ready(message.tag)

    def next_message(self) -> Received:
        """Return any message that is ready; wait for one."""
        while self.is_away or not self._ready:
            self._idle.append(self.stage.current)
            try:
                self.stage.block(max(self.stage.monotonic() + _LONGEST_S, self.away_until))
            finally:
                self._idle.remove(self.stage.current)
        return self._messages[self._ready.pop(self.rng.randrange(len(self._ready)))]

    # What goes wrong, and what an operator does.

    def go_away(self, refuses: bool) -> None:
        """Be away for a while; the workers look when it is over."""
        self.refuses = refuses
        self.away_until = self.stage.monotonic() + self.rng.choice(_AWAY_S)
        self.stage.at(self.away_until, self._wake_workers)

    def lose_everything(self) -> None:
        """Lose every message, as when somebody deletes the queues."""
        self.checks.note("the broker lost everything", "broker")
        self._messages.clear()
        self._ready.clear()
        self._parked.clear()
        self.promised.clear()

    def retry_parked(self) -> None:
        """Put every parked message back to work."""
        parked, self._parked = self._parked, []
        for tag in parked:
            self._make_ready(tag)

    def calm(self) -> None:
        """Let nothing go wrong from now on."""
        self.away_until = self.level = 0.0
        self._wake_workers()

    def _put(self, queue: str, body: bytes, message_id: str) -> None:
        self.bodies.add(body)
        for _ in range(2 if self._doubles(message_id) else 1):
            received = Received(next(self._tags), body, message_id, {})
            self._messages[received.tag] = received
            if queue == PARKED:
                self.checks.note(f"{message_id} is parked", "broker")
                self._parked.append(received.tag)
            else:
                at = self.stage.monotonic() + _DELAYS_S.get(queue, 0.0) + self.lateness_s()
                self.stage.at(at, lambda received=received: self.give_back(received))  # type: ignore[misc] # a default

    def _doubles(self, message_id: str) -> bool:
        """Return whether there will be one more of a message; a crowd of them would only take time."""
        count = sum(each.message_id == message_id for each in self._messages.values())
        return count < _MOST_COPIES and self.happens()

    def _make_ready(self, tag: int) -> None:
        self._ready.append(tag)
        self._wake_workers()

    def _wake_workers(self) -> None:
        for actor in self._idle:
            self.stage.rouse(actor)

    def _route(self, pos_id: str, body: bytes, in_s: Iterable[float]) -> None:
        self.bodies.add(body)
        for late_s in in_s:
            for relay in self._relays:
                if relay.listens_to(pos_id):
                    self.stage.at(self.stage.monotonic() + late_s, lambda relay=relay: relay.hear(body))  # type: ignore[misc]


class SimRelay:
    """A ``payme_plugin.delivery.relay.Relay`` of one process."""

    def __init__(self, broker: SimBroker, life: Life, on_outcome: Callable[[], None]) -> None:
        self._broker = broker
        self._life = life
        self._on_outcome = on_outcome
        self._is_closed = False
        self._pos_ids: set[str] = set()
        self._listens_until = 0.0
        self._heard: list[OutcomeMessage] = []

    @property
    def needs_operator(self) -> bool:
        """Whether the broker refuses this till."""
        return self._broker.is_away and self._broker.refuses

    def publish(self, message: ChainMessage) -> bool:
        """Return whether the broker has confirmed a message; it may have it although it has not."""
        broker = self._broker
        broker.stage.point()
        if broker.happens():
            broker.stage.sleep(broker.rng.choice(_SLOW_S))
        if self._is_closed or broker.is_away:
            return False
        self.listen({message.pos_id})
        return broker.take(message)

    def listen(self, pos_ids: Iterable[str]) -> None:
        """Listen for the outcomes of merchant accounts for an hour."""
        self._pos_ids.update(pos_ids)
        self._listens_until = self._broker.stage.monotonic() + _HOUR_S

    def outcomes(self) -> list[OutcomeMessage]:
        """Return the outcomes that have come since the last call."""
        heard, self._heard = self._heard, []
        return heard

    def close(self) -> None:
        """Publish and hear nothing any more."""
        self._is_closed = True

    def listens_to(self, pos_id: str) -> bool:
        """Return whether the outcomes of an account come to it now."""
        is_running = not (self._is_closed or self._life.is_dead)
        return is_running and pos_id in self._pos_ids and self._broker.stage.monotonic() < self._listens_until

    def hear(self, body: bytes) -> None:
        """Let an outcome come, late perhaps."""
        if not (self._is_closed or self._life.is_dead):
            self._heard.append(decode(OutcomeMessage, body))
            self._on_outcome()


class _CentralClient(SimClient):
    is_central = True


class Chain:
    """The broker and the central workers.

    Args:
        stage: the time.
        paymego: what the workers ask.
        settings: the settings of each merchant account, whose keys the workers have.
        rng: whatever is left to chance.

    Attributes:
        broker: the broker.
        is_used: the till's settings name the broker.
    """

    def __init__(self, stage: Stage, paymego: SimPaymeGo, settings: tuple[Settings, ...], rng: Random) -> None:
        self.broker = SimBroker(stage, rng)
        self.is_used = bool(settings[0].queue_url)
        self._stage = stage
        self._paymego = paymego
        self._settings = settings
        self._accounts = SimpleNamespace(path="accounts.conf")
        self._give_keys(settings)
        self._rng = rng
        self._count = 0
        self._lives: list[Life] = []

    def start(self) -> None:
        """Start the workers; something may befall the messages from now on."""
        self.broker.level = self._rng.choice((0.0, 0.05, 0.3))
        self._give_keys(self._rng.sample(self._settings, self._rng.choice((1, 2, 2))))
        for _ in range(self._rng.choice((1, 2))):
            self._start_worker()

    def break_down(self) -> None:
        """Let something go wrong."""
        kind = self._rng.random()
        if kind < 0.5:
            self.broker.go_away(refuses=self._rng.random() < _HEADS)
        elif kind < 0.9:
            for life in self._lives:
                life.fuse = self._rng.randrange(1, 30)
        else:
            self.broker.lose_everything()

    def finish(self) -> None:
        """Let the workers finish while the till is off, as if nobody ever switched it on again; check the money.

        Or lose everything, so that the till has to return the money itself.
        """
        broker, checks = self.broker, self.broker.checks
        broker.calm()
        self._give_keys(self._settings)
        if self._rng.random() < 0.3:
            broker.lose_everything()
            return
        for _ in range(_MOST_ROUNDS):
            if broker.is_empty:
                break
            broker.retry_parked()
            self._stage.sleep(_ROUND_S)
        else:
            checks.fault(5, "a message is still at the broker")
        for receipt_id in sorted(broker.promised):
            if (state := self._paymego.state(receipt_id)) != 50:
                checks.fault(0, f"{receipt_id} was handed over, the till is gone, and Payme is at {state}")

    def _give_keys(self, settings: Sequence[Settings]) -> None:
        """Let the workers have the keys of these merchant accounts, and of no other."""
        accounts = {each.pos_id: MerchantAccount.of(each) for each in settings}
        self._accounts.current = Accounts(accounts, settings[0])

    def _start_worker(self) -> None:
        self._count += 1
        life = Life(self._stage, f"worker-{self._count}")
        self._lives = [*(other for other in self._lives if not other.is_dead), life]
        held: list[Received] = []
        life.at_end(lambda: self.broker.give_back(*held))
        restart_s = self._rng.choice(_RESTART_S)
        life.at_end(lambda: self._stage.at(self._stage.monotonic() + restart_s, self._start_worker))
        self._stage.spawn(life, lambda: self._work(life, held))

    def _work(self, life: Life, held: list[Received]) -> None:
        clients = {
            each.pos_id: _CentralClient(self._paymego, life, each.pos_id, each.pos_key.reveal())
            for each in self._settings
        }
        named = SimpleNamespace(of=lambda account, _: clients[account.pos_id])
        worker = CentralWorker(cast("Any", None), cast("Any", self._accounts), cast("Any", named), self._stage)
        while True:
            received = self.broker.next_message()
            held.append(received)
            try:
                worker._handle(cast("Broker", self.broker), received)
            except BrokerAway:
                self._stage.sleep(1.0)  # it connects again, which gives the message back
                self.broker.give_back(received)
            held.clear()
