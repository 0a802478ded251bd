"""The central worker of a chain: delivers the cancellations that tills handed over to the broker.

    what Payme says about the receipt          what follows
    50 for the first time                      an outcome for the till; the same message again in ten minutes
    50 for the second time                     an outcome for the till; no further message
    unknown receipt, or the key is refused     the next attempt as below; the 20th time the message is parked
    anything else, or a fault of the plugin    the next attempt in 5 s, 30 s, 2 min, then every 15 min, for ever

What follows is published and confirmed before the message is acknowledged, so a crash in between repeats the attempt.
That is harmless, because each attempt asks for the state first. A consumer never requeues a message itself.
"""

from __future__ import annotations

import secrets
import threading
from collections import defaultdict
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from payme_plugin.delivery.broker import BrokerError
from payme_plugin.delivery.chain_messages import (
    EXPLANATION,
    OUTCOMES,
    PARKED,
    PARKED_AT,
    REASON,
    ChainMessage,
    Malformed,
    OutcomeMessage,
    ParkReason,
    Queues,
    UnknownVersion,
    decode,
    encode,
)
from payme_plugin.log import Log
from payme_plugin.operations.cancellation import StepOutcome, cancel_in_state, needs_cancel, outcome_of
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.receipt_queries import ReceiptQueries
from payme_plugin.operations.wait import CashierWait
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.secret import safe_traceback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payme_plugin.clock import Clock
    from payme_plugin.delivery.accounts import AccountClients, AccountsFile
    from payme_plugin.delivery.broker import Broker, Received
    from payme_plugin.delivery.central_metrics import Metrics
    from payme_plugin.operations.context import Limits
    from payme_plugin.paymego.errors import CallFailed
    from payme_plugin.paymego.protocols import Client, Params, Pending

_log = Log()

CONSUMERS = 8
"""Messages that one process works on at once; each consumer has a thread and a connection of its own."""

HEARTBEAT_S = 60
"""Longer than an attempt, during which its connection is not read."""

_MOST_UNKNOWN = 20
"""Attempts after which the message of a receipt that Payme does not know is parked: after four hours.

Attempts without an answer don't count: after a long outage, one wrong answer would park every message.
"""

_SLOW_S = 1.0
"""An account is slow while one of its requests runs for longer; an attempt waits as long for its turn."""
_KEPT_FREE = 2
"""Consumers that one account leaves to the others."""
_WAIT_S = 0.5
_LONGEST_PAUSE_S = 30.0
_MOST_DOUBLINGS = 5
_LOG_EVERY = 10
"""Of the failures in a row, the first and then every tenth are logged."""
_RANDOM = secrets.SystemRandom()


class Turn:
    """One running attempt for a merchant account: a ``Client`` that records when its latest request began."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        self.began_at = clock.monotonic()

    def begin(self, method: str, params: Params, deadline: float) -> Pending:
        """Start a request as the client of the account does."""
        self.began_at = self._clock.monotonic()
        return self._client.begin(method, params, deadline)

    def close(self) -> None:
        """Leave the client open; other attempts use it."""


class Turns:
    """Divides the consumers among the accounts, so that a slow account does not hold up the others. Thread-safe.

    Args:
        most: how many attempts for one account run at once.
        clock: time.
    """

    def __init__(self, most: int, clock: Clock) -> None:
        self._most = most
        self._clock = clock
        self._changed = threading.Condition()
        self._running: defaultdict[str, list[Turn]] = defaultdict(list)

    @contextmanager
    def take(self, pos_id: str, client: Client) -> Iterator[Turn | None]:
        """Yield the turn of an attempt, or None if its message has to wait in a delay queue.

        None means that a request of the account has been running for over a second, or that the account still has its
        full share of attempts after a second of waiting.
        """
        turn = None
        with self._changed:
            # Without the wait most of a burst of one account would go to the delay queue again and again.
            self._changed.wait_for(lambda: self._has_room(pos_id) or self._is_slow(pos_id), _SLOW_S)
            if self._has_room(pos_id) and not self._is_slow(pos_id):
                turn = Turn(client, self._clock)
                self._running[pos_id].append(turn)
        try:
            yield turn
        finally:
            if turn is not None:
                with self._changed:
                    self._running[pos_id].remove(turn)
                    self._changed.notify_all()

    def _has_room(self, pos_id: str) -> bool:
        return len(self._running[pos_id]) < self._most

    def _is_slow(self, pos_id: str) -> bool:
        now = self._clock.monotonic()
        return any(now - one.began_at > _SLOW_S for one in self._running[pos_id])


class CentralWorker:
    """Delivers what is at the broker, from ``start`` to ``stop``.

    Args:
        connect: opens a connection to the broker with the heartbeat ``HEARTBEAT_S``, or raises ``BrokerError``.
        accounts: the merchant accounts with their keys.
        clients: the clients of the accounts; ``stop`` closes them.
        clock: time.
        queues: the queues of the chain.
        metrics: counts the attempts, or None.
        consumers: how many messages are worked on at once.
    """

    def __init__(
        self,
        connect: Callable[[], Broker],
        accounts: AccountsFile,
        clients: AccountClients,
        clock: Clock,
        *,
        queues: Queues | None = None,
        metrics: Metrics | None = None,
        consumers: int = CONSUMERS,
    ) -> None:
        self._connect = connect
        self._accounts = accounts
        self._clients = clients
        self._clock = clock
        self._queues = queues or Queues()
        self._metrics = metrics
        self._turns = Turns(max(1, consumers - _KEPT_FREE), clock)
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name=f"payme-consumer-{number}", daemon=True)
            for number in range(1, consumers + 1)
        ]

    def declare(self) -> None:
        """Create the queues, or verify that they are as they should be.

        Raises:
            BrokerRefuses: an operator has to change something.
            BrokerAway: the broker can't be reached.
        """
        with closing(self._connect()) as broker:
            broker.declare(self._queues)

    def start(self) -> None:
        """Start the consumers."""
        for thread in self._threads:
            thread.start()

    def stop(self, timeout_s: float) -> None:
        """Begin no attempt, wait up to ``timeout_s`` s for those that run, then abort their requests and wait again.

        An aborted attempt counts as one without an answer.
        """
        self._stopping.set()
        self._join(timeout_s)
        self._clients.close()
        self._join(timeout_s)

    def _join(self, timeout_s: float) -> None:
        ends_at = self._clock.monotonic() + timeout_s
        for thread in self._threads:
            thread.join(max(0.0, ends_at - self._clock.monotonic()))

    def _run(self) -> None:
        """Consume until stopped. After an error connect again: that returns the unfinished message to its queue."""
        failures = 0
        while not self._stopping.is_set():
            try:
                with closing(self._connect()) as broker:
                    broker.declare(self._queues)
                    broker.consume(self._queues.work, partial(self._handle, broker))
                    while not self._stopping.is_set():
                        broker.wait(_WAIT_S)
                        failures = 0
            except Exception as error:  # noqa: BLE001 - a consumer never stops silently
                if failures % _LOG_EVERY == 0:
                    text = str(error) if isinstance(error, BrokerError) else safe_traceback(error)
                    _log.error("a consumer connects again: %s", text)
                pause_s = min(float(1 << min(failures, _MOST_DOUBLINGS)), _LONGEST_PAUSE_S)
                failures += 1
                self._stopping.wait(pause_s * (1 - _RANDOM.random() / 2))

    def _handle(self, broker: Broker, received: Received) -> None:
        """Deliver a message's cancellation, publish what follows, and acknowledge it.

        Money effect: may cancel, the whole amount of the receipt.

        Raises:
            BrokerError: the message is not acknowledged; it goes back to its queue when the connection is closed.
        """
        if self._stopping.is_set():
            return
        try:
            message = decode(ChainMessage, received.body)
        except UnknownVersion as error:
            self._park(broker, received, ParkReason.UNKNOWN_VERSION, str(error))
        except Malformed as error:
            self._park(broker, received, ParkReason.MALFORMED, str(error))
        else:
            self._deliver(broker, received, message)
        broker.acknowledge(received)

    def _deliver(self, broker: Broker, received: Received, message: ChainMessage) -> None:
        accounts = self._accounts.current
        account = accounts.by_pos_id.get(message.pos_id)
        if account is None:
            explanation = f"{self._accounts.path} has no merchant account {message.pos_id}"
            self._park(broker, received, ParkReason.UNKNOWN_ACCOUNT, explanation)
            return
        # The turn ends before anything is published, because a slow broker must not use up the account's share.
        with self._turns.take(message.pos_id, self._clients.of(account, accounts.settings)) as turn:
            if turn is not None:
                try:
                    message, outcome, explanation = self._attempt(turn, accounts.limits, message)
                except Exception as error:  # noqa: BLE001 - one message's fault stops no other
                    _log.error("receipt %s met a fault of the plugin: %s", message.receipt_id, safe_traceback(error))
                    outcome = StepOutcome.LATER
                    self._count(outcome, None, message)
        if turn is None:
            self._publish(broker, self._queues.pause(0), message)
            return
        if outcome is StepOutcome.DONE:
            self._publish_outcome(broker, message)
            return
        unknown = 0 if outcome is StepOutcome.ACCEPTED else message.unknown_attempts + (outcome is StepOutcome.UNKNOWN)
        if unknown >= _MOST_UNKNOWN:
            self._park(broker, received, ParkReason.UNKNOWN_RECEIPT, explanation)
        else:
            tried = replace(message, attempts=message.attempts + 1, unknown_attempts=unknown, confirmed_at=None)
            self._publish(broker, self._queues.pause(message.attempts), tried)

    def _attempt(self, client: Client, limits: Limits, message: ChainMessage) -> tuple[ChainMessage, StepOutcome, str]:
        """Ask for the receipt's state and cancel it if necessary; return the message, the outcome and the last answer.

        The returned message has no ``confirmed_at`` if Payme no longer says cancelled (50).

        Money effect: may cancel, the whole amount of the receipt.
        """
        began_at, events = self._clock.monotonic(), EventLog(self._clock)
        wait = CashierWait(self._clock, None, limits)
        queries = ReceiptQueries(
            client, wait, events, receipt_id=message.receipt_id, amount=message.amount, text=lambda _: ""
        )
        state = queries.state(wait.request_limit())
        if needs_cancel(state):
            message = replace(message, confirmed_at=None)
            state = cancel_in_state(queries, wait, state)
        outcome = outcome_of(state, queries)
        self._count(outcome, queries.failure, message)
        took_ms = (self._clock.monotonic() - began_at) * 1000
        _log.info(
            "till %s, posId %s, receipt %s: %s, %.0f ms",
            message.till,
            message.pos_id,
            message.receipt_id,
            events.last,
            took_ms,
        )
        return message, outcome, events.last

    def _count(self, outcome: StepOutcome, failure: CallFailed | None, message: ChainMessage) -> None:
        if self._metrics is not None:
            self._metrics.count(outcome, failure, message.created_at)

    def _publish_outcome(self, broker: Broker, message: ChainMessage) -> None:
        """Publish for the till that Payme says cancelled (50); the first time, also let Payme be asked again later."""
        now_ms = self._clock.wall_ms()
        outcome = OutcomeMessage(
            cancellation_id=message.cancellation_id,
            receipt_id=message.receipt_id,
            state=ReceiptState.CANCELLED,
            at=now_ms,
            confirmed_at=message.confirmed_at,
        )
        broker.publish(message.pos_id, encode(outcome), message.message_id, exchange=OUTCOMES)
        if message.confirmed_at is None:
            confirming = self._queues.delay(self._queues.confirming_s)
            self._publish(broker, confirming, replace(message, confirmed_at=now_ms))

    def _publish(self, broker: Broker, queue: str, message: ChainMessage) -> None:
        broker.publish(queue, encode(message), message.message_id)

    def _park(self, broker: Broker, received: Received, reason: ParkReason, explanation: str) -> None:
        headers = {REASON: reason.value, EXPLANATION: explanation, PARKED_AT: self._clock.wall_ms()}
        broker.publish(PARKED, received.body, received.message_id, headers=headers)
        _log.error("message %s is parked: %s", received.message_id, explanation)
