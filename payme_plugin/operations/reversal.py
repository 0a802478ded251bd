"""Reverse a whole payment while the cashier waits: cancel an open sale or refund a closed one.

    ask for the state ─> commit the cancellation ─> receipts.cancel ─> receipts.check until 50: REVERSED

While the cashier waits, this hook holds the lease of the cancellation, so nobody else works on it. If it can't be
finished now, the worker continues and the result is QUEUED. It is withdrawn, with the result REFUSED, only if Payme
refused our own request with an error that the settings ignore, the state asked afterwards is 4, no other
``receipts.cancel`` of this cancellation may have arrived, and no hook has returned QUEUED.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from hookspecs import ReversalResult, ReversalStatus
from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.errors import JournalError
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.cancellation import begin_cancel
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.receipt_queries import CANCEL, ReceiptQueries, receipt_id_of
from payme_plugin.operations.wait import CashierWait, next_poll
from payme_plugin.paymego import receipts
from payme_plugin.paymego.codes import OF_ANOTHER_ACCOUNT
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from hookspecs import Receipt
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import CancellationRow, Event, PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.host_guard import GuardedUi
    from payme_plugin.texts import Texts

_log = Log()

_CANCELLED_STATES = frozenset({ReceiptState.CANCELLING, ReceiptState.CANCELLED})
_LEFT = "the hook left it to the worker"


class Order(NamedTuple):
    """What the host requests.

    Attributes:
        cause: CANCEL or REFUND.
        request_id: the host's id of the refund; empty for a cancel.
        document: the receipt that the slip names: the refund, or the sale that is annulled.
    """

    cause: Cause
    request_id: str
    document: Receipt

    @property
    def operation(self) -> str:
        """The name of the operation on a slip."""
        return "refund" if self.cause is Cause.REFUND else "cancel"

    def commit(self, journal: Journal, row: PaymentRow, events: Sequence[Event] = ()) -> PaymentRow:
        """Commit the cancellation of a payment.

        Raises:
            Conflict: the payment has changed meanwhile.
            Unavailable: nothing was stored.
        """
        return journal.move(
            row,
            PaymentState.REVERSING,
            f"the till asks for a {self.operation}",
            cancellation=NewCancellation(cause=self.cause, request_id=self.request_id),
            events=events,
        )


def reverse(context: Context, row: PaymentRow, order: Order, ui: GuardedUi) -> ReversalResult | None:
    """Return a whole payment to the buyer.

    Args:
        context: as for a payment; its client is that of the merchant account that took the payment.
        row: the payment: paid, recorded, or reversing or reversed for this order.
        order: what the host requests.
        ui: the cashier.

    Returns:
        The result, or None if another thread or process works on the cancellation, which is durable then.

    Raises:
        Conflict: the payment or its cancellation has changed since; read it again.
        Unavailable: the journal can't be used. Without a live cancellation no ``receipts.cancel`` was sent.

    Money effect: may cancel, the whole amount.
    """
    return _Reversal(context, row, order, ui).run()


def refused(texts: Texts, text: Text, receipt_id: str | None = None, /, **values: object) -> ReversalResult:
    """Return REFUSED with a text for the cashier; no money is returned."""
    return ReversalResult(status=ReversalStatus.REFUSED, receipt_id=receipt_id, message=texts(text, **values))


class _Reversal:
    """One run of one reversal.

    ``run`` has the steps in order. Each method that returns a result stores it first.
    """

    def __init__(self, context: Context, row: PaymentRow, order: Order, ui: GuardedUi) -> None:
        self._context = context
        self._row = row
        self._order = order
        self._receipt_id = receipt_id_of(row)
        self._events = EventLog(context.clock)
        self._wait = CashierWait(context.clock, ui, context.limits)
        self._progress = context.progress(Text.PROGRESS_REVERSING)
        self._queries = ReceiptQueries(
            context.client,
            self._wait,
            self._events,
            receipt_id=self._receipt_id,
            amount=row.amount,
            text=self._progress,
        )
        self._rows = Cancellations(context.journal)
        self._answer_before = ""

    def run(self) -> ReversalResult | None:
        """Reverse the payment; return None if another thread or process holds the lease.

        For a new cancellation the state is asked before it is written, because a refund of a receipt that is already
        cancelled is REFUSED. For an earlier cancellation the state is asked only under its lease.

        Money effect: may cancel, the whole amount.
        """
        self._wait.start()
        if self._row.state is PaymentState.REVERSED:
            latest = self._rows.latest_of(self._row.payment_id)
            return self._reversed_result(was_queued=latest is not None and latest.is_queued)
        state = None
        is_new = self._row.state is not PaymentState.REVERSING
        if is_new:
            state = self._known_state()
            if state in _CANCELLED_STATES and self._order.cause is Cause.REFUND:
                return refused(self._context.texts, Text.REVERSAL_ALREADY_REVERSED, self._receipt_id)
            self._answer_before = self._events.last
            self._row = self._order.commit(self._context.journal, self._row, self._events.take())
        cancellation = self._rows.live_of(self._row.payment_id)
        with self._context.leases.try_acquire(cancellation.cancellation_id) as is_ours:
            if not is_ours:
                return None
            cancellation = self._rows.still_live(cancellation)
            if not is_new:
                state = self._known_state()
            if state is None:
                return self._queued(cancellation)
            if state == ReceiptState.CANCELLED:
                return self._reversed(cancellation)
            if state != ReceiptState.CANCELLING:
                result = self._cancel(cancellation, may_withdraw=is_new and cancellation.begun_at is None)
                if result is not None:
                    return result
            return self._poll_until_cancelled(cancellation)

    def _known_state(self) -> int | None:
        """Ask for the state until it is known; return None if the cashier stopped or time is over."""
        # The first query has its whole timeout. Else a payDuration below one round trip would prevent every cancel.
        limit = self._wait.request_limit()
        while not self._wait.has_stopped():
            state = self._queries.state(limit)
            if state is not None:
                return state
            again_at = self._wait.now + self._context.limits.frequency_s
            if not self._pause_until(again_at) or self._wait.now >= self._wait.ends:
                break
            limit = min(self._wait.request_limit(), self._wait.ends)
        return None

    def _cancel(self, cancellation: CancellationRow, *, may_withdraw: bool) -> ReversalResult | None:
        """Send ``receipts.cancel``; return None if the state has to be asked for.

        Args:
            cancellation: its row, under our lease.
            may_withdraw: this run wrote the row, and no ``receipts.cancel`` has begun. For an earlier row the host may
                have got QUEUED, even if that could not be stored.

        Money effect: may cancel, the whole amount.
        """
        if not begin_cancel(self._rows, cancellation, self._events):
            return self._queued(cancellation)
        try:
            answer = self._queries.call(CANCEL, receipts.by_id(self._receipt_id), self._wait.request_limit())
        except ServerError as error:
            if may_withdraw and self._is_withdrawn(cancellation, error):
                result = refused(self._context.texts, Text.REVERSAL_REFUSED, self._receipt_id, code=error.code)
                return replace(result, error_code=error.code)
            return self._queued(cancellation, error.code)
        except CallFailed:
            return self._queued(cancellation)
        state = self._queries.state_in(answer, self._wait.query_limit())
        return self._result_of(cancellation, state)

    def _is_withdrawn(self, cancellation: CancellationRow, error: ServerError) -> bool:
        """Withdraw the cancellation if Payme's refusal is final; return whether it was withdrawn."""
        # An error without our request's id may answer another request, and ours may still be carried out.
        if not error.bound or error.code not in self._context.settings.ignored_errors - OF_ANOTHER_ACCOUNT:
            return False
        if self._queries.state(self._wait.query_limit()) != ReceiptState.PAID:
            return False
        try:
            result = f"error {error.code} is ignored, state 4 asked after it"
            self._rows.withdraw(cancellation, result, events=self._events.unstored)
        except JournalError as fault:
            _log.error("payment %s: %s", cancellation.payment_id, fault)
            return False
        return True

    def _poll_until_cancelled(self, cancellation: CancellationRow) -> ReversalResult:
        """Poll until the receipt is cancelled; return QUEUED if the cashier stops or time is over."""
        begun_at = self._wait.now
        while not self._wait.has_stopped():
            polled_at = self._wait.now
            is_last = polled_at >= self._wait.ends
            limit = self._wait.query_limit()
            state = self._queries.state(limit if is_last else min(limit, self._wait.ends))
            result = self._result_of(cancellation, state)
            if result is not None:
                return result
            if not self._pause_until(next_poll(begun_at, polled_at, self._wait.now, self._context.limits)):
                break
        return self._queued(cancellation)

    def _result_of(self, cancellation: CancellationRow, state: int | None) -> ReversalResult | None:
        """Return the result for a state; None if the state must be asked again."""
        if state == ReceiptState.CANCELLED:
            return self._reversed(cancellation)
        if state == ReceiptState.CANCELLING and self._context.settings.cancel_accepted_is_done:
            self._leave_to_worker(cancellation, "Payme is cancelling (21)")
            return self._reversed_result(was_queued=True)
        return None

    def _reversed(self, cancellation: CancellationRow) -> ReversalResult:
        # The money is returned even if the journal can't store it. The worker then ends the row with the same result.
        with self._logged_if_not_stored():
            self._rows.confirm(cancellation, "Payme says cancelled (50)", events=self._events.unstored)
            self._events.take()
        return self._reversed_result(was_queued=False)

    def _reversed_result(self, *, was_queued: bool) -> ReversalResult:
        receipt = self._queries.receipt(self._wait.query_limit())
        raw = {} if receipt is None else receipt.raw
        return ReversalResult(
            status=ReversalStatus.REVERSED,
            receipt_id=self._receipt_id,
            slips=self._context.slips.render(self._order.operation, self._row, raw, self._order.document),
            message=self._context.texts(Text.REVERSAL_REVERSED),
            cancellation_queued=was_queued,
        )

    def _queued(self, cancellation: CancellationRow, error_code: int | None = None) -> ReversalResult:
        """Leave the cancellation to the worker and return QUEUED; it can't be withdrawn afterwards."""
        self._leave_to_worker(cancellation, self._events.last or self._answer_before or _LEFT)
        return ReversalResult(
            status=ReversalStatus.QUEUED,
            receipt_id=self._receipt_id,
            message=self._context.texts(Text.REVERSAL_QUEUED),
            error_code=error_code,
            cancellation_queued=True,
        )

    def _leave_to_worker(self, cancellation: CancellationRow, result: str) -> None:
        with self._logged_if_not_stored():
            self._rows.leave(cancellation, result, events=self._events.take())

    @contextmanager
    def _logged_if_not_stored(self) -> Iterator[None]:
        """Log a journal error; the cancellation is durable, so the result is the same."""
        try:
            yield
        except JournalError as error:
            _log.error("payment %s: %s", self._row.payment_id, error)

    def _pause_until(self, again_at: float) -> bool:
        """Wait until the state must be asked for again; return False if the wait is over."""
        if self._wait.has_stopped() or self._wait.now >= self._wait.ends:
            return False
        return self._wait.pause_until(min(again_at, self._wait.ends), self._progress)
