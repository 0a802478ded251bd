"""The outcome of a ``receipts.pay``: what its failure proves, and the wait for the buyer.

An error code decides only if the catalogue says that it proves that nothing was charged, and only in an answer that
repeats our request's id. Every other code, known or not, is a reason to ask for the receipt's state.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from hookspecs import PaymentStatus
from payme_plugin.operations.results import NotPaid, Paid, message_of, nothing_charged, to_cancel
from payme_plugin.operations.wait import next_poll
from payme_plugin.paymego.codes import proves_no_charge
from payme_plugin.paymego.errors import CallFailed, NotSent, ServerError
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.receipt_queries import ReceiptQueries
    from payme_plugin.operations.wait import CashierWait
    from payme_plugin.texts import Texts


class StaleCode(NamedTuple):
    """The code is stale, nothing was charged, and the receipt is in state 0: another code may be sent.

    Attributes:
        error_code: the server's error code.
    """

    error_code: int


def classify_pay_failure(
    context: Context, queries: ReceiptQueries, wait: CashierWait, failure: CallFailed, *, may_scan_again: bool
) -> NotPaid | Paid | StaleCode | None:
    """Return what a failed ``receipts.pay`` decides; None: nothing, poll until the state does.

    Args:
        context: settings and texts.
        queries: asks about our receipt.
        wait: the operation's limits.
        failure: how ``receipts.pay`` failed.
        may_scan_again: the cashier may be asked for another code.
    """
    if isinstance(failure, NotSent):
        return nothing_charged(context.texts, failure, stopped=wait.has_stopped())._replace(
            reason=f"the code never left: {failure.explanation}",
            needs_cancellation=True,
            released_code=True,
        )
    if not isinstance(failure, ServerError):
        return None
    # An error without our request's id may belong to another request, and our own pay may still arrive.
    if failure.bound and proves_no_charge(failure.code):
        return _proven_refusal(context, queries, wait, failure, may_scan_again=may_scan_again)
    return _unproven_refusal(context, queries, wait, failure)


def poll(
    context: Context, queries: ReceiptQueries, wait: CashierWait, *, created_until: float = math.inf
) -> NotPaid | Paid:
    """Ask for the state until it decides, the cashier stops, or time is over.

    It polls at once, when ``next_poll`` says, and once more at ``payDuration``. A poll that still runs then is ended to
    make room for the last one, which has a ``timeout`` of its own.

    Args:
        context: texts and limits.
        queries: asks about our receipt.
        wait: the operation's limits.
        created_until: the monotonic time from which a receipt that nobody has paid yet (0) ends the wait.
    """
    begun_at = wait.now
    while not wait.has_stopped():
        polled_at = wait.now
        is_last = polled_at >= wait.ends
        limit = wait.query_limit()
        state = queries.state(limit if is_last else min(limit, wait.ends))
        outcome = _outcome_of_state(context.texts, state)
        if outcome is not None:
            return outcome
        is_last = is_last or (state == ReceiptState.CREATED and wait.now >= created_until)
        if wait.has_stopped():
            break
        if is_last:
            return to_cancel(context.texts, PaymentStatus.UNKNOWN, Text.PAYMENT_UNKNOWN, "payDuration is over")
        next_poll_at = min(next_poll(begun_at, polled_at, wait.now, context.limits), wait.ends)
        if wait.now < created_until < next_poll_at:
            next_poll_at = created_until
        wait.pause_until(next_poll_at, context.progress(Text.PROGRESS_WAITING_FOR_BUYER))
    wait.ignore_stop()
    if queries.state(wait.query_limit()) == ReceiptState.PAID:
        return Paid(None)
    return to_cancel(context.texts, PaymentStatus.ABORTED, Text.PAYMENT_ABORTED, "the cashier stopped")


def _outcome_of_state(texts: Texts, state: int | None) -> NotPaid | Paid | None:
    if state == ReceiptState.PAID:
        return Paid(None)
    if state == ReceiptState.CANCELLED:  # nothing was charged, or all of it is back: the cancellation confirms it
        reason = "Payme says cancelled (50)"
        return to_cancel(texts, PaymentStatus.REFUSED, Text.PAYMENT_CANCELLED_BY_PAYME, reason)
    if state == ReceiptState.CANCELLING:  # the money is being returned: the cancellation follows it to its end
        reason = "Payme says that it is cancelling (21)"
        return to_cancel(texts, PaymentStatus.REFUSED, Text.PAYMENT_RETURNING, reason)
    return None


def _proven_refusal(
    context: Context, queries: ReceiptQueries, wait: CashierWait, error: ServerError, *, may_scan_again: bool
) -> NotPaid | Paid | StaleCode | None:
    doubtful = False
    if error.code in context.settings.stale_codes and may_scan_again:
        state = queries.state(wait.query_limit())
        if state == ReceiptState.CREATED and not wait.has_stopped():
            return StaleCode(error.code)
        if state in {ReceiptState.PAID, ReceiptState.CANCELLED}:
            return _outcome_of_state(context.texts, state)
        # The state is the later answer: if it isn't 0 for certain, the code proves nothing any more.
        doubtful = state != ReceiptState.CREATED
    return NotPaid(
        status=PaymentStatus.REFUSED,
        message=message_of(context.texts, error),
        reason=f"error {error.code}" + (", in doubt" if doubtful else " proves that nothing was charged"),
        error_code=error.code,
        # What is in doubt is cancelled even if the settings ignore its code.
        needs_cancellation=doubtful or error.code not in context.settings.ignored_errors,
    )


def _unproven_refusal(
    context: Context, queries: ReceiptQueries, wait: CashierWait, error: ServerError
) -> NotPaid | Paid | None:
    state = queries.state(wait.query_limit())
    if state != ReceiptState.CREATED:
        return _outcome_of_state(context.texts, state) if state in {ReceiptState.PAID, ReceiptState.CANCELLED} else None
    # An ignored code leaves no cancellation behind, but this one does not prove that nothing was charged.
    return NotPaid(
        status=PaymentStatus.REFUSED,
        message=message_of(context.texts, error),
        reason=f"error {error.code}, state 0 asked after it",
        error_code=error.code,
        needs_cancellation=True,
    )
