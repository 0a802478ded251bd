"""A cancellation as a message of the host's queue: versioned JSON without secrets."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookspecs import QueueMessage

if TYPE_CHECKING:
    from payme_plugin.ledger.rows import CancellationRow

__all__ = ["KIND", "VERSION", "Cancel", "UnknownVersion", "message_of", "read_message"]

KIND = "payme.cancel"
VERSION = 1


_LONGEST_VERSION = 40


class UnknownVersion(ValueError):
    """Another version of the plugin wrote the message: keep it, and install that version."""


@dataclass(frozen=True, slots=True)
class Cancel:
    """Which cancellation a message speaks of.

    Attributes:
        cancellation_id: the row's number in the journal.
        payment_id: its payment.
        receipt_id: Payme's receipt id.
    """

    cancellation_id: int
    payment_id: str
    receipt_id: str


def message_of(row: CancellationRow) -> QueueMessage:
    """Return the message for a row; the same row always has the same message id."""
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
    """Return what a message of our kind speaks of; None where its body is not ours.

    Raises:
        UnknownVersion: its version is another one than ours, or none at all.
    """
    try:
        body = json.loads(message.body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(body, dict):
        return None
    if _integer(body.get("v")) != VERSION:
        raise UnknownVersion(repr(body.get("v"))[:_LONGEST_VERSION])
    number = _integer(body.get("cancellation_id"))
    texts = (body.get("payment_id"), body.get("receipt_id"))
    if number is None or not all(isinstance(text, str) for text in texts):
        return None
    return Cancel(number, str(texts[0]), str(texts[1]))


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
