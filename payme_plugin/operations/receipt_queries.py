"""What Payme says of one receipt, and whether that is an answer about *our* receipt.

An answer that repeats our request's id is ours. One without an id may be another call's: from it, paid (4) and
cancelled (50) count only when ``receipts.get`` repeats them with our receipt id and amount. One that names another
receipt, another amount or two states is not ours, whatever its id. Everything else that is unclear is no answer: it
never decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Conflict
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.event_log import EventLog
    from payme_plugin.operations.wait import CashierWait
    from payme_plugin.paymego.protocols import Answer, Client, Params
    from payme_plugin.paymego.receipts import ServerReceipt

__all__ = ["CANCEL", "ReceiptQueries", "receipt_id_of"]

CANCEL = "receipts.cancel"
"""The request that gives money back."""

_DECISIVE = frozenset({ReceiptState.PAID, ReceiptState.CANCELLED})


def receipt_id_of(row: PaymentRow) -> str:
    """Return the receipt id of a payment that was created at Payme.

    Raises:
        Conflict: it has none, though the journal stores it in the commit that leaves the state intent.
    """
    if row.receipt_id is None:
        message = f"payment {row.payment_id} has no receipt"
        raise Conflict(message)
    return row.receipt_id


class ReceiptQueries:
    """Requests about one receipt of ours.

    Args:
        client: the client of the kassa that took the payment.
        wait: the cashier's wait; a stop ends a request early.
        events: where requests and answers are told.
        receipt_id: Payme's receipt id.
        amount: tiyin that we asked for.
        text: what the cashier reads while waiting, from the seconds left.
    """

    def __init__(
        self,
        client: Client,
        wait: CashierWait,
        events: EventLog,
        *,
        receipt_id: str,
        amount: int,
        text: Callable[[float], str],
    ) -> None:
        self._client = client
        self._wait = wait
        self._events = events
        self._receipt_id = receipt_id
        self._amount = amount
        self._text = text

    @property
    def last_outcome(self) -> str:
        """What the last request came to, in one line without secrets."""
        return self._events.last

    def call(self, method: str, params: Params, limit: float) -> Answer:
        """Make one request and wait for its answer, or until the cashier stops.

        Args:
            method: ``receipts.pay`` say.
            params: its parameters.
            limit: when it must be over, on the monotonic clock.

        Raises:
            NotSent: nothing left the till.
            ServerError: the server answered with an error code.
            Unclear: the request may have arrived, and no usable answer came.

        Money effect: the method's.
        """
        self._events.add_request(method)
        pending = self._client.begin(method, params, limit)
        if not self._wait.wait_for(pending, self._text):
            pending.abandon()
        try:
            answer = pending.answer()
        except ServerError as refusal:
            self._events.add_event(f"{method}: error {refusal.code}")
            raise
        except CallFailed as failure:
            self._events.add_event(
                f"{method}: {'no usable answer' if failure.sent else 'not sent'}, {failure.explanation}"
            )
            raise
        return answer

    def state(self, limit: float) -> int | None:
        """Ask for the receipt's state; None: the answer was unclear, lost, an error, or not bound to our receipt.

        Money effect: none.
        """
        try:
            answer = self.call("receipts.check", receipts.by_id(self._receipt_id), limit)
        except CallFailed:
            return None
        try:
            state, named = receipts.state_of(answer), receipts.named_in(answer)
        except CallFailed as failure:
            self._events.add_event(f"receipts.check: {failure.explanation}")
            return None
        self._events.add_event(f"receipts.check: state {state}")
        if not self._may_be_ours(named, state, answer.method):
            return None
        if answer.bound or state not in _DECISIVE:
            return state
        confirmed = self.receipt(limit)
        return state if confirmed is not None and confirmed.state == state else None

    def receipt(self, limit: float) -> ServerReceipt | None:
        """Ask for the whole receipt; None unless it came with our receipt id and our amount.

        Money effect: none.
        """
        try:
            answer = self.call("receipts.get", receipts.by_id(self._receipt_id), limit)
            receipt, named = receipts.receipt_of(answer), receipts.named_in(answer)
        except CallFailed:
            return None
        self._events.add_event(f"receipts.get: state {receipt.state}")
        ours = self._may_be_ours(named, receipt.state, answer.method) and self._is_ours_to_the_letter(receipt)
        return receipt if ours else None

    def cancel(self, limit: float) -> int | None:
        """Cancel the receipt; return the state that the answer bound to it, or None where it was unclear.

        Money effect: cancels, the whole amount.
        """
        try:
            answer = self.call(CANCEL, receipts.by_id(self._receipt_id), limit)
        except CallFailed:
            return None
        return self.state_in(answer, limit)

    def state_in(self, answer: Answer, limit: float) -> int | None:
        """Return the state of the receipt in ``answer``; None where it isn't bound to ours or says no state."""
        receipt = self.receipt_in(answer, limit)
        return None if receipt is None else receipt.state

    def receipt_in(self, answer: Answer, limit: float) -> ServerReceipt | None:
        """Return the receipt in ``answer`` where it is bound to ours.

        Args:
            answer: the answer to ``receipts.pay`` or ``receipts.cancel``.
            limit: when a ``receipts.get`` that may be needed to bind it must be over.
        """
        try:
            receipt, named = receipts.receipt_of(answer), receipts.named_in(answer)
        except CallFailed:
            self._events.add_event(f"{answer.method}: an answer without a receipt")
            return None
        self._events.add_event(f"{answer.method}: state {receipt.state}")
        if not self._may_be_ours(named, receipt.state, answer.method):
            return None
        if answer.bound or receipt.state not in _DECISIVE:
            return receipt
        confirmed = self.receipt(limit)
        return confirmed if confirmed is not None and confirmed.state == receipt.state else None

    def _may_be_ours(self, named: Iterable[ServerReceipt], state: int | None, method: str) -> bool:
        # Payme leaves out what it likes; but what an answer names has to be ours, and its state the one state.
        fits = all(self._fits(facts, state) for facts in named)
        if not fits:
            self._events.add_event(f"{method}: the answer is about another receipt, amount or state")
        return fits

    def _fits(self, facts: ServerReceipt, state: int | None) -> bool:
        named = facts.raw.get("_id")
        if named is None:
            named = facts.raw.get("id")
        id_fits = named is None or named == self._receipt_id
        amount_fits = facts.raw.get("amount") is None or facts.amount == self._amount
        state_fits = facts.raw.get("state") is None or facts.state == state
        return id_fits and amount_fits and state_fits

    def _is_ours_to_the_letter(self, receipt: ServerReceipt) -> bool:
        return receipt.receipt_id == self._receipt_id and receipt.amount == self._amount
