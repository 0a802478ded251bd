"""The wait for the buyer: the receipt's state, asked at once, every ``frequency``, and once more at ``payDuration``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.operations.endings import Ending, Paid
from payme_plugin.operations.judging import cancelled_by_payme, returning
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from payme_plugin.operations.inquiry import Inquiry
    from payme_plugin.operations.tools import Tools
    from payme_plugin.operations.waiting import Watch

__all__ = ["poll"]


def poll(tools: Tools, inquiry: Inquiry, watch: Watch) -> Ending | Paid:
    """Ask for the state until it decides, the cashier stops, or time is over.

    A question that is under way when ``payDuration`` ends makes room for the last one, which has a ``timeout`` of its
    own.

    Money effect: none.
    """
    next_question = watch.now
    while not watch.has_stopped():
        is_last = watch.now >= watch.ends
        limit = watch.question_limit()
        decided = _judge(tools, inquiry.state(limit if is_last else min(limit, watch.ends)))
        if decided is not None:
            return decided
        if watch.has_stopped():
            break
        if is_last:
            return _time_is_over(tools)
        next_question = _next(next_question, tools.limits.frequency_s, watch)
        watch.pause_until(next_question, lambda left_s: _text(tools, left_s))
    return _stopped(tools, inquiry, watch)


def _next(last: float, frequency_s: float, watch: Watch) -> float:
    # Answers slower than the frequency skip their turns instead of piling up.
    turns = int((watch.now - last) / frequency_s) + 1
    return min(last + turns * frequency_s, watch.ends)


def _judge(tools: Tools, state: int | None) -> Ending | Paid | None:
    if state == ReceiptState.PAID:
        return Paid(None)
    if state == ReceiptState.CANCELLED:
        return cancelled_by_payme(tools.texts)
    if state == ReceiptState.CANCELLING:
        return returning(tools.texts)
    return None


def _stopped(tools: Tools, inquiry: Inquiry, watch: Watch) -> Ending | Paid:
    watch.heed()
    if inquiry.state(watch.question_limit()) == ReceiptState.PAID:
        return Paid(None)
    return Ending(
        status=PaymentStatus.ABORTED,
        message=tools.texts(Text.PAYMENT_ABORTED),
        reason="the cashier stopped",
        needs_cancellation=True,
    )


def _time_is_over(tools: Tools) -> Ending:
    return Ending(
        status=PaymentStatus.UNKNOWN,
        message=tools.texts(Text.PAYMENT_UNKNOWN),
        reason="payDuration is over",
        needs_cancellation=True,
    )


def _text(tools: Tools, left_s: float) -> str:
    return tools.texts(Text.PROGRESS_WAITING_FOR_BUYER, left_s=round(left_s))
