"""Money that must go back: one step of one cancellation. A worker steps it until Payme says cancelled (50).

    50                     done
    0, 4, 5                cancel
    1, 2, 3, 6, 20, 30     cancel, then ask
    21                     accepted: ask again later; if it turns back into 4, cancel again
    anything else          later

The state is asked first, so a step may be repeated by anyone at any time: after a crash, beside another worker, by a
message of the host's queue. Nothing ends a row but state 50 bound to our receipt, or a person with a reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from payme_plugin.ledger.cancellations import HELD_BY_TILL, SAID_CANCELLED, Cancellations, was_told_queued
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.context import is_same_account
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.receipt_queries import CANCEL, ReceiptQueries
from payme_plugin.operations.wait import CashierWait
from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.clock import Clock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import CancellationRow
    from payme_plugin.operations.context import Limits
    from payme_plugin.paymego.protocols import Client

__all__ = ["CancellationStep", "MerchantClient", "StepOutcome", "pause_ms"]

_log = Log()

_LONGEST_PAUSE_MS = 900_000
"""Fifteen minutes: the longest pause between two steps of a row."""

_FIRST_PAUSE_MS = 1_000
_MOST_DOUBLINGS = 10
_CANCEL_AT = frozenset({ReceiptState.CREATED, ReceiptState.PAID, ReceiptState.HELD})
_CANCEL_AND_ASK_AT = frozenset(
    {
        ReceiptState.CHECKING,
        ReceiptState.DEBITING,
        ReceiptState.CLOSING,
        ReceiptState.HOLDING,
        ReceiptState.PAUSED,
        ReceiptState.CLOSING_QUEUED,
    }
)


class StepOutcome(Enum):
    """What a step came to."""

    DONE = "done"
    """The row has ended."""
    ACCEPTED = "accepted"
    """Payme is cancelling (21)."""
    LATER = "later"
    """Nothing is decided."""
    HELD = "held"
    """Not carried out: the host says that it has the payment, or the key of its kassa isn't in the settings."""


@dataclass(frozen=True, slots=True)
class MerchantClient:
    """The kassa whose key the settings hold: a request about a payment goes out with no other.

    Attributes:
        pos_id: its id.
        url: its server.
        client: its client, not the sale's.
        limits: the times of a request.
    """

    pos_id: str
    url: str
    client: Client
    limits: Limits


def pause_ms(attempts: int, jitter: float) -> int:
    """Return the pause after a step, in milliseconds: from one second, doubling, to fifteen minutes, less the jitter.

    Args:
        attempts: how many steps there were before.
        jitter: 0 to 1; up to a half of the pause is taken off, so that rows do not come due together.
    """
    whole = min(_FIRST_PAUSE_MS << min(max(attempts, 0), _MOST_DOUBLINGS), _LONGEST_PAUSE_MS)
    return int(whole * (1 - jitter / 2))


class CancellationStep:
    """Steps cancellations of one journal.

    Args:
        journal: where they are; the worker's own connection.
        clock: time.
        jitter: gives numbers from 0 to 1 for the pauses.
    """

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        self._journal = journal
        self._rows = Cancellations(journal)
        self._clock = clock
        self._jitter = jitter

    def step(self, row: CancellationRow, kassa: MerchantClient, *, is_recorded: bool | None) -> StepOutcome:
        """Make one step of a live row and store what came of it. The caller holds the row's lease.

        Args:
            row: as it was read under the lease.
            kassa: what the settings hold.
            is_recorded: the host's answer about its payment; None where there is no host to ask: then what it said last
                holds.

        Raises:
            JournalError: what came of it could not be stored; the row is as it was.

        Money effect: may cancel, the whole amount of the row's receipt.
        """
        if row.cause is Cause.UNRECORDED and _is_held(row, is_recorded):
            return self._later(row, StepOutcome.HELD, HELD_BY_TILL)
        if not is_same_account(row, kassa):
            return self._later(row, StepOutcome.HELD, f"the settings hold no key of kassa {row.pos_id} at {row.url}")
        try:
            return self._carried_out(row, kassa)
        except Conflict:
            return StepOutcome.DONE

    def last_state(self, row: CancellationRow, kassa: MerchantClient) -> int | None:
        """Ask for the receipt's state and change nothing; None where it can't be known.

        Money effect: none.
        """
        if not is_same_account(row, kassa):
            return None
        wait, queries = self._queries(row, kassa, EventLog(self._clock))
        return queries.state(wait.request_limit())

    def _carried_out(self, row: CancellationRow, kassa: MerchantClient) -> StepOutcome:
        events = EventLog(self._clock)
        wait, queries = self._queries(row, kassa, events)
        state = queries.state(wait.request_limit())
        if state in _CANCEL_AT or state in _CANCEL_AND_ASK_AT:
            self._begin(row, events)
            came = queries.cancel(wait.request_limit())
            state = came if state in _CANCEL_AT else queries.state(wait.request_limit())
        if state == ReceiptState.CANCELLED:
            self._rows.end(row, SAID_CANCELLED, reversed_at_payme=True, notes=events.take())
            _log.info("cancellation %d of payment %s: done", row.cancellation_id, row.payment_id)
            return StepOutcome.DONE
        if state == ReceiptState.CANCELLING:
            return self._later(row, StepOutcome.ACCEPTED, "Payme is cancelling (21)", events)
        told = queries.last_outcome or "no usable answer"
        return self._later(row, StepOutcome.LATER, told, events)

    def _begin(self, row: CancellationRow, events: EventLog) -> None:
        try:
            # Of a row that is refused again and again the first try is told, and what comes to something else.
            notes = () if row.last_error else (*events.notes, events.request_event(CANCEL))
            self._rows.begin(row, notes=notes)
        except Conflict:
            raise
        except JournalError as error:
            if self._may_be_taken_back(row):
                raise
            # A full disk keeps no money from going back that nothing but a commit could hold.
            _log.error("cancellation %d: %s", row.cancellation_id, error)
        else:
            if notes:
                events.mark_request_stored(CANCEL)

    def _may_be_taken_back(self, row: CancellationRow) -> bool:
        """Say whether a hook may end a row yet without its money: it must know of every ``receipts.cancel`` that left.

        A hook that finds a row of recovery's leaves it standing where it is due.
        """
        is_recoverys = row.cause is Cause.UNRECORDED and row.due_at <= self._journal.now_ms()
        payment = None if was_told_queued(row) or is_recoverys else self._journal.find(row.payment_id)
        return payment is not None and payment.state is PaymentState.REVERSING

    def _queries(
        self, row: CancellationRow, kassa: MerchantClient, events: EventLog
    ) -> tuple[CashierWait, ReceiptQueries]:
        wait = CashierWait(self._clock, None, kassa.limits)
        return wait, ReceiptQueries(
            kassa.client,
            wait,
            events,
            receipt_id=row.receipt_id,
            amount=row.amount,
            text=lambda _: "",
        )

    def _later(
        self, row: CancellationRow, stepped: StepOutcome, came: str, events: EventLog | None = None
    ) -> StepOutcome:
        notes = () if events is None else events.take()
        try:
            self._rows.postpone(row, pause_ms(row.attempts, self._jitter()), came, notes=notes)
        except Conflict:
            return StepOutcome.DONE
        _log.info("cancellation %d of payment %s: %s", row.cancellation_id, row.payment_id, came)
        return stepped


def _is_held(row: CancellationRow, is_recorded: bool | None) -> bool:
    """Say whether the till has the payment, by its word of now or else by its last one, which the row keeps."""
    return is_recorded is True or (is_recorded is None and row.last_error == HELD_BY_TILL)
