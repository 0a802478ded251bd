"""What a failed ``receipts.pay`` means: nothing left, an error code, or no usable answer.

An error code is a verdict only where the catalogue says that it proves that nothing was charged; every other one, known
or not, is a reason to ask for the receipt's state.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.ledger.cancellations import SAID_CANCELLED
from payme_plugin.operations import messages
from payme_plugin.operations.results import NotPaid, Paid
from payme_plugin.paymego.codes import proves_no_charge
from payme_plugin.paymego.errors import CallFailed, NotSent, ServerError
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.receipt_queries import ReceiptQueries
    from payme_plugin.operations.wait import CashierWait
    from payme_plugin.texts import Texts

__all__ = ["AskAgain", "cancelled_by_payme", "classify_pay_failure", "returning"]


@dataclass(frozen=True, slots=True)
class AskAgain:
    """The code is stale, nothing was charged, and the receipt is in state 0: another code may be sent.

    Attributes:
        error_code: the server's error code.
    """

    error_code: int


def classify_pay_failure(
    context: Context, queries: ReceiptQueries, wait: CashierWait, failure: CallFailed, *, may_ask: bool
) -> NotPaid | Paid | AskAgain | None:
    """Return what a failed ``receipts.pay`` decides; None: nothing, ask for the state until it does.

    Args:
        context: settings and texts.
        queries: asks about our receipt.
        wait: the operation's limits.
        failure: what ``receipts.pay`` brought.
        may_ask: the cashier may be asked for another code.

    Money effect: none; or it cancels a receipt that is in state 0, where the code is one of ``ignoredErrors``.
    """
    if isinstance(failure, NotSent):
        stopped = wait.has_stopped()
        return NotPaid(
            status=PaymentStatus.ABORTED if stopped else PaymentStatus.REFUSED,
            message=(
                context.texts(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
                if stopped
                else messages.failed_before_paying(context.texts, failure)
            ),
            reason=f"the code never left: {failure.explanation}",
            needs_cancellation=True,
            released_code=True,
        )
    if not isinstance(failure, ServerError):
        return None
    # An error without our request's id may be another call's: it proves enough where a cancellation follows, not where
    # the settings want none.
    if proves_no_charge(failure.code) and (failure.bound or failure.code not in context.settings.ignored_errors):
        return _nothing_charged(context, queries, wait, failure, may_ask=may_ask)
    return _ask_for_the_state(context, queries, wait, failure)


def cancelled_by_payme(texts: Texts) -> NotPaid:
    """Return the ending for state 50: nothing was charged, or all of it is back, and nothing is left to cancel."""
    return NotPaid(
        status=PaymentStatus.REFUSED,
        message=texts(Text.PAYMENT_CANCELLED_BY_PAYME),
        reason=SAID_CANCELLED,
    )


def returning(texts: Texts) -> NotPaid:
    """Return the ending for state 21: the money is on its way back, and that is followed to its end."""
    return NotPaid(
        status=PaymentStatus.REFUSED,
        message=texts(Text.PAYMENT_RETURNING),
        reason="Payme says that it is cancelling (21)",
        needs_cancellation=True,
    )


def _nothing_charged(
    context: Context, queries: ReceiptQueries, wait: CashierWait, refusal: ServerError, *, may_ask: bool
) -> NotPaid | Paid | AskAgain | None:
    doubtful = not refusal.bound
    if refusal.code in context.settings.stale_codes and may_ask:
        state = queries.state(wait.question_limit())
        # Without our request's id it proves nothing: our own pay may still arrive beside a second one, and a verdict on
        # that one would say nothing of the first.
        if state == ReceiptState.CREATED and not doubtful and not wait.has_stopped():
            return AskAgain(refusal.code)
        if state == ReceiptState.PAID:
            return Paid(None)
        if state == ReceiptState.CANCELLED:
            return cancelled_by_payme(context.texts)
        # The state is the later word: where it was asked, and it isn't 0 for certain, the code proves nothing any more.
        doubtful = doubtful or state != ReceiptState.CREATED
    # What is in doubt is cancelled, whatever the settings ignore.
    return NotPaid(
        status=PaymentStatus.REFUSED,
        message=messages.refused(context.texts, refusal),
        reason=f"error {refusal.code}" + (", in doubt" if doubtful else " proves that nothing was charged"),
        error_code=refusal.code,
        needs_cancellation=doubtful or refusal.code not in context.settings.ignored_errors,
    )


def _ask_for_the_state(
    context: Context, queries: ReceiptQueries, wait: CashierWait, refusal: ServerError
) -> NotPaid | Paid | None:
    state = queries.state(wait.question_limit())
    if state == ReceiptState.PAID:
        return Paid(None)
    if state == ReceiptState.CANCELLED:
        return cancelled_by_payme(context.texts)
    if state != ReceiptState.CREATED:
        return None
    # An ignored code leaves no row behind, but this one does not prove that nothing was charged: only a receipt that is
    # cancelled for certain needs none. The row in state paying is the durable intent to cancel until then.
    done = (
        refusal.code in context.settings.ignored_errors
        and queries.cancel(wait.question_limit()) == ReceiptState.CANCELLED
    )
    return NotPaid(
        status=PaymentStatus.REFUSED,
        message=messages.refused(context.texts, refusal),
        reason=f"error {refusal.code}, state 0 asked after it" + (", cancelled on the spot" if done else ""),
        error_code=refusal.code,
        needs_cancellation=not done,
    )
