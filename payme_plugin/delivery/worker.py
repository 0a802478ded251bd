"""The worker: one thread that offers cancellations to the host's queue and steps what is due."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.rows import FiscalLinkRow
from payme_plugin.log import Log
from payme_plugin.secret import safe_traceback

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from payme_plugin.clock import Clock
    from payme_plugin.delivery.processor import CancellationProcessor, Delivery
    from payme_plugin.delivery.relay import Relay
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.cancellation import MerchantClient

    _Row: TypeAlias = CancellationRow | FiscalLinkRow

_log = Log()

_MOST_ROWS = 64
_MOST_S = 1.0
"""No row is begun after this time, so that housekeeping and new settings wait for one row at most."""
_ROWS_TO_CHECKPOINT = 32
_CHECKPOINT_AFTER_S = 60.0
_LONGEST_IDLE_S = 20.0
_IDLE_AFTER_FAILURE_S = 0.5
_RETRY_AFTER_S = 20.0
_FORGET_AFTER_S = 3600.0
"""A row that failed longer ago is again before all that are due later, so that no backlog holds it up for ever."""


class Worker:
    """Delivers cancellations and fiscal receipts in the background, from ``start`` to ``stop``.

    Attributes:
        host_lock: held while the host is called, because it expects one thread of the plugin at a time.
    """

    def __init__(self, delivery: Delivery, clock: Clock) -> None:
        self.host_lock = threading.Lock()
        self._delivery = delivery
        self._clock = clock
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._failed_at: dict[str, float] = {}
        self._forget_failures = False
        self._may_yield = False
        self._rows_since_checkpoint = 0
        self._checkpoint_at = clock.monotonic() + _CHECKPOINT_AFTER_S
        self._listening: Relay | None = None
        self._thread = threading.Thread(target=self._run, name="payme-worker", daemon=True)

    @property
    def has_stopped(self) -> bool:
        """Whether ``stop`` was called."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self, *, retry: bool = False) -> None:
        """Deliver at once what is due, e.g. because a row was just written.

        Args:
            retry: forget which rows have failed, e.g. because the hook that held a lease has returned.
        """
        if retry:
            self._forget_failures = True
        self._wake.set()

    def yield_before_commit(self) -> None:
        """Before a commit of a step, wait a short time for a sale that began after the step; once for each row."""
        if self._may_yield and threading.current_thread() is self._thread:
            self._may_yield = self._delivery.yield_to_sale()

    def stop(self, timeout_s: float) -> None:
        """Begin no row, abort the running request, and wait up to ``timeout_s`` s for the thread.

        An aborted step is repeated later.
        """
        self._stopping.set()
        self._wake.set()
        self._delivery.abort_requests()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._run_once())
            self._wake.clear()

    def _run_once(self) -> float:
        """Deliver what is due; log what goes wrong; return the seconds until the next call."""
        idle_s = _LONGEST_IDLE_S
        with _logged("the worker"):
            idle_s = self._deliver_due()
        return idle_s  # noqa: RET504 - a fault leaves the former value

    def _deliver_due(self) -> float:
        """Do the housekeeping and deliver what is due; return the seconds until the next call.

        A row that failed, e.g. on a full disk, is retried 20 s later, after all others. It stays the longest due, so
        it would otherwise be the only row that is tried.
        """
        self._delivery.yield_to_sale()  # a look at all rows takes the processor from it
        if self._stopping.is_set():
            return 0.0
        with self.host_lock, _logged("the housekeeping"):  # e.g. damage in a row that is not due
            self._delivery.do_housekeeping()
        if self._stopping.is_set():
            return 0.0
        processor = self._delivery.processor()
        relay = self._relay(processor)
        self._make_checkpoint(processor)
        began_at = self._clock.monotonic()
        due = self._due(processor, began_at)
        with self.host_lock:
            merchants = self._delivery.merchants() if due else None
        for row in due:
            if self._clock.monotonic() - began_at >= _MOST_S:
                return 0.0
            # If a sale still runs, it lasts long, and the row is not held up for longer.
            may_yield = self._delivery.yield_to_sale()
            if self._stopping.is_set():
                return 0.0
            self._rows_since_checkpoint += 1
            is_stored = False
            with _logged(_name(row)):
                is_stored = self._deliver(processor, row, merchants, relay, may_yield=may_yield)
            if is_stored:
                self._failed_at.pop(_name(row), None)
            else:
                self._failed_at[_name(row)] = self._clock.monotonic()
        if self._failed_at:
            return _IDLE_AFTER_FAILURE_S
        next_due_in_ms = (processor.cancellations.next_due_in_ms(), processor.links.next_due_in_ms())
        return min([_LONGEST_IDLE_S, *(ms / 1000 + 0.001 for ms in next_due_in_ms if ms is not None)])

    def _make_checkpoint(self, processor: CancellationProcessor) -> None:
        """Make a checkpoint once a minute and after 32 rows, because else a sale's commit would make it."""
        if self._rows_since_checkpoint >= _ROWS_TO_CHECKPOINT or self._clock.monotonic() >= self._checkpoint_at:
            self._delivery.yield_to_sale()
            processor.journal.checkpoint()
            self._rows_since_checkpoint = 0
            self._checkpoint_at = self._clock.monotonic() + _CHECKPOINT_AFTER_S

    def _relay(self, processor: CancellationProcessor) -> Relay | None:
        """Return the relay, after the outcomes that came through it are stored."""
        with self.host_lock:
            relay = self._delivery.relay()
        former, self._listening = self._listening, relay  # first: a full disk must not end every call here
        if relay is not None:
            if relay is not former:
                relay.listen(processor.cancellations.recall())
            for outcome in relay.outcomes():
                if self._stopping.is_set():  # a till that starts asks Payme about what it had handed over
                    break
                with _logged(f"the outcome of cancellation {outcome.cancellation_id}"):
                    processor.take_outcome(outcome)
        return relay

    def _due(self, processor: CancellationProcessor, now: float) -> list[_Row]:
        """Return the due rows: those without a failure in the last hour first, then the others, oldest first."""
        if self._forget_failures:
            self._forget_failures = False
            self._failed_at.clear()
        most = _MOST_ROWS + len(self._failed_at)
        found: list[_Row] = [*processor.cancellations.due(most), *processor.links.due(most)]
        rows = {_name(row): row for row in found}
        self._failed_at = {
            name: at for name, at in self._failed_at.items() if name in rows and now - at < _FORGET_AFTER_S
        }
        chosen = [name for name in rows if now - self._failed_at.get(name, float("-inf")) >= _RETRY_AFTER_S]
        return [rows[name] for name in sorted(chosen, key=lambda name: self._failed_at.get(name, float("-inf")))]

    def _deliver(
        self,
        processor: CancellationProcessor,
        row: _Row,
        merchants: Mapping[str, MerchantClient] | None,
        relay: Relay | None,
        *,
        may_yield: bool,
    ) -> bool:
        """Deliver one row; return whether its next due time was stored."""
        if isinstance(row, FiscalLinkRow):
            return merchants is not None and processor.send_link(row, merchants)
        with self.host_lock:
            if relay is None:
                if processor.offer(row):
                    return True
                if merchants is None:  # a veto that nobody stores would be lost
                    return False
            is_recorded = processor.is_recorded(row)
        self._may_yield = may_yield
        try:
            return processor.step(row, merchants, is_recorded=is_recorded, relay=relay) is not None
        finally:
            self._may_yield = False


@contextmanager
def _logged(what: str) -> Iterator[None]:
    """Log what goes wrong, because it must stop neither the other rows nor the worker."""
    try:
        yield
    except JournalError as error:
        _log.error("%s waits: %s", what, error)
    except Exception as error:  # noqa: BLE001
        _log.error("%s met a fault of the plugin: %s", what, safe_traceback(error))


def _name(row: _Row) -> str:
    if isinstance(row, FiscalLinkRow):
        return f"fiscal link {row.fiscal_link_id}"
    return f"cancellation {row.cancellation_id}"
