"""The metrics of a central worker, for Prometheus over HTTP."""

from __future__ import annotations

import threading
from contextlib import closing, contextmanager
from http.server import ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from payme_plugin.delivery.broker import BrokerError, BrokerRefuses
from payme_plugin.delivery.chain_messages import PARKED
from payme_plugin.operations.cancellation import StepOutcome
from payme_plugin.paymego import codes
from payme_plugin.paymego.errors import NotSent, ServerError, Unclear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from payme_plugin.clock import Clock
    from payme_plugin.delivery.broker import Broker
    from payme_plugin.delivery.chain_messages import Queues
    from payme_plugin.paymego.errors import CallFailed

_SEEN_FOR_MIN = 20
"""A message without success passes a worker at least every 15 minutes."""

_OTHER = "other"


class Metrics:
    """Counts what the consumers do, and asks the broker at each request for its queues. Thread-safe.

    Args:
        connect: opens a connection to the broker, or raises ``BrokerError``.
        queues: the queues of the chain.
        clock: time.

    Raises:
        BrokerRefuses: prometheus-client is not installed.
    """

    def __init__(self, connect: Callable[[], Broker], queues: Queues, clock: Clock) -> None:
        self._prometheus = _import_prometheus()
        self._connect = connect
        self._queues = queues
        self._clock = clock
        self._lock = threading.Lock()
        self._oldest_by_minute: dict[int, int] = {}
        self._registry = self._prometheus.CollectorRegistry()
        counter = self._prometheus.Counter
        self._attempts = counter("payme_attempts", "Attempts.", ["outcome"], registry=self._registry)
        self._errors = counter("payme_errors", "Attempts that failed.", ["error"], registry=self._registry)
        self._registry.register(self)

    def count(self, outcome: StepOutcome, failure: CallFailed | None, created_at: int) -> None:
        """Count an attempt.

        Args:
            outcome: its outcome.
            failure: why its last failed request brought no answer, or None.
            created_at: when the cancellation was written, Unix milliseconds.
        """
        self._attempts.labels(outcome.value).inc()
        if outcome is StepOutcome.DONE:
            return
        if failure is not None:
            self._errors.labels(_label(failure)).inc()
        minute = self._minute()
        with self._lock:
            self._oldest_by_minute[minute] = min(created_at, self._oldest_by_minute.get(minute, created_at))

    def collect(self) -> Iterator[Any]:
        """Return the gauges; Prometheus calls it at each request. Those of the broker are missing if it is away."""
        gauge = self._prometheus.metrics_core.GaugeMetricFamily
        oldest_ms = self._oldest()
        age_s = 0.0 if oldest_ms is None else max(0, self._clock.wall_ms() - oldest_ms) / 1000
        yield gauge("payme_oldest_seconds", "Age of the oldest message that a worker left without success.", age_s)
        try:
            with closing(self._connect()) as broker:
                sizes = {name: broker.size(name)[0] for name in self._queues.arguments()}
        except BrokerError:
            return
        yield gauge("payme_parked", "Messages that wait for an operator.", sizes.pop(PARKED))
        waiting = gauge("payme_waiting", "Messages that wait for an attempt.", labels=["queue"])
        for name, size in sizes.items():
            waiting.add_metric([name], size)
        yield waiting

    def describe(self) -> list[Any]:
        """Return nothing, so that the broker is not asked when the registry is built."""
        return []

    @contextmanager
    def served(self, host: str, port: int) -> Iterator[int]:
        """Serve the metrics while the context lasts, and give the port; 0: any free one.

        Raises:
            OSError: the address can't be used.
        """
        handler = self._prometheus.MetricsHandler.factory(self._registry)
        with ThreadingHTTPServer((host, port), handler) as server:
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, name="payme-metrics", daemon=True).start()
            try:
                yield int(server.server_address[1])
            finally:
                server.shutdown()

    def _oldest(self) -> int | None:
        first = self._minute() - _SEEN_FOR_MIN
        with self._lock:
            self._oldest_by_minute = {at: oldest for at, oldest in self._oldest_by_minute.items() if at >= first}
            return min(self._oldest_by_minute.values(), default=None)

    def _minute(self) -> int:
        return int(self._clock.monotonic() // 60)


def _label(failure: CallFailed) -> str:
    """Return a code of the catalogue or the kind of a fault, so that no server can make ever more time series."""
    if isinstance(failure, ServerError):
        return _OTHER if codes.find(failure.code) is None else str(failure.code)
    return failure.fault.value if isinstance(failure, (NotSent, Unclear)) else _OTHER


def _import_prometheus() -> Any:  # noqa: ANN401 - a module that may be missing
    try:
        import prometheus_client  # noqa: PLC0415 - only with --metrics
    except ImportError as error:
        raise BrokerRefuses(
            "prometheus-client is not installed: install payme-plugin[broker] or python3-prometheus-client"
        ) from error
    return prometheus_client
