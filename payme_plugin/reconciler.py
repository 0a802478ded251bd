"""The till reconciles by itself: once a night and after every repair, in a thread that lives as long as that takes."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Protocol
from zlib import crc32

from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.rows import ReconciliationRow
from payme_plugin.log import Log
from payme_plugin.operations.refund_rules import sums
from payme_plugin.paymego.errors import CallFailed
from payme_plugin.secret import safe_traceback
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payme_plugin.clock import Clock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.operations.cancellation import MerchantClient
    from payme_plugin.operations.host_guard import GuardedHost
    from payme_plugin.settings import Settings
    from payme_plugin.texts import Texts

_log = Log()

_NOTICE = "payme.reconciliation"
_HOUR = 3
_SPREAD_S = 7_200
"""The nightly run begins after 03:00 local time, at a time of its own for each till within two hours."""
_DAY_MS = 86_400_000
_MOST_DAYS = 7
_AFTER_READY_S = 60.0
"""A till that starts sells first."""
_RETRY_S = 3600.0


class ReconciledTill(Protocol):
    """What a ``Reconciler`` needs; a till's background implements it."""

    host_lock: threading.Lock
    """Held while the host is called."""

    def journal(self) -> Journal:
        """Return a connection that no sale uses; raise ``JournalError`` if the journal can't be used."""

    def merchants(self) -> Mapping[str, MerchantClient] | None:
        """Return the merchant accounts in the current settings, by posId, or None if they can't be used."""

    def yield_to_sale(self) -> bool:
        """Wait a short time while a sale is running; return whether none is."""

    def wake(self) -> None:
        """Do the housekeeping soon."""


class Reconciler:
    """Runs the reconciliation of one till, and keeps the result of the last one that finished.

    Args:
        host: the till, guarded.
        till: its background.
        clock: time.
        settings: returns the current settings, or None if they can't be used.

    Attributes:
        is_enabled: whether it starts runs and shows what they found.
    """

    def __init__(
        self, host: GuardedHost, till: ReconciledTill, clock: Clock, settings: Callable[[], Settings | None]
    ) -> None:
        self.is_enabled = False
        self._host = host
        self._till = till
        self._clock = clock
        self._settings = settings
        self._is_loaded = False
        self._last: ReconciliationRow | None = None
        self._due_at: float | None = None
        self._is_stopped = False
        self._thread: threading.Thread | None = None

    def stop(self, timeout_s: float) -> None:
        """Begin no run, and wait for a running one; its requests must have been aborted."""
        self._is_stopped = True
        if self._thread is not None and self._thread.is_alive():
            self._thread.join(timeout_s)

    def do_housekeeping(self, texts: Callable[[], Texts], *, is_ready: bool) -> None:
        """Show what the last run found, and start one if it is due. The caller holds the host's lock.

        Args:
            texts: returns the texts in the cashier's language.
            is_ready: this process is the leader, and the host has acknowledged everything.

        Raises:
            JournalError: the result of the last run can't be read.
        """
        if not self.is_enabled:
            return
        if not self._is_loaded:
            self.load(self._till.journal())
        found = 0 if self._last is None else self._last.differences
        self._host.notice(_NOTICE, texts()(Text.NOTICE_DIFFERENCES, count=found) if found else None)
        now = self._clock.monotonic()
        if not is_ready or self._is_stopped:
            return
        if self._due_at is None:
            self._due_at = now + _AFTER_READY_S
        is_running = self._thread is not None and self._thread.is_alive()
        if now >= self._due_at and not is_running and self._is_due():
            self._due_at = now + _RETRY_S
            self.start_run()

    def load(self, journal: Journal) -> None:
        """Read the result of the last run.

        Raises:
            JournalError: it can't be read.
        """
        self._last, self._is_loaded = journal.last_reconciliation, True

    def start_run(self) -> None:
        """Run in a thread of its own."""
        self._thread = threading.Thread(target=self.run, name="payme-reconciliation", daemon=True)
        self._thread.start()

    def run(self) -> None:
        """Reconcile since the last run and store the result; log what goes wrong."""
        from payme_plugin.operations.receipt_list import ListIncomplete  # noqa: PLC0415 - a till starts without it

        try:
            self._run()
        except (CallFailed, ListIncomplete, JournalError) as error:
            if not self._is_stopped:
                _log.error("the reconciliation is repeated in an hour: %s", error)
        except Exception as error:  # noqa: BLE001 - a thread of the plugin never ends with a traceback in the host's log
            _log.error("the reconciliation met a fault of the plugin: %s", safe_traceback(error))

    def shift_text(self, texts: Texts) -> str | None:
        """Return the result of the last finished run for a shift report, in lines of at most 32 characters, or None."""
        last = self._last
        if last is None:
            return None
        at = time.strftime("%d.%m %H:%M", time.localtime(last.finished_at // 1000))
        heading = texts(Text.SHIFT_RECONCILED, time=at, amount=sums(last.in_journal))
        return f"{heading}\n{texts(Text.SHIFT_COUNTS, agreed=last.agreed, count=last.differences)}"

    def _is_due(self) -> bool:
        """Return whether no run has finished since the last night's time; one that finished later than now is none."""
        now_ms = self._clock.wall_ms()
        own_s = crc32(self._host.identity().encode()) % _SPREAD_S
        today = time.localtime(now_ms // 1000 - own_s)
        days_ago = 0 if today.tm_hour >= _HOUR else 1
        night = (today.tm_year, today.tm_mon, today.tm_mday - days_ago, _HOUR, 0, own_s, 0, 0, -1)
        return self._last is None or not time.mktime(night) * 1000 <= self._last.finished_at <= now_ms

    def _run(self) -> None:
        from payme_plugin.operations import reconciliation  # noqa: PLC0415 - a till starts without it
        from payme_plugin.operations.receipt_list import MARGIN_MS, list_receipts  # noqa: PLC0415

        settings, merchants = self._settings(), self._till.merchants()
        merchant = None if settings is None or merchants is None else merchants.get(settings.pos_id)
        if settings is None or merchant is None:
            return
        end_ms = self._clock.wall_ms()
        begin_ms = end_ms - _MOST_DAYS * _DAY_MS
        # While there are differences every run looks back at all days, or the third night would withdraw the notice.
        if self._last is not None and self._last.finished_at <= end_ms and not self._last.differences:
            begin_ms = max(begin_ms, self._last.finished_at - _DAY_MS)
        client, timeout_s, wait = merchant.client, merchant.limits.timeout_s, self._till.yield_to_sale
        listed = list_receipts(client, self._clock, timeout_s, begin_ms, end_ms, before_page=wait)
        journal, period = self._till.journal(), (begin_ms, end_ms)
        with self._till.host_lock:
            sales = self._host.sales(begin_ms - MARGIN_MS, end_ms + MARGIN_MS)
        stored = reconciliation.read_journal(journal, settings, listed, sales, period)
        is_ours = reconciliation.TillAccounts(settings.account, stored.tills)
        found = reconciliation.reconcile(stored, listed, sales, is_ours, period, as_of_ms=end_ms)
        row = ReconciliationRow(
            finished_at=self._clock.wall_ms(),
            agreed=found.agreed,
            differences=len(found.differences),
            in_journal=found.in_journal,
        )
        journal.store_reconciliation(row)
        self._last = row
        _log.info("reconciled: %d receipts agree, %d differences", row.agreed, row.differences)
        for each in found.differences:
            _log.error("the reconciliation found a difference: %s, receipt %s", each.kind.value, each.match.receipt_id)
        self._till.wake()
