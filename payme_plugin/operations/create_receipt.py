"""The receipt at Payme: asked for beside the scan, joined after it, repeated at most once.

A receipt that nobody pays costs nobody anything, so ``receipts.create`` is the one request that may be made again after
an unclear answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.operations import messages
from payme_plugin.operations.fiscal import detail_of
from payme_plugin.operations.results import NotPaid
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.settings import account_of
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import Receipt
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.operations.event_log import EventLog
    from payme_plugin.operations.wait import CashierWait
    from payme_plugin.paymego.protocols import Pending
    from payme_plugin.paymego.receipts import ServerReceipt

__all__ = ["ReceiptCreation"]

_METHOD = "receipts.create"


class ReceiptCreation:
    """One ``receipts.create`` under way."""

    def __init__(self, context: Context, wait: CashierWait, events: EventLog, row: PaymentRow, sale: Receipt) -> None:
        self._context = context
        self._wait = wait
        self._events = events
        self._row = row
        account = account_of(
            context.settings.account, till=row.till, shift=row.shift, number=row.number, attempt=row.attempt
        )
        self._params = receipts.create(row.amount, account, detail=detail_of(sale, row.amount))
        self._pending: Pending | None = None

    def begin(self) -> None:
        """Let the request leave; the flow goes on.

        Money effect: none, an unpaid receipt at most.
        """
        limit = self._context.clock.monotonic() + self._context.limits.timeout_s
        self._events.add_request(_METHOD)
        self._pending = self._context.client.begin(_METHOD, self._params, limit)

    def join(self, *, may_repeat: bool) -> str | NotPaid:
        """Wait for the answer; return the receipt's id, or why there is none: an ending without a cancellation.

        Args:
            may_repeat: there is a code to send: a request without a usable answer is made once more.
        """
        try:
            receipt = self._answered()
        except CallFailed as failure:
            self._tell(failure)
            if isinstance(failure, ServerError) or self._wait.has_stopped() or not may_repeat:
                return self._ending(failure)
        else:
            return self._checked(receipt)
        self.begin()
        try:
            return self._checked(self._answered())
        except CallFailed as failure:
            self._tell(failure)
            return self._ending(failure)

    def wrong_receipt(self, reason: str) -> NotPaid:
        """Return the ending for an answer that can't be a new receipt of ours."""
        return NotPaid(
            status=PaymentStatus.REFUSED, message=self._context.texts(Text.PAYMENT_WRONG_RECEIPT), reason=reason
        )

    def _answered(self) -> ServerReceipt:
        if self._pending is None:
            self.begin()
        pending, self._pending = self._pending, None
        assert pending is not None  # noqa: S101 - for the type checker: begin() has just set it
        if not self._wait.wait_for(pending, self._text):
            pending.abandon()
        return receipts.receipt_of(pending.answer())

    def _checked(self, receipt: ServerReceipt) -> str | NotPaid:
        self._events.add_event(f"{_METHOD}: state {receipt.state}")
        if receipt.receipt_id is None:
            return self.wrong_receipt("the new receipt has no id")
        if receipt.state != ReceiptState.CREATED:
            return self.wrong_receipt(f"the new receipt is in state {receipt.state}")
        if receipt.amount != self._row.amount:
            return self.wrong_receipt("the new receipt is over another amount")
        return receipt.receipt_id

    def _ending(self, failure: CallFailed) -> NotPaid:
        return NotPaid(
            status=PaymentStatus.ABORTED if self._wait.has_stopped() else PaymentStatus.REFUSED,
            message=(
                self._context.texts(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
                if self._wait.has_stopped()
                else messages.failed_before_paying(self._context.texts, failure)
            ),
            reason=failure.explanation,
            error_code=failure.code if isinstance(failure, ServerError) else None,
        )

    def _tell(self, failure: CallFailed) -> None:
        self._events.add_event(f"{failure.method}: {failure.explanation}")

    def _text(self, left_s: float) -> str:
        return self._context.texts(Text.PROGRESS_CREATING, left_s=round(left_s))
