"""A payment, from the tender that was picked to the verdict.

    intent ─ receipts.create beside the scan ─> created ─ the code and the receipt id durable ─> paying
    paying ─ receipts.pay, once per code ─> the answer, or receipts.check until it decides ─> the verdict

The transitions are in ``ledger.states``, the scan in ``scanning``, the receipt in ``creating``, what an answer means in
``judging`` and ``inquiry``, the wait for the buyer in ``polling``, a payment that is known already in ``asked_again``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.ledger.errors import CodeAlreadySent, Conflict, JournalError
from payme_plugin.ledger.rows import Intent
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations import asked_again
from payme_plugin.operations.creating import Creating
from payme_plugin.operations.endings import Ending, Paid, commit, commit_paid, paid_result, refusal
from payme_plugin.operations.guards import GuardedUi
from payme_plugin.operations.inquiry import Inquiry, receipt_id_of
from payme_plugin.operations.judging import AskAgain, judge_pay
from payme_plugin.operations.polling import poll
from payme_plugin.operations.same_kassa import is_same_kassa
from payme_plugin.operations.scanning import Code, CodeDesk, NoCode, is_other_wallets, reason_for_stale
from payme_plugin.operations.story import Story
from payme_plugin.operations.waiting import Watch
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import PaymentRequest, PaymentResult, Ui
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.tools import Tools
    from payme_plugin.secret import Secret

__all__ = ["take_payment"]

_PAY = "receipts.pay"
_LARGEST_AMOUNT = 2**63 - 1
_SLIP_NEEDS = ("card", "merchant", "pay_time")


def take_payment(tools: Tools, request: PaymentRequest, ui: Ui) -> PaymentResult:
    """Charge the buyer for an open sale and return the verdict, which is durable by then.

    Args:
        tools: what the operation may touch.
        request: what to charge; the same ``payment_id`` again never charges again.
        ui: the cashier.

    Money effect: may charge. A verdict other than PAID leaves a cancellation where money may have moved.
    """
    if not 0 < request.amount <= _LARGEST_AMOUNT:
        return refusal(request.amount, tools.texts(Text.PAYMENT_AMOUNT_NOT_ALLOWED))
    flow = _Payment(tools, request, GuardedUi(ui))
    try:
        try:
            known = tools.journal.find(request.payment_id)
            return flow.begin() if known is None else flow.ask_again(known)
        except Conflict:
            return asked_again.obey(tools, request, flow.finish_paid)
    except JournalError as error:
        return asked_again.not_writable(tools, request, error, may_be_charged=flow.may_be_charged)


class _Payment:
    """One run of one payment.

    Attributes:
        may_be_charged: its row is in state paying: a code may have arrived, and no verdict is stored.
    """

    def __init__(self, tools: Tools, request: PaymentRequest, ui: GuardedUi) -> None:
        self.may_be_charged = False
        self._tools = tools
        self._request = request
        self._story = Story(tools.clock)
        self._watch = Watch(tools.clock, ui, tools.limits)
        self._codes = CodeDesk(
            ui,
            tools.clock,
            tools.texts,
            pattern=tools.settings.code_pattern,
            was_sent=lambda code: tools.journal.was_sent(tools.journal.fingerprint(code)),
            given=request.qr_code,
            left_s=lambda: self._watch.left_s,
        )

    def begin(self) -> PaymentResult:
        """Take a new payment from its intent on."""
        request, settings = self._request, self._tools.settings
        row = self._tools.journal.add_intent(
            Intent(
                payment_id=request.payment_id,
                payment_type=request.payment_type,
                amount=request.amount,
                till=request.receipt.till,
                shift=request.receipt.shift,
                number=request.receipt.number,
                pos_id=settings.pos_id,
                url=settings.url,
                owner=self._tools.owner,
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
        creating = Creating(self._tools, self._watch, self._story, row, self._request.receipt)
        creating.begin()
        code = self._codes.first()
        created = creating.join(may_repeat=isinstance(code, Code))
        if isinstance(created, Ending):
            return self._end(row, created if isinstance(code, Code) else self._without_code(code, has_receipt=False))
        try:
            row = self._tools.journal.move(
                row, PaymentState.CREATED, "Payme created the receipt", receipt_id=created, notes=self._story.take()
            )
        except Conflict:
            if self._tools.journal.find_receipt(created) is None:
                raise
            return self._end(row, creating.wrong_receipt("the receipt id is another payment's"))
        return self.charge(row, code)

    def charge(self, row: PaymentRow, code: Code | NoCode | None = None) -> PaymentResult:
        """Send the code for a receipt in state 0, and another one where Payme says that it is stale."""
        while True:
            if self._watch.has_stopped():  # while the cashier was asked whether to stop, Payme's answer came
                code = NoCode(None)
            elif code is None:
                code = self._codes.first()
            if isinstance(code, Code):
                code = self._codes.fresh(code)
            if isinstance(code, NoCode):
                return self._end(row, self._without_code(code, has_receipt=True))
            fingerprint = self._tools.journal.fingerprint(code.secret.reveal())
            try:
                paying = self._tools.journal.move(
                    row,
                    PaymentState.PAYING,
                    "the code is about to leave",
                    fingerprint=fingerprint,
                    notes=self._story.notes,
                    request=self._story.request_line(_PAY),
                )
            except CodeAlreadySent:
                code = self._next_code(Text.SCAN_ALREADY_USED)
                continue
            self._story.stored_before(_PAY)
            self.may_be_charged = True
            outcome = self._pay(paying, code.secret)
            if not isinstance(outcome, AskAgain):
                return self._finish(paying, outcome, fingerprint)
            row = self._tools.journal.move(
                paying,
                PaymentState.CREATED,
                f"error {outcome.error_code} proves no charge, state 0 asked after it",
                notes=self._story.take(),
            )
            self.may_be_charged = False
            code = self._next_code(reason_for_stale(code))

    def go_on_paying(self, row: PaymentRow) -> PaymentResult:
        """Find out what became of a ``pay`` that an ended process had sent."""
        self._watch.start()
        return self._finish(row, self._poll(row))

    def finish_paid(self, row: PaymentRow, paid: Paid | None = None) -> PaymentResult:
        """Make the slips and the result of a payment that is durable as paid; what the slip lacks is asked for."""
        receipt = paid.receipt if paid is not None else None
        lacking = receipt is None or any(receipt.raw.get(name) is None for name in _SLIP_NEEDS)
        if lacking and is_same_kassa(row, self._tools.settings):
            receipt = self._inquiry(row, Text.PROGRESS_PAYING).receipt(self._watch.question_limit()) or receipt
            self._tools.journal.add_notes_later(row.payment_id, self._story.take())
        slips = self._tools.slips.make("pay", row, {} if receipt is None else receipt.raw)
        return paid_result(self._tools, row, receipt.phone if receipt is not None else None, slips)

    def ask_again(self, row: PaymentRow) -> PaymentResult:
        """Answer for a payment that the journal knows already."""
        self.may_be_charged = row.state is PaymentState.PAYING
        return asked_again.answer(
            self._tools,
            self._request,
            row,
            asked_again.Roads(
                paid=self.finish_paid,
                intent=self.from_intent,
                created=self._go_on_created,
                paying=self.go_on_paying,
            ),
        )

    def _go_on_created(self, row: PaymentRow) -> PaymentResult:
        state = self._inquiry(row, Text.PROGRESS_CREATING).state(self._watch.question_limit())
        if state == ReceiptState.CREATED:
            return self.charge(row)
        return self._end(
            row,
            Ending(
                status=PaymentStatus.REFUSED,
                message=self._tools.texts(Text.PAYMENT_RECEIPT_NOT_CREATED),
                reason=f"the receipt of an ended process is in state {state}",
                needs_cancellation=state != ReceiptState.CANCELLED,
            ),
        )

    def _pay(self, row: PaymentRow, code: Secret) -> Ending | Paid | AskAgain:
        self._watch.start()
        inquiry = self._inquiry(row, Text.PROGRESS_PAYING)
        try:
            answer = inquiry.call(_PAY, receipts.pay(receipt_id_of(row), code), self._watch.request_limit())
        except CallFailed as failure:
            judged = judge_pay(self._tools, inquiry, self._watch, failure, may_ask=self._codes.may_ask)
            if isinstance(judged, Ending) and judged.error_code in self._tools.settings.stale_codes:
                judged = self._stale(judged, code)
        else:
            receipt = inquiry.receipt_in(answer, self._watch.question_limit())
            if receipt is not None and receipt.state == ReceiptState.PAID:
                return Paid(receipt)
            judged = None
        return judged if judged is not None else self._poll(row)

    def _stale(self, ending: Ending, code: Secret) -> Ending:
        if not is_other_wallets(code):
            return ending
        return replace(ending, message=self._tools.texts(Text.PAYMENT_OTHER_WALLET, code=ending.error_code))

    def _poll(self, row: PaymentRow) -> Ending | Paid:
        return poll(self._tools, self._inquiry(row, Text.PROGRESS_WAITING_FOR_BUYER), self._watch)

    def _finish(self, row: PaymentRow, outcome: Ending | Paid, fingerprint: str | None = None) -> PaymentResult:
        if isinstance(outcome, Ending):
            return self._end(row, outcome, fingerprint)
        return self.finish_paid(commit_paid(self._tools, row, outcome, self._story), outcome)

    def _end(self, row: PaymentRow, ending: Ending, fingerprint: str | None = None) -> PaymentResult:
        return commit(self._tools, row, ending, self._story, fingerprint)

    def _next_code(self, reason: Text) -> Code | NoCode:
        if not self._codes.may_ask:
            return NoCode(reason)
        return self._codes.another(reason)

    def _without_code(self, missing: NoCode, *, has_receipt: bool) -> Ending:
        texts = self._tools.texts
        if missing.reason is None:
            return Ending(
                status=PaymentStatus.ABORTED,
                message=texts(Text.PAYMENT_ABORTED_BEFORE_CHARGE),
                reason="no code was scanned",
                needs_cancellation=has_receipt,
            )
        message = Text.PAYMENT_CODE_NOT_ACCEPTED if self._request.qr_code is None else missing.reason
        return Ending(
            status=PaymentStatus.REFUSED,
            message=texts(message),
            reason=f"no usable code ({missing.reason.value})",
            needs_cancellation=has_receipt,
        )

    def _inquiry(self, row: PaymentRow, text: Text) -> Inquiry:
        return Inquiry(
            self._tools.client,
            self._watch,
            self._story,
            receipt_id=receipt_id_of(row),
            amount=row.amount,
            text=self._progress(text),
        )

    def _progress(self, text: Text) -> Callable[[float], str]:
        return lambda left_s: self._tools.texts(text, left_s=round(left_s))
