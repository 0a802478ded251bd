"""A whole payment given back while the cashier waits: the cancel of an open sale, or the refund of a closed one.

    the state first ─> the cancellation durable ─> receipts.cancel ─> receipts.check until 50: REVERSED

Whatever else happens leaves that cancellation to its worker: QUEUED, as long as it is live; where a person has ended it
meanwhile: REFUSED, with the reason. The one way back is a refusal that answers our own request and that the settings
ignore, with state 4 asked after it: REFUSED, and the payment stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.cancellations import FARTHEST_DUE_MS, Cancellations
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.rows import NewCancellation
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.receipt_queries import CANCEL, ReceiptQueries, receipt_id_of
from payme_plugin.operations.reversal_endings import ReversalEndings, refused
from payme_plugin.operations.wait import CashierWait
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import ReversalResult
    from payme_plugin.ledger.rows import CancellationRow, PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.host_guard import GuardedUi
    from payme_plugin.operations.reversal_endings import Order

__all__ = ["reverse", "tell_reversed"]

_log = Log()

_GONE = frozenset({ReceiptState.CANCELLING, ReceiptState.CANCELLED})
_NOTHING_ASKED = "the cashier stopped it before Payme was asked"


def reverse(context: Context, row: PaymentRow, order: Order, ui: GuardedUi) -> ReversalResult:
    """Give a whole payment back.

    Args:
        context: what the operation may touch; its client is that of the kassa that took the payment.
        row: the payment, paid, recorded, or reversing by this very order.
        order: why.
        ui: the cashier.

    Raises:
        Conflict: the payment has moved on meanwhile: read again and obey.
        Unavailable: nothing was stored, and nothing was asked of Payme that returns money.

    Money effect: may cancel, the whole amount.
    """
    return _Reversal(context, order, ui).run(row)


def tell_reversed(context: Context, row: PaymentRow, order: Order, ui: GuardedUi) -> ReversalResult:
    """Return REVERSED, with its slip, for a payment that was given back before.

    Money effect: none.
    """
    return _Reversal(context, order, ui).reversed_before(row)


class _Reversal:
    """One run of one reversal."""

    def __init__(self, context: Context, order: Order, ui: GuardedUi) -> None:
        self._context = context
        self._order = order
        self._events = EventLog(context.clock)
        self._wait = CashierWait(context.clock, ui, context.limits)
        self._rows = Cancellations(context.journal)
        self._endings = ReversalEndings(context, order, self._events, self._wait, self._queries)
        self._may_withdraw = True
        self._attempts = 0
        self._came = ""

    def run(self, row: PaymentRow) -> ReversalResult:
        self._wait.start()
        if row.state is PaymentState.REVERSING:
            # Begun before a crash, which may have come before receipts.cancel left.
            cancellation = self._live(row)
            state = self._known_state(row)
            # Once it is left to the worker it may have been told as QUEUED: from then on it is not taken back. Nor is
            # it where receipts.cancel has left before: that request may still be on its way. That it is due proves
            # less, for a wall clock may be set back; it stands in where what came could not be stored.
            is_left = bool(cancellation.last_error) or cancellation.offered_at is not None
            is_due = cancellation.due_at <= self._context.journal.now_ms()
            self._may_withdraw = not (is_left or is_due or cancellation.attempts)
        else:
            state = self._known_state(row)
            if state in _GONE and self._order.cause is Cause.REFUND:
                return refused(self._context, row, Text.REVERSAL_ALREADY_REVERSED)
            row, cancellation = self._begin(row)
        if state == ReceiptState.CANCELLED:
            return self._endings.reversed(row, cancellation)
        if state is None:
            return self._queued(row, cancellation)
        return self._carry_out(row, cancellation, state)

    def reversed_before(self, row: PaymentRow) -> ReversalResult:
        self._wait.start()
        return self._endings.already_reversed(row, self._rows.latest_of(row.payment_id))

    def _known_state(self, row: PaymentRow) -> int | None:
        """Ask for the state until it is known; None when the cashier stopped or time is over."""
        queries = self._queries(row)
        # The first question has its whole timeout: a payDuration below one round trip would let no cancel ever leave.
        limit = self._wait.request_limit()
        while not self._wait.has_stopped():
            state = queries.state(limit)
            if state is not None:
                return state
            if not self._pause() or self._wait.now >= self._wait.ends:
                break
            limit = min(self._wait.request_limit(), self._wait.ends)
        return None

    def _begin(self, row: PaymentRow) -> tuple[PaymentRow, CancellationRow]:
        self._came = self._events.last
        # The worker leaves the row alone while the cashier waits; after a crash it comes due by itself.
        wait_ms = self._context.settings.pay_duration_ms + 1000 * self._context.settings.timeout_s
        row = self._context.journal.move(
            row,
            PaymentState.REVERSING,
            f"the till asks for a {self._order.operation}",
            cancellation=NewCancellation(
                cause=self._order.cause,
                request_id=self._order.request_id,
                due_in_ms=min(wait_ms, FARTHEST_DUE_MS),
            ),
            notes=self._events.take(),
        )
        return row, self._live(row)

    def _live(self, row: PaymentRow) -> CancellationRow:
        return self._rows.live_of(row.payment_id)

    def _carry_out(self, row: PaymentRow, cancellation: CancellationRow, state: int) -> ReversalResult:
        if state == ReceiptState.CANCELLING:
            return self._follow(row, cancellation)
        queries = self._queries(row)
        self._begin_cancel(cancellation)
        try:
            answer = queries.call(CANCEL, receipts.by_id(receipt_id_of(row)), self._wait.request_limit())
        except ServerError as refusal:
            return self._refused_by_payme(row, cancellation, refusal)
        except CallFailed:
            return self._queued(row, cancellation)
        accepted = queries.state_in(answer, self._wait.question_limit())
        if accepted == ReceiptState.CANCELLED:
            return self._endings.reversed(row, cancellation)
        if accepted == ReceiptState.CANCELLING and self._context.settings.cancel_accepted_is_done:
            return self._endings.reversed_soon(row, cancellation)
        return self._follow(row, cancellation)

    def _begin_cancel(self, cancellation: CancellationRow) -> None:
        try:
            self._attempts = self._rows.begin(
                cancellation, notes=(*self._events.notes, self._events.request_event(CANCEL))
            )
        except Conflict:
            raise
        except JournalError as error:
            # The cancellation is durable; it is only not known any more who else may have sent receipts.cancel.
            _log.error("payment %s: %s", cancellation.payment_id, error)
            self._may_withdraw = False
        else:
            self._events.mark_request_stored(CANCEL)
            if self._attempts > 1:
                # Another's receipts.cancel has left since the row was read, and may still be on its way.
                self._may_withdraw = False

    def _follow(self, row: PaymentRow, cancellation: CancellationRow) -> ReversalResult:
        """Ask for the state until Payme says cancelled."""
        queries = self._queries(row)
        while not self._wait.has_stopped():
            is_last = self._wait.now >= self._wait.ends
            limit = self._wait.question_limit()
            state = queries.state(limit if is_last else min(limit, self._wait.ends))
            if state == ReceiptState.CANCELLED:
                return self._endings.reversed(row, cancellation)
            if state == ReceiptState.CANCELLING and self._context.settings.cancel_accepted_is_done:
                return self._endings.reversed_soon(row, cancellation)
            if not self._pause():
                break
        return self._queued(row, cancellation)

    def _refused_by_payme(self, row: PaymentRow, cancellation: CancellationRow, refusal: ServerError) -> ReversalResult:
        # An error without our request's id may be another call's, and ours may still be carried out.
        is_ignored = refusal.bound and refusal.code in self._context.settings.ignored_errors
        if self._may_withdraw and is_ignored:
            state = self._queries(row).state(self._wait.question_limit())
            if state == ReceiptState.PAID:
                told = self._endings.withdrawn(row, cancellation, refusal.code, self._attempts)
                if told is not None:
                    return told
        return self._queued(row, cancellation, refusal.code)

    def _queued(self, row: PaymentRow, cancellation: CancellationRow, error_code: int | None = None) -> ReversalResult:
        came = self._events.last or self._came or _NOTHING_ASKED
        return self._endings.queued(row, cancellation, came, error_code)

    def _pause(self) -> bool:
        """Wait until the next turn; False: there is none."""
        if self._wait.has_stopped() or self._wait.now >= self._wait.ends:
            return False
        return self._wait.pause_until(self._next_turn(), self._text)

    def _next_turn(self) -> float:
        return min(self._wait.now + self._context.limits.frequency_s, self._wait.ends)

    def _queries(self, row: PaymentRow) -> ReceiptQueries:
        return ReceiptQueries(
            self._context.client,
            self._wait,
            self._events,
            receipt_id=receipt_id_of(row),
            amount=row.amount,
            text=self._text,
        )

    def _text(self, left_s: float) -> str:
        return self._context.texts(Text.PROGRESS_REVERSING, left_s=round(left_s))
