"""The cancellations of a damaged journal, in the new one: none that money hangs on is lost for an unreadable word.

What a row has from its payment is taken from there again, a note that makes no sense gives way to a careful one, and a
payment that owes money and has no live row gets a new one. A row that is queued once more is safe: each step asks for
the state first, and 50 ends it. None comes back that had ended: by Payme's word, by a person, or taken back.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payme_plugin.ledger.cancellations import HELD_BY_TILL
from payme_plugin.ledger.lost_cancellations import Story, cause_of, owing_payments, readable, says_ended, whole_text
from payme_plugin.ledger.states import Cause
from payme_plugin.ledger.story import tell

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Mended", "mend_cancellations"]

_Values = dict[str, Any]

_UNREADABLE_ENDING = "it had ended; how could not be read"
_UNREADABLE_NOTE = "what came of it before the repair could not be read"

_STRAYED = """
SELECT * FROM cancellation WHERE ended_at IS NULL AND payment_id NOT IN (SELECT payment_id FROM payment)
AND receipt_id IN (SELECT receipt_id FROM payment)
"""


@dataclass(frozen=True, slots=True)
class Mended:
    """What became of the cancellations that could not be copied as they are.

    Attributes:
        saved: how many rows of the damaged journal were mended and are in the new one.
        queued_again: how many are new, because nothing of the payment's own could be read.
    """

    saved: int
    queued_again: int


def mend_cancellations(target: sqlite3.Connection, bent: Iterable[_Values], *, is_story_whole: bool) -> Mended:
    """Mend what money hangs on, inside the caller's transaction; payments and events are copied before.

    Args:
        target: the new journal, with every row that could be copied.
        bent: rows of cancellations that make no sense; some may be no cancellations at all.
        is_story_whole: no line of any story was lost.

    Returns:
        How many were mended, and how many are new.

    Raises:
        sqlite3.Error: the new journal can't be written.

    Money effect: none at once; a payment that owes money has one live row afterwards.
    """
    bent = list(bent)
    strayed = [dict(row) for row in target.execute(_STRAYED)]
    for values in strayed:
        # Its payment is found by the receipt: with another name it would go on beside that payment's own.
        target.execute("DELETE FROM cancellation WHERE cancellation_id = ?", (values["cancellation_id"],))
    saved = sum(_insert_ended(target, values, is_story_whole=is_story_whole) for values in bent) - len(strayed)
    queued_again = 0
    live = _Live([*bent, *strayed])
    for payment, story in owing_payments(target, is_story_whole=is_story_whole):
        own = live.of(payment)
        if own is None:
            _queue_again(target, payment, story)
            queued_again += 1
        else:
            saved += _insert_live(target, payment, own, story)
    saved += sum(_insert_without_payment(target, values, is_story_whole=is_story_whole) for values in live.rows)
    return Mended(saved, queued_again)


class _Live:
    """Rows that make no sense and have not ended, by what leads to their payment."""

    def __init__(self, found: Iterable[_Values]) -> None:
        self.rows = [values for values in found if not says_ended(values)]
        self._found: dict[tuple[str, object], _Values] = {}
        for values in self.rows:
            for name in ("payment_id", "receipt_id"):
                self._found.setdefault((name, values[name]), values)

    def of(self, payment: sqlite3.Row) -> _Values | None:
        names = ("payment_id", "receipt_id")
        return next((self._found[name, payment[name]] for name in names if (name, payment[name]) in self._found), None)


def _insert_ended(target: sqlite3.Connection, values: _Values, *, is_story_whole: bool) -> bool:
    """Insert a row that had ended; it is the proof of that."""
    if not says_ended(values):
        return False
    payment = target.execute(
        "SELECT * FROM payment WHERE (payment_id = ?) + (receipt_id = ?) + (amount = ?) >= 2 AND"
        " (payment_id = ? OR receipt_id = ?)",
        [_plain(values[name]) for name in ("payment_id", "receipt_id", "amount", "payment_id", "receipt_id")],
    ).fetchone()
    if payment is None:
        return False
    story = Story.of(target, payment["payment_id"], is_whole=is_story_whole)
    cause = cause_of(values, story, payment) or Cause.UNRECORDED
    row = _of_payment(payment) | _mended(values, cause, story, payment["updated_at"])
    return _insert(
        target,
        row
        | {
            "last_error": whole_text(values["last_error"]) or _UNREADABLE_NOTE,
            "ended_at": _number(values["ended_at"], row["created_at"]),
            "outcome": readable(values["outcome"]) or _UNREADABLE_ENDING,
        },
    )


def _insert_live(target: sqlite3.Connection, payment: sqlite3.Row, values: _Values, story: Story) -> bool:
    cause = cause_of(values, story, payment) or Cause.UNRECORDED
    row = _of_payment(payment) | _mended(values, cause, story, payment["updated_at"])
    if not _insert(target, row) and not _insert(target, {**row, "cancellation_id": None}):
        return False
    _tell(target, row, f"mended by the repair, cause {cause.value}")
    return True


def _insert_without_payment(target: sqlite3.Connection, values: _Values, *, is_story_whole: bool) -> bool:
    """Insert a live row whose payment is gone, where it has enough to rebuild that from."""
    is_whole = all(whole_text(values[name]) for name in ("payment_id", "receipt_id", "pos_id", "url"))
    if not is_whole or type(values["amount"]) is not int or _is_known(target, values):
        return False
    story = Story.of(target, values["payment_id"], is_whole=is_story_whole)
    cause = cause_of(values, story, None)
    if cause is None or story.has_ended:
        return False
    row = {name: values[name] for name in ("payment_id", "receipt_id", "amount", "pos_id", "url")}
    row |= _mended(values, cause, story, 0)
    if not _insert(target, row) and not _insert(target, {**row, "cancellation_id": None}):
        return False
    _tell(target, row, f"mended by the repair, cause {cause.value}")
    return True


def _queue_again(target: sqlite3.Connection, payment: sqlite3.Row, story: Story) -> None:
    """Insert a new row for a payment that owes money, due at once."""
    cause = cause_of(None, story, payment) or Cause.UNRECORDED
    # A payment changes last in the commit that queues its cancellation.
    queued_at = payment["updated_at"]
    row = _of_payment(payment) | {
        "cause": cause.value,
        "created_at": queued_at,
        "due_at": queued_at,
        "last_error": _last_error(None, cause, story),
    }
    _insert(target, row)
    _tell(target, row, f"queued again by the repair, cause {cause.value}")


def _mended(values: _Values, cause: Cause, story: Story, queued_at: int) -> _Values:
    """Return what a live row has of its own, each note that makes no sense replaced."""
    created_at = _number(values["created_at"], queued_at)
    return {
        "cancellation_id": _number(values["cancellation_id"], None),
        "cause": cause.value,
        "request_id": whole_text(values["request_id"]) or "",
        "created_at": created_at,
        "due_at": _number(values["due_at"], created_at),
        "offered_at": _number(values["offered_at"], None),
        "attempts": max(0, _number(values["attempts"], 0)),
        "last_error": _last_error(values["last_error"], cause, story),
        "ended_at": None,
        "outcome": "",
    }


def _last_error(stored: object, cause: Cause, story: Story) -> str:
    """Return what came of a row last, so that one that the till holds stays held, and no other is taken back."""
    known, told = whole_text(stored), story.words[-1] if story.words else ""
    if cause is not Cause.UNRECORDED:
        # Someone may have been told that it is queued, and receipts.cancel may have left: never an empty one.
        return next((word for word in (known, told) if word and word != HELD_BY_TILL), _UNREADABLE_NOTE)
    if known is not None:
        return known
    # Where the last word is lost the till may have held it: it waits until the till says otherwise.
    return told if story.is_whole else HELD_BY_TILL


def _of_payment(payment: sqlite3.Row) -> _Values:
    """Return what a cancellation has from its payment."""
    return {name: payment[name] for name in ("payment_id", "receipt_id", "amount", "pos_id", "url")}


def _is_known(target: sqlite3.Connection, values: _Values) -> bool:
    names = [_plain(values[name]) for name in ("payment_id", "receipt_id")]
    query = "SELECT 1 FROM payment WHERE payment_id = ? OR receipt_id = ?"
    return target.execute(query, names).fetchone() is not None


def _insert(target: sqlite3.Connection, row: _Values) -> bool:
    columns, marks = ", ".join(row), ", ".join("?" * len(row))
    statement = f"INSERT INTO cancellation ({columns}) VALUES ({marks})"  # noqa: S608 - our own names
    try:
        target.execute(statement, list(row.values()))
    except sqlite3.IntegrityError:
        return False
    return True


def _tell(target: sqlite3.Connection, row: _Values, text: str) -> None:
    tell(target, row["payment_id"], row["created_at"], None, None, f"cancellation: {text}")


def _number(value: object, otherwise: Any) -> Any:  # noqa: ANN401 - a number, or what stands in for one
    return value if type(value) is int else otherwise


def _plain(value: object) -> object:
    """Return a value that SQLite can compare with; half a character it can't."""
    return None if isinstance(value, str) and whole_text(value) is None else value
