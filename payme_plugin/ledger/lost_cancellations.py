"""What is known of the cancellations that a damaged journal may have lost: it only reads.

A row that makes no sense tells some of it, and the payment and its story tell the rest.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from payme_plugin.ledger.cancellations import HELD_BY_TILL, SAID_CANCELLED, closing
from payme_plugin.ledger.states import Cause, PaymentState

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator

    _Ended = dict[str, list[sqlite3.Row]]

__all__ = [
    "Story",
    "cause_of",
    "lacks_cancellation",
    "owing_payments",
    "readable",
    "says_ended",
    "whole_text",
]

_Values = dict[str, Any]

_TOLD = "cancellation: "
_QUEUED = re.compile(r"cancellation: (?:queued|queued again by the repair|mended by the repair), cause (\w+)")
_NO_WORD = re.compile(r"cancellation: (?:queued again by the repair|mended by the repair|the host's queue took it)\b")
_ASKED_FOR = {"the till asks for a cancel": Cause.CANCEL, "the till asks for a refund": Cause.REFUND}
_REBUILT = "rebuilt from its cancellation"

# None of these is followed by another cancellation of the same payment: a payment ends but once.
_LAST_ENDINGS = (SAID_CANCELLED, closing("", "").partition(";")[0])

_CAUSES = frozenset(cause.value for cause in Cause)

_OWING = """
SELECT * FROM payment WHERE receipt_id IS NOT NULL
AND (state = 'reversing' OR cancellation_queued <> 0 AND state IN ('refused', 'aborted', 'unknown'))
AND NOT EXISTS (SELECT 1 FROM cancellation AS c WHERE c.payment_id = payment.payment_id AND c.ended_at IS NULL)
ORDER BY created_at, rowid
"""


def lacks_cancellation(connection: sqlite3.Connection) -> bool:
    """Say whether a payment that owes money has no live row, and nothing says that its return ended.

    Args:
        connection: the journal, with every line of its stories.

    Raises:
        sqlite3.Error: it can't be read.
    """
    return any(True for _ in owing_payments(connection, is_story_whole=True))


def owing_payments(connection: sqlite3.Connection, *, is_story_whole: bool) -> Iterator[tuple[sqlite3.Row, Story]]:
    """Find the payments that owe money and have no live row, where nothing says that its return ended.

    Args:
        connection: the journal.
        is_story_whole: no line of any story was lost.

    Yields:
        Each payment with its story, the oldest first.

    Raises:
        sqlite3.Error: the journal can't be read.
    """
    ended = _ended_rows(connection)
    for payment in connection.execute(_OWING).fetchall():
        story = Story.of(connection, payment["payment_id"], is_whole=is_story_whole)
        if not _has_ended(ended, payment, story):
            yield payment, story


@dataclass(frozen=True, slots=True)
class Story:
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
    def of(cls, connection: sqlite3.Connection, payment_id: str, *, is_whole: bool) -> Story:
        """Read the story of a payment.

        Args:
            connection: the journal.
            payment_id: which payment; it need not be there itself.
            is_whole: no line of any story was lost.

        Returns:
            What it tells; nothing where it has no line.

        Raises:
            sqlite3.Error: the journal can't be read.
        """
        cause: Cause | None = None
        reversing: str | None = None
        words: list[str] = []
        taken_back_at: int | None = None
        is_queued = False
        query = "SELECT at_ms, before, after, text FROM event WHERE payment_id = ? ORDER BY event_id"
        for event in connection.execute(query, (payment_id,)):
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
        """A line says that the return of the payment ended."""
        return any(word.startswith(_LAST_ENDINGS) for word in self.words)


def says_ended(values: _Values) -> bool:
    """Say whether a row says that it had ended; no ending was ever stored without words.

    Args:
        values: the row, by column; any of them may make no sense.
    """
    outcome = values["outcome"]
    return readable(outcome).startswith(_LAST_ENDINGS) or (type(values["ended_at"]) is int and outcome != "")


def _ended_rows(connection: sqlite3.Connection) -> _Ended:
    """Return the rows that have ended, by payment: looking for those of one reads the whole table."""
    ended: _Ended = {}
    for row in connection.execute("SELECT payment_id, ended_at, outcome FROM cancellation WHERE ended_at IS NOT NULL"):
        ended.setdefault(row["payment_id"], []).append(row)
    return ended


def _has_ended(of_payments: _Ended, payment: sqlite3.Row, story: Story) -> bool:
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


def cause_of(values: _Values | None, story: Story, payment: sqlite3.Row | None) -> Cause | None:
    """Return why money goes back: by the row, or the story, or what the payment says; None: nothing tells.

    Args:
        values: the row, by column, any of which may make no sense; None where there is no row.
        story: that of the payment.
        payment: the payment; None where it is gone.
    """
    if values is not None and values["cause"] in _CAUSES:
        return Cause(values["cause"])
    if story.cause is not None:
        return story.cause
    if values is not None and whole_text(values["request_id"]):
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


def whole_text(value: object) -> str | None:
    """Return a text that is whole; None for anything else."""
    return value if isinstance(value, str) and readable(value) == value else None


def readable(value: object) -> str:
    """Return a text with a mark in the place of what can't be read; an empty one for anything that is no text."""
    if not isinstance(value, str):
        return ""
    return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
