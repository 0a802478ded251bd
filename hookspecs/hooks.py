"""The hook specifications, in the order of a sale's life.

Each docstring reads: when it is called; its arguments; what the host does with what it returns; *Money effect*, what
it may do to the buyer's money; *If it raises*, what becomes of the sale. Hooks are called one at a time per till, with
positional names and without defaults. No plugin may raise for anything that a server, a settings file, a scanner, a
disk or the host can do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from hookspecs.host import Host, Ui
    from hookspecs.models import (
        CancelRequest,
        PaymentRequest,
        PaymentResult,
        PaymentType,
        QueueMessage,
        QueueVerdict,
        Receipt,
        RefundRequest,
        RefundViolation,
        ReversalResult,
    )

__all__ = ["PROJECT", "hookimpl", "hookspec"]

PROJECT = "pos"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

# ---------------------------------------------------------------------------------------------------------------------
# The till starts
# ---------------------------------------------------------------------------------------------------------------------


@hookspec
def on_start(host: Host) -> None:
    """Begin work. Called once, when the till has started and restored its open sale, before any other hook.

    Args:
        host: the till; a plugin keeps it until ``on_stop``.

    Money effect: none at once; what an earlier run left unfinished may be cancelled in the background.
    If it raises: this plugin is out of service until the next start; the till works on.
    """


@hookspec
def payment_types() -> list[PaymentType]:  # type: ignore[empty-body]
    """Name the tenders that this plugin answers to. Called after ``on_start`` and after a change of settings.

    Returns:
        The tenders; the host shows those of all plugins. An empty list: none, for the time being.

    Money effect: none.
    If it raises: this plugin offers no tender.
    """


# ---------------------------------------------------------------------------------------------------------------------
# A sale
# ---------------------------------------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def on_payment(request: PaymentRequest, ui: Ui) -> PaymentResult | None:
    """Take a payment. Called when a tender was picked on an open sale. Stops at the first result that isn't None.

    Args:
        request: what to charge, and for which sale; the same ``payment_id`` again never charges again.
        ui: the cashier's screen and scanner, valid during this call and on this thread.

    Returns:
        The verdict, or None when ``request.payment_type`` belongs to another plugin. PAID adds the tender and stores
        ``payment`` with the sale, durably, before any further hook; anything else leaves the sale without the tender.
        ``message`` is shown, ``slips`` are printed once the receipt has closed.

    Money effect: may charge; whatever is not PAID is returned to the buyer by itself.
    If it raises: the outcome is unknown; the host keeps the sale and asks again with the same ``payment_id``.
    """


@hookspec(firstresult=True)
def on_cancel(request: CancelRequest, ui: Ui) -> ReversalResult | None:
    """Return a payment of an open sale. Called when a sale that holds the payment is annulled before it closes.

    Stops at the first result that isn't None.

    Args:
        request: the payment as the host stored it, and its sale.
        ui: the cashier's screen, valid during this call and on this thread.

    Returns:
        The verdict, or None when the payment is another plugin's. REVERSED and QUEUED: annul the sale and give nothing
        back by other means. REFUSED: keep the sale.

    Money effect: may cancel, the whole amount.
    If it raises: the outcome is unknown; the host keeps the sale and asks again.
    """


@hookspec
def on_receipt_closed(receipt: Receipt) -> None:
    """Take note that a receipt is closed and fiscalised. Repeated by the host until it has returned.

    Args:
        receipt: the closed receipt with its payments, and its fiscal link where there is one.

    Money effect: none; it confirms the payments in the receipt, which then are cancelled by a refund only.
    If it raises: the receipt stays closed; the host calls again.
    """


# ---------------------------------------------------------------------------------------------------------------------
# A refund by sale receipt
# ---------------------------------------------------------------------------------------------------------------------


@hookspec
def validate_refund(request: RefundRequest) -> list[RefundViolation]:  # type: ignore[empty-body]
    """Say what forbids a refund. Called when a refund by sale receipt is complete and about to close.

    Args:
        request: the refund, its sale, and the original payment.

    Returns:
        Every reason against it; an empty list when it is allowed or not this plugin's. The host closes the refund only
        when no plugin has a reason.

    Money effect: none.
    If it raises: the host does not close the refund.
    """


@hookspec(firstresult=True)
def on_full_refund(request: RefundRequest, ui: Ui) -> ReversalResult | None:
    """Return the payment of a closed sale. Called while a refund by sale receipt is being closed.

    Stops at the first result that isn't None.

    Args:
        request: the refund, its sale, and the original payment; the rules of ``validate_refund`` apply here too.
        ui: the cashier's screen, valid during this call and on this thread.

    Returns:
        The verdict, or None when the payment is another plugin's. REVERSED and QUEUED: close the refund and give
        nothing back by other means. REFUSED: do not close it.

    Money effect: may cancel, the whole amount.
    If it raises: the outcome is unknown; the host leaves the refund open and asks again with the same ``refund_id``.
    """


# ---------------------------------------------------------------------------------------------------------------------
# Later
# ---------------------------------------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def on_queue_message(message: QueueMessage) -> QueueVerdict | None:
    """Work on a message that a plugin has put into the host's queue. Called when the queue delivers it.

    Stops at the first result that isn't None.

    Args:
        message: what ``Host.enqueue`` took, with the number of deliveries so far.

    Returns:
        DONE, RETRY or DROP; None when ``message.kind`` is another plugin's.

    Money effect: may cancel, never charges.
    If it raises: the host delivers the message again later.
    """


@hookspec
def on_stop() -> None:
    """End work. Called once, when the till stops; open work is left durable for the next start.

    A hook that is under way in another thread meanwhile ends as if the cashier had stopped it: with one last question
    to the server, and a durable verdict.

    Money effect: may cancel, later: a payment that it ends under way, and one that the host does not have.
    If it raises: the till stops all the same.
    """
