"""The worker: one thread that offers cancellations to the host's queue and steps what is due."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeAlias

from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.rows import FiscalLinkRow
from payme_plugin.log import Log
from payme_plugin.secret import safe_traceback

if TYPE_CHECKING:
    from payme_plugin.clock import Clock
    from payme_plugin.delivery.processor import CancellationProcessor, Delivery
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.cancellation import MerchantClient

    _Row: TypeAlias = CancellationRow | FiscalLinkRow

__all__ = ["Worker"]

_log = Log()

_MOST_ROWS = 64
_MOST_S = 1.0
"""A round begins no row after this time, so that housekeeping and new settings wait no longer than one row takes."""
_LONGEST_IDLE_S = 20.0
_IDLE_BESIDE_FAILED_S = 0.5
_REST_S = 20.0


class Worker:
    """Delivers cancellations and fiscal receipts in the background, from ``start`` to ``stop``.

    Attributes:
        host_lock: held while the host is called, because it expects one thread of the plugin's at a time.
    """

    def __init__(self, delivery: Delivery, clock: Clock) -> None:
        self.host_lock = threading.Lock()
        self._delivery = delivery
        self._clock = clock
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._failed_at: dict[str, float] = {}
        self._is_rest_over = False
        self._thread = threading.Thread(target=self._run, name="payme-worker", daemon=True)

    def start(self) -> None:
        """Start the thread.

        Money effect: may cancel, later: whatever is due.
        """
        self._thread.start()

    def wake(self, *, retry: bool = False) -> None:
        """Look at once for what is due, e.g. because a row was just written.

        Args:
            retry: also try again what has just failed, e.g. because the hook that held the lease has returned.
        """
        if retry:
            self._is_rest_over = True
        self._wake.set()

    def stop(self, timeout_s: float) -> None:
        """Begin nothing more, cut off what is under way and wait at most ``timeout_s`` seconds for the thread.

        A step that is cut off is repeated later by whoever comes next.
        """
        self._stopping.set()
        self._wake.set()
        self._delivery.cut_off()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait(self._round())
            self._wake.clear()

    def _round(self) -> float:
        """Deliver what is due; return the seconds until the next round. The worker never stops silently."""
        try:
            return self._deliver_due()
        except JournalError as error:
            _log.error("the worker can't use the journal: %s", error)
        except Exception as error:  # noqa: BLE001 - a fault of this round must not end the worker
            _log.error("the worker met a fault of the plugin: %s", safe_traceback(error))
        return _LONGEST_IDLE_S

    def _deliver_due(self) -> float:
        """Do the housekeeping and deliver what is due; return the seconds until the next round.

        A row that failed rests for a while, then has its turn after all others: it stays the longest due, e.g. on a
        full disk, and must not be all that is ever tried.
        """
        with self.host_lock:
            self._delivery.before_round()
        processor = self._delivery.processor()
        began_at = self._clock.monotonic()
        rest_s, self._is_rest_over = 0.0 if self._is_rest_over else _REST_S, False
        due = self._due(processor, began_at - rest_s)
        with self.host_lock:
            merchant = self._delivery.merchant() if due else None
        for row in due:
            if self._clock.monotonic() - began_at >= _MOST_S:
                return 0.0
            self._delivery.yield_to_sale()
            if self._stopping.is_set():
                return 0.0
            if self._deliver(processor, row, merchant):
                self._failed_at.pop(_name(row), None)
            else:
                self._failed_at[_name(row)] = self._clock.monotonic()
        if self._failed_at:
            return _IDLE_BESIDE_FAILED_S
        next_due_in_ms = (processor.cancellations.next_due_in_ms(), processor.links.next_due_in_ms())
        return min([_LONGEST_IDLE_S, *(ms / 1000 + 0.001 for ms in next_due_in_ms if ms is not None)])

    def _due(self, processor: CancellationProcessor, failed_until: float) -> list[_Row]:
        """Return the rows that are due: first those that have not failed, then those that did, the earliest first."""
        most = _MOST_ROWS + len(self._failed_at)
        found: list[_Row] = [*processor.cancellations.due(most), *processor.links.due(most)]
        rows = {_name(row): row for row in found}
        failed_at = self._failed_at = {name: at for name, at in self._failed_at.items() if name in rows}
        chosen = [name for name in rows if failed_at.get(name, failed_until) <= failed_until]
        return [rows[name] for name in sorted(chosen, key=lambda name: failed_at.get(name, float("-inf")))]

    def _deliver(self, processor: CancellationProcessor, row: _Row, merchant: MerchantClient | None) -> bool:
        """Deliver one row; return whether it may be due again as its pause says, because that was stored."""
        try:
            if isinstance(row, FiscalLinkRow):
                return merchant is not None and processor.send_link(row, merchant)
            with self.host_lock:
                if processor.offer(row):
                    return True
                is_recorded = processor.is_recorded(row)
            return merchant is not None and processor.step(row, merchant, is_recorded=is_recorded) is not None
        except JournalError as error:
            _log.error("%s waits: %s", _name(row), error)
        except Exception as error:  # noqa: BLE001 - one row's fault stops no other
            _log.error("%s met a fault of the plugin: %s", _name(row), safe_traceback(error))
        return False


def _name(row: _Row) -> str:
    if isinstance(row, FiscalLinkRow):
        return f"fiscal link {row.fiscal_link_id}"
    return f"cancellation {row.cancellation_id}"
