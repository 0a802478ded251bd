"""Everything behind the sales: recovery, housekeeping, the leader lock, the life of the worker, notices."""

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
from payme_plugin.operations.recovery import Recovered, recover
from payme_plugin.operations.results import JOURNAL_NOTICE, journal_notice
from payme_plugin.settings import SettingsError
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Iterator

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
_OLD_MS = 3_600_000
_MANY = 10
_FORGET_AT_ONCE = 100
_DAY_S = 86_400.0
_FORGET_AGAIN_S = 60.0
_STOP_TIMEOUT_S = 2.0
_YIELD_S = 1.0


class Background:
    """The background of one till; a ``Delivery`` for its worker, and the host that delivery may ask.

    Args:
        host: the till, guarded.
        storage: its data folder.
        settings: reads the settings of this moment.
        clients: the client of the worker and the host's queue, not the sale's.
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
        self.closed_receipts = ClosedReceipts(
            storage.journal, lambda: storage.opened.owner.token, clock, self._is_active
        )
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
        """Start the worker, which recovers first; without it, recover in the background.

        Money effect: may cancel, later.
        """
        (self._worker if run_worker else self._recovery).start()

    def stop(self, *, ask_host: bool = True) -> None:
        """End; open work stays durable.

        Args:
            ask_host: first ask the host once more about this process's payments; it must have recorded them by now.

        Money effect: may leave cancellations of payments that the host does not have.
        """
        self.closed_receipts.file_waiting()
        self._recover_or_log(own_too=ask_host)
        self._worker.stop(_STOP_TIMEOUT_S)
        if self._recovery.is_alive():
            self._recovery.join(_STOP_TIMEOUT_S)
        self._leader.release()

    def wake(self, *, retry: bool = False) -> None:
        """Wake the worker, e.g. because a row was just written; see ``Worker.wake``."""
        self._worker.wake(retry=retry)

    def notify(self, key: str, text: str | None) -> None:
        """Show a notice from a thread of the plugin's: only one of them at a time calls the host."""
        with self._worker.host_lock:
            self._host.notice(key, text)

    def queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Handle a message that the host's queue delivers; None: its kind is not ours.

        Money effect: may cancel, the whole amount of one receipt.
        """
        return self._consumer.handle(message, self.texts())

    def texts(self) -> Texts:
        """Return the texts in the cashier's language of this moment."""
        return texts_of(self._current_settings(), self._host)

    @contextlib.contextmanager
    def active_payment(self, payment_id: str) -> Iterator[None]:
        """Leave a payment to its hook for the time of the block; decide about all others before it.

        Raises:
            AnotherTill: another living process is the leader: its host's answers and this one's may contradict.
            JournalError: nobody can tell whether there is one.
        """
        if self.closed_receipts.waiting:
            self.closed_receipts.file_waiting()
        with self._changed:
            self._active = payment_id
        try:
            self._recover_as_leader()
            yield
        finally:
            with self._changed:
                self._active = None
                self._changed.notify_all()

    def recover(self, *, own_too: bool) -> Recovered | None:
        """Decide about unfinished payments; None, with a notice: another process is the leader.

        Args:
            own_too: also about this process's own but the active one. Only on the host's thread, because the host has
                recorded their results; else only about those of dead processes.

        Raises:
            JournalError: the journal can't be used.
        """
        journal = self._storage.journal()
        is_leader = self._leads()
        self._host.notice(_ANOTHER_TILL_NOTICE, None if is_leader else self.texts()(Text.NOTICE_ANOTHER_TILL))
        if not is_leader:
            return None
        owner = self._storage.opened.owner

        def may_decide(row: PaymentRow) -> bool:
            if row.owner == owner.token:
                return own_too and not self._is_active(row.payment_id)
            return not owner.is_alive(row.owner)

        recovered = recover(journal, may_decide, lambda row: self._host.is_recorded(row.payment_id), self.texts())
        self._is_recovered = True
        # This process's own payments stay with it until the host decides, so they need no notice.
        left = sum(row.owner != owner.token for row in recovered.kept)
        self._notify_count(_RECOVERY_NOTICE, Text.NOTICE_PAYMENTS_KEPT, left)
        self._notify_count(_TOO_OLD_NOTICE, Text.NOTICE_PAYMENTS_TOO_OLD, len(recovered.too_old))
        if recovered.cancelled:
            self.wake()
        return recovered

    # ------------------------------------------------------------------------------------------------------------------
    # For the worker and the host's queue
    # ------------------------------------------------------------------------------------------------------------------

    def processor(self) -> CancellationProcessor:
        """Return what works on the cancellations, over a connection of its own.

        Raises:
            JournalError: the journal can't be used, or another file is in its place.
        """
        fault = self._storage.fault()
        # A deleted journal is gone when this process ends, so what it owes is returned now or never.
        if isinstance(fault, FileMoved) and fault.is_replaced:
            raise fault
        with self._lock:
            if self._processor is None:
                journal = self._storage.another_journal()
                self._processor = CancellationProcessor(journal, self._storage.opened.leases, self, self._clock)
            return self._processor

    def merchant(self) -> MerchantClient | None:
        """Return the merchant account in the settings of this moment, or None if they can't be used."""
        settings = self._current_settings()
        return None if settings is None else self._clients.merchant(settings)

    def before_round(self) -> None:
        """Do the housekeeping; nothing in it holds up a cancellation, which needs no room on the disk."""
        self.closed_receipts.file_waiting()
        if not self._is_recovered:
            self._recover_or_log(own_too=False)
        self._forget_finished()
        self._consumer.refresh_notice()
        fault = self._storage.fault()
        if fault is not None:
            self._host.notice(JOURNAL_NOTICE, self.texts()(journal_notice(fault)))
        live, oldest = self.processor().cancellations.backlog()
        is_old = oldest is not None and self._clock.wall_ms() - oldest > _OLD_MS
        self._notify_count(_BACKLOG_NOTICE, Text.NOTICE_CANCELLATIONS_WAIT, live if is_old or live > _MANY else 0)

    def yield_to_sale(self) -> None:
        """Wait up to 1 s while a money hook runs: Python runs one thread at a time, so each commit would be delayed."""
        with self._changed:
            self._changed.wait_for(lambda: self._active is None, _YIELD_S)

    def cut_off(self) -> None:
        """Abort the worker's request under way and send no other."""
        self._clients.close()

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return the host's answer; None if another till is the leader, because this host knows nothing of its sales.

        Raises:
            JournalError: nobody can tell which process is the leader.
        """
        return self._host.is_recorded(payment_id) if self._leads() else None

    def enqueue(self, message: QueueMessage) -> bool:
        """Return whether the host's queue took a message; it is not offered one of another till's.

        Raises:
            JournalError: nobody can tell which process is the leader.
        """
        return self._leads() and self._host.enqueue(message)

    def _leads(self) -> bool:
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
            if self.recover(own_too=True) is None:
                message = "another till works with this folder, and decides about its payments"
                raise AnotherTill(message)
        except JournalError as error:
            if not self._leader.is_leader:
                raise
            _log.error("recovery waits: %s", error)

    def _recover_or_log(self, *, own_too: bool) -> None:
        try:
            self.recover(own_too=own_too)
        except JournalError as error:
            _log.error("recovery waits: %s", error)

    def _recover_once(self) -> None:
        with self._worker.host_lock:
            self._recover_or_log(own_too=False)

    def _notify_count(self, key: str, text: Text, count: int) -> None:
        self._host.notice(key, self.texts()(text, count=count) if count else None)

    def _forget_finished(self) -> None:
        """Once a day, delete some payments older than ``keepDays``, and go on at once while there are more."""
        now = self._clock.monotonic()
        settings = self._current_settings() if now >= self._forget_at else None
        if settings is None:
            return
        try:
            forgotten = forget_finished(self.processor().journal, settings.keep_days, _FORGET_AT_ONCE)
        except JournalError as error:
            # Damage stays; a full disk may have room again soon, but must not fill the log.
            self._forget_at = now + (_DAY_S if isinstance(error, Damaged) else _FORGET_AGAIN_S)
            _log.error("finished payments can't be forgotten now: %s", error)
            return
        self._forget_at = now if forgotten == _FORGET_AT_ONCE else now + _DAY_S
        if forgotten:
            _log.info("%d payments older than keepDays were forgotten", forgotten)


def texts_of(settings: Settings | None, host: GuardedHost) -> Texts:
    """Return the texts in the language of the settings, or else of the host."""
    chosen = settings.language if settings is not None else None
    return Texts(chosen or host.language(_DEFAULT_LANGUAGE))
