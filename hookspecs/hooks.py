"""The hook specifications, in the order of a sale's life.

Each docstring says when the hook is called, what its arguments are, and what the host does with the result. *Money
effect* says what the hook may do to the buyer's money. *If it raises* says what the host does then. Hooks are called
one at a time per till. An implementation takes its arguments by position and without defaults. No plugin may raise for
anything that a server, a settings file, a scanner, a disk or the host can do, except where *If it raises* asks the
host to repeat the call.

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
    """Start the plugin.

    Called before any other hook, when the till has started, restored its open sale, and will not fork again. A forked
    child that sells calls it again.

    Args:
        host: the services of the till; the plugin uses them until ``on_stop``.

    Money effect: none at once; pending cancellations are delivered in the background.
    If it raises: the plugin has released everything and is out of service until the host calls ``on_start`` again. The
        till goes on, and ``on_stop`` is not called for this plugin.
    """


@hookspec
def payment_types() -> list[PaymentType]:  # type: ignore[empty-body]
    """Return the tenders that this plugin handles.

    Called after ``on_start`` and after a change of settings.

    Returns:
        The tenders; the host shows those of all plugins. An empty list if there are none at present.

    Money effect: none.
    If it raises: this plugin offers no tender.
    """


# ---------------------------------------------------------------------------------------------------------------------
# A sale
# ---------------------------------------------------------------------------------------------------------------------


@hookspec(firstresult=True)
def on_payment(request: PaymentRequest, ui: Ui) -> PaymentResult | None:
    """Take a payment, or return the result of a repeated one.

    Called when the tender is selected on an open sale. Called again with ``repeated`` for a payment that has no final
    result: after every start, and after PENDING or an exception. Stops at the first result that isn't None.

    Args:
        request: what to charge, and for which sale. The same ``payment_id`` never charges again, even without
            ``repeated``. A repeated request neither scans nor charges.
        ui: the cashier's screen and scanner, valid during this call and on this thread.

    Returns:
        The result, or None if ``request.payment_type`` is not a tender of this plugin. Show ``message`` at once, and
        print ``slips`` after the receipt has closed. The status says what to do with the tender.
        PAID: add it, store ``payment`` with the sale durably, then call ``on_payment_recorded``. If it can't be stored,
        call ``on_cancel``.
        REFUSED: remove it. Money that may have been charged is returned.
        ABORTED: as REFUSED.
        UNKNOWN: as REFUSED.
        PENDING: neither add nor remove it, and ask again with ``repeated`` at start, after a change of settings and
        every minute.

    Money effect: may charge, unless the request is repeated. Without PAID, money that may have been charged is
        returned.
    If it raises: the outcome is unknown. The host keeps the sale and asks again with ``repeated``.
    """


@hookspec
def on_payment_recorded(record: PaymentRecord) -> None:
    """Acknowledge a payment whose paid tender the host has stored durably.

    Called after the host has stored PAID with its sale. Repeated until it returns: before the next payment, every
    minute, and at every start before ``on_ready``. Further calls change nothing.

    Args:
        record: ``PaymentResult.payment`` as the host stored it.

    Money effect: none. Afterwards only ``on_cancel`` and ``on_full_refund`` return the money. The cancellation of an
        orphan ends, unless its request may already have been sent.
    If it raises: the acknowledgement is not stored. The host keeps the tender, goes on selling and calls again.
    """


@hookspec
def on_ready() -> None:
    """Return the money of payments of earlier runs that the host has not acknowledged.

    Called once per start, after the host has repeated every payment, cancel and refund that has no result and
    acknowledged every stored tender.

    Money effect: every payment of an earlier run that is neither acknowledged nor finished is returned, unless
        ``Host.is_recorded`` vetoes it. A payment that was PENDING in this run waits for its next
        request.
    If it raises: nothing is decided yet. The host calls again.
    """


@hookspec(firstresult=True)
def on_cancel(request: CancelRequest, ui: Ui) -> ReversalResult | None:
    """Return a payment of an open sale.

    Called when a sale with this payment is annulled before it closes, or when the host could not store PAID. Repeated
    after a restart if it has no result. Stops at the first result that isn't None.

    Args:
        request: the payment as the host stored it, and its sale.
        ui: the cashier's screen, valid during this call and on this thread.

    Returns:
        The result, or None if the payment isn't this plugin's. REVERSED and QUEUED: annul the sale and pay out nothing
        by other means. REFUSED: keep the sale. Without usable settings or a network the result is QUEUED; only a
        writable journal is needed.

    Money effect: may return the whole amount.
    If it raises: the cancellation is not stored. The host keeps the sale and calls again.
    """


@hookspec
def on_receipt_closed(receipt: Receipt) -> None:
    """Store that a receipt is closed and fiscalised, and acknowledge the payments of a SALE receipt.

    Called after the receipt has closed. Repeated until it returns; further calls change nothing.

    Args:
        receipt: the closed receipt with its payments, and its fiscal link if there is one.

    Money effect: none. Afterwards only ``on_full_refund`` returns the payments in the receipt.
    If it raises: nothing is stored. The receipt stays closed, and the host calls again.
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
        All violated rules; an empty list if the refund is allowed or the payment isn't this plugin's. The host closes
        the refund only if no plugin reports a violation.

    Money effect: none.
    If it raises: the host does not close the refund.
    """


@hookspec(firstresult=True)
def on_full_refund(request: RefundRequest, ui: Ui) -> ReversalResult | None:
    """Return the payment of a closed sale.

    Called while a refund by sale receipt is being closed. Repeated after a restart if it has no result, with the same
    ``refund_id``. Stops at the first result that isn't None.

    Args:
        request: the refund, its sale, and the original payment; the rules of ``validate_refund`` apply here too.
        ui: the cashier's screen, valid during this call and on this thread.

    Returns:
        The result, or None if the payment isn't this plugin's. REVERSED and QUEUED: close the refund and pay out
        nothing by other means. REFUSED: do not close it. Without usable settings or a network the result is QUEUED;
        only a writable journal is needed.

    Money effect: may return the whole amount.
    If it raises: the cancellation is not stored. The host leaves the refund open and calls again with the same
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
    If it raises: the report has no text from this plugin.
    """


@hookspec(firstresult=True)
def on_queue_message(message: QueueMessage) -> QueueVerdict | None:
    """Handle a message that a plugin has put into the host's queue.

    Called when the queue delivers it. Stops at the first result that isn't None.

    Args:
        message: what ``Host.enqueue`` took, with the number of deliveries so far.

    Returns:
        DONE, RETRY or DROP; None if ``message.kind`` is not a kind of this plugin.

    Money effect: may return the whole amount of a payment; never charges.
    If it raises: the host delivers the message again later.
    """


@hookspec
def on_stop() -> None:
    """Stop the plugin; unfinished work stays in the journal for the next start.

    Called once, when the till stops. If a hook is running in another thread, it acts as the cashier's stop: that hook
    asks the server once more and returns a durable result.

    Money effect: the money of an interrupted payment is returned, unless it ends PAID.
    If it raises: the till stops anyway.
    """
