"""Queries to Payme about one receipt, and whether an answer is about *our* receipt.

An answer that repeats our request's id is ours. One without an id may belong to another request: from it, the states
0, 4, 21 and 50 count only if ``receipts.get`` repeats them with our receipt id and amount. An answer that names another
receipt, another amount or two states is not ours, whatever its id. Any other unclear answer decides nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Conflict
from payme_plugin.paymego import receipts
from payme_plugin.paymego.codes import OF_ANOTHER_ACCOUNT
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.event_log import EventLog
    from payme_plugin.operations.wait import CashierWait
    from payme_plugin.paymego.protocols import Answer, Client, Params
    from payme_plugin.paymego.receipts import ServerReceipt

CANCEL = "receipts.cancel"
"""The request that returns money."""

_DECISIVE = frozenset({ReceiptState.CREATED, ReceiptState.PAID, ReceiptState.CANCELLING, ReceiptState.CANCELLED})


def receipt_id_of(row: PaymentRow) -> str:
    """Return the receipt id of a payment that has a receipt at Payme.

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
        client: the client of the merchant account that took the payment.
        wait: the cashier's wait; a stop ends a request early.
        events: where requests and answers are added.
        receipt_id: Payme's receipt id.
        amount: tiyin that we asked for.
        text: returns what the cashier reads while waiting, from the seconds left.

    Attributes:
        has_unknown_receipt: the last error says that the server or account asked does not know our receipt.
        failure: why the last request without a result brought none; None if each brought one.
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
        self.has_unknown_receipt = False
        self.failure: CallFailed | None = None

    def call(self, method: str, params: Params, limit: float) -> Answer:
        """Make one request and wait for its answer, or until the cashier stops.

        Args:
            method: e.g. ``receipts.pay``.
            params: its parameters.
            limit: when it must be over, on the monotonic clock.

        Raises:
            NotSent: nothing left the till.
            ServerError: the server answered with an error code.
            Unclear: the request may have arrived, and no usable answer came.

        Money effect: charges if the method is ``receipts.pay``, cancels if it is ``receipts.cancel``.
        """
        pending = self._client.begin(method, params, limit)
        if not self._wait.wait_for(pending, self._text):
            pending.abandon()
        try:
            return pending.answer()
        except ServerError as error:
            self.has_unknown_receipt = error.code in OF_ANOTHER_ACCOUNT
            self.failure = error
            self._events.add_answer(f"{method}: error {error.code}")
            raise
        except CallFailed as failure:
            self.failure = failure
            reason = "no usable answer" if failure.sent else "not sent"
            self._events.add_answer(f"{method}: {reason}, {failure.explanation}")
            raise

    def state(self, limit: float) -> int | None:
        """Ask for the receipt's state; return None if no answer that is bound to our receipt has one."""
        answer = self._ask("receipts.check", limit)
        if answer is None:
            return None
        try:
            receipts.state_of(answer)
            said, *_ = named = receipts.named_in(answer)
        except CallFailed as failure:
            self._events.add_answer(f"receipts.check: {failure.explanation}")
            return None
        bound = self._bound(answer, said, named, limit)
        return None if bound is None else bound.state

    def receipt(self, limit: float) -> ServerReceipt | None:
        """Ask for the whole receipt; None unless it came with our receipt id and our amount."""
        found = self._get(limit)
        return found[1] if found is not None and self._is_exact(*found) else None

    def look(self, limit: float) -> ServerReceipt | None:
        """Ask for the whole receipt of a paid payment; None if nothing is known of it.

        Returns:
            As ``receipt``, or a receipt with our id that says something else, in an answer that repeats our request id.
        """
        found = self._get(limit)
        if found is None:
            return None
        answer, receipt = found
        is_ours = answer.bound and receipt.receipt_id == self._receipt_id
        return receipt if is_ours or self._is_exact(answer, receipt) else None

    def _get(self, limit: float) -> tuple[Answer, ServerReceipt] | None:
        try:
            answer = self.call("receipts.get", receipts.by_id(self._receipt_id), limit)
            receipt, _ = receipts.receipt_of(answer), receipts.named_in(answer)
        except CallFailed:
            return None
        self._events.add_answer(f"receipts.get: state {receipt.state}")
        return answer, receipt

    def _is_exact(self, answer: Answer, receipt: ServerReceipt) -> bool:
        is_exact = receipt.receipt_id == self._receipt_id and receipt.amount == self._amount
        return is_exact and self._may_be_ours(receipts.named_in(answer), receipt.state, answer.method)

    def cancel(self, limit: float) -> int | None:
        """Cancel the receipt; return the state that the answer bound to it, or None if it was unclear.

        Money effect: cancels, the whole amount.
        """
        answer = self._ask(CANCEL, limit)
        return None if answer is None else self.state_in(answer, limit)

    def state_in(self, answer: Answer, limit: float) -> int | None:
        """Return the state of the receipt in ``answer``; None if it isn't bound to ours or holds no state."""
        receipt = self.receipt_in(answer, limit)
        return None if receipt is None else receipt.state

    def receipt_in(self, answer: Answer, limit: float) -> ServerReceipt | None:
        """Return the receipt in ``answer`` if it is bound to ours, else None.

        Args:
            answer: the answer to ``receipts.pay`` or ``receipts.cancel``.
            limit: when a ``receipts.get`` that may be needed to bind it must be over.
        """
        try:
            receipt, named = receipts.receipt_of(answer), receipts.named_in(answer)
        except CallFailed:
            self._events.add_answer(f"{answer.method}: an answer without a receipt")
            return None
        return self._bound(answer, receipt, named, limit)

    def _ask(self, method: str, limit: float) -> Answer | None:
        try:
            return self.call(method, receipts.by_id(self._receipt_id), limit)
        except CallFailed:
            return None

    def _bound(
        self, answer: Answer, said: ServerReceipt, named: Iterable[ServerReceipt], limit: float
    ) -> ServerReceipt | None:
        """Return what an answer says of a receipt if it is about ours, else None."""
        self._events.add_answer(f"{answer.method}: state {said.state}")
        if not self._may_be_ours(named, said.state, answer.method):
            return None
        if answer.bound or said.state not in _DECISIVE:
            return said
        confirmed = self.receipt(limit)
        return confirmed if confirmed is not None and confirmed.state == said.state else None

    def _may_be_ours(self, named: Iterable[ServerReceipt], state: int | None, method: str) -> bool:
        # Payme may leave out any field. But what an answer names has to be ours, and its state has to be one.
        fits = all(self._fits(facts, state) for facts in named)
        if not fits:
            self._events.add_answer(f"{method}: the answer is about another receipt, amount or state")
        return fits

    def _fits(self, facts: ServerReceipt, state: int | None) -> bool:
        named = facts.raw.get("_id")
        if named is None:
            named = facts.raw.get("id")
        id_fits = named is None or named == self._receipt_id
        amount_fits = facts.raw.get("amount") is None or facts.amount == self._amount
        state_fits = facts.raw.get("state") is None or facts.state == state
        return id_fits and amount_fits and state_fits
