"""The background of one till: orphans, housekeeping, the leader lock, the worker, notices."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import TYPE_CHECKING

from payme_plugin.delivery.host_queue import QueueConsumer
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.delivery.relay import RelayCache
from payme_plugin.delivery.worker import Worker
from payme_plugin.ledger.errors import AnotherTill, Damaged, FileMoved, JournalError, Unavailable, Unstorable
from payme_plugin.ledger.locks import LEADER, LeaderLock
from payme_plugin.ledger.retention import check_states, forget_finished
from payme_plugin.ledger.states import Hold
from payme_plugin.log import Log
from payme_plugin.operations.recovery import cancel_orphans
from payme_plugin.operations.refund_rules import sums
from payme_plugin.operations.results import JOURNAL_NOTICE, SALE_NOTICE, journal_notice, store_unstored
from payme_plugin.reconciler import Reconciler
from payme_plugin.settings import SettingsError
from payme_plugin.texts import Text, Texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from hookspecs import QueueMessage, QueueVerdict, Receipt
    from payme_plugin.clock import Clock
    from payme_plugin.delivery.relay import Relay
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.operations.cancellation import MerchantClient
    from payme_plugin.operations.host_guard import GuardedHost
    from payme_plugin.service import ClientCache, Storage
    from payme_plugin.settings import Settings, SettingsReader

_log = Log()

_TOO_OLD_NOTICE = "payme.recovery.too_old"
_NOT_READY_NOTICE = "payme.not_ready"
_PENDING_NOTICE = "payme.pending"
_UNACKNOWLEDGED_NOTICE = "payme.unacknowledged"
_KEY_NOTICE = "payme.cancellations.key"
_UNKNOWN_NOTICE = "payme.cancellations.unknown"
_LINKS_NOTICE = "payme.fiscal_links"
_BACKLOG_NOTICE = "payme.cancellations"
_REOPENED_NOTICE = "payme.cancellations.reopened"
_ANOTHER_TILL_NOTICE = "payme.another_till"
_BUSY_NOTICE = "payme.cancellations.busy"
_BROKER_NOTICE = "payme.broker"
_DEFAULT_LANGUAGE = "ru"
_MAX_LIVE_AGE_MS = 3_600_000
_LATE_MS = 600_000
_MAX_LIVE = 10
_FORGET_AT_ONCE = 20
"""With ten events each, these hold the journal's lock for about a millisecond; a sale may wait for it."""
_DAY_S = 86_400.0
_FORGET_AGAIN_S = 60.0
_STOP_TIMEOUT_S = 2.0
_YIELD_S = 1.0
_LOOK_SHARE = 100
"""A look at 10,000 live rows takes 6 ms, in which a sale may wait for the processor, and one at a million takes
seconds: no more than a hundredth of the time is spent on looks."""
_LOOK_AFTER_FAULT_S = 20.0
_LONGEST_LOOK_PAUSE_S = 600.0
"""A look may be long for another reason, e.g. because the host was slow to show a notice."""


class Background:
    """The background of one till; it implements ``Delivery`` and ``DeliveryHost`` for its worker.

    Args:
        host: the till, guarded.
        storage: its data folder.
        settings: reads the current settings.
        clients: the client of the worker and the host's queue; a sale has another.
        clock: time.

    Attributes:
        pending: the payments whose last answer was PENDING, and since when, on the monotonic clock.
        reconciler: compares the journal with Payme and the host's sales once a night.
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
        self.pending: dict[str, float] = {}
        self._unstored: set[str] = set()
        self._late: set[str] = set()
        self._lock = threading.Lock()
        self._changed = threading.Condition()
        self._active: str | None = None
        self._processor: CancellationProcessor | None = None
        self._is_ready = False
        self._started_at = clock.monotonic()
        self._forget_at = self._look_again_at = float("-inf")
        self._checked_to: int | None = 0
        self._consumer = QueueConsumer(host, self)
        self._worker = Worker(self, clock)
        self._relays = RelayCache(clock, self.wake)
        self.host_lock = self._worker.host_lock
        self.reconciler = Reconciler(host, self, clock, self._current_settings)

    def start(self, *, run_worker: bool) -> None:
        """Start the worker, if this process has one."""
        if run_worker:
            self.reconciler.is_enabled = True
            self._worker.start()

    def stop(self) -> None:
        """End the worker, within 2 s; unfinished work is durable."""
        ends_at = self._clock.monotonic() + _STOP_TIMEOUT_S
        self._worker.stop(0.0)
        self.store_results()
        self._worker.stop(max(0.0, ends_at - self._clock.monotonic()))
        self.reconciler.stop(max(0.0, ends_at - self._clock.monotonic()))
        self._leader.release()

    def wake(self, *, retry: bool = False) -> None:
        """Wake the worker, e.g. because a row was just written; see ``Worker.wake``."""
        self._worker.wake(retry=retry)

    def notify(self, key: str, text: str | None) -> None:
        """Show a notice from a thread of the plugin, but not after the stop; one thread at a time calls the host."""
        with self._worker.host_lock:
            if not self._worker.has_stopped:
                self._host.notice(key, text)

    def queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Handle a message of the host's queue; return None if its kind is not ours.

        Money effect: may cancel, the whole amount of one receipt.
        """
        return self._consumer.handle(message, self.texts())

    def texts(self) -> Texts:
        """Return the texts in the cashier's current language."""
        return texts_of(self._current_settings(), self._host)

    # ------------------------------------------------------------------------------------------------------------------
    # For the money hooks
    # ------------------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def active_payment(self, payment_id: str) -> Iterator[None]:
        """Reserve a payment for its hook until the block ends, as the leader.

        Raises:
            AnotherTill: another live process is the leader.
            JournalError: the leader can't be determined, or an earlier result of this payment can't be stored.
        """
        self._require_leader()
        self.store_results()
        if payment_id in self._unstored:
            message = f"the earlier result of payment {payment_id} can't be stored"
            raise Unavailable(message)
        with self.active(payment_id):
            yield

    @contextlib.contextmanager
    def active(self, payment_id: str) -> Iterator[None]:
        """Let the worker yield to the hook that works on this payment, until the block ends."""
        with self._changed:
            self._active = payment_id
        try:
            yield
        finally:
            with self._changed:
                self._active = None
                self._changed.notify_all()

    def keep_result(self, payment_id: str) -> None:
        """Keep a payment whose result was returned but could not be stored, until ``store_results`` can end it."""
        self._unstored.add(payment_id)
        self.wake()

    def store_results(self) -> None:
        """Try once to end each payment that was kept, with a cancellation if it may be charged; raise nothing."""
        for payment_id in list(self._unstored):
            try:
                store_unstored(self._storage.opened.journal, payment_id, self.texts())
            except JournalError as error:
                _log.error("the result of payment %s can't be stored now: %s", payment_id, error)
                if isinstance(error, Unavailable) and not isinstance(error, Unstorable):
                    return  # the others would wait for the same lock or disk, one after the other
                continue
            self._unstored.discard(payment_id)
            self.wake()

    def decide_orphans(self) -> None:
        """Cancel what earlier processes left; the host has repeated and acknowledged everything that it has.

        Raises:
            AnotherTill: another live process is the leader.
            JournalError: not every payment could be decided.
        """
        journal = self._storage.journal()
        self._require_leader()
        if cancel_orphans(journal, self._storage.owner, self.pending, self.texts()):
            self.wake()
        # A pending payment that the journal does not have must still be looked for in Payme's list.
        if all(journal.find(payment_id) for payment_id in self.pending):
            journal.mark_ready()
        if not self._is_ready:
            lost = [row for row in journal.in_open_sales() if row.owner != self._storage.owner]
            for row in lost:
                if self._host.is_recorded(row.payment_id) is False:
                    _log.error("payment %s is recorded, but the till does not have it", row.payment_id)
                    self._host.notice(SALE_NOTICE, self.texts()(Text.NOTICE_SALE_LOST, number=row.number))
        self._is_ready = True

    def notify_unacknowledged(self, sale: Receipt | None = None) -> None:
        """Show a notice for payments whose PAID was returned and that the host has neither acknowledged nor cancelled.

        Args:
            sale: the sale of a payment that begins: any of an earlier sale is late. None: those of 10 minutes ago, and
                those that were late before.
        """
        limit, named = self._clock.wall_ms() - _LATE_MS, None if sale is None else (sale.shift, sale.number)
        late = [
            row
            for row in self._storage.opened.journal.unacknowledged(self._storage.owner)
            if row.updated_at < limit or row.payment_id in self._late or named not in {None, (row.shift, row.number)}
        ]
        self._late = {row.payment_id for row in late}
        values = {"amount": sums(late[0].amount), "number": late[0].number} if late else {}
        self._notify(_UNACKNOWLEDGED_NOTICE, Text.NOTICE_UNACKNOWLEDGED, len(late), **values)

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
                journal.before_writing = self._worker.yield_before_commit
                self._processor = CancellationProcessor(journal, self._storage.opened.leases, self, self._clock)
            return self._processor

    def journal(self) -> Journal:
        """Return the worker's connection to the journal; raise ``JournalError`` as ``processor``."""
        return self.processor().journal

    def merchants(self) -> Mapping[str, MerchantClient] | None:
        """Return the merchant accounts in the current settings, by posId, or None if they can't be used."""
        settings = self._current_settings()
        return None if settings is None else self._clients.merchants(settings)

    def relay(self) -> Relay | None:
        """Return the relay to the central workers of a chain, or None if the settings name no broker."""
        return self._relays.of(self._current_settings())

    def do_housekeeping(self) -> None:
        """Store what could not be stored, delete old payments and update the notices."""
        self.store_results()
        self._forget_finished()
        limit = self._clock.monotonic() - _LATE_MS / 1000
        self._notify(_NOT_READY_NOTICE, Text.NOTICE_NOT_READY, self._started_at < limit and not self._is_ready)
        pending = sum(since < limit for since in list(self.pending.values()))
        self._notify(_PENDING_NOTICE, Text.NOTICE_PENDING, pending)
        with contextlib.suppress(JournalError):  # the journal has a notice of its own
            self.notify_unacknowledged()
        fault = self._storage.fault()
        if fault is not None:
            self._host.notice(JOURNAL_NOTICE, self.texts()(journal_notice(fault)))
        processor = self.processor()
        self._notify_busy_lease(processor)
        self._notify_deliveries(processor)
        self.reconciler.do_housekeeping(self.texts, is_ready=self._is_ready and self._leader.is_leader)
        began_at = self._clock.monotonic()
        if began_at >= self._look_again_at and not self._worker.has_stopped:
            self._look_again_at = began_at + _LOOK_AFTER_FAULT_S
            self._notify_cancellations(processor)
            ended_at = self._clock.monotonic()
            pause_s = min((_LOOK_SHARE - 1) * (ended_at - began_at), _LONGEST_LOOK_PAUSE_S)
            self._look_again_at = ended_at + pause_s

    def _notify_deliveries(self, processor: CancellationProcessor) -> None:
        """Show what the last deliveries met: a broker that refuses, fiscal receipts given up, the wrong server."""
        relay = self.relay()
        self._notify(_BROKER_NOTICE, Text.NOTICE_BROKER, relay is not None and relay.needs_operator)
        self._notify(_LINKS_NOTICE, Text.NOTICE_FISCAL_LINKS_ENDED, processor.links_ended)
        unknown_at = list(processor.unknown_at.values())
        made_at, asked_at = unknown_at[0] if unknown_at else ("", "")
        count = len(unknown_at)
        self._notify(_UNKNOWN_NOTICE, Text.NOTICE_RECEIPT_UNKNOWN, count, made_at=made_at, asked_at=asked_at)

    def _notify_cancellations(self, processor: CancellationProcessor) -> None:
        """Look at all live rows; show what keeps money from its return: a missing key, age, or only the wait."""
        rows, merchants = processor.cancellations, self.merchants()
        if merchants is not None:
            missing = sorted(rows.accounts() - merchants.keys())
            self._notify(_KEY_NOTICE, Text.NOTICE_KEY_MISSING, len(missing), pos_id="".join(missing[:1]))
        self._notify(_TOO_OLD_NOTICE, Text.NOTICE_PAYMENTS_TOO_OLD, rows.held(Hold.OLD))
        live, oldest, reopened = rows.backlog()
        self._notify(_REOPENED_NOTICE, Text.NOTICE_CANCELLATIONS_REOPENED, reopened)
        is_old = oldest is not None and self._clock.wall_ms() - oldest > _MAX_LIVE_AGE_MS
        self._notify(_BACKLOG_NOTICE, Text.NOTICE_CANCELLATIONS_WAIT, live if is_old or live > _MAX_LIVE else 0)

    def yield_to_sale(self) -> bool:
        """Wait up to 1 s while a money hook runs, because a busy worker would delay its commits.

        Returns:
            Whether no money hook runs now.
        """
        with self._changed:
            return self._changed.wait_for(lambda: self._active is None, _YIELD_S)

    def abort_requests(self) -> None:
        """Abort the worker's running request or query and send no other request."""
        if self._processor is not None:
            self._processor.journal.interrupt()
        self._relays.close()
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
        except SettingsError as error:
            return error.for_returns

    def _require_leader(self) -> None:
        is_leader = self._try_lead()
        holder = None if is_leader else self._storage.opened.leases.holder(LEADER) or "?"
        self._notify(_ANOTHER_TILL_NOTICE, Text.NOTICE_ANOTHER_TILL, not is_leader, process=holder)
        if not is_leader:
            message = "another process works with this folder, and decides about its payments"
            raise AnotherTill(message)

    def _notify(self, key: str, text: Text, count: int, **values: object) -> None:
        """Show a notice, which may name the count; withdraw it if the count is 0."""
        self._host.notice(key, self.texts()(text, count=count, **values) if count else None)

    def _notify_busy_lease(self, processor: CancellationProcessor) -> None:
        """Show which other process has held the lease of a cancellation for more than two timeouts."""
        busy, leases = processor.busy, self._storage.opened.leases
        settings, now, text = self._current_settings() if busy else None, self._clock.monotonic(), None
        for number, since in list(busy.items()):
            with leases.try_acquire(number) as is_free:
                pass
            if is_free:
                busy.pop(number, None)
                self.wake(retry=True)
            elif text is None and settings is not None and now - since > 2 * settings.timeout_s:
                holder = leases.holder(number)
                text = None if holder == os.getpid() else self.texts()(Text.NOTICE_LEASE_BUSY, process=holder or "?")
        self._host.notice(_BUSY_NOTICE, text)

    def _forget_finished(self) -> None:
        """Once a day check all states, 10,000 rows at a time, then delete what is old, 20 payments at a time."""
        now = self._clock.monotonic()
        settings = self._current_settings() if now >= self._forget_at else None
        if settings is None:
            return
        try:
            journal = self.processor().journal
            # If results can't be stored nothing can be deleted either, and a stop would have to wait for the attempt.
            if self._unstored or self._active is not None:
                return
            if self._checked_to is not None:
                self._checked_to = check_states(journal, self._checked_to)
            if self._checked_to is not None:
                return
            forgotten = forget_finished(journal, settings.keep_days, _FORGET_AT_ONCE)
        except JournalError as error:
            # Damage stays. A full disk may soon have room again, but retries must not fill the log.
            self._forget_at = now + (_DAY_S if isinstance(error, Damaged) else _FORGET_AGAIN_S)
            _log.error("finished payments can't be forgotten now: %s", error)
            return
        if forgotten < _FORGET_AT_ONCE:
            self._forget_at, self._checked_to = now + _DAY_S, 0
        if forgotten:
            _log.info("%d payments older than keepDays were forgotten", forgotten)


def texts_of(settings: Settings | None, host: GuardedHost) -> Texts:
    """Return the texts in the language of the settings, else in that of the host."""
    chosen = settings.language if settings is not None else None
    return Texts(chosen or host.language(_DEFAULT_LANGUAGE))
