"""The host's queue: write a cancellation as a message, and handle messages that the queue delivers."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, NamedTuple

from hookspecs import QueueMessage, QueueVerdict
from payme_plugin.ledger.errors import JournalError
from payme_plugin.log import Log
from payme_plugin.operations.cancellation import StepOutcome
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from payme_plugin.delivery.processor import Delivery
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.host_guard import GuardedHost
    from payme_plugin.texts import Texts

_log = Log()

KIND = "payme.cancel"
VERSION = 1

_LONGEST_VERSION = 40
_NOTICE = "payme.queue"


class UnknownVersion(ValueError):
    """Another version of the plugin wrote the message; keep it and install that version."""


class Cancel(NamedTuple):
    """The cancellation that a message names.

    Attributes:
        cancellation_id: the row's number in the journal.
        receipt_id: Payme's receipt id.
    """

    cancellation_id: int
    receipt_id: str


def message_of(row: CancellationRow) -> QueueMessage:
    """Return the message for a row: versioned JSON without secrets, always with the same message id."""
    body = {
        "v": VERSION,
        "cancellation_id": row.cancellation_id,
        "payment_id": row.payment_id,
        "receipt_id": row.receipt_id,
        "amount": row.amount,
        "cause": row.cause.value,
    }
    return QueueMessage(
        message_id=f"{KIND}.{row.receipt_id}.{row.cancellation_id}",
        kind=KIND,
        body=json.dumps(body, ensure_ascii=False, separators=(",", ":")),
        created_at=row.created_at,
    )


def read_message(message: QueueMessage) -> Cancel | None:
    """Return the cancellation in a message of our kind, or None if its body is not ours.

    Raises:
        UnknownVersion: its version is not ours, or missing.
    """
    try:
        body = json.loads(message.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    version, number, receipt_id = (body.get(name) for name in ("v", "cancellation_id", "receipt_id"))
    if type(version) is not int or version != VERSION:  # True is not a version
        raise UnknownVersion(repr(version)[:_LONGEST_VERSION])
    return Cancel(number, receipt_id) if type(number) is int and isinstance(receipt_id, str) else None


class QueueConsumer:
    """Handles the messages of one till's queue. Any thread may call it.

    Args:
        host: shows the notice of a message that can't be handled.
        delivery: provides the processor of the cancellations.
    """

    def __init__(self, host: GuardedHost, delivery: Delivery) -> None:
        self._host = host
        self._delivery = delivery
        self._problems: dict[str, str] = {}

    def handle(self, message: QueueMessage, texts: Texts) -> QueueVerdict | None:
        """Handle a message of the host's queue; return None if its kind is not ours.

        Args:
            message: the message.
            texts: in the cashier's current language.

        Money effect: may cancel, the whole amount of one receipt.
        """
        if message.kind != KIND:
            return None
        try:
            cancel = read_message(message)
        except UnknownVersion as error:
            _log.error("queue message %s has version %s, which this plugin does not know", message.message_id, error)
            self._set_problem(message.message_id, texts(Text.NOTICE_QUEUE_VERSION))
            return QueueVerdict.RETRY
        if cancel is None:
            _log.error("queue message %s has our kind, but its body is not ours", message.message_id)
            self._set_problem(message.message_id, None)
            return QueueVerdict.DROP
        try:
            return self._deliver(message.message_id, cancel, texts)
        except JournalError as error:
            _log.error("queue message %s waits: %s", message.message_id, error)
            return QueueVerdict.RETRY

    def _deliver(self, message_id: str, cancel: Cancel, texts: Texts) -> QueueVerdict:
        processor = self._delivery.processor()
        row = processor.journal.cancellation(cancel.cancellation_id)
        if row is None or row.receipt_id != cancel.receipt_id:
            # The journal is lost or another till's. Only the message names the money, so it stays in the queue.
            self._set_problem(message_id, texts(Text.NOTICE_QUEUE_UNKNOWN, receipt_id=cancel.receipt_id))
            return QueueVerdict.RETRY
        self._set_problem(message_id, None)
        if row.ended_at is not None or row.confirmed_at is not None:
            return QueueVerdict.DONE
        merchants = self._delivery.merchants()
        if merchants is None:
            return QueueVerdict.RETRY
        return QueueVerdict.DONE if processor.deliver(row, merchants) is StepOutcome.DONE else QueueVerdict.RETRY

    def _set_problem(self, message_id: str, text: str | None) -> None:
        """Show the latest problem of a message that is not handled; ``text`` is None if this one is handled."""
        self._problems.pop(message_id, None)
        if text is not None:
            self._problems[message_id] = text
        self._host.notice(_NOTICE, [None, *self._problems.values()][-1])
