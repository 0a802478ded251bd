"""The rows of the journal as named tuples. Times are Unix milliseconds, amounts tiyin.

Each row is validated when it is read, because SQLite still reads a file in which the disk flipped a bit, e.g. of a
state.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast, get_args, get_type_hints

from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.states import Cause, End, EventKind, Hold, PaymentState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Hashable, Mapping

_LARGEST = 2**53
_Reader = Callable[[Any], object]
_Row = TypeVar("_Row", "PaymentRow", "EventRow", "CancellationRow", "FiscalLinkRow")


class Intent(NamedTuple):
    """What is stored before the first request: amount, sale and merchant account.

    Attributes:
        payment_id: the host's id.
        payment_type: the tender's number.
        amount: tiyin.
        till: the till's name; with ``shift`` and ``number`` it names the sale.
        shift: number of the shift.
        number: number of the receipt.
        pos_id: the merchant account.
        url: its server.
        owner: token of the process that works on it.
    """

    payment_id: str
    payment_type: int
    amount: int
    till: str
    shift: int
    number: int
    pos_id: str
    url: str
    owner: str


class StoredResult(NamedTuple):
    """The result of a payment; returned unchanged if the host repeats its request.

    Attributes:
        message: the text.
        error_code: the server's error code, or None.
    """

    message: str
    error_code: int | None = None


class NewCancellation(NamedTuple):
    """A cancellation, committed together with the transition that makes it necessary.

    Attributes:
        cause: why money is returned.
        request_id: the host's id of the refund that caused it.
    """

    cause: Cause
    request_id: str = ""


class Event(NamedTuple):
    """An event that is not a transition: a request, an answer, a scan.

    Attributes:
        at_ms: when it happened.
        kind: what it is about.
        text: what happened, for people, without secrets.
    """

    at_ms: int
    kind: EventKind
    text: str


class PaymentRow(NamedTuple):
    """A payment in its current state, with the data of its intent.

    Attributes:
        attempt: number of this payment among those of its receipt, from 1.
        state: its state.
        receipt_id: Payme's receipt id, once known.
        paid_at: when Payme took the money.
        acknowledged_at: when the host had stored the tender or closed the receipt; irrevocable.
        closed_at: when the host closed the receipt.
        message: the text of the result.
        error_code: the server's error code, or None.
        cancellation_queued: a cancellation was written with its result.
        created_at: when the intent was written.
        updated_at: when it last changed.
    """

    payment_id: str
    payment_type: int
    amount: int
    till: str
    shift: int
    number: int
    pos_id: str
    url: str
    owner: str
    attempt: int
    state: PaymentState
    receipt_id: str | None
    paid_at: int | None
    acknowledged_at: int | None
    closed_at: int | None
    message: str
    error_code: int | None
    cancellation_queued: bool
    created_at: int
    updated_at: int


class EventRow(NamedTuple):
    """An event of a payment.

    Attributes:
        at_ms: when it happened.
        kind: what it is about.
        before: the state before a transition, else None.
        after: the state after a transition, else None.
        cause: the cause of a cancellation that was written, else None.
        ended_as: how a cancellation ended, else None.
        text: reason of the transition, or what happened, for people.
    """

    at_ms: int
    kind: EventKind
    before: PaymentState | None
    after: PaymentState | None
    cause: Cause | None
    ended_as: End | None
    text: str


class CancellationRow(NamedTuple):
    """Money that must be returned: a task of the worker, repeated in steps until it ends.

    Attributes:
        payment_id: the payment.
        receipt_id: Payme's receipt id.
        pos_id: the merchant account that took the payment.
        url: the server that took it.
        created_at: when it was written.
        due_at: earliest time of the next step.
        attempts: number of steps so far, including those that sent nothing.
        last_error: result of the last step, for people; empty before the first.
        ended_at: when it ended; None while it is live.
        cancellation_id: the row's number.
        amount: tiyin, always the whole payment.
        cause: why money is returned.
        request_id: the host's id of the refund that caused it; empty for the other causes.
        offered_at: when the host's queue or a chain's broker took it, or None.
        begun_at: when its first ``receipts.cancel`` was about to leave, or None.
        is_queued: a hook left it to the worker, so it can't be withdrawn.
        held: why the worker does not deliver it, or None.
        confirmed_at: when Payme first said cancelled (50), or None. It ends when Payme says so again later.
        reopened_at: when Payme last took its "cancelled" back, or None.
        ended_as: how it ended; None while it is live.
        closed_reason: why an operator ended it, or None.
    """

    payment_id: str
    receipt_id: str
    pos_id: str
    url: str
    created_at: int
    due_at: int
    attempts: int
    last_error: str
    ended_at: int | None
    cancellation_id: int
    amount: int
    cause: Cause
    request_id: str
    offered_at: int | None
    begun_at: int | None
    is_queued: bool
    held: Hold | None
    confirmed_at: int | None
    reopened_at: int | None
    ended_as: End | None
    closed_reason: str | None

    @property
    def may_be_vetoed(self) -> bool:
        """Return whether the host's answer may still stop it: no ``receipts.cancel`` has begun."""
        return self.cause is Cause.UNRECORDED and self.begun_at is None and self.confirmed_at is None

    def is_vetoed(self, is_recorded: bool | None) -> bool:
        """Return whether the host stops it: with its answer, or without one with the last answer in the row."""
        return self.may_be_vetoed and (self.held is Hold.HOST if is_recorded is None else is_recorded)


class FiscalLinkRow(NamedTuple):
    """The fiscal receipt of a sale, to be sent to Payme: a task of the worker, with the data of one as above.

    Attributes:
        fiscal_link_id: the row's number.
        link: the OFD link of the fiscal receipt.
        outcome: how it ended, for people; empty while it is live.
    """

    payment_id: str
    receipt_id: str
    pos_id: str
    url: str
    created_at: int
    due_at: int
    attempts: int
    last_error: str
    ended_at: int | None
    fiscal_link_id: int
    link: str
    outcome: str


class ReconciliationRow(NamedTuple):
    """The last finished reconciliation; a value of the table ``about``.

    Attributes:
        finished_at: when it ended.
        agreed: how many receipts agreed.
        differences: how many differences it found.
        in_journal: what the journal said was paid, in tiyin.
    """

    finished_at: int
    agreed: int
    differences: int
    in_journal: int

    def to_json(self) -> str:
        """Return it as it is stored."""
        return json.dumps(self._asdict())

    @classmethod
    def from_json(cls, text: object) -> ReconciliationRow | None:
        """Return what ``to_json`` wrote; None for anything else, because it can be made anew."""
        try:
            values = json.loads(str(text))
        except (ValueError, RecursionError):
            return None
        is_ours = isinstance(values, dict) and values.keys() == set(cls._fields)
        if not is_ours or not all(type(each) is int and 0 <= each < _LARGEST for each in values.values()):
            return None
        return cls(**values)


# ---------------------------------------------------------------------------------------------------------------------
# From the file
# ---------------------------------------------------------------------------------------------------------------------


def row_of(kind: type[_Row], stored: sqlite3.Row | Mapping[str, object]) -> _Row:
    """Validate a row of the file and return it as a named tuple.

    Args:
        kind: the class; its attributes are named like the columns.
        stored: the row; other columns are ignored.

    Raises:
        Damaged: a value is missing or invalid.
    """
    columns = dict(stored)
    values: dict[str, Any] = {}
    for name, read in _readers(cast("Hashable", kind)):
        try:
            values[name] = read(columns[name])
        except LookupError as error:
            key = next(iter(columns.values()), None)
            shown = f" {key!r}" if isinstance(key, int | str) else ""
            message = f"the {_NAMES[kind]}{shown} is invalid: its {name}"
            raise Damaged(message) from error
    return kind(**values)


@cache
def _readers(kind: Any) -> tuple[tuple[str, _Reader], ...]:  # noqa: ANN401 - a class
    return tuple((name, _reader(hint)) for name, hint in get_type_hints(kind).items())


def _reader(hint: object) -> _Reader:
    """Return a function that converts a column of this type, or raises LookupError."""
    kind, *none = get_args(hint) or (hint,)
    plain, members = (kind if kind in {int, str} else None), _MEMBERS.get(kind, {})

    def read(value: object) -> object:
        is_plain = type(value) is plain or (value is None and none)
        return value if is_plain else members[value]

    return read


_MEMBERS: dict[object, dict[object, object]] = {bool: {0: False, 1: True}}
for _enum in (Cause, End, EventKind, Hold, PaymentState):
    _MEMBERS[_enum] = {each.value: each for each in _enum}

TABLES: dict[str, Any] = {
    "payment": PaymentRow,
    "event": EventRow,
    "cancellation": CancellationRow,
    "fiscal_link": FiscalLinkRow,
}
"""The tables and the classes of their rows."""

_NAMES: dict[Any, str] = {kind: table.replace("_", " ") for table, kind in TABLES.items()}
