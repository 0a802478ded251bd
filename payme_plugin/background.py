"""The background of one till: recovery, housekeeping, the leader lock, the worker, notices."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING

from payme_plugin.delivery.host_queue import QueueConsumer
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.delivery.worker import Worker
from payme_plugin.ledger.errors import AnotherTill, Damaged, FileMoved, JournalError
from payme_plugin.ledger.locks import LeaderLock
from payme_plugin.ledger.retention import forget_finished
from payme_plugin.log import Log
from payme_plugin.operations.closed_receipts import ClosedReceipts
from payme_plugin.operations.recovery import Outcome, recover
from payme_plugin.operations.results import JOURNAL_NOTICE, journal_notice
from payme_plugin.settings import SettingsError
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hookspecs import QueueMessage, QueueVerdict
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.cancellation import MerchantClient
    from payme_plugin.operations.host_guard import GuardedHost
    from payme_plugin.service import ClientCache, Storage
    from payme_plugin.settings import Settings, SettingsReader

__all__ = ["Background", "texts_of"]

_log = Log()

_RECOVERY_NOTICE = "payme.recovery"
_TOO_OLD_NOTICE = "payme.recovery.too_old"
_BACKLOG_NOTICE = "payme.cancellations"
_ANOTHER_TILL_NOTICE = "payme.another_till"
_DEFAULT_LANGUAGE = "ru"
_MAX_LIVE_AGE_MS = 3_600_000
_MAX_LIVE = 10
_FORGET_AT_ONCE = 100
_DAY_S = 86_400.0
_FORGET_AGAIN_S = 60.0
_STOP_TIMEOUT_S = 2.0
_YIELD_S = 1.0


class Background:
    """The background of one till; it implements ``Delivery`` and ``DeliveryHost`` for its worker.

    Args:
        host: the till, guarded.
        storage: its data folder.
        settings: reads the current settings.
        clients: the client of the worker and the host's queue; a sale has another.
        clock: time.

    Attributes:
        closed_receipts: the receipts that the host closed.
    """

    def __init__(
        self, host: GuardedHost, storage: Storage, settings: SettingsReader, clients: ClientCache, clock: Clock
    ) -> None:
        self._host = host
        self._storage = storage
        self._settings = settings
        self._clients = clients
        self._clock = clock
        self._leader = LeaderLock()
        self.closed_receipts = ClosedReceipts(storage.journal, storage.owner, clock, self._is_active)
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._active: str | None = None
        self._processor: CancellationProcessor | None = None
        self._is_recovered = False
        self._forget_at = float("-inf")
        self._consumer = QueueConsumer(host, self, clock)
        self._worker = Worker(self, clock)
        self._recovery = threading.Thread(target=self._recover_once, name="payme-recovery", daemon=True)

    def start(self, *, run_worker: bool) -> None:
        """Start the worker, which recovers first; without a worker, recover in another thread.

        It asks the host, which may hold a lock while it starts its plugins.
        """
        (self._worker if run_worker else self._recovery).start()

    def stop(self, *, ask_host: bool = True) -> None:
        """End the worker; unfinished work is durable.

        Args:
            ask_host: first ask the host about this process's payments; those that it does not have are cancelled. The
                host must have recorded all results.
        """
        self.closed_receipts.store_waiting()
        self._recover_or_log(include_own=ask_host)
        self._worker.stop(_STOP_TIMEOUT_S)
        if self._recovery.is_alive():
            self._recovery.join(_STOP_TIMEOUT_S)
        self._leader.release()

    def wake(self, *, retry: bool = False) -> None:
        """Wake the worker, e.g. because a row was just written; see ``Worker.wake``."""
        self._worker.wake(retry=retry)

    def notify(self, key: str, text: str | None) -> None:
        """Show a notice from a thread of the plugin; one such thread at a time calls the host."""
        with self._worker.host_lock:
            self._host.notice(key, text)

    def queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Handle a message of the host's queue; return None if its kind is not ours.

        Money effect: may cancel, the whole amount of one receipt.
        """
        return self._consumer.handle(message, self.texts())

    def texts(self) -> Texts:
        """Return the texts in the cashier's current language."""
        return texts_of(self._current_settings(), self._host)

    @contextlib.contextmanager
    def active_payment(self, payment_id: str) -> Iterator[None]:
        """Recover all other payments, then reserve this one for its hook until the block ends.

        Raises:
            AnotherTill: another live process is the leader; its host's answers may contradict this host's.
            JournalError: the leader can't be determined.
        """
        if self.closed_receipts.waiting:
            self.closed_receipts.store_waiting()
        with self._changed:
            self._active = payment_id
        try:
            self._recover_as_leader()
            yield
        finally:
            with self._changed:
                self._active = None
                self._changed.notify_all()

    def recover(self, *, include_own: bool) -> Mapping[Outcome, list[PaymentRow]] | None:
        """Decide unfinished payments; if another process is the leader, show a notice and return None.

        Args:
            include_own: also decide this process's own payments except the active one; else only those of dead
                processes. Use it only on the host's thread, because the host has recorded their results there.

        Raises:
            JournalError: the journal can't be used.
        """
        journal = self._storage.journal()
        is_leader = self._try_lead()
        self._host.notice(_ANOTHER_TILL_NOTICE, None if is_leader else self.texts()(Text.NOTICE_ANOTHER_TILL))
        if not is_leader:
            return None
        owner = self._storage.owner

        def may_decide(row: PaymentRow) -> bool:
            # Only the leader takes payments, so whoever else began one has ended.
            return row.owner != owner or (include_own and not self._is_active(row.payment_id))

        recovered = recover(journal, may_decide, lambda row: self._host.is_recorded(row.payment_id), self.texts())
        self._is_recovered = True
        # This process decides its own payments when the host answers, so they need no notice.
        left = sum(row.owner != owner for row in recovered[Outcome.KEPT])
        self._notify_count(_RECOVERY_NOTICE, Text.NOTICE_PAYMENTS_KEPT, left)
        self._notify_count(_TOO_OLD_NOTICE, Text.NOTICE_PAYMENTS_TOO_OLD, len(recovered[Outcome.TOO_OLD]))
        if recovered[Outcome.CANCELLED]:
            self.wake()
        return recovered

    # ------------------------------------------------------------------------------------------------------------------
    # For the worker and the host's queue
    # ------------------------------------------------------------------------------------------------------------------

    def processor(self) -> CancellationProcessor:
        """Return the processor of the cancellations; it has its own connection.

        Raises:
            JournalError: the journal can't be used, or another file is in its place.
        """
        fault = self._storage.fault()
        # A deleted journal is lost when this process ends, so its cancellations must be delivered now.
        if isinstance(fault, FileMoved) and fault.is_replaced:
            raise fault
        with self._lock:
            if self._processor is None:
                journal = self._storage.another_journal()
                self._processor = CancellationProcessor(journal, self._storage.opened.leases, self, self._clock)
            return self._processor

    def merchant(self) -> MerchantClient | None:
        """Return the merchant account in the current settings, or None if they can't be used."""
        settings = self._current_settings()
        return None if settings is None else self._clients.merchant(settings)

    def do_housekeeping(self) -> None:
        """Store waiting receipts, recover, delete old payments and update the notices."""
        self.closed_receipts.store_waiting()
        if not self._is_recovered:
            self._recover_or_log(include_own=False)
        self._forget_finished()
        self._consumer.refresh_notice()
        fault = self._storage.fault()
        if fault is not None:
            self._host.notice(JOURNAL_NOTICE, self.texts()(journal_notice(fault)))
        live, oldest = self.processor().cancellations.backlog()
        is_old = oldest is not None and self._clock.wall_ms() - oldest > _MAX_LIVE_AGE_MS
        self._notify_count(_BACKLOG_NOTICE, Text.NOTICE_CANCELLATIONS_WAIT, live if is_old or live > _MAX_LIVE else 0)

    def yield_to_sale(self) -> None:
        """Wait up to 1 s while a money hook runs, because a busy worker would delay its commits."""
        with self._changed:
            self._changed.wait_for(lambda: self._active is None, _YIELD_S)

    def abort_requests(self) -> None:
        """Abort the worker's running request and send no other."""
        self._clients.close()

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return the host's answer; None if another till, with sales of its own, is the leader.

        Raises:
            JournalError: the leader can't be determined.
        """
        return self._host.is_recorded(payment_id) if self._try_lead() else None

    def enqueue(self, message: QueueMessage) -> bool:
        """Return whether the host's queue took a message; only the leader offers it one.

        Raises:
            JournalError: the leader can't be determined.
        """
        return self._try_lead() and self._host.enqueue(message)

    def _try_lead(self) -> bool:
        return self._leader.acquire(self._storage.opened.leases)

    def _current_settings(self) -> Settings | None:
        try:
            return self._settings.read()
        except SettingsError:
            return None

    def _is_active(self, payment_id: str) -> bool:
        return payment_id == self._active

    def _recover_as_leader(self) -> None:
        try:
            if self.recover(include_own=True) is None:
                message = "another till works with this folder, and decides about its payments"
                raise AnotherTill(message)
        except JournalError as error:
            if not self._leader.is_leader:
                raise
            _log.error("recovery waits: %s", error)

    def _recover_or_log(self, *, include_own: bool) -> None:
        try:
            self.recover(include_own=include_own)
        except JournalError as error:
            _log.error("recovery waits: %s", error)

    def _recover_once(self) -> None:
        with self._worker.host_lock:
            self._recover_or_log(include_own=False)

    def _notify_count(self, key: str, text: Text, count: int) -> None:
        self._host.notice(key, self.texts()(text, count=count) if count else None)

    def _forget_finished(self) -> None:
        """Delete payments older than ``keepDays``, 100 at a time, once a day."""
        now = self._clock.monotonic()
        settings = self._current_settings() if now >= self._forget_at else None
        if settings is None:
            return
        try:
            forgotten = forget_finished(self.processor().journal, settings.keep_days, _FORGET_AT_ONCE)
        except JournalError as error:
            # Damage stays. A full disk may soon have room again, but retries must not fill the log.
            self._forget_at = now + (_DAY_S if isinstance(error, Damaged) else _FORGET_AGAIN_S)
            _log.error("finished payments can't be forgotten now: %s", error)
            return
        self._forget_at = now if forgotten == _FORGET_AT_ONCE else now + _DAY_S
        if forgotten:
            _log.info("%d payments older than keepDays were forgotten", forgotten)


def texts_of(settings: Settings | None, host: GuardedHost) -> Texts:
    """Return the texts in the language of the settings, else in that of the host."""
    chosen = settings.language if settings is not None else None
    return Texts(chosen or host.language(_DEFAULT_LANGUAGE))
