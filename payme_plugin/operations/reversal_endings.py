"""How a reversal ends: what is made durable of its end, and what the host is told.

A cancellation that has begun is durable: where its end can't be stored, it stays, and its money goes back.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookspecs import ReversalResult, ReversalStatus
from payme_plugin.ledger.cancellations import SAID_CANCELLED, Cancellations, closing_reason, was_told_queued
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hookspecs import Receipt, Slip
    from payme_plugin.ledger.rows import CancellationRow, PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.event_log import EventLog
    from payme_plugin.operations.receipt_queries import ReceiptQueries
    from payme_plugin.operations.wait import CashierWait

__all__ = ["Order", "ReversalEndings", "closed_by_hand", "refused"]

_log = Log()


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be given back, and why.

    Attributes:
        cause: CANCEL or REFUND.
        request_id: the host's id of the refund; empty for a cancel.
        document: the receipt that the slip speaks of: the refund, or the sale that is annulled.
    """

    cause: Cause
    request_id: str
    document: Receipt

    @property
    def operation(self) -> str:
        """Its name on a slip."""
        return "refund" if self.cause is Cause.REFUND else "cancel"


def refused(context: Context, row: PaymentRow, text: Text, error_code: int | None = None) -> ReversalResult:
    """Return REFUSED: the payment stands."""
    return ReversalResult(
        status=ReversalStatus.REFUSED,
        receipt_id=row.receipt_id,
        message=context.texts(text),
        error_code=error_code,
    )


def closed_by_hand(context: Context, row: PaymentRow, reason: str) -> ReversalResult:
    """Return REFUSED for a payment whose return a person ended: nothing moves, and people know where its money is."""
    return ReversalResult(
        status=ReversalStatus.REFUSED,
        receipt_id=row.receipt_id,
        message=context.texts(Text.REVERSAL_CLOSED_BY_HAND, text=reason),
    )


class ReversalEndings:
    """The ways in which one run of one reversal ends.

    Args:
        context: what the operation may touch.
        order: why.
        events: of the run; its lines go into the commits.
        wait: of the run; it limits the question for what a slip shows.
        queries: gives the requests about a payment's receipt.
    """

    def __init__(
        self,
        context: Context,
        order: Order,
        events: EventLog,
        wait: CashierWait,
        queries: Callable[[PaymentRow], ReceiptQueries],
    ) -> None:
        self._context = context
        self._order = order
        self._events = events
        self._wait = wait
        self._queries = queries
        self._rows = Cancellations(context.journal)

    def already_reversed(self, row: PaymentRow, cancellation: CancellationRow | None) -> ReversalResult:
        """Return REVERSED, with its slip, for a payment that was given back before.

        Args:
            row: the payment.
            cancellation: its latest one, or None.

        Raises:
            Conflict: the payment has no receipt.

        Money effect: none.
        """
        queued = was_told_queued(cancellation)
        return self._result(ReversalStatus.REVERSED, row, Text.REVERSAL_REVERSED, with_slip=True, queued=queued)

    def reversed(self, row: PaymentRow, cancellation: CancellationRow) -> ReversalResult:
        """End the cancellation of a payment that Payme says is cancelled, and return REVERSED, with its slip.

        Args:
            row: the payment.
            cancellation: its live one.

        Raises:
            Conflict: the payment has no receipt.

        Money effect: none; the money is back.
        """
        # The money is back whatever the disk says; where this can't be stored, the worker comes to the same end.
        with _tolerated(row):
            try:
                self._rows.end(cancellation, SAID_CANCELLED, reversed_at_payme=True, notes=self._events.notes)
            except Conflict:
                # A person has closed the cancellation meanwhile, or its worker was first.
                self._context.journal.move(row, PaymentState.REVERSED, SAID_CANCELLED, notes=self._events.notes)
            self._events.take()
        return self._result(ReversalStatus.REVERSED, row, Text.REVERSAL_REVERSED, with_slip=True)

    def reversed_soon(self, row: PaymentRow, cancellation: CancellationRow) -> ReversalResult:
        """Leave to its worker what Payme has accepted, and return REVERSED, with its slip.

        Args:
            row: the payment.
            cancellation: its live one, where ``cancelAcceptedIsDone`` is on and Payme said 21.

        Returns:
            Where the cancellation has ended meanwhile: what is told of that.

        Raises:
            Conflict: another hook took the cancellation back, or the payment has no receipt.

        Money effect: none at once; the cancellation is carried out later.
        """
        self._leave_to_worker(row, cancellation, "Payme is cancelling (21)")
        return self._ended_meanwhile(cancellation) or self._result(
            ReversalStatus.REVERSED, row, Text.REVERSAL_REVERSED, with_slip=True, queued=True
        )

    def queued(
        self, row: PaymentRow, cancellation: CancellationRow, came: str, error_code: int | None
    ) -> ReversalResult:
        """Leave the cancellation to its worker, and return QUEUED.

        Args:
            row: the payment.
            cancellation: its live one.
            came: what came of it so far, never empty.
            error_code: the server's error code, or None.

        Returns:
            Where the cancellation has ended meanwhile: what is told of that.

        Raises:
            Conflict: another hook took the cancellation back.

        Money effect: none at once; the cancellation is carried out later.
        """
        self._leave_to_worker(row, cancellation, came)
        return self._ended_meanwhile(cancellation) or self._result(
            ReversalStatus.QUEUED, row, Text.REVERSAL_QUEUED, queued=True, error_code=error_code
        )

    def withdrawn(
        self, row: PaymentRow, cancellation: CancellationRow, error_code: int, attempts: int
    ) -> ReversalResult | None:
        """Take the cancellation back; None where that can't be stored: then it stays, and its money goes back.

        None too where ``receipts.cancel`` has left for it elsewhere meanwhile.

        Args:
            row: the payment.
            cancellation: its live one.
            error_code: with which Payme refused; the settings ignore it, and state 4 was asked after it.
            attempts: the cancellation's steps so far, as far as the caller knows.

        Returns:
            REFUSED, the payment stands; or None.

        Money effect: none.
        """
        try:
            outcome = f"error {error_code} is ignored, state 4 asked after it"
            self._rows.withdraw(cancellation, outcome, attempts=attempts, notes=self._events.notes)
        except JournalError as error:
            _log.error("payment %s: %s", row.payment_id, error)
            return None
        return ReversalResult(
            status=ReversalStatus.REFUSED,
            receipt_id=row.receipt_id,
            message=self._context.texts(Text.REVERSAL_REFUSED, code=error_code),
            error_code=error_code,
        )

    def _leave_to_worker(self, row: PaymentRow, cancellation: CancellationRow, came: str) -> None:
        with _tolerated(row):
            self._rows.leave(cancellation, came, notes=self._events.take())

    def _ended_meanwhile(self, cancellation: CancellationRow) -> ReversalResult | None:
        """Return what is told of a cancellation that has ended while the cashier waited; None: it is live.

        No lease is held meanwhile, so a person may close it and a worker may be first. What can't be read is live: a
        durable row ends by nothing else.

        Raises:
            Conflict: another hook took it back.
        """
        try:
            latest = self._context.journal.cancellation(cancellation.cancellation_id)
            row = self._context.journal.payment(cancellation.payment_id)
        except JournalError as error:
            _log.error("payment %s: %s", cancellation.payment_id, error)
            return None
        if latest is not None and latest.ended_at is None:
            return None
        if row.state is PaymentState.REVERSED:
            return self.already_reversed(row, latest)
        reason = closing_reason(latest)
        if reason is not None:
            return closed_by_hand(self._context, row, reason)
        message = f"cancellation {cancellation.cancellation_id} was taken back"
        raise Conflict(message)

    def _result(
        self,
        status: ReversalStatus,
        row: PaymentRow,
        text: Text,
        *,
        with_slip: bool = False,
        queued: bool = False,
        error_code: int | None = None,
    ) -> ReversalResult:
        slips: tuple[Slip, ...] = ()
        if with_slip:
            receipt = self._queries(row).receipt(self._wait.question_limit())
            raw = {} if receipt is None else receipt.raw
            slips = self._context.slips.make(self._order.operation, row, raw, self._order.document)
        return ReversalResult(
            status=status,
            receipt_id=row.receipt_id,
            slips=slips,
            message=self._context.texts(text),
            error_code=error_code,
            cancellation_queued=queued,
        )


@contextmanager
def _tolerated(row: PaymentRow) -> Iterator[None]:
    """Log what the journal can't store after the cancellation is durable: nothing of it changes the verdict."""
    try:
        yield
    except JournalError as error:
        _log.error("payment %s: %s", row.payment_id, error)
