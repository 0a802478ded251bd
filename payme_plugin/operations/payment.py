"""A payment, from the selected tender to its result.

    intent ─ receipts.create beside the scan ─> created ─ receipt id and code durable ─> paying
    paying ─ receipts.pay, once per code ─> the answer, or receipts.check until the state is final ─> the result

``_Payment.take`` has the steps. The transitions are in ``ledger.states``, the scan in ``code_scan``, the meaning of an
answer in ``receipt_queries`` and ``pay_outcome``, the results in ``results``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from hookspecs import PaymentStatus
from payme_plugin.ledger.errors import CodeAlreadySent, Conflict, JournalError
from payme_plugin.ledger.rows import Intent
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations import results
from payme_plugin.operations.answers import payment_answer
from payme_plugin.operations.code_scan import Code, CodeScanner, NoCode, is_other_wallets, reason_for_stale
from payme_plugin.operations.context import is_same_account
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.fiscal import detail_of
from payme_plugin.operations.host_guard import GuardedUi
from payme_plugin.operations.pay_outcome import AskAgain, classify_pay_failure, poll
from payme_plugin.operations.receipt_queries import ReceiptQueries, receipt_id_of
from payme_plugin.operations.results import NotPaid, Paid
from payme_plugin.operations.wait import CashierWait
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, Fault, ServerError, Unclear
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.settings import account_of
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import PaymentRequest, PaymentResult, Ui
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.paymego.protocols import Pending
    from payme_plugin.paymego.receipts import ServerReceipt

__all__ = ["take_payment"]

_CREATE = "receipts.create"
_PAY = "receipts.pay"
_LARGEST_AMOUNT = 2**63 - 1
_SLIP_NEEDS = ("card", "merchant", "pay_time")


def take_payment(context: Context, request: PaymentRequest, ui: Ui) -> PaymentResult:
    """Charge the buyer for an open sale and return the result, which is durable by then.

    Args:
        context: journal, client, clock, settings and texts of this operation.
        request: what to charge; the same ``payment_id`` again never charges again.
        ui: the cashier.

    Money effect: may charge. A result other than PAID leaves a cancellation if money may have moved.
    """
    if not 0 < request.amount <= _LARGEST_AMOUNT:
        return results.refused_result(request.amount, context.texts(Text.PAYMENT_AMOUNT_NOT_ALLOWED))
    payment = _Payment(context, request, GuardedUi(ui))
    try:
        try:
            return payment.begin_or_repeat()
        except Conflict:
            return payment.answer_known(context.journal.find(request.payment_id))
    except JournalError as error:
        # Charge nothing, because a cancellation of it could not be stored.
        results.report_journal_fault(context, request.payment_id, error)
        refused = results.refused_result(request.amount, context.texts(Text.PAYMENT_JOURNAL_UNWRITABLE))
        return payment_answer(context.texts, request, payment.row, refused)


class _Payment:
    """One run of one payment.

    Attributes:
        row: the payment as last stored, up to its result; None before its intent.
    """

    def __init__(self, context: Context, request: PaymentRequest, ui: GuardedUi) -> None:
        self.row: PaymentRow | None = None
        self._context = context
        self._journal = context.journal
        self._request = request
        self._events = EventLog(context.clock)
        self._wait = CashierWait(context.clock, ui, context.limits)
        self._codes = CodeScanner(context, ui, self._wait, given=request.qr_code)

    def begin_or_repeat(self) -> PaymentResult:
        """Take a new or unfinished payment; repeat the result of any other.

        Raises:
            Conflict: another process or thread has changed it. Read it again and answer from that.
            JournalError: the journal can't be used.
        """
        self.row = row = self._journal.find(self._request.payment_id)
        if row is None:
            return self.take(self._add_intent())
        if not (row.state.is_unfinished and results.is_same_sale(self._request, row)):
            return self.answer_known(row)
        reason = "the host asks again; the process that worked on it has ended"
        return self.take(self._journal.take_over(row, self._context.owner, reason))

    def take(self, row: PaymentRow) -> PaymentResult:
        """Take the payment, step by step, from the state in ``row`` to its result.

        1. ``receipts.create`` beside the scan; the receipt's id is stored.
        2. A code that was not sent before; it is stored as sent, then ``receipts.pay`` leaves.
        3. What the answer proves: the outcome, another code on the same receipt, or nothing yet: ask until it is known.
        4. The result is stored, with a cancellation unless nothing can have been charged; then it is returned.

        A step that the journal has already is skipped: after a restart ``row`` may be in any unfinished state.

        Money effect: may charge.
        """
        outcome = self._outcome_without_code(row)
        code: Code | NoCode | None = None
        fingerprint: str | None = None
        if outcome is None and row.state is PaymentState.INTENT:
            creating = self._begin_create(row)
            code = self._codes.first()
            created = self._join_create(row, creating, code)
            if isinstance(created, NotPaid):
                outcome = created
            else:
                row = created
        while outcome is None:
            code = self._code_to_send(code)
            if isinstance(code, NoCode):
                outcome = self._ended_without_code(row, code)
                break
            fingerprint = self._journal.fingerprint(code.secret.reveal())
            try:
                row = self._commit_paying(row, fingerprint)
            except CodeAlreadySent:
                code = self._codes.another(Text.SCAN_ALREADY_USED)
                continue
            answer = self._send_pay(row, code) or self._poll(row)
            if isinstance(answer, AskAgain):
                row = self._commit_created_again(row, answer)
                code = self._codes.another(reason_for_stale(code))
            else:
                outcome = answer
        stored = results.commit(self._context, row, outcome, self._events, fingerprint)
        if isinstance(outcome, Paid):  # PAID even if not stored: the host's answer about the sale decides later
            return self._paid(stored or row, outcome.receipt)
        if stored is None:
            unstored = results.unstored_result(row, outcome)
            return payment_answer(self._context.texts, self._request, row, unstored)
        return results.stored_result(stored)

    def answer_known(self, row: PaymentRow | None) -> PaymentResult:
        """Return the answer for a payment that has ended, or that another process or thread works on."""
        if row is not None and results.is_same_sale(self._request, row) and results.is_paid_in(self._request, row):
            return self._paid(row, None)
        texts, request = self._context.texts, self._request
        return payment_answer(texts, request, row, results.unknown_result(texts, request.amount))

    def _add_intent(self) -> PaymentRow:
        request, sale, settings = self._request, self._request.receipt, self._context.settings
        return self._journal.add_intent(
            Intent(
                payment_id=request.payment_id,
                payment_type=request.payment_type,
                amount=request.amount,
                till=sale.till,
                shift=sale.shift,
                number=sale.number,
                pos_id=settings.pos_id,
                url=settings.url,
                owner=self._context.owner,
            ),
            f"{request.amount} tiyin, receipt {sale.till}/{sale.shift}/{sale.number}",
        )

    def _outcome_without_code(self, row: PaymentRow) -> NotPaid | Paid | None:
        """Return the outcome if no code may be sent for this payment; None if one may."""
        if not is_same_account(row, self._context.settings):
            return NotPaid(
                status=PaymentStatus.REFUSED,
                message=self._context.texts(Text.PAYMENT_ABORTED),
                reason="another merchant account took it than the settings name",
                needs_cancellation=row.receipt_id is not None,
            )
        if row.state is PaymentState.PAYING:
            self._wait.start()
            return self._poll(row)
        if row.state is PaymentState.CREATED:
            state = self._queries(row, Text.PROGRESS_CREATING).state(self._wait.question_limit())
            if state == ReceiptState.CREATED:
                return None
            return NotPaid(
                status=PaymentStatus.REFUSED,
                message=self._context.texts(Text.PAYMENT_RECEIPT_NOT_CREATED),
                reason=f"the receipt of an ended process is in state {state}",
                needs_cancellation=state != ReceiptState.CANCELLED,
            )
        given = self._codes.first() if self._request.qr_code is not None else None
        return self._ended_without_code(row, given) if isinstance(given, NoCode) else None

    def _begin_create(self, row: PaymentRow) -> Pending:
        params = receipts.create(row.amount, self._account_of(row), detail=detail_of(self._request.receipt, row.amount))
        self._events.add_request(_CREATE)
        return self._context.client.begin(_CREATE, params, self._wait.now + self._context.limits.timeout_s)

    def _account_of(self, row: PaymentRow) -> dict[str, str]:
        template = self._context.settings.account
        return account_of(template, till=row.till, shift=row.shift, number=row.number, attempt=row.attempt)

    def _join_create(self, row: PaymentRow, pending: Pending, code: Code | NoCode) -> PaymentRow | NotPaid:
        """Wait for the receipt and commit it; return the outcome if there is no receipt or no code."""
        created = self._await_receipt(row, pending, may_repeat=isinstance(code, Code))
        if isinstance(created, NotPaid):
            return self._ended_without_code(row, code) if isinstance(code, NoCode) else created
        try:
            return self._journal.move(
                row, PaymentState.CREATED, "Payme created the receipt", receipt_id=created, events=self._events.take()
            )
        except Conflict:
            if self._journal.find_receipt(created) is None:
                raise
            return self._wrong_receipt("the receipt id is another payment's")

    def _await_receipt(self, row: PaymentRow, pending: Pending, *, may_repeat: bool) -> str | NotPaid:
        """Wait for the answer to ``receipts.create``; return the receipt's id.

        This is the only request that is repeated: once, after an unclear answer, if there is a code to send. A second
        receipt does no harm, because an unpaid receipt moves no money.
        """
        while True:
            if not self._wait.wait_for(pending, self._context.progress(Text.PROGRESS_CREATING)):
                pending.abandon()
            try:
                answer = pending.answer()
                created = receipts.receipt_of(answer)
                return self._id_of_new(created if answer.bound else self._confirmed(created, row), row)
            except CallFailed as failure:
                self._events.add_event(f"{failure.method}: {failure.explanation}")
                stopped = self._wait.has_stopped()
                is_refused = isinstance(failure, ServerError) and failure.bound
                if stopped or not may_repeat or is_refused:
                    return results.nothing_charged(self._context.texts, failure, stopped=stopped)
            may_repeat = False
            pending = self._begin_create(row)

    def _confirmed(self, created: ServerReceipt, row: PaymentRow) -> ServerReceipt:
        """Return the new receipt of an answer without our request's id as ``receipts.get`` has it.

        Raises:
            Unclear: it is not confirmed with our amount and account, so it may be another request's.
        """
        if created.receipt_id is not None:
            queries = self._queries(row, Text.PROGRESS_CREATING, created.receipt_id)
            found = queries.receipt(self._wait.question_limit())
            if found is not None and found.has_account(self._account_of(row)):
                return found
        raise Unclear(_CREATE, Fault.FOREIGN_ANSWER, "an answer without our id, which receipts.get does not confirm")

    def _id_of_new(self, receipt: ServerReceipt, row: PaymentRow) -> str | NotPaid:
        self._events.add_event(f"{_CREATE}: state {receipt.state}")
        if receipt.receipt_id is None:
            return self._wrong_receipt("the new receipt has no id")
        if receipt.state != ReceiptState.CREATED:
            return self._wrong_receipt(f"the new receipt is in state {receipt.state}")
        if receipt.amount != row.amount:
            return self._wrong_receipt("the new receipt is over another amount")
        return receipt.receipt_id

    def _wrong_receipt(self, reason: str) -> NotPaid:
        message = self._context.texts(Text.PAYMENT_WRONG_RECEIPT)
        return NotPaid(status=PaymentStatus.REFUSED, message=message, reason=reason)

    def _code_to_send(self, code: Code | NoCode | None) -> Code | NoCode:
        if self._wait.has_stopped():  # Payme's answer came while the cashier was asked whether to stop
            return NoCode(None)
        if code is None:
            code = self._codes.first()
        return self._codes.fresh(code) if isinstance(code, Code) else code

    def _commit_paying(self, row: PaymentRow, fingerprint: str) -> PaymentRow:
        self.row = row = self._journal.move(
            row,
            PaymentState.PAYING,
            "the code is about to leave",
            fingerprint=fingerprint,
            events=self._events.unstored,
            request=self._events.request_event(_PAY).text,
        )
        self._events.mark_request_stored(_PAY)
        return row

    def _send_pay(self, row: PaymentRow, code: Code) -> NotPaid | Paid | AskAgain | None:
        """Send the code and return the outcome; None if the state must be polled.

        Money effect: charges.
        """
        self._wait.start()
        queries = self._queries(row, Text.PROGRESS_PAYING)
        try:
            answer = queries.call(_PAY, receipts.pay(receipt_id_of(row), code.secret), self._wait.request_limit())
        except CallFailed as failure:
            may_ask = self._codes.may_ask
            outcome = classify_pay_failure(self._context, queries, self._wait, failure, may_ask=may_ask)
            if not isinstance(outcome, NotPaid) or outcome.error_code not in self._context.settings.stale_codes:
                return outcome
            if not is_other_wallets(code.secret):
                return outcome
            return replace(outcome, message=self._context.texts(Text.PAYMENT_OTHER_WALLET, code=outcome.error_code))
        receipt = queries.receipt_in(answer, self._wait.question_limit())
        return Paid(receipt) if receipt is not None and receipt.state == ReceiptState.PAID else None

    def _poll(self, row: PaymentRow) -> NotPaid | Paid:
        return poll(self._context, self._queries(row, Text.PROGRESS_WAITING_FOR_BUYER), self._wait)

    def _commit_created_again(self, row: PaymentRow, stale: AskAgain) -> PaymentRow:
        reason = f"error {stale.error_code} proves no charge, state 0 asked after it"
        self.row = self._journal.move(row, PaymentState.CREATED, reason, events=self._events.take())
        return self.row

    def _paid(self, row: PaymentRow, receipt: ServerReceipt | None) -> PaymentResult:
        """Return PAID; ask Payme for the receipt if the slip needs a field that is missing."""
        is_lacking = receipt is None or any(receipt.raw.get(name) is None for name in _SLIP_NEEDS)
        if is_lacking and is_same_account(row, self._context.settings):
            receipt = self._queries(row, Text.PROGRESS_PAYING).receipt(self._wait.question_limit()) or receipt
        return results.paid_result(self._context, row, receipt)

    def _ended_without_code(self, row: PaymentRow, missing: NoCode) -> NotPaid:
        if missing.reason is None:
            status, text, reason = PaymentStatus.ABORTED, Text.PAYMENT_ABORTED_BEFORE_CHARGE, "no code was scanned"
        else:
            text = Text.PAYMENT_CODE_NOT_ACCEPTED if self._request.qr_code is None else missing.reason
            status, reason = PaymentStatus.REFUSED, f"no usable code ({missing.reason.value})"
        return NotPaid(
            status=status,
            message=self._context.texts(text, character=missing.character),
            reason=reason,
            needs_cancellation=row.receipt_id is not None,
        )

    def _queries(self, row: PaymentRow, text: Text, receipt_id: str | None = None) -> ReceiptQueries:
        return ReceiptQueries(
            self._context.client,
            self._wait,
            self._events,
            receipt_id=receipt_id or receipt_id_of(row),
            amount=row.amount,
            text=self._context.progress(text),
        )
