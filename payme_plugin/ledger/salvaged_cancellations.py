"""The cancellations of a damaged journal: none that money hangs on is lost for a word that can't be read.

What a row has from its payment is taken from there again, a note that makes no sense gives way to a careful one, and a
payment that owes money and has no live row gets a new one. A row that is queued once more is safe: each step asks for
the state first, and 50 ends it. None comes back that had ended: by Payme's word, by a person, or taken back.
"""

from __future__ import annotations

import re
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payme_plugin.ledger.cancellations import HELD_BY_TILL, SAID_CANCELLED, closing
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.ledger.story import tell

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Mended", "lacks_cancellation", "mend_cancellations"]

_Values = dict[str, Any]
_Ended = dict[str, list[sqlite3.Row]]

_TOLD = "cancellation: "
_QUEUED = re.compile(r"cancellation: (?:queued|queued again by the repair|mended by the repair), cause (\w+)")
_NO_WORD = re.compile(r"cancellation: (?:queued again by the repair|mended by the repair|the host's queue took it)\b")
_ASKED_FOR = {"the till asks for a cancel": Cause.CANCEL, "the till asks for a refund": Cause.REFUND}
_REBUILT = "rebuilt from its cancellation"

# None of these is followed by another cancellation of the same payment: a payment ends but once.
_LAST_ENDINGS = (SAID_CANCELLED, closing("", "").partition(";")[0])

_UNREADABLE_ENDING = "it had ended; how could not be read"
_UNREADABLE_NOTE = "what came of it before the repair could not be read"
_CAUSES = frozenset(cause.value for cause in Cause)

_OWING = """
SELECT * FROM payment WHERE receipt_id IS NOT NULL
AND (state = 'reversing' OR cancellation_queued <> 0 AND state IN ('refused', 'aborted', 'unknown'))
AND NOT EXISTS (SELECT 1 FROM cancellation AS c WHERE c.payment_id = payment.payment_id AND c.ended_at IS NULL)
ORDER BY created_at, rowid
"""

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

    Money effect: none at once; a payment that owes money has one live row afterwards.
    """
    bent = list(bent)
    strayed = [dict(row) for row in target.execute(_STRAYED)]
    for values in strayed:
        # Its payment is found by the receipt: with another name it would go on beside that payment's own.
        target.execute("DELETE FROM cancellation WHERE cancellation_id = ?", (values["cancellation_id"],))
    saved = sum(_insert_ended(target, values, is_story_whole=is_story_whole) for values in bent) - len(strayed)
    queued_again = 0
    live, ended = _Live([*bent, *strayed]), _ended_rows(target)
    for payment in target.execute(_OWING).fetchall():
        story = _Story.of(target, payment["payment_id"], is_whole=is_story_whole)
        if _has_ended(ended, payment, story):
            continue
        own = live.of(payment)
        if own is None:
            _queue_again(target, payment, story)
            queued_again += 1
        else:
            saved += _insert_live(target, payment, own, story)
    saved += sum(_insert_without_payment(target, values, is_story_whole=is_story_whole) for values in live.rows)
    return Mended(saved, queued_again)


def lacks_cancellation(connection: sqlite3.Connection) -> bool:
    """Say whether a payment that owes money has no live row, and nothing says that its return ended."""
    ended = _ended_rows(connection)
    return any(
        not _has_ended(ended, payment, _Story.of(connection, payment["payment_id"], is_whole=True))
        for payment in connection.execute(_OWING).fetchall()
    )


# ---------------------------------------------------------------------------------------------------------------------
# What is known
# ---------------------------------------------------------------------------------------------------------------------


class _Live:
    """Rows that make no sense and have not ended, by what leads to their payment."""

    def __init__(self, found: Iterable[_Values]) -> None:
        self.rows = [values for values in found if not _says_ended(values)]
        self._found: dict[tuple[str, object], _Values] = {}
        for values in self.rows:
            for name in ("payment_id", "receipt_id"):
                self._found.setdefault((name, values[name]), values)

    def of(self, payment: sqlite3.Row) -> _Values | None:
        names = ("payment_id", "receipt_id")
        return next((self._found[name, payment[name]] for name in names if (name, payment[name]) in self._found), None)


@dataclass(frozen=True, slots=True)
class _Story:
    """What the story of a payment tells of its cancellation.

    Attributes:
        cause: why it was queued last; None where no line tells.
        reversing: why the payment began to go back; None where no line tells.
        words: what came of it since it was queued, in order.
        taken_back_at: when it was taken back; None where no later line says that it was.
        is_whole: nothing that came of it is missing.
    """

    cause: Cause | None
    reversing: str | None
    words: tuple[str, ...]
    taken_back_at: int | None
    is_whole: bool

    @classmethod
    def of(cls, target: sqlite3.Connection, payment_id: str, *, is_whole: bool) -> _Story:
        cause: Cause | None = None
        reversing: str | None = None
        words: list[str] = []
        taken_back_at: int | None = None
        is_queued = False
        query = "SELECT at_ms, before, after, text FROM event WHERE payment_id = ? ORDER BY event_id"
        for event in target.execute(query, (payment_id,)):
            text = event["text"]
            queued = _QUEUED.fullmatch(text)
            if event["after"] == PaymentState.REVERSING.value:
                reversing, taken_back_at = text, None
            elif event["before"] == PaymentState.REVERSING.value and event["after"] == PaymentState.RECORDED.value:
                taken_back_at = event["at_ms"]
            elif event["after"] is not None or not text.startswith(_TOLD):
                continue
            elif _NO_WORD.match(text) is None and queued is None:
                words.append(text.removeprefix(_TOLD))
            if queued is not None and queued[1] in _CAUSES:
                cause = Cause(queued[1])
                if _NO_WORD.match(text) is None:
                    is_queued, words = True, []
        return cls(cause, reversing, tuple(words), taken_back_at, is_whole and is_queued)

    @property
    def has_ended(self) -> bool:
        return any(word.startswith(_LAST_ENDINGS) for word in self.words)


def _says_ended(values: _Values) -> bool:
    """Say whether a row says that it had ended; no ending was ever stored without words."""
    outcome = values["outcome"]
    return _readable(outcome).startswith(_LAST_ENDINGS) or (type(values["ended_at"]) is int and outcome != "")


def _ended_rows(connection: sqlite3.Connection) -> _Ended:
    """Return the rows that have ended, by payment: looking for those of one reads the whole table."""
    ended: _Ended = {}
    for row in connection.execute("SELECT payment_id, ended_at, outcome FROM cancellation WHERE ended_at IS NOT NULL"):
        ended.setdefault(row["payment_id"], []).append(row)
    return ended


def _has_ended(of_payments: _Ended, payment: sqlite3.Row, story: _Story) -> bool:
    """Say whether the journal has evidence that the return of a payment ended, though its state does not say so."""
    ended = of_payments.get(payment["payment_id"], [])
    if story.has_ended or any(row["outcome"].startswith(_LAST_ENDINGS) for row in ended):
        return True
    if payment["state"] != PaymentState.REVERSING.value:
        return bool(ended)
    # One that was taken back left its payment recorded. It is reversing: it began to go back once more after that,
    # unless what was saved of it is older than the ending.
    times = [row["ended_at"] for row in ended]
    if story.taken_back_at is not None:
        times.append(story.taken_back_at)
    elif story.reversing is not None:
        return False
    return any(at_ms >= payment["updated_at"] for at_ms in times)


def _cause(values: _Values | None, story: _Story, payment: sqlite3.Row | None) -> Cause | None:
    """Return why money goes back: by the row, or the story, or what the payment says; None: nothing tells."""
    if values is not None and values["cause"] in _CAUSES:
        return Cause(values["cause"])
    if story.cause is not None:
        return story.cause
    if values is not None and _text(values["request_id"]):
        return Cause.REFUND
    if payment is None:
        return None
    if payment["state"] != PaymentState.REVERSING.value or HELD_BY_TILL in story.words:
        return Cause.UNRECORDED
    if story.reversing not in (None, _REBUILT):
        return _ASKED_FOR.get(str(story.reversing), Cause.UNRECORDED)
    # It began to go back, and the till may well have its sale, as it has that of a refund: as UNRECORDED it might never
    # arrive.
    return Cause.CANCEL if payment["closed_at"] is None else Cause.REFUND


def _last_error(stored: object, cause: Cause, story: _Story) -> str:
    """Return what came of a row last, so that one that the till holds stays held, and no other is taken back."""
    known, told = _text(stored), story.words[-1] if story.words else ""
    if cause is not Cause.UNRECORDED:
        # Someone may have been told that it is queued, and receipts.cancel may have left: never an empty one.
        return next((word for word in (known, told) if word and word != HELD_BY_TILL), _UNREADABLE_NOTE)
    if known is not None:
        return known
    # Where the last word is lost the till may have held it: it waits until the till says otherwise.
    return told if story.is_whole else HELD_BY_TILL


# ---------------------------------------------------------------------------------------------------------------------
# Writing
# ---------------------------------------------------------------------------------------------------------------------


def _insert_ended(target: sqlite3.Connection, values: _Values, *, is_story_whole: bool) -> bool:
    """Insert a row that had ended; it is the proof of that."""
    if not _says_ended(values):
        return False
    payment = target.execute(
        "SELECT * FROM payment WHERE (payment_id = ?) + (receipt_id = ?) + (amount = ?) >= 2 AND"
        " (payment_id = ? OR receipt_id = ?)",
        [_plain(values[name]) for name in ("payment_id", "receipt_id", "amount", "payment_id", "receipt_id")],
    ).fetchone()
    if payment is None:
        return False
    story = _Story.of(target, payment["payment_id"], is_whole=is_story_whole)
    cause = _cause(values, story, payment) or Cause.UNRECORDED
    row = _of_payment(payment) | _mended(values, cause, story, payment["updated_at"])
    return _insert(
        target,
        row
        | {
            "last_error": _text(values["last_error"]) or _UNREADABLE_NOTE,
            "ended_at": _number(values["ended_at"], row["created_at"]),
            "outcome": _readable(values["outcome"]) or _UNREADABLE_ENDING,
        },
    )


def _insert_live(target: sqlite3.Connection, payment: sqlite3.Row, values: _Values, story: _Story) -> bool:
    cause = _cause(values, story, payment) or Cause.UNRECORDED
    row = _of_payment(payment) | _mended(values, cause, story, payment["updated_at"])
    if not _insert(target, row) and not _insert(target, {**row, "cancellation_id": None}):
        return False
    _tell(target, row, f"mended by the repair, cause {cause.value}")
    return True


def _insert_without_payment(target: sqlite3.Connection, values: _Values, *, is_story_whole: bool) -> bool:
    """Insert a live row whose payment is gone, where it has enough to rebuild that from."""
    is_whole = all(_text(values[name]) for name in ("payment_id", "receipt_id", "pos_id", "url"))
    if not is_whole or type(values["amount"]) is not int or _is_known(target, values):
        return False
    story = _Story.of(target, values["payment_id"], is_whole=is_story_whole)
    cause = _cause(values, story, None)
    if cause is None or story.has_ended:
        return False
    row = {name: values[name] for name in ("payment_id", "receipt_id", "amount", "pos_id", "url")}
    row |= _mended(values, cause, story, 0)
    if not _insert(target, row) and not _insert(target, {**row, "cancellation_id": None}):
        return False
    _tell(target, row, f"mended by the repair, cause {cause.value}")
    return True


def _queue_again(target: sqlite3.Connection, payment: sqlite3.Row, story: _Story) -> None:
    """Insert a new row for a payment that owes money, due at once."""
    cause = _cause(None, story, payment) or Cause.UNRECORDED
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


def _mended(values: _Values, cause: Cause, story: _Story, queued_at: int) -> _Values:
    """Return what a live row has of its own, each note that makes no sense replaced."""
    created_at = _number(values["created_at"], queued_at)
    return {
        "cancellation_id": _number(values["cancellation_id"], None),
        "cause": cause.value,
        "request_id": _text(values["request_id"]) or "",
        "created_at": created_at,
        "due_at": _number(values["due_at"], created_at),
        "offered_at": _number(values["offered_at"], None),
        "attempts": max(0, _number(values["attempts"], 0)),
        "last_error": _last_error(values["last_error"], cause, story),
        "ended_at": None,
        "outcome": "",
    }


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
    tell(target, row["payment_id"], row["created_at"], None, None, f"{_TOLD}{text}")


# ---------------------------------------------------------------------------------------------------------------------
# Values
# ---------------------------------------------------------------------------------------------------------------------


def _text(value: object) -> str | None:
    """Return a text that is whole; None for anything else."""
    return value if isinstance(value, str) and _readable(value) == value else None


def _readable(value: object) -> str:
    """Return a text with a mark in the place of what can't be read; an empty one for anything that is no text."""
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _number(value: object, otherwise: Any) -> Any:  # noqa: ANN401 - a number, or what stands in for one
    return value if type(value) is int else otherwise


def _plain(value: object) -> object:
    """Return a value that SQLite can compare with; half a character it can't."""
    return None if isinstance(value, str) and _text(value) is None else value
