"""One step of one cancellation. The worker repeats it until Payme says cancelled (50) twice, ten minutes apart.

    50                     done; asked again after ten minutes, and if it is anything else then, begun anew
    0, 4, 5                cancel
    1, 2, 3, 6, 20, 30     cancel, then ask
    21                     accepted, ask again later; if it becomes 4 again, cancel again
    anything else          later

The state is asked first, so a step may be repeated at any time: after a crash, beside another worker, or for a message
of the host's queue. A row ends with state 50 bound to our receipt, or when an operator closes it with a reason. The
hook that wrote it may also withdraw it: see ``reversal``.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import Conflict, FileMoved, JournalError
from payme_plugin.ledger.states import Cause, Hold
from payme_plugin.log import Log
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

_log = Log()

_LONGEST_PAUSE_MS = 900_000
"""Fifteen minutes: the longest pause between two steps of a row."""

_OLDEST_MS = 7 * 24 * 3_600_000
"""An orphan older than a week is shown instead of cancelled, because people have settled it by then."""

_FIRST_PAUSE_MS = 1_000
_MOST_DOUBLINGS = 10
_CANCEL_AT = frozenset({ReceiptState.CREATED, ReceiptState.PAID, ReceiptState.HELD})
_CANCEL_AND_ASK_AT = frozenset(ReceiptState) - _CANCEL_AT - {ReceiptState.CANCELLING, ReceiptState.CANCELLED}
_RESULTS: dict[int | None, str] = {
    ReceiptState.CANCELLED: "Payme says cancelled (50)",
    ReceiptState.CANCELLING: "Payme is cancelling (21)",
}


class StepOutcome(Enum):
    """The outcome of a step."""

    DONE = "done"
    """The money is back: Payme says cancelled (50), or the row has ended."""
    ACCEPTED = "accepted"
    """Payme is cancelling (21), or central workers deliver the row."""
    UNKNOWN = "unknown"
    """The server or account that was asked does not know the receipt, although the journal has it."""
    LATER = "later"
    """Nothing is known yet."""
    REOPENED = "reopened"
    """Payme has taken its "cancelled" (50) back: the row is an ordinary one again, and due."""
    BLOCKED = "blocked"
    """Not delivered, because the settings lack the key of its merchant account."""
    HELD = "held"
    """Not delivered, because the host has the payment, or because people must decide about one that old."""


class MerchantClient(NamedTuple):
    """A merchant account of the settings, with a client; its key is used only for its own payments.

    Attributes:
        pos_id: its id.
        url: its server.
        client: its client, not the one of the sale.
        limits: timeouts of a request.
    """

    pos_id: str
    url: str
    client: Client
    limits: Limits


def pause_ms(attempts: int, jitter: float) -> int:
    """Return the pause after a step, in milliseconds: it doubles from 1 s to 15 min.

    Without jitter the pauses are 1 s, 2 s, 4 s, ... 512 s, and then always 900 s.

    Args:
        attempts: the number of earlier steps.
        jitter: 0 to 1; it shortens the pause by up to a half, so that rows are not due together.
    """
    whole = min(_FIRST_PAUSE_MS << min(max(attempts, 0), _MOST_DOUBLINGS), _LONGEST_PAUSE_MS)
    return int(whole * (1 - jitter / 2))


def needs_cancel(state: int | None) -> bool:
    """Return whether a receipt in this state has to be cancelled."""
    return state in _CANCEL_AT or state in _CANCEL_AND_ASK_AT


def cancel_in_state(queries: ReceiptQueries, wait: CashierWait, state: int | None) -> int | None:
    """Cancel a receipt in ``state`` and return its state afterwards, or None if there is no usable answer.

    Money effect: cancels, the whole amount.
    """
    answered = queries.cancel(wait.request_limit())
    return answered if state in _CANCEL_AT else queries.state(wait.request_limit())


def outcome_of(state: int | None, queries: ReceiptQueries) -> StepOutcome:
    """Return the outcome of a step after which a receipt is in ``state``."""
    if state == ReceiptState.CANCELLED:
        return StepOutcome.DONE
    if state == ReceiptState.CANCELLING:
        return StepOutcome.ACCEPTED
    return StepOutcome.UNKNOWN if queries.has_unknown_receipt else StepOutcome.LATER


def begin_cancel(rows: Cancellations, row: CancellationRow, events: EventLog) -> bool:
    """Record that ``receipts.cancel`` is about to be sent; return whether it may be.

    It may if the journal has stored now, or earlier, that it begins: a full disk must not stop the return of the money.
    If a row is refused repeatedly, only its first request and each new result are events.

    Raises:
        Conflict: the cancellation has ended, or its payment is acknowledged.
        FileMoved: another file is in the journal's place.
    """
    is_first = row.begun_at is None
    try:
        rows.begin(row, events=(*events.unstored, events.request_event(CANCEL)) if is_first else ())
    except (Conflict, FileMoved):
        raise
    except JournalError as error:
        _log.error("cancellation %d: %s", row.cancellation_id, error)
        return not is_first
    if is_first:
        events.take()
    return True


class CancellationStep:
    """Makes steps of the cancellations in one journal.

    Args:
        journal: a connection of the worker's own.
        clock: time.
        jitter: returns numbers from 0 to 1 for the pauses.
    """

    def __init__(self, journal: Journal, clock: Clock, jitter: Callable[[], float]) -> None:
        self._journal = journal
        self._rows = Cancellations(journal)
        self._clock = clock
        self._jitter = jitter

    def step(self, row: CancellationRow, merchant: MerchantClient | None, *, is_recorded: bool | None) -> StepOutcome:
        """Make one step of a live row and store its result. The caller holds the row's lease.

        Args:
            row: as it was read under the lease.
            merchant: the row's merchant account, or None if the settings lack its key.
            is_recorded: the host's answer about the payment; None if it can't be asked, then its last answer counts.

        Raises:
            JournalError: the result could not be stored; the row is as it was.

        Money effect: may cancel, the whole amount of the row's receipt.
        """
        events = EventLog(self._clock)
        try:
            outcome, result, held = self._cancel_unless_cancelled(row, merchant, is_recorded, events)
            if outcome is StepOutcome.DONE:
                self._rows.confirm(row, result, events=events.take())
            elif outcome is StepOutcome.REOPENED:
                self._rows.reopen(row, result, events=events.take())
            else:
                pause = pause_ms(row.attempts, self._jitter())
                self._rows.postpone(row, pause, result, held=held, events=events.take())
        except Conflict:
            return StepOutcome.DONE
        _log.info("cancellation %d of payment %s: %s", row.cancellation_id, row.payment_id, result)
        return outcome

    def last_state(self, row: CancellationRow, merchant: MerchantClient | None) -> int | None:
        """Ask for the receipt's state and change nothing; return None if there is no usable answer."""
        if merchant is None:
            return None
        wait, queries = self._queries(row, merchant, EventLog(self._clock))
        return queries.state(wait.request_limit())

    def _cancel_unless_cancelled(
        self, row: CancellationRow, merchant: MerchantClient | None, is_recorded: bool | None, events: EventLog
    ) -> tuple[StepOutcome, str, Hold | None]:
        """Ask for the state, and cancel if necessary; return the outcome, its reason and why the row is held, if it is.

        Money effect: may cancel, the whole amount.
        """
        if row.is_vetoed(is_recorded):
            return StepOutcome.HELD, "the till says that it has this payment", Hold.HOST
        if merchant is None:
            held = Hold.OLD if row.held is Hold.OLD else None
            return StepOutcome.BLOCKED, f"the settings hold no key of merchant account {row.pos_id}", held
        wait, queries = self._queries(row, merchant, events)
        state = queries.state(wait.request_limit())
        if needs_cancel(state):
            if row.confirmed_at is not None:  # the host was not asked about it, and may have the payment
                return StepOutcome.REOPENED, f"Payme says {state} after cancelled (50)", None
            if self.may_be_old(row):
                receipt = queries.receipt(wait.request_limit())
                if receipt is None:
                    return StepOutcome.LATER, "Payme does not say when the receipt was made", None
                if row.created_at - (receipt.create_time_ms or row.created_at) >= _OLDEST_MS:
                    return StepOutcome.HELD, "an orphan older than 7 days by Payme's time", Hold.OLD
            if not begin_cancel(self._rows, row, events):
                return StepOutcome.LATER, "the journal can't store that the cancel begins", None
            state = cancel_in_state(queries, wait, state)
        return outcome_of(state, queries), _RESULTS.get(state) or events.last or "no usable answer", None

    def may_be_old(self, row: CancellationRow) -> bool:
        """Return whether by the till's clock the row was written a week after its payment; that clock may be wrong."""
        if row.cause is not Cause.UNRECORDED or row.begun_at is not None:
            return False
        payment = self._journal.payment(row.payment_id)
        # Without an attempt it was stored later than it was made, e.g. from Payme's list.
        return not payment.attempt or row.created_at - payment.created_at >= _OLDEST_MS

    def _queries(
        self, row: CancellationRow, merchant: MerchantClient, events: EventLog
    ) -> tuple[CashierWait, ReceiptQueries]:
        wait = CashierWait(self._clock, None, merchant.limits)
        return wait, ReceiptQueries(
            merchant.client,
            wait,
            events,
            receipt_id=row.receipt_id,
            amount=row.amount,
            text=lambda _: "",
        )
