"""What goes on behind the sales: recovery of what an earlier run left, delivery of cancellations, and their notices."""

from __future__ import annotations

import contextlib
import logging
import secrets
import threading
from functools import partial
from typing import TYPE_CHECKING

from hookspecs import QueueVerdict
from payme_plugin.delivery.messages import KIND, UnknownVersion, read_message
from payme_plugin.delivery.rounds import Rounds
from payme_plugin.delivery.worker import Till, Worker
from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.leases import DECIDER
from payme_plugin.ledger.retention import forget_finished
from payme_plugin.operations.cancellation import KassaDesk, Stepped
from payme_plugin.operations.recovery import Recovered, recover
from payme_plugin.operations.tools import limits_of
from payme_plugin.settings import SettingsError
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hookspecs import QueueMessage
    from payme_plugin.clock import Clock
    from payme_plugin.delivery.messages import Cancel
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.guards import GuardedHost
    from payme_plugin.paymego.client import PaymeGoClient
    from payme_plugin.settings import Settings
    from payme_plugin.storage import Storage
    from payme_plugin.texts import Texts

__all__ = ["Upkeep"]

_log = logging.getLogger("payme")

_RECOVERY_NOTICE = "payme.recovery"
_BACKLOG_NOTICE = "payme.cancellations"
_QUEUE_NOTICE = "payme.queue"
_OLD_MS = 3_600_000
_MANY = 10
_JITTER_STEPS = 1000
_FORGET_AT_ONCE = 100
_DAY_S = 86_400.0
_STOP_TIMEOUT_S = 2.0
_GIVES_WAY_S = 1.0
_HOST_QUEUE = -1


class Upkeep:
    """The background of one till.

    Args:
        host: the till, guarded.
        storage: its data folder.
        settings: gives the settings of this moment; raises ``SettingsError`` where there are none.
        texts: gives the cashier's language of this moment.
        new_client: makes a client for the kassa in the settings, apart from the sale's.
        clock: time.
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
        self._new_client = new_client
        self._clock = clock
        self._lock = threading.Lock()
        self._clients: dict[int, tuple[Settings, PaymeGoClient]] = {}
        self._decides = contextlib.ExitStack()
        self._is_decider = False
        self._is_recovered = False
        self._in_hand: str | None = None
        self._nothing_in_hand = threading.Event()
        self._nothing_in_hand.set()
        self._rounds: Rounds | None = None
        self._forget_at = float("-inf")
        self._worker: Worker | None = None

    def start(self, *, run_worker: bool) -> None:
        """Begin: recover in the background, and deliver unless another process does.

        Money effect: may cancel, later.
        """
        if not run_worker:
            recovery = partial(self._recover_quietly, own_too=False)
            threading.Thread(target=recovery, name="payme-recovery", daemon=True).start()
            return
        till = Till(self._before_round, self._host.is_recorded, self._host.enqueue, self._give_way)
        self._worker = Worker(self.rounds, till, self.kassa)
        self._worker.start()

    def stop(self, *, ask_host: bool = True) -> None:
        """End; open work stays durable.

        Args:
            ask_host: first ask the host once more about this process's payments; it must have recorded them by now.

        Money effect: may leave cancellations of payments that the host does not have.
        """
        self._recover_quietly(own_too=ask_host)
        if self._worker is not None:
            self._worker.stop(_STOP_TIMEOUT_S)
        with self._lock:
            clients, self._clients = self._clients, {}
        for _, client in clients.values():
            client.close()
        self._decides.close()
        self._is_decider = False

    def wake(self) -> None:
        """A cancellation was just written: let the worker look at once."""
        if self._worker is not None:
            self._worker.wake()

    @contextlib.contextmanager
    def in_hand(self, payment_id: str) -> Iterator[None]:
        """Leave a payment to its hook for the time of a block; decide about the others before it begins."""
        self._in_hand = payment_id
        self._nothing_in_hand.clear()
        try:
            self._recover_quietly(own_too=True)
            yield
        finally:
            self._in_hand = None
            self._nothing_in_hand.set()

    @property
    def is_idle(self) -> bool:
        """Say whether no payment is in hand."""
        return self._nothing_in_hand.is_set()

    def recover(self, *, own_too: bool) -> Recovered | None:
        """Decide about unfinished payments; None where another process is the one that decides.

        Args:
            own_too: also about this process's own, but the one in hand: on the host's thread alone, which has recorded
                what it was told; else only about those of dead processes.

        Raises:
            JournalError: the journal can't be used.

        Money effect: none at once; cancellations are carried out later.
        """
        journal = self._storage.journal()
        if not self._decide():
            return None
        owner = self._storage.owner

        def may_decide(row: PaymentRow) -> bool:
            if row.owner == owner.token:
                return own_too and row.payment_id != self._in_hand
            return not owner.is_alive(row.owner)

        recovered = recover(journal, may_decide, self._host.is_recorded, self._texts())
        self._is_recovered = True
        # This process's own stay with it until the host decides: nothing to worry about.
        left = sum(row.owner != owner.token for row in recovered.kept)
        self._host.notice(_RECOVERY_NOTICE, self._texts()(Text.NOTICE_PAYMENTS_KEPT, count=left) if left else None)
        if recovered.cancelled:
            self.wake()
        return recovered

    def queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Work on a message that the host's queue delivers; None where its kind is not ours.

        Money effect: may cancel, the whole amount of one receipt.
        """
        if message.kind != KIND:
            return None
        try:
            cancel = read_message(message)
        except UnknownVersion as error:
            self._host.notice(_QUEUE_NOTICE, self._texts()(Text.NOTICE_QUEUE_VERSION))
            _log.error("queue message %s has version %s, newer than this plugin", message.message_id, error)
            return QueueVerdict.RETRY
        if cancel is None:
            _log.error("queue message %s is of our kind, but not ours", message.message_id)
            return QueueVerdict.DROP
        try:
            return self._delivered(cancel)
        except JournalError as error:
            _log.error("queue message %s waits: %s", message.message_id, error)
            return QueueVerdict.RETRY

    def kassa(self, number: int) -> KassaDesk | None:
        """Return the kassa of the settings with the client of worker thread ``number``; None without settings."""
        try:
            settings = self._settings()
        except SettingsError:
            return None
        with self._lock:
            kept = self._clients.get(number)
            if kept is None or kept[0] != settings:
                if kept is not None:
                    kept[1].close()
                kept = self._clients[number] = (settings, self._new_client(settings))
        return KassaDesk(settings.pos_id, settings.url, kept[1], limits_of(settings))

    def rounds(self) -> Rounds:
        """Return what works on the cancellations, over a connection of its own.

        Raises:
            JournalError: the journal can't be used.
        """
        if self._rounds is None:
            journal = self._storage.another_journal()
            self._rounds = Rounds(journal, self._storage.leases, self._clock, _jitter)
        return self._rounds

    def _delivered(self, cancel: Cancel) -> QueueVerdict:
        rounds = self.rounds()
        row = rounds.journal.cancellation(cancel.cancellation_id)
        if row is None or row.receipt_id != cancel.receipt_id:
            # Its journal is lost or another's: the message is the last that is known of the money, so it stays.
            self._host.notice(_QUEUE_NOTICE, self._texts()(Text.NOTICE_QUEUE_UNKNOWN, receipt_id=cancel.receipt_id))
            return QueueVerdict.RETRY
        if row.ended_at is not None:
            return QueueVerdict.DONE
        kassa = self.kassa(_HOST_QUEUE)
        if kassa is None:
            return QueueVerdict.RETRY
        stepped = rounds.step(row, kassa, is_recorded=self._host.is_recorded(row.payment_id))
        return QueueVerdict.DONE if stepped is Stepped.DONE else QueueVerdict.RETRY

    def _decide(self) -> bool:
        """Try to become the process that decides; it stays so until it stops."""
        with self._lock:
            if not self._is_decider:
                self._is_decider = self._decides.enter_context(self._storage.leases.hold(DECIDER))
                if not self._is_decider:
                    self._decides.close()
            return self._is_decider

    def _give_way(self) -> None:
        # Python runs one thread at a time: beside busy steppers a sale's every commit would wait its turn.
        self._nothing_in_hand.wait(_GIVES_WAY_S)

    def _recover_quietly(self, *, own_too: bool) -> None:
        try:
            self.recover(own_too=own_too)
        except JournalError as error:
            _log.error("recovery waits: %s", error)

    def _before_round(self) -> None:
        # Neither of the two holds up the money that must go back: its requests need no room on the disk.
        if not self._is_recovered:
            self._recover_quietly(own_too=False)
        self._forget_quietly()
        live, oldest = self.rounds().rows.backlog()
        is_old = oldest is not None and self._clock.wall_ms() - oldest > _OLD_MS
        text = self._texts()(Text.NOTICE_CANCELLATIONS_WAIT, count=live) if is_old or live > _MANY else None
        self._host.notice(_BACKLOG_NOTICE, text)

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
        forgotten = forget_finished(self.rounds().journal, keep_days, _FORGET_AT_ONCE)
        self._forget_at = now if forgotten == _FORGET_AT_ONCE else now + _DAY_S
        if forgotten:
            _log.info("%d payments older than keepDays were forgotten", forgotten)


def _jitter() -> float:
    return secrets.randbelow(_JITTER_STEPS) / _JITTER_STEPS
