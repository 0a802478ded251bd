"""The receipt at Payme: asked for beside the scan, joined after it, repeated at most once.

A receipt that nobody pays costs nobody anything, so ``receipts.create`` is the one request that may be made again after
an unclear answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.operations import messages
from payme_plugin.operations.endings import Ending
from payme_plugin.operations.fiscal import detail_of
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.settings import account_of
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import Receipt
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.story import Story
    from payme_plugin.operations.tools import Tools
    from payme_plugin.operations.waiting import Watch
    from payme_plugin.paymego.protocols import Pending
    from payme_plugin.paymego.receipts import ServerReceipt

__all__ = ["Creating"]

_METHOD = "receipts.create"


class Creating:
    """One ``receipts.create`` under way."""

    def __init__(self, tools: Tools, watch: Watch, story: Story, row: PaymentRow, sale: Receipt) -> None:
        self._tools = tools
        self._watch = watch
        self._story = story
        self._row = row
        account = account_of(
            tools.settings.account, till=row.till, shift=row.shift, number=row.number, attempt=row.attempt
        )
        self._params = receipts.create(row.amount, account, detail=detail_of(sale, row.amount))
        self._pending: Pending | None = None

    def begin(self) -> None:
        """Let the request leave; the flow goes on.

        Money effect: none, an unpaid receipt at most.
        """
        limit = self._tools.clock.monotonic() + self._tools.limits.timeout_s
        self._story.ask(_METHOD)
        self._pending = self._tools.client.begin(_METHOD, self._params, limit)

    def join(self, *, may_repeat: bool) -> str | Ending:
        """Wait for the answer; return the receipt's id, or why there is none: an ending without a cancellation.

        Args:
            may_repeat: there is a code to send: a request without a usable answer is made once more.
        """
        try:
            receipt = self._answered()
        except CallFailed as failure:
            self._tell(failure)
            if isinstance(failure, ServerError) or self._watch.has_stopped() or not may_repeat:
                return self._ending(failure)
        else:
            return self._checked(receipt)
        self.begin()
        try:
            return self._checked(self._answered())
        except CallFailed as failure:
            self._tell(failure)
            return self._ending(failure)

    def wrong_receipt(self, reason: str) -> Ending:
        """Return the ending for an answer that can't be a new receipt of ours."""
        return Ending(
            status=PaymentStatus.REFUSED, message=self._tools.texts(Text.PAYMENT_WRONG_RECEIPT), reason=reason
        )

    def _answered(self) -> ServerReceipt:
        if self._pending is None:
            self.begin()
        pending, self._pending = self._pending, None
        assert pending is not None  # noqa: S101 - for the type checker: begin() has just set it
        if not self._watch.wait_for(pending, self._text):
            pending.abandon()
        return receipts.receipt_of(pending.answer())

    def _checked(self, receipt: ServerReceipt) -> str | Ending:
        self._story.tell(f"{_METHOD}: state {receipt.state}")
        if receipt.receipt_id is None:
            return self.wrong_receipt("the new receipt has no id")
        if receipt.state != ReceiptState.CREATED:
            return self.wrong_receipt(f"the new receipt is in state {receipt.state}")
        if receipt.amount != self._row.amount:
            return self.wrong_receipt("the new receipt is over another amount")
        return receipt.receipt_id

    def _ending(self, failure: CallFailed) -> Ending:
        return Ending(
            status=PaymentStatus.ABORTED if self._watch.has_stopped() else PaymentStatus.REFUSED,
            message=(
                self._tools.texts(Text.PAYMENT_ABORTED_BEFORE_CHARGE)
                if self._watch.has_stopped()
                else messages.failed_before_paying(self._tools.texts, failure)
            ),
            reason=failure.explanation,
            error_code=failure.code if isinstance(failure, ServerError) else None,
        )

    def _tell(self, failure: CallFailed) -> None:
        self._story.tell(f"{failure.method}: {failure.explanation}")

    def _text(self, left_s: float) -> str:
        return self._tools.texts(Text.PROGRESS_CREATING, left_s=round(left_s))
