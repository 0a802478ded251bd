"""What the host's queue delivers: one step of the cancellation that a message speaks of."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from hookspecs import QueueVerdict
from payme_plugin.delivery.messages import KIND, UnknownVersion, read_message
from payme_plugin.ledger.errors import JournalError
from payme_plugin.log import Log
from payme_plugin.operations.cancellation import StepOutcome
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import QueueMessage
    from payme_plugin.clock import Clock
    from payme_plugin.delivery.messages import Cancel
    from payme_plugin.delivery.processor import CancellationProcessor
    from payme_plugin.operations.cancellation import MerchantClient
    from payme_plugin.operations.host_guard import GuardedHost
    from payme_plugin.texts import Texts

__all__ = ["QueueConsumer"]

_log = Log()

_NOTICE = "payme.queue"
_REMEMBERED_S = 86_400.0
"""A message that has not come again for a day is in no queue any more."""


class QueueConsumer:
    """Works on the messages of one till's queue. Any thread may call it.

    Args:
        host: shows the notice of a message that can't be worked on.
        rounds: gives what works on the cancellations; raises ``JournalError``.
        kassa: gives the kassa of the settings, or None: they can't be used now.
        is_recorded: whether the till has a payment; None where it can't tell.
        texts: gives the cashier's language of this moment.
        clock: time.
    """

    def __init__(
        self,
        host: GuardedHost,
        *,
        rounds: Callable[[], CancellationProcessor],
        kassa: Callable[[], MerchantClient | None],
        is_recorded: Callable[[str], bool | None],
        texts: Callable[[], Texts],
        clock: Clock,
    ) -> None:
        self._host = host
        self._rounds = rounds
        self._kassa = kassa
        self._is_recorded = is_recorded
        self._texts = texts
        self._clock = clock
        self._lock = threading.Lock()
        self._troubles: dict[str, tuple[float, str]] = {}

    def work_on(self, message: QueueMessage) -> QueueVerdict | None:
        """Work on a message that the host's queue delivers; None where its kind is not ours.

        Money effect: may cancel, the whole amount of one receipt.
        """
        if message.kind != KIND:
            return None
        try:
            cancel = read_message(message)
        except UnknownVersion as error:
            _log.error("queue message %s has version %s, which this plugin does not know", message.message_id, error)
            self._tell(message.message_id, self._texts()(Text.NOTICE_QUEUE_VERSION))
            return QueueVerdict.RETRY
        if cancel is None:
            _log.error("queue message %s is of our kind, but not ours", message.message_id)
            self._tell(message.message_id, None)
            return QueueVerdict.DROP
        try:
            return self._delivered(message.message_id, cancel)
        except JournalError as error:
            _log.error("queue message %s waits: %s", message.message_id, error)
            return QueueVerdict.RETRY

    def look_after_notice(self) -> None:
        """Withdraw the notice of messages that have not come again for a day: they are in no queue any more."""
        limit = self._clock.monotonic() - _REMEMBERED_S
        with self._lock:
            if not any(told_at < limit for told_at, _ in self._troubles.values()):
                return
            self._troubles = {name: trouble for name, trouble in self._troubles.items() if trouble[0] >= limit}
        self._show()

    def _delivered(self, message_id: str, cancel: Cancel) -> QueueVerdict:
        rounds = self._rounds()
        row = rounds.journal.cancellation(cancel.cancellation_id)
        if row is None or row.receipt_id != cancel.receipt_id:
            # Its journal is lost or another's: the message is the last that is known of the money, so it stays.
            self._tell(message_id, self._texts()(Text.NOTICE_QUEUE_UNKNOWN, receipt_id=cancel.receipt_id))
            return QueueVerdict.RETRY
        self._tell(message_id, None)
        if row.ended_at is not None:
            return QueueVerdict.DONE
        kassa = self._kassa()
        if kassa is None:
            return QueueVerdict.RETRY
        stepped = rounds.step(row, kassa, is_recorded=self._is_recorded(row.payment_id))
        return QueueVerdict.DONE if stepped is StepOutcome.DONE else QueueVerdict.RETRY

    def _tell(self, message_id: str, text: str | None) -> None:
        """Show what is wrong with a message, or that nothing is any more."""
        with self._lock:
            if text is None and message_id not in self._troubles:
                return
            self._troubles.pop(message_id, None)
            if text is not None:
                self._troubles[message_id] = (self._clock.monotonic(), text)
        self._show()

    def _show(self) -> None:
        with self._lock:
            texts = [text for _, text in self._troubles.values()]
        self._host.notice(_NOTICE, texts[-1] if texts else None)
