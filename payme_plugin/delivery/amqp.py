"""The relay: hands cancellations over to a chain's central workers through RabbitMQ, and brings back their outcomes.

The journal stays the source of truth: a row that was handed over is live until Payme says cancelled (50), to a central
worker or to this till. The connection is open only while something is handed over or an outcome is awaited, because a
chain has thousands of tills.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payme_plugin.delivery.broker import Broker, BrokerError, BrokerRefuses
from payme_plugin.delivery.chain_messages import (
    ChainMessage,
    Malformed,
    OutcomeMessage,
    Queues,
    UnknownVersion,
    decode,
    encode,
)
from payme_plugin.log import Log
from payme_plugin.secret import safe_traceback

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from payme_plugin.clock import Clock
    from payme_plugin.delivery.broker import Received

_log = Log()

_PATIENCE_S = 5.0
_PAUSE_S = 20.0
_LISTEN_S = 3600.0
_WAIT_S = 10.0
_STOP_TIMEOUT_S = 1.0


@dataclass(eq=False, slots=True)
class _Request:
    message: ChainMessage
    is_confirmed: bool = False
    ended: threading.Event = field(default_factory=threading.Event)


class AmqpRelay:
    """A ``Relay`` with one thread, which lives while something is published or awaited. Any thread may use it.

    Args:
        url: the broker, with name and password.
        ca_file: the certificates to trust; None: the system's.
        clock: time.
        on_outcome: is called, in the thread of the relay, when an outcome has come.
        queues: the queues of the chain.
    """

    def __init__(
        self,
        url: str,
        ca_file: Path | None,
        clock: Clock,
        on_outcome: Callable[[], None],
        queues: Queues | None = None,
    ) -> None:
        self._url = url
        self._ca_file = ca_file
        self._clock = clock
        self._on_outcome = on_outcome
        self._queues = queues or Queues()
        self._requests: queue.SimpleQueue[_Request] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[OutcomeMessage] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._running: set[_Request] = set()
        self._pos_ids: set[str] = set()
        self._listens_until = float("-inf")
        self._try_again_at = float("-inf")
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._broker: Broker | None = None
        self._away_since: float | None = None
        self._is_refused = False

    @property
    def needs_operator(self) -> bool:
        """Whether the broker refuses this till, or could not be used for an hour."""
        since = self._away_since
        return since is not None and (self._is_refused or self._clock.monotonic() - since > _LISTEN_S)

    def publish(self, message: ChainMessage) -> bool:
        """Publish a message, as ``Relay.publish``.

        After a failure the broker is not asked again for 20 s. A message that was not confirmed in time may still be at
        the broker; a second one with the same id is harmless, because each step asks for the state first.
        """
        request = _Request(message)
        with self._lock:
            if self._stopping.is_set() or self._clock.monotonic() < self._try_again_at:
                return False
            self._running.add(request)
            self._requests.put(request)
        self.listen({message.pos_id})
        if not request.ended.wait(_PATIENCE_S):
            request.ended.set()
            self._fail("the broker does not confirm")
        with self._lock:
            self._running.discard(request)
        return request.is_confirmed

    def listen(self, pos_ids: Iterable[str]) -> None:
        """Listen for the outcomes of merchant accounts, as ``Relay.listen``."""
        with self._lock:
            self._pos_ids.update(pos_ids)
            if not self._pos_ids or self._stopping.is_set():
                return
            self._listens_until = self._clock.monotonic() + _LISTEN_S
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="payme-relay", daemon=True)
                self._thread.start()
        self._wake()

    def outcomes(self) -> list[OutcomeMessage]:
        """Return the outcomes that have come since the last call."""
        return [self._outcomes.get() for _ in range(self._outcomes.qsize())]

    def close(self) -> None:
        """End the thread and the connection, as ``Relay.close``."""
        with self._lock:
            self._stopping.set()
            thread = self._thread
        self._end_requests()
        self._wake()
        if thread is not None:
            thread.join(_STOP_TIMEOUT_S)

    def _wake(self) -> None:
        broker = self._broker
        if broker is not None:
            with contextlib.suppress(BrokerError):
                broker.interrupt()

    def _is_wanted(self) -> bool:
        """Return whether the thread is still needed; if not, ``listen`` starts another."""
        with self._lock:
            if self._clock.monotonic() < self._listens_until and not self._stopping.is_set():
                return True
            self._thread = None
            self._away_since = None
            return False

    def _run(self) -> None:
        while self._is_wanted():
            try:
                with closing(Broker(self._url, ca_file=self._ca_file)) as broker:
                    self._serve(broker)
            except BrokerError as error:
                self._fail(error, is_refused=isinstance(error, BrokerRefuses))
            except Exception as error:  # noqa: BLE001 - the thread never stops silently
                self._fail(safe_traceback(error))
            else:
                return  # not wanted any more; ``listen`` may have started another thread meanwhile
            self._broker = None
            self._end_requests()
            self._stopping.wait(max(0.0, self._try_again_at - self._clock.monotonic()))

    def _serve(self, broker: Broker) -> None:
        broker.declare(self._queues)
        own_queue = broker.listen(self._take_outcome)
        self._broker = broker
        bound: set[str] = set()
        while self._is_wanted():
            with self._lock:
                unbound = self._pos_ids - bound
            for pos_id in unbound:
                broker.bind(own_queue, pos_id)
            bound |= unbound
            with contextlib.suppress(queue.Empty):
                while True:
                    self._publish(broker, self._requests.get_nowait())
            broker.wait(_WAIT_S)

    def _publish(self, broker: Broker, request: _Request) -> None:
        message = request.message
        if not request.ended.is_set():
            broker.publish("", encode(message), message.message_id, exchange=self._queues.work)
            request.is_confirmed = True
            self._away_since = None  # an open connection proves less: a broker in an alarm accepts one too
            request.ended.set()

    def _take_outcome(self, received: Received) -> None:
        try:
            self._outcomes.put(decode(OutcomeMessage, received.body))
            self._on_outcome()
        except (Malformed, UnknownVersion) as error:
            _log.error("an outcome of the broker is ignored: %s", error)

    def _end_requests(self) -> None:
        with self._lock:
            for request in self._running:
                request.ended.set()

    def _fail(self, explanation: object, *, is_refused: bool = False) -> None:
        """Note that the broker can't be used; only the first of several failures is logged."""
        now = self._clock.monotonic()
        self._try_again_at = now + _PAUSE_S
        self._is_refused = is_refused
        if self._away_since is None:
            self._away_since = now
            _log.error("the broker can't be used: %s", explanation)
