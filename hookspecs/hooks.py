"""The hook specifications, in the order of a sale's life.

Each docstring says when the hook is called, its arguments, and what the host does with the result. *Money effect* says
what it may do to the buyer's money, *If it raises* what becomes of the sale. Hooks are called one at a time per till,
with positional names and without defaults. No plugin may raise for anything that a server, a settings file, a scanner,
a disk or the host can do, except where *If it raises* asks the host to repeat the call.

Three events return money: a payment of this run ended without PAID; the host called ``on_cancel`` or
``on_full_refund``; or ``on_ready`` found a payment of an earlier run that is neither acknowledged nor finished. A
payment is acknowledged once ``on_payment_recorded`` or ``on_receipt_closed`` has returned for it. That is final:
afterwards only ``on_cancel`` and ``on_full_refund`` return its money.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from hookspecs.host import Host, Ui
    from hookspecs.models import (
        CancelRequest,
        PaymentRecord,
        PaymentRequest,
        PaymentResult,
        PaymentType,
        QueueMessage,
        QueueVerdict,
        Receipt,
        RefundRequest,
        RefundViolation,
        ReversalResult,
        Shift,
    )

PROJECT = "pos"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

# ---------------------------------------------------------------------------------------------------------------------
# The till starts
# ---------------------------------------------------------------------------------------------------------------------


@hookspec
def on_start(host: Host) -> None:
    """Begin work.

    Called before any other hook, when the till has started, restored its open sale, and will not fork again. A forked
    child that sells calls it again.

    Args:
        host: the till; a plugin keeps it until ``on_stop``.

    Money effect: none at once; cancellations of earlier runs go on in the background.
    If it raises: the plugin leaves nothing behind and is out of service until the host calls ``on_start`` again; the
        till goes on, and ``on_stop`` is not called for it.
    """


@hookspec
def payment_types() -> list[PaymentType]:  # type: ignore[empty-body]
    """Return the tenders that this plugin answers to.

    Called after ``on_start`` and after a change of settings.

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
    """Take a payment, or tell how a repeated one ended.

    Called when the tender was selected on an open sale. Called again with ``repeated`` for a payment that had begun
    and has no final result: after every start, and after PENDING or a raise. Stops at the first result that isn't None.

    Args:
        request: what to charge, and for which sale. The same ``payment_id`` never charges again, also without
            ``repeated``; a repeated request neither scans nor begins a charge.
        ui: the cashier's screen and scanner, valid during this call and on this thread.

    Returns:
        The result, or None if ``request.payment_type`` belongs to another plugin. PAID: add the tender, store
        ``payment`` with the sale durably, then call ``on_payment_recorded``. If it can't be stored, call
        ``on_cancel``. REFUSED, ABORTED and UNKNOWN: leave or remove the tender; money that may have been charged goes
        back. PENDING: neither add nor remove the tender, and ask again with ``repeated`` at start, after a settings
        change and every minute. ``message`` is shown; ``slips`` are printed after the receipt has closed.

    Money effect: may charge, unless the request is repeated; whatever may have been charged without PAID is returned.
    If it raises: the outcome is unknown; the host keeps the sale and asks again with ``repeated``.
    """


@hookspec
def on_payment_recorded(record: PaymentRecord) -> None:
    """Acknowledge a payment whose paid tender the host has stored durably.

    Called after the host has stored the PAID with its sale. Repeated until it returns: before the next payment, every
    minute, and after every start before ``on_ready``. Further calls change nothing.

    Args:
        record: ``PaymentResult.payment`` as the host stored it.

    Money effect: none. Afterwards only ``on_cancel`` and ``on_full_refund`` return the money; a cancellation of an
        orphan ends, unless its request may have left.
    If it raises: the acknowledgement is not stored; the host keeps the tender, goes on selling and calls again.
    """


@hookspec
def on_ready() -> None:
    """Decide the payments of earlier runs that nobody has acknowledged.

    Called once per start, after the host has repeated every payment, cancel and refund that it had begun and
    acknowledged every tender that it holds.

    Money effect: every payment of an earlier run that is neither acknowledged nor finished is returned, unless
        ``Host.is_recorded`` vetoes it. A payment that this run answered with PENDING waits for its next request.
    If it raises: nothing is decided yet; the host calls again.
    """


@hookspec(firstresult=True)
def on_cancel(request: CancelRequest, ui: Ui) -> ReversalResult | None:
    """Return a payment of an open sale.

    Called when a sale that holds the payment is annulled before it closes, or when the host could not store a PAID.
    Repeated after a restart if it had begun. Stops at the first result that isn't None.

    Args:
        request: the payment as the host stored it, and its sale.
        ui: the cashier's screen, valid during this call and on this thread.

    Returns:
        The result, or None if the payment is another plugin's. REVERSED and QUEUED: annul the sale and give nothing
        back by other means. REFUSED: keep the sale. QUEUED needs no settings and no network, only a place to store
        the cancellation.

    Money effect: may return the whole amount.
    If it raises: the cancellation is not stored; the host keeps the sale and asks again.
    """


@hookspec
def on_receipt_closed(receipt: Receipt) -> None:
    """Store that a receipt is closed and fiscalised, and acknowledge the payments of a SALE receipt.

    Called after the receipt has closed. Repeated until it returns; further calls change nothing.

    Args:
        receipt: the closed receipt with its payments, and its fiscal link if there is one.

    Money effect: none. Afterwards only ``on_full_refund`` returns the payments in the receipt.
    If it raises: it is not stored; the receipt stays closed and the host calls again.
    """


# ---------------------------------------------------------------------------------------------------------------------
# A refund by sale receipt
# ---------------------------------------------------------------------------------------------------------------------


@hookspec
def validate_refund(request: RefundRequest) -> list[RefundViolation]:  # type: ignore[empty-body]
    """Return the rules that forbid a refund.

    Called when a refund by sale receipt is complete and about to close.

    Args:
        request: the refund, its sale, and the original payment.

    Returns:
        Every reason against it; an empty list if it is allowed or not this plugin's. The host closes the refund only
        if no plugin has a reason.

    Money effect: none.
    If it raises: the host does not close the refund.
    """


@hookspec(firstresult=True)
def on_full_refund(request: RefundRequest, ui: Ui) -> ReversalResult | None:
    """Return the payment of a closed sale.

    Called while a refund by sale receipt is being closed. Repeated after a restart if it had begun, with the same
    ``refund_id``. Stops at the first result that isn't None.

    Args:
        request: the refund, its sale, and the original payment; the rules of ``validate_refund`` apply here too.
        ui: the cashier's screen, valid during this call and on this thread.

    Returns:
        The result, or None if the payment is another plugin's. REVERSED and QUEUED: close the refund and give nothing
        back by other means. REFUSED: do not close it. QUEUED needs no settings and no network, only a place to store
        the cancellation.

    Money effect: may return the whole amount.
    If it raises: the cancellation is not stored; the host leaves the refund open and asks again with the same
        ``refund_id``.
    """


# ---------------------------------------------------------------------------------------------------------------------
# Later
# ---------------------------------------------------------------------------------------------------------------------


@hookspec
def on_shift_closed(shift: Shift) -> str | None:
    """Return a text for the shift report within 2 seconds.

    Called when a shift has closed.

    Args:
        shift: the closed shift.

    Returns:
        The text of the last finished reconciliation, or None. The host prints the texts of all plugins with the shift
        report.

    Money effect: none.
    If it raises: the report has no text of this plugin.
    """


@hookspec(firstresult=True)
def on_queue_message(message: QueueMessage) -> QueueVerdict | None:
    """Handle a message that a plugin has put into the host's queue.

    Called when the queue delivers it. Stops at the first result that isn't None.

    Args:
        message: what ``Host.enqueue`` took, with the number of deliveries so far.

    Returns:
        DONE, RETRY or DROP; None if ``message.kind`` is another plugin's.

    Money effect: may return the whole amount of a payment; never charges.
    If it raises: the host delivers the message again later.
    """


@hookspec
def on_stop() -> None:
    """End work and leave what is open durable for the next start.

    Called once, when the till stops. During a hook in another thread it acts as the cashier's stop: that hook asks the
    server once more and returns a durable result.

    Money effect: a payment that it interrupts is returned unless it ends PAID.
    If it raises: the till stops all the same.
    """
