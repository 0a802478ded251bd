"""What tills and central workers write to each other: the queues of a chain, and the messages in them.

    till -> payme.cancellations -> central worker -> payme.outcomes (topic: posId) -> till
                  ^                     |
                  |                     +-> payme.delay.<N>s -- after N seconds --+
                  +---------------------------------------------------------------+
                                        +-> payme.parked: for an operator

Every queue is a durable quorum queue, and every message persistent. Source of the arguments:
https://www.rabbitmq.com/docs/quorum-queues (at-least-once dead-lettering needs ``reject-publish``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from payme_plugin.ledger.states import Cause
from payme_plugin.locale import escaped

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payme_plugin.ledger.rows import CancellationRow

    _Message = TypeVar("_Message", "ChainMessage", "OutcomeMessage")

VERSION = 1
OUTCOMES = "payme.outcomes"
PARKED = "payme.parked"
_LONGEST_BODY = 65_536
_LONGEST_TEXT = 200
_DELIVERY_LIMIT = 1_000
"""A message that ends the process of its worker so often is parked. Operators who look at the queue count too."""
_NO_LIMIT = 1_000_000_000
"""RabbitMQ 4 would dead-letter at 20: a delayed message that operators look at would come before its time."""


class ParkReason(Enum):
    """Why a message is parked: the value of the header ``REASON``."""

    UNKNOWN_ACCOUNT = "unknown-account"
    """The accounts of the central workers lack the key of its merchant account."""
    UNKNOWN_RECEIPT = "unknown-receipt"
    """Payme does not know the receipt under this merchant account and key."""
    UNKNOWN_VERSION = "unknown-version"
    """Another version of the plugin wrote it."""
    MALFORMED = "malformed"
    """It is not a message of this module."""
    DELIVERY_LIMIT = "delivery-limit"
    """Each worker that took it ended before it acknowledged it; RabbitMQ parks it itself."""


REASON, EXPLANATION, PARKED_AT = "payme-reason", "payme-explanation", "payme-parked-at"
"""The headers of a parked message: a ``ParkReason``, a text for people, Unix milliseconds."""


class UnknownVersion(ValueError):
    """Another version of the plugin wrote the message."""


class Malformed(ValueError):
    """The body is not a message of this module."""


@dataclass(frozen=True, slots=True)
class Queues:
    """The queues of one chain.

    Attributes:
        work: the cancellations to deliver.
        delays_s: the pauses between two attempts, in seconds, growing.
        confirming_s: the pause before Payme is asked a second time; more than ten minutes.
    """

    work: str = "payme.cancellations"
    delays_s: tuple[int, ...] = (5, 30, 120, 900)
    confirming_s: int = 610

    def delay(self, seconds: int) -> str:
        """Return the name of the queue that keeps a message for so many seconds."""
        return f"payme.delay.{seconds}s"

    def pause(self, attempts: int) -> str:
        """Return the queue for a message after so many attempts."""
        return self.delay(self.delays_s[min(attempts, len(self.delays_s) - 1)])

    def arguments(self) -> Mapping[str, Mapping[str, object]]:
        """Return the arguments of each queue, by its name."""
        lossless = {"x-queue-type": "quorum", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}

        def dead_lettering_to(queue: str, delivery_limit: int) -> dict[str, object]:
            target = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
            return {**lossless, **target, "x-delivery-limit": delivery_limit}

        delays = {*self.delays_s, self.confirming_s}
        return {
            PARKED: {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-delivery-limit": _NO_LIMIT},
            self.work: dead_lettering_to(PARKED, _DELIVERY_LIMIT),
            **{
                self.delay(each): {**dead_lettering_to(self.work, _NO_LIMIT), "x-message-ttl": each * 1000}
                for each in sorted(delays)
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainMessage:
    """A cancellation whose *begun* mark is stored at its till. It holds no key, and no address that a key is sent to.

    Attributes:
        till: the till's name, escaped and cut, for people.
        cancellation_id: the row's number in the till's journal.
        payment_id: the host's id of the payment, also for people.
        receipt_id: Payme's receipt id.
        pos_id: the merchant account.
        amount: tiyin.
        cause: why money is returned.
        created_at: when the row was written, Unix milliseconds.
        begun_at: when it had begun.
        attempts: attempts of central workers without success.
        unknown_attempts: how many met an unknown receipt or a refused key, since Payme last was cancelling (21).
        confirmed_at: when a central worker first heard cancelled (50) from Payme, or None.
    """

    till: str
    cancellation_id: int
    payment_id: str
    receipt_id: str
    pos_id: str
    amount: int
    cause: Cause
    created_at: int
    begun_at: int
    attempts: int = 0
    unknown_attempts: int = 0
    confirmed_at: int | None = None

    @classmethod
    def of(cls, row: CancellationRow, till: str) -> ChainMessage:
        """Return the message of a row that has begun."""
        return cls(
            till=_readable(till),
            cancellation_id=row.cancellation_id,
            payment_id=_readable(row.payment_id),
            receipt_id=row.receipt_id,
            pos_id=row.pos_id,
            amount=row.amount,
            cause=row.cause,
            created_at=row.created_at,
            begun_at=row.created_at if row.begun_at is None else row.begun_at,
        )

    @property
    def message_id(self) -> str:
        """The id of the message: always the same for one cancellation."""
        return f"payme.cancel.{self.receipt_id}.{self.cancellation_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeMessage:
    """What Payme said to a central worker about a receipt, for its till.

    Attributes:
        cancellation_id: the row's number in the till's journal.
        receipt_id: Payme's receipt id; with the number it names one row of one till.
        state: the state of the receipt, e.g. 50.
        at: when, Unix milliseconds by the worker's clock.
        confirmed_at: when a central worker first heard cancelled (50) from Payme; None if this was the first time.
    """

    cancellation_id: int
    receipt_id: str
    state: int
    at: int
    confirmed_at: int | None = None


def _readable(text: str) -> str:
    """Return a host's name or id, which is only for people, as ``decode`` takes it."""
    return escaped(text)[:_LONGEST_TEXT] or "-"


def encode(message: ChainMessage | OutcomeMessage) -> bytes:
    """Return a message as JSON with its version."""
    document = {"v": VERSION, **asdict(message)}
    if isinstance(message, ChainMessage):
        document |= {"posId": document.pop("pos_id"), "cause": message.cause.value}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def decode(kind: type[_Message], body: bytes) -> _Message:
    """Return the message in a body; members that this version does not know are ignored.

    Raises:
        UnknownVersion: another version of the plugin wrote it.
        Malformed: it is not a message of this kind.
    """
    try:
        document = json.loads(body) if len(body) <= _LONGEST_BODY else None
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise Malformed("the body is not a JSON object")
    version = document.get("v")
    if type(version) is not int or version != VERSION:  # True is not a version
        raise UnknownVersion(f"the message has version {version!r:.40}, this program knows version {VERSION}")
    document["pos_id"] = document.get("posId")
    return kind(**{field.name: _member(document, field.name, str(field.type)) for field in fields(kind)})


def _member(document: Mapping[str, object], name: str, kind: str) -> Any:  # noqa: ANN401 - the type is in ``kind``
    value = document.get(name, 0 if name in {"attempts", "unknown_attempts"} else None)
    if value is None and kind.endswith("None"):
        return None
    if kind.startswith("int") and type(value) is int and 0 <= value < 1 << 63:
        return value
    if kind == "str" and isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT and value.isprintable():
        return value
    if kind == "Cause" and value in [each.value for each in Cause]:
        return Cause(value)
    raise Malformed(f"its member {name} is missing or invalid")
