"""What goes on behind the sales: recovery of what an earlier run left, delivery of cancellations, and their notices."""

from __future__ import annotations

import contextlib
import secrets
import threading
from functools import partial
from typing import TYPE_CHECKING

from payme_plugin.delivery.desks import Desks
from payme_plugin.delivery.host_queue import QueueConsumer
from payme_plugin.delivery.leader import LeaderLock
from payme_plugin.delivery.processor import CancellationProcessor
from payme_plugin.delivery.worker import Surroundings, Worker
from payme_plugin.ledger.errors import AnotherTill, Damaged, FileMoved, JournalError
from payme_plugin.ledger.retention import forget_finished
from payme_plugin.log import Log
from payme_plugin.operations.closed_receipts import ClosedReceipts
from payme_plugin.operations.recovery import Recovered, recover
from payme_plugin.operations.results import JOURNAL_NOTICE, journal_notice
from payme_plugin.settings import SettingsError
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hookspecs import QueueMessage, QueueVerdict
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.cancellation import MerchantClient
    from payme_plugin.operations.host_guard import GuardedHost
    from payme_plugin.paymego.client import PaymeGoClient
    from payme_plugin.settings import Settings
    from payme_plugin.storage import Storage
    from payme_plugin.texts import Texts

__all__ = ["Background"]

_log = Log()

_RECOVERY_NOTICE = "payme.recovery"
_TOO_OLD_NOTICE = "payme.recovery.too_old"
_BACKLOG_NOTICE = "payme.cancellations"
_ANOTHER_TILL_NOTICE = "payme.another_till"
_OLD_MS = 3_600_000
_MANY = 10
_JITTER_STEPS = 1000
_FORGET_AT_ONCE = 100
_DAY_S = 86_400.0
_FORGET_AGAIN_S = 60.0
_STOP_TIMEOUT_S = 2.0
_GIVES_WAY_S = 1.0
_HOST_QUEUE = -1


class Background:
    """The background of one till.

    Args:
        host: the till, guarded.
        storage: its data folder.
        settings: gives the settings of this moment; raises ``SettingsError`` where there are none.
        texts: gives the cashier's language of this moment.
        new_client: makes a client for the kassa in the settings, apart from the sale's.
        clock: time.

    Attributes:
        closed_receipts: what the host told of receipts that closed.
    """

    def __init__(
        self,
        host: GuardedHost,
        storage: Storage,
        *,
        settings: Callable[[], Settings],
        texts: Callable[[], Texts],
        new_client: Callable[[Settings], PaymeGoClient],
        clock: Clock,
    ) -> None:
        self._host = host
        self._storage = storage
        self._settings = settings
        self._texts = texts
        self._clock = clock
        self._desks = Desks(new_client)
        self._decider = LeaderLock(lambda: storage.leases, clock)
        self.closed_receipts = ClosedReceipts(storage.journal, lambda: storage.owner.token, clock, self._is_in_hand)
        self._turn = threading.Lock()
        self._is_recovered = False
        self._in_hand: str | None = None
        self._nothing_in_hand = threading.Event()
        self._nothing_in_hand.set()
        self._rounds: CancellationProcessor | None = None
        self._forget_at = float("-inf")
        self._worker: Worker | None = None
        self._recovery: threading.Thread | None = None
        self._inbox = QueueConsumer(
            host,
            rounds=self.rounds,
            kassa=partial(self.kassa, _HOST_QUEUE),
            is_recorded=self._told_by_host,
            texts=texts,
            clock=clock,
        )

    def start(self, *, run_worker: bool) -> None:
        """Begin: recover in the background, and deliver unless another process does.

        Money effect: may cancel, later.
        """
        if not run_worker:
            self._recovery = threading.Thread(target=self._recover_in_turn, name="payme-recovery", daemon=True)
            self._recovery.start()
            return
        self._worker = Worker(self.rounds, self._surroundings(), self.desk, self._clock)
        self._worker.start()

    def stop(self, *, ask_host: bool = True) -> None:
        """End; open work stays durable.

        Args:
            ask_host: first ask the host once more about this process's payments; it must have recorded them by now.

        Money effect: may leave cancellations of payments that the host does not have.
        """
        self.closed_receipts.file_waiting()
        self._recover_quietly(own_too=ask_host)
        if self._worker is not None:
            self._worker.stop(_STOP_TIMEOUT_S, self.cut_off)
        if self._recovery is not None:
            self._recovery.join(_STOP_TIMEOUT_S)
        self.cut_off()
        self._decider.release()

    def cut_off(self) -> None:
        """Shut the connections of the deliveries under way, and open none any more."""
        self._desks.close()

    def tell_in_turn(self, key: str, text: str | None) -> None:
        """Show a notice from a thread of the plugin's: only one of them at a time calls the host."""
        with self._turn:
            self._host.notice(key, text)

    def wake(self) -> None:
        """A cancellation was just written: let the worker look at once."""
        if self._worker is not None:
            self._worker.wake()

    @contextlib.contextmanager
    def in_hand(self, payment_id: str) -> Iterator[None]:
        """Leave a payment to its hook for the time of a block; decide about the others before it begins.

        Raises:
            AnotherTill: another living process decides here: its host's word and this one's would contradict.
            JournalError: nobody can tell whether one does.

        Money effect: none at once; other payments that the host does not have are cancelled later.
        """
        self._nothing_in_hand.clear()
        try:
            self.closed_receipts.file_waiting()
            self._in_hand = payment_id
            self._require_decider()
            yield
        finally:
            self._in_hand = None
            self._nothing_in_hand.set()

    def _is_in_hand(self, payment_id: str) -> bool:
        return payment_id == self._in_hand

    def recover(self, *, own_too: bool) -> Recovered | None:
        """Decide about unfinished payments; None, with a notice, where another process is the one that decides.

        Args:
            own_too: also about this process's own, but the one in hand: on the host's thread alone, which has recorded
                what it was told; else only about those of dead processes.

        Raises:
            JournalError: the journal can't be used.

        Money effect: none at once; cancellations are carried out later.
        """
        journal = self._storage.journal()
        decides = self._decider.decides()
        self._host.notice(_ANOTHER_TILL_NOTICE, None if decides else self._texts()(Text.NOTICE_ANOTHER_TILL))
        if not decides:
            return None
        owner = self._storage.owner

        def may_decide(row: PaymentRow) -> bool:
            if row.owner == owner.token:
                return own_too and row.payment_id != self._in_hand
            return not owner.is_alive(row.owner)

        def is_recorded(row: PaymentRow) -> bool | None:
            answer = self._host.is_recorded(row.payment_id)
            is_strange = row.owner != owner.token and self._decider.lived_beside_another
            return None if answer is False and is_strange else answer

        recovered = recover(journal, may_decide, is_recorded, self._texts())
        self._is_recovered = True
        # This process's own stay with it until the host decides: nothing to worry about.
        left = sum(row.owner != owner.token for row in recovered.kept)
        self._tell_count(_RECOVERY_NOTICE, Text.NOTICE_PAYMENTS_KEPT, left)
        self._tell_count(_TOO_OLD_NOTICE, Text.NOTICE_PAYMENTS_TOO_OLD, len(recovered.too_old))
        if recovered.cancelled:
            self.wake()
        return recovered

    def queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Work on a message that the host's queue delivers; None where its kind is not ours.

        Money effect: may cancel, the whole amount of one receipt.
        """
        return self._inbox.work_on(message)

    def settings(self) -> Settings | None:
        """Return the settings of this moment; None: they can't be used."""
        try:
            return self._settings()
        except SettingsError:
            return None

    def desk(self, number: int, settings: Settings) -> MerchantClient | None:
        """Return the kassa of ``settings`` with the client of worker thread ``number``; None once it was cut off."""
        return self._desks.of(number, settings)

    def kassa(self, number: int) -> MerchantClient | None:
        """Return the kassa of the settings of this moment with the client of that number; None without settings."""
        settings = self.settings()
        return None if settings is None else self.desk(number, settings)

    def rounds(self) -> CancellationProcessor:
        """Return what works on the cancellations, over a connection of its own.

        Raises:
            JournalError: the journal can't be used, or another file is in its place.
        """
        fault = self._storage.fault()
        # A journal that was deleted is gone with this process: what it owes now, nobody returns later.
        if isinstance(fault, FileMoved) and fault.is_replaced:
            raise fault
        if self._rounds is None:
            journal = self._storage.another_journal()
            self._rounds = CancellationProcessor(journal, self._storage.leases, self._clock, _jitter)
        return self._rounds

    def _tell_count(self, key: str, text: Text, count: int) -> None:
        self._host.notice(key, self._texts()(text, count=count) if count else None)

    def _surroundings(self) -> Surroundings:
        return Surroundings(
            before_round=self._before_round,
            settings=self.settings,
            is_recorded=self._told_by_host,
            enqueue=self._offered_to_host,
            gives_way=self._give_way,
            turn=self._turn,
        )

    def _told_by_host(self, payment_id: str) -> bool | None:
        """Return the host's answer; None where another till decides: this one knows nothing of its sales."""
        return self._host.is_recorded(payment_id) if self._decider.decides() else None

    def _offered_to_host(self, message: QueueMessage) -> bool:
        """Offer a message to the host's queue, but not one of another till's."""
        return self._decider.decides() and self._host.enqueue(message)

    def _require_decider(self) -> None:
        try:
            recovered = self.recover(own_too=True)
        except JournalError as error:
            if not self._decider.is_decider:
                raise
            _log.error("recovery waits: %s", error)
            return
        if recovered is None:
            message = "another till works with this folder, and decides about its payments"
            raise AnotherTill(message)

    def _give_way(self) -> None:
        # Python runs one thread at a time: beside busy steppers a sale's every commit would wait its turn.
        self._nothing_in_hand.wait(_GIVES_WAY_S)

    def _recover_quietly(self, *, own_too: bool) -> None:
        try:
            self.recover(own_too=own_too)
        except JournalError as error:
            _log.error("recovery waits: %s", error)

    def _recover_in_turn(self) -> None:
        with self._turn:
            self._recover_quietly(own_too=False)

    def _before_round(self) -> None:
        # None of the three holds up the money that must go back: its requests need no room on the disk.
        self.closed_receipts.file_waiting()
        if not self._is_recovered:
            self._recover_quietly(own_too=False)
        self._forget_quietly()
        self._inbox.look_after_notice()
        self._tell_fault()
        live, oldest = self.rounds().rows.backlog()
        is_old = oldest is not None and self._clock.wall_ms() - oldest > _OLD_MS
        self._tell_count(_BACKLOG_NOTICE, Text.NOTICE_CANCELLATIONS_WAIT, live if is_old or live > _MANY else 0)

    def _tell_fault(self) -> None:
        fault = self._storage.fault()
        if fault is not None:
            self._host.notice(JOURNAL_NOTICE, self._texts()(journal_notice(fault)))

    def _forget_quietly(self) -> None:
        try:
            self._forget()
        except JournalError as error:
            _log.error("finished payments can't be forgotten now: %s", error)

    def _forget(self) -> None:
        """Once a day, forget some of what is older than ``keepDays``, and go on until nothing is."""
        now = self._clock.monotonic()
        if now < self._forget_at:
            return
        try:
            keep_days = self._settings().keep_days
        except SettingsError:
            return
        try:
            forgotten = forget_finished(self.rounds().journal, keep_days, _FORGET_AT_ONCE)
        except Damaged:
            self._forget_at = now + _DAY_S
            raise
        except JournalError:
            # A full disk, say: its log must not be filled with that.
            self._forget_at = now + _FORGET_AGAIN_S
            raise
        self._forget_at = now if forgotten == _FORGET_AT_ONCE else now + _DAY_S
        if forgotten:
            _log.info("%d payments older than keepDays were forgotten", forgotten)


def _jitter() -> float:
    return secrets.randbelow(_JITTER_STEPS) / _JITTER_STEPS
