"""The wait for the buyer: the receipt's state, asked at once, every ``frequency``, and once more at ``payDuration``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.operations.pay_outcome import cancelled_by_payme, returning
from payme_plugin.operations.results import NotPaid, Paid
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.receipt_queries import ReceiptQueries
    from payme_plugin.operations.wait import CashierWait

__all__ = ["poll"]


def poll(context: Context, queries: ReceiptQueries, wait: CashierWait) -> NotPaid | Paid:
    """Ask for the state until it decides, the cashier stops, or time is over.

    A question that is under way when ``payDuration`` ends makes room for the last one, which has a ``timeout`` of its
    own.

    Money effect: none.
    """
    next_question = wait.now
    while not wait.has_stopped():
        is_last = wait.now >= wait.ends
        limit = wait.question_limit()
        decided = _judge(context, queries.state(limit if is_last else min(limit, wait.ends)))
        if decided is not None:
            return decided
        if wait.has_stopped():
            break
        if is_last:
            return _time_is_over(context)
        next_question = _next(next_question, context.limits.frequency_s, wait)
        wait.pause_until(next_question, lambda left_s: _text(context, left_s))
    return _stopped(context, queries, wait)


def _next(last: float, frequency_s: float, wait: CashierWait) -> float:
    # Answers slower than the frequency skip their turns instead of piling up.
    turns = int((wait.now - last) / frequency_s) + 1
    return min(last + turns * frequency_s, wait.ends)


def _judge(context: Context, state: int | None) -> NotPaid | Paid | None:
    if state == ReceiptState.PAID:
        return Paid(None)
    if state == ReceiptState.CANCELLED:
        return cancelled_by_payme(context.texts)
    if state == ReceiptState.CANCELLING:
        return returning(context.texts)
    return None


def _stopped(context: Context, queries: ReceiptQueries, wait: CashierWait) -> NotPaid | Paid:
    wait.acknowledge_stop()
    if queries.state(wait.question_limit()) == ReceiptState.PAID:
        return Paid(None)
    return NotPaid(
        status=PaymentStatus.ABORTED,
        message=context.texts(Text.PAYMENT_ABORTED),
        reason="the cashier stopped",
        needs_cancellation=True,
    )


def _time_is_over(context: Context) -> NotPaid:
    return NotPaid(
        status=PaymentStatus.UNKNOWN,
        message=context.texts(Text.PAYMENT_UNKNOWN),
        reason="payDuration is over",
        needs_cancellation=True,
    )


def _text(context: Context, left_s: float) -> str:
    return context.texts(Text.PROGRESS_WAITING_FOR_BUYER, left_s=round(left_s))
