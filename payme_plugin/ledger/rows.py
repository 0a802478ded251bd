"""The rows of the journal, as frozen data. Times are Unix milliseconds, amounts tiyin.

What a row of the file holds is looked at before it becomes data: a disk that turned a bit leaves a file that SQLite
reads, with a state that nobody wrote in it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from payme_plugin.ledger.errors import Damaged
from payme_plugin.ledger.states import Cause, PaymentState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Hashable, Mapping

__all__ = [
    "Adopted",
    "CancellationRow",
    "EventRow",
    "FiscalLinkRow",
    "Intent",
    "NewCancellation",
    "Note",
    "PaymentRow",
    "Verdict",
    "row_of",
]

_Row = TypeVar("_Row", "PaymentRow", "EventRow", "CancellationRow", "FiscalLinkRow")


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What is durable before the first request: who wants to pay how much, for which receipt, at which kassa.

    Attributes:
        payment_id: the host's id.
        payment_type: the tender's number.
        amount: tiyin.
        till: the till's name; with ``shift`` and ``number`` it names the sale.
        shift: number of the shift.
        number: number of the receipt.
        pos_id: the kassa.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Adopted(Intent):
    """A payment that the host has and the journal lost.

    Attributes:
        receipt_id: Payme's receipt id.
        paid_at: when Payme took the money, or None where the host does not know.
        closed_at: when its receipt was closed; None where it is still open.
    """

    receipt_id: str
    paid_at: int | None
    closed_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was told to the cashier; told again, word for word, when the host asks again.

    Attributes:
        message: the text.
        error_code: the server's error code, or None.
    """

    message: str
    error_code: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCancellation:
    """A cancellation that goes into the same commit as the transition that makes it necessary.

    Attributes:
        cause: why.
        request_id: the host's id of the refund that caused it.
        due_in_ms: the first step is left to whoever writes it for so long.
    """

    cause: Cause
    request_id: str = ""
    due_in_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """One line of a payment's story that is no transition: a request, an answer, a scan.

    Attributes:
        at_ms: when.
        text: what, without secrets.
    """

    at_ms: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRow:
    """A payment as it stands.

    Attributes:
        payment_id: the host's id.
        payment_type: the tender's number.
        amount: tiyin.
        till: the till's name.
        shift: number of the shift.
        number: number of the receipt.
        attempt: which payment for this receipt it is, from 1.
        pos_id: the kassa that took it.
        url: the server that took it.
        owner: token of the process that works or worked on it.
        state: how far it has come.
        receipt_id: Payme's receipt id, once known.
        paid_at: when Payme took the money.
        closed_at: when the host said that the receipt is closed.
        message: the verdict's text.
        error_code: the server's error code, or None.
        cancellation_queued: its verdict wrote a cancellation.
        created_at: when the intent was written.
        updated_at: when it last changed.
    """

    payment_id: str
    payment_type: int
    amount: int
    till: str
    shift: int
    number: int
    attempt: int
    pos_id: str
    url: str
    owner: str
    state: PaymentState
    receipt_id: str | None
    paid_at: int | None
    closed_at: int | None
    message: str
    error_code: int | None
    cancellation_queued: bool
    created_at: int
    updated_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One line of a payment's story, in the order in which it happened.

    Attributes:
        at_ms: when.
        before: the state it left, or None.
        after: the state it entered, or None for a note.
        text: why, or the note.
    """

    at_ms: int
    before: PaymentState | None
    after: PaymentState | None
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CancellationRow:
    """Money that must go back.

    Attributes:
        cancellation_id: the row's number.
        payment_id: the payment.
        receipt_id: Payme's receipt id.
        amount: tiyin, always the whole payment.
        pos_id: the kassa that took the payment.
        url: the server that took it.
        cause: why.
        request_id: the host's id of the refund that caused it; empty for the other causes.
        created_at: when it was written.
        due_at: not to be stepped earlier.
        offered_at: when the host's queue took it; None: it did not.
        attempts: steps so far, those that sent nothing too.
        last_error: what came of the last step, empty at first.
        ended_at: when it ended; None while it is live.
        outcome: how it ended, empty while it is live.
    """

    cancellation_id: int
    payment_id: str
    receipt_id: str
    amount: int
    pos_id: str
    url: str
    cause: Cause
    request_id: str
    created_at: int
    due_at: int
    offered_at: int | None
    attempts: int
    last_error: str
    ended_at: int | None
    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FiscalLinkRow:
    """The fiscal receipt of a sale, to be told to Payme.

    Attributes:
        fiscal_link_id: the row's number.
        payment_id: the payment.
        receipt_id: Payme's receipt id.
        pos_id: the kassa that took the payment.
        url: the server that took it.
        link: the OFD link of the fiscal receipt.
        created_at: when it was written.
        due_at: not to be sent earlier.
        attempts: steps so far, those that sent nothing too.
        last_error: what came of the last time, empty at first.
        ended_at: when it ended; None while it is live.
        outcome: how it ended, empty while it is live.
    """

    fiscal_link_id: int
    payment_id: str
    receipt_id: str
    pos_id: str
    url: str
    link: str
    created_at: int
    due_at: int
    attempts: int
    last_error: str
    ended_at: int | None
    outcome: str


# ---------------------------------------------------------------------------------------------------------------------
# From the file
# ---------------------------------------------------------------------------------------------------------------------


def row_of(kind: type[_Row], stored: sqlite3.Row | Mapping[str, object]) -> _Row:
    """Return a row of the file as data.

    Args:
        kind: which class; its attributes are named like the columns.
        stored: the row, with at least those columns.

    Raises:
        Damaged: it holds what was never written.
    """
    columns = dict(stored)
    values: dict[str, Any] = {}
    for name, usual, read in _readers(cast("Hashable", kind)):
        try:
            value = columns[name]
            values[name] = value if type(value) is usual else read(value)
        except (LookupError, ValueError) as error:
            message = f"the {_NAMES[kind]}{_told_by(columns)} is invalid: its {name}"
            raise Damaged(message) from error
    return kind(**values)


def _told_by(columns: Mapping[str, object]) -> str:
    """Return the row's own name, as far as it can be told."""
    name = next(iter(columns.values()), None)
    return f" {name!r}" if isinstance(name, int | str) else ""


@cache
def _readers(kind: Any) -> tuple[tuple[str, type | None, Callable[[object], object]], ...]:  # noqa: ANN401 - a class
    """Return each attribute with the type of a value that is taken as it is, and what reads any other."""
    return tuple((field.name, *_READ[str(field.type)]) for field in fields(kind))


def _refuse(value: object) -> object:
    raise ValueError(value)


def _require_none(value: object) -> None:
    if value is not None:
        raise ValueError(value)


def _flag(value: object) -> bool:
    if value not in (0, 1):
        raise ValueError(value)
    return bool(value)


def _state_or_none(value: object) -> PaymentState | None:
    return None if value is None else PaymentState(value)


_READ: dict[str, tuple[type | None, Callable[[object], object]]] = {
    "int": (int, _refuse),
    "int | None": (int, _require_none),
    "str": (str, _refuse),
    "str | None": (str, _require_none),
    "bool": (None, _flag),
    "Cause": (None, Cause),
    "PaymentState": (None, PaymentState),
    "PaymentState | None": (None, _state_or_none),
}

_NAMES: dict[type, str] = {
    PaymentRow: "payment",
    EventRow: "event",
    CancellationRow: "cancellation",
    FiscalLinkRow: "fiscal link",
}
