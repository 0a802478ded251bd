"""A payment, from the tender that was picked to the verdict.

    intent ─ receipts.create beside the scan ─> created ─ the code and the receipt id durable ─> paying
    paying ─ receipts.pay, once per code ─> the answer, or receipts.check until it decides ─> the verdict

The transitions are in ``ledger.states``, the scan in ``code_scan``, the receipt in ``create_receipt``, what an answer
means in ``pay_outcome`` and ``receipt_queries``, the wait for the buyer in ``polling``, a payment that is known already
in ``repeat_request``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.ledger.errors import CodeAlreadySent, Conflict, JournalError
from payme_plugin.ledger.rows import Intent
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations import repeat_request
from payme_plugin.operations.code_scan import Code, CodeScanner, NoCode, is_other_wallets, reason_for_stale
from payme_plugin.operations.create_receipt import ReceiptCreation
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.host_guard import GuardedUi
from payme_plugin.operations.pay_outcome import AskAgain, classify_pay_failure
from payme_plugin.operations.polling import poll
from payme_plugin.operations.receipt_queries import ReceiptQueries, receipt_id_of
from payme_plugin.operations.results import NotPaid, Paid, commit, commit_paid, paid_result, refusal
from payme_plugin.operations.same_kassa import is_same_kassa
from payme_plugin.operations.wait import CashierWait
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import PaymentRequest, PaymentResult, Ui
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.secret import Secret

__all__ = ["take_payment"]

_PAY = "receipts.pay"
_LARGEST_AMOUNT = 2**63 - 1
_SLIP_NEEDS = ("card", "merchant", "pay_time")


def take_payment(context: Context, request: PaymentRequest, ui: Ui) -> PaymentResult:
    """Charge the buyer for an open sale and return the verdict, which is durable by then.

    Args:
        context: what the operation may touch.
        request: what to charge; the same ``payment_id`` again never charges again.
        ui: the cashier.

    Money effect: may charge. A verdict other than PAID leaves a cancellation where money may have moved.
    """
    if not 0 < request.amount <= _LARGEST_AMOUNT:
        return refusal(request.amount, context.texts(Text.PAYMENT_AMOUNT_NOT_ALLOWED))
    flow = _Payment(context, request, GuardedUi(ui))
    try:
        try:
            known = context.journal.find(request.payment_id)
            return flow.begin() if known is None else flow.ask_again(known)
        except Conflict:
            return repeat_request.obey(context, request, flow.finish_paid)
    except JournalError as error:
        return repeat_request.not_writable(context, request, error, may_be_charged=flow.may_be_charged)


class _Payment:
    """One run of one payment.

    Attributes:
        may_be_charged: its row is in state paying: a code may have arrived, and no verdict is stored.
    """

    def __init__(self, context: Context, request: PaymentRequest, ui: GuardedUi) -> None:
        self.may_be_charged = False
        self._context = context
        self._request = request
        self._events = EventLog(context.clock)
        self._wait = CashierWait(context.clock, ui, context.limits)
        self._codes = CodeScanner(
            ui,
            context.clock,
            context.texts,
            pattern=context.settings.code_pattern,
            was_sent=lambda code: context.journal.was_sent(context.journal.fingerprint(code)),
            given=request.qr_code,
            left_s=lambda: self._wait.left_s,
        )

    def begin(self) -> PaymentResult:
        """Take a new payment from its intent on."""
        request, settings = self._request, self._context.settings
        row = self._context.journal.add_intent(
            Intent(
                payment_id=request.payment_id,
                payment_type=request.payment_type,
                amount=request.amount,
                till=request.receipt.till,
                shift=request.receipt.shift,
                number=request.receipt.number,
                pos_id=settings.pos_id,
                url=settings.url,
                owner=self._context.owner,
            ),
            f"{request.amount} tiyin, receipt {request.receipt.till}/{request.receipt.shift}/{request.receipt.number}",
        )
        return self.from_intent(row)

    def from_intent(self, row: PaymentRow) -> PaymentResult:
        """Create the receipt beside the scan; nothing can be charged yet."""
        if self._request.qr_code is not None:
            given = self._codes.first()
            if isinstance(given, NoCode):
                return self._end(row, self._without_code(given, has_receipt=False))
        creating = ReceiptCreation(self._context, self._wait, self._events, row, self._request.receipt)
        creating.begin()
        code = self._codes.first()
        created = creating.join(may_repeat=isinstance(code, Code))
        if isinstance(created, NotPaid):
            return self._end(row, created if isinstance(code, Code) else self._without_code(code, has_receipt=False))
        try:
            row = self._context.journal.move(
                row, PaymentState.CREATED, "Payme created the receipt", receipt_id=created, notes=self._events.take()
            )
        except Conflict:
            if self._context.journal.find_receipt(created) is None:
                raise
            return self._end(row, creating.wrong_receipt("the receipt id is another payment's"))
        return self.charge(row, code)

    def charge(self, row: PaymentRow, code: Code | NoCode | None = None) -> PaymentResult:
        """Send the code for a receipt in state 0, and another one where Payme says that it is stale."""
        while True:
            if self._wait.has_stopped():  # while the cashier was asked whether to stop, Payme's answer came
                code = NoCode(None)
            elif code is None:
                code = self._codes.first()
            if isinstance(code, Code):
                code = self._codes.fresh(code)
            if isinstance(code, NoCode):
                return self._end(row, self._without_code(code, has_receipt=True))
            fingerprint = self._context.journal.fingerprint(code.secret.reveal())
            try:
                paying = self._context.journal.move(
                    row,
                    PaymentState.PAYING,
                    "the code is about to leave",
                    fingerprint=fingerprint,
                    notes=self._events.notes,
                    request=self._events.request_line(_PAY),
                )
            except CodeAlreadySent:
                code = self._next_code(Text.SCAN_ALREADY_USED)
                continue
            self._events.stored_before(_PAY)
            self.may_be_charged = True
            outcome = self._pay(paying, code.secret)
            if not isinstance(outcome, AskAgain):
                return self._finish(paying, outcome, fingerprint)
            row = self._context.journal.move(
                paying,
                PaymentState.CREATED,
                f"error {outcome.error_code} proves no charge, state 0 asked after it",
                notes=self._events.take(),
            )
            self.may_be_charged = False
            code = self._next_code(reason_for_stale(code))

    def go_on_paying(self, row: PaymentRow) -> PaymentResult:
        """Find out what became of a ``pay`` that an ended process had sent."""
        self._wait.start()
        return self._finish(row, self._poll(row))

    def finish_paid(self, row: PaymentRow, paid: Paid | None = None) -> PaymentResult:
        """Make the slips and the result of a payment that is durable as paid; what the slip lacks is asked for."""
        receipt = paid.receipt if paid is not None else None
        lacking = receipt is None or any(receipt.raw.get(name) is None for name in _SLIP_NEEDS)
        if lacking and is_same_kassa(row, self._context.settings):
            receipt = self._queries(row, Text.PROGRESS_PAYING).receipt(self._wait.question_limit()) or receipt
        slips = self._context.slips.make("pay", row, {} if receipt is None else receipt.raw)
        return paid_result(self._context, row, receipt.phone if receipt is not None else None, slips)

    def ask_again(self, row: PaymentRow) -> PaymentResult:
        """Answer for a payment that the journal knows already."""
        self.may_be_charged = row.state is PaymentState.PAYING
        return repeat_request.answer(
            self._context,
            self._request,
            row,
            repeat_request.Roads(
                paid=self.finish_paid,
                intent=self.from_intent,
                created=self._go_on_created,
                paying=self.go_on_paying,
            ),
        )

    def _go_on_created(self, row: PaymentRow) -> PaymentResult:
        state = self._queries(row, Text.PROGRESS_CREATING).state(self._wait.question_limit())
        if state == ReceiptState.CREATED:
            return self.charge(row)
        return self._end(
            row,
            NotPaid(
                status=PaymentStatus.REFUSED,
                message=self._context.texts(Text.PAYMENT_RECEIPT_NOT_CREATED),
                reason=f"the receipt of an ended process is in state {state}",
                needs_cancellation=state != ReceiptState.CANCELLED,
            ),
        )

    def _pay(self, row: PaymentRow, code: Secret) -> NotPaid | Paid | AskAgain:
        self._wait.start()
        queries = self._queries(row, Text.PROGRESS_PAYING)
        try:
            answer = queries.call(_PAY, receipts.pay(receipt_id_of(row), code), self._wait.request_limit())
        except CallFailed as failure:
            judged = classify_pay_failure(self._context, queries, self._wait, failure, may_ask=self._codes.may_ask)
            if isinstance(judged, NotPaid) and judged.error_code in self._context.settings.stale_codes:
                judged = self._stale(judged, code)
        else:
            receipt = queries.receipt_in(answer, self._wait.question_limit())
            if receipt is not None and receipt.state == ReceiptState.PAID:
                return Paid(receipt)
            judged = None
        return judged if judged is not None else self._poll(row)

    def _stale(self, ending: NotPaid, code: Secret) -> NotPaid:
        if not is_other_wallets(code):
            return ending
        return replace(ending, message=self._context.texts(Text.PAYMENT_OTHER_WALLET, code=ending.error_code))

    def _poll(self, row: PaymentRow) -> NotPaid | Paid:
        return poll(self._context, self._queries(row, Text.PROGRESS_WAITING_FOR_BUYER), self._wait)

    def _finish(self, row: PaymentRow, outcome: NotPaid | Paid, fingerprint: str | None = None) -> PaymentResult:
        if isinstance(outcome, NotPaid):
            return self._end(row, outcome, fingerprint)
        return self.finish_paid(commit_paid(self._context, row, outcome, self._events), outcome)

    def _end(self, row: PaymentRow, ending: NotPaid, fingerprint: str | None = None) -> PaymentResult:
        return commit(self._context, row, ending, self._events, fingerprint)

    def _next_code(self, reason: Text) -> Code | NoCode:
        if not self._codes.may_ask:
            return NoCode(reason)
        return self._codes.another(reason)

    def _without_code(self, missing: NoCode, *, has_receipt: bool) -> NotPaid:
        texts = self._context.texts
        if missing.reason is None:
            return NotPaid(
                status=PaymentStatus.ABORTED,
                message=texts(Text.PAYMENT_ABORTED_BEFORE_CHARGE),
                reason="no code was scanned",
                needs_cancellation=has_receipt,
            )
        message = Text.PAYMENT_CODE_NOT_ACCEPTED if self._request.qr_code is None else missing.reason
        return NotPaid(
            status=PaymentStatus.REFUSED,
            message=texts(message),
            reason=f"no usable code ({missing.reason.value})",
            needs_cancellation=has_receipt,
        )

    def _queries(self, row: PaymentRow, text: Text) -> ReceiptQueries:
        return ReceiptQueries(
            self._context.client,
            self._wait,
            self._events,
            receipt_id=receipt_id_of(row),
            amount=row.amount,
            text=self._progress(text),
        )

    def _progress(self, text: Text) -> Callable[[float], str]:
        return lambda left_s: self._context.texts(text, left_s=round(left_s))
