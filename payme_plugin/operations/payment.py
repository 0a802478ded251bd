"""A payment, from the selected tender to its result.

    intent ─ receipts.create beside the scan ─ receipt id and code durable ─> paying
    paying ─ receipts.pay, once per code ─> the answer, or receipts.check until the state is final ─> the result

``_Payment.take`` has the steps. The transitions are in ``ledger.states``, the scan in ``code_scan``, the meaning of an
answer in ``receipt_queries`` and ``pay_outcome``, the results in ``results``.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from hookspecs import PaymentStatus, ReceiptKind
from payme_plugin.ledger.errors import CodeAlreadySent, Conflict, JournalError
from payme_plugin.ledger.rows import Intent, NewCancellation
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.log import Log
from payme_plugin.operations import results
from payme_plugin.operations.answers import payment_answer
from payme_plugin.operations.code_scan import Code, CodeScanner, NoCode, is_other_wallets, reason_for_stale
from payme_plugin.operations.event_log import EventLog
from payme_plugin.operations.fiscal import detail_of
from payme_plugin.operations.host_guard import GuardedUi
from payme_plugin.operations.pay_outcome import StaleCode, classify_pay_failure, poll
from payme_plugin.operations.receipt_queries import ReceiptQueries, receipt_id_of
from payme_plugin.operations.results import SALE_NOTICE, NotPaid, Paid
from payme_plugin.operations.wait import CashierWait
from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, Fault, ServerError, Unclear
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.secret import safe_traceback
from payme_plugin.settings import account_of
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from hookspecs import PaymentRequest, PaymentResult, Ui
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.context import Context
    from payme_plugin.paymego.protocols import Pending
    from payme_plugin.paymego.receipts import ServerReceipt

_log = Log()

_CREATE = "receipts.create"
_PAY = "receipts.pay"
_LARGEST_AMOUNT = 2**63 - 1
_NOT_PAID = frozenset(ReceiptState) - {ReceiptState.PAID}
_RETURNED = frozenset({ReceiptState.CANCELLING, ReceiptState.CANCELLED})
_SLIP_NEEDS = ("card", "merchant", "pay_time")


def take_payment(context: Context, request: PaymentRequest, ui: Ui) -> PaymentResult:
    """Charge the buyer for an open sale and return the result, which is durable by then.

    Args:
        context: journal, client, clock, settings and texts of this operation.
        request: what to charge; the journal has no payment with its id.
        ui: the cashier.

    Money effect: may charge. A result other than PAID leaves a cancellation if money may have moved.
    """
    text = _reason_against(request)
    if text is not None:
        return results.refused_result(request.amount, context.texts(text))
    payment = _Payment(context, request, ui)
    try:
        try:
            return payment.take(payment.add_intent())
        except Conflict:
            return payment.answer_known(context.journal.find(request.payment_id))
    except Exception as error:  # noqa: BLE001 - no hook raises, and the code may have been sent
        return payment.refuse_or_leave(error)


def resume_payment(context: Context, request: PaymentRequest, row: PaymentRow, ui: Ui) -> PaymentResult:
    """Return the result of a payment that the journal has; never begin a charge and never scan.

    Args:
        context: as for ``take_payment``.
        request: the host's repeated request.
        row: the payment.
        ui: the cashier.

    Raises:
        JournalError: the journal can't be used, so the payment can't be decided now.

    Money effect: may leave a cancellation.
    """
    payment = _Payment(context, request, ui)
    try:
        return payment.resume(row)
    except Conflict:
        return payment.answer_known(context.journal.find(request.payment_id))


def intent_of(context: Context, request: PaymentRequest) -> Intent:
    """Return what is stored of a request before anything is sent."""
    return Intent(
        payment_id=request.payment_id,
        payment_type=request.payment_type,
        amount=request.amount,
        till=request.receipt.till,
        shift=request.receipt.shift,
        number=request.receipt.number,
        pos_id=context.settings.pos_id,
        url=context.settings.url,
        owner=context.owner,
    )


def _reason_against(request: PaymentRequest) -> Text | None:
    """Return why a new payment is refused by its request, or None."""
    receipt = request.receipt
    if not 0 < request.amount <= _LARGEST_AMOUNT:
        return Text.PAYMENT_AMOUNT_NOT_ALLOWED
    if receipt.kind is not ReceiptKind.SALE:
        return Text.PAYMENT_NOT_A_SALE
    if request.amount > receipt.total - sum(record.amount for record in receipt.payments):
        return Text.PAYMENT_AMOUNT_ABOVE_DUE
    return None


def _contradiction(found: ServerReceipt, amount: int) -> str | None:
    """Return what Payme's receipt says against PAID, or None; a state that nobody knows says nothing."""
    if found.amount not in {None, amount}:
        return "Payme has another amount"  # not which one: a server may repeat a secret there
    return f"Payme says state {found.state}" if found.state in _NOT_PAID else None


class _Payment:
    """One run of one payment.

    Attributes:
        row: the payment as last stored, up to its result; None before its intent.
    """

    def __init__(self, context: Context, request: PaymentRequest, ui: Ui) -> None:
        self.row: PaymentRow | None = None
        self._context = context
        self._journal = context.journal
        self._request = request
        self._events = EventLog(context.clock)
        guarded = GuardedUi(ui)
        self._wait = CashierWait(context.clock, guarded, context.limits)
        self._codes = CodeScanner(context, guarded, self._wait, given=request.qr_code)

    def take(self, row: PaymentRow) -> PaymentResult:
        """Take a new payment, step by step, from its intent to its result.

        1. ``receipts.create`` beside the scan.
        2. A code that was not sent before; receipt id and code are stored, then ``receipts.pay`` leaves.
        3. What the answer proves: the outcome, or that another code may be sent. If it proves neither, poll.
        4. The result is stored, with a cancellation unless nothing can have been charged; then it is returned.

        Money effect: may charge.
        """
        self.row = row
        fingerprint: str | None = None
        code = self._codes.first() if self._request.qr_code is not None else None
        created: str | NotPaid | None = None
        outcome: NotPaid | Paid | None = None
        if not isinstance(code, NoCode):
            creating = self._begin_create(row)
            code = code or self._codes.first()
            created = self._await_receipt(row, creating, may_repeat=isinstance(code, Code))
            if isinstance(created, NotPaid) and not isinstance(code, NoCode):
                outcome = created
        receipt_id = created if isinstance(created, str) else None
        while outcome is None:
            code = self._code_to_send(code)
            if isinstance(code, NoCode):
                outcome = self._ended_without_code(receipt_id, code)
                break
            fingerprint = self._journal.fingerprint(code.secret.reveal())
            try:
                row = self._commit_paying(row, fingerprint, receipt_id)
            except CodeAlreadySent:
                code = self._codes.another(Text.SCAN_ALREADY_USED)
                continue
            self._context.files.require()
            self.row = row
            answer = self._send_pay(row, code) or self._poll(row)
            if isinstance(answer, StaleCode):
                row = self._commit_created_again(row, answer)
                code = self._codes.another(reason_for_stale(code))
            else:
                outcome = answer
        return self._result_of(row, outcome, fingerprint=fingerprint, receipt_id=receipt_id)

    def resume(self, row: PaymentRow) -> PaymentResult:
        """Return the result of a payment that the journal has, from the state in ``row``.

        Raises:
            Conflict: another process or thread has changed it. Read it again and answer from that.
            JournalError: the journal can't be used.
        """
        is_same_sale = results.is_same_sale(self._request, row)
        # A payment for which this process returns PAID must not be an orphan of its on_ready.
        is_orphan = row.acknowledged_at is None and row.owner != self._context.owner
        if is_same_sale and (row.state.is_unfinished or (is_orphan and results.is_paid_in(self._request, row))):
            row = self._journal.take_over(row, self._context.owner, "the host asks again")
        if not (row.state.is_unfinished and is_same_sale):
            return self.answer_known(row)
        self.row = row
        outcome: NotPaid | Paid
        if row.state is not PaymentState.PAYING:
            outcome = NotPaid(
                status=PaymentStatus.REFUSED,
                message=self._context.texts(Text.PAYMENT_NOT_SENT),
                reason="asked again; no code was sent",
                needs_cancellation=row.receipt_id is not None,
            )
        elif (context := self._context.for_row(row)) is None:
            outcome = self._unknown("asked again; the settings have another merchant account")
        else:
            self._context = context
            self._wait.start()
            # The code may have never arrived: a receipt that is still open then takes no money any more.
            outcome = self._poll(row, created_until=self._wait.now + self._context.limits.timeout_s)
        return self._result_of(row, outcome)

    def answer_known(self, row: PaymentRow | None) -> PaymentResult:
        """Return the answer for a payment that has ended, or that another process or thread works on."""
        if row is not None and results.is_same_sale(self._request, row) and results.is_paid_in(self._request, row):
            return self._paid(row, None)
        pending = results.pending_result(self._context.texts, self._request.amount)
        return payment_answer(self._context.texts, self._request, row, pending)

    def refuse_or_leave(self, error: Exception) -> PaymentResult:
        """Return the result of a new payment that can't go on: the journal can't store it, or the plugin has a fault.

        Before the code leaves it is REFUSED. Later it is UNKNOWN. Its end, with a cancellation if a code was sent, is
        kept in memory until the journal can store it.
        """
        text = Text.PAYMENT_JOURNAL_UNWRITABLE
        if isinstance(error, JournalError):
            results.report_journal_fault(self._context, self._request.payment_id, error)
        else:
            text = Text.PAYMENT_TILL_FAULT
            _log.error("payment %s: a fault of the plugin: %s", self._request.payment_id, safe_traceback(error))
        refused = results.refused_result(self._request.amount, self._context.texts(text))
        if self.row is not None:
            self._context.keep_result(self.row.payment_id)
        return payment_answer(self._context.texts, self._request, self.row, refused)

    def _result_of(
        self,
        row: PaymentRow,
        outcome: NotPaid | Paid,
        *,
        fingerprint: str | None = None,
        receipt_id: str | None = None,
    ) -> PaymentResult:
        """Commit the outcome and return the result."""
        if isinstance(outcome, Paid):
            outcome = self._paid_unless_moved(outcome)
        stored = results.commit(self._context, row, outcome, self._events, fingerprint, receipt_id)
        return self._paid(stored, outcome.receipt) if isinstance(outcome, Paid) else results.stored_result(stored)

    def add_intent(self) -> PaymentRow:
        """Store the intent.

        Raises:
            Conflict: the journal has the payment already.
            JournalError: nothing was stored.
        """
        intent = intent_of(self._context, self._request)
        note = f"{intent.amount} tiyin, receipt {intent.till}/{intent.shift}/{intent.number}"
        return self._journal.add_intent(intent, note)

    def _begin_create(self, row: PaymentRow) -> Pending:
        params = receipts.create(row.amount, self._account_of(row), detail=detail_of(self._request.receipt, row.amount))
        self._events.add_request(_CREATE)
        return self._context.client.begin(_CREATE, params, self._wait.now + self._context.limits.timeout_s)

    def _account_of(self, row: PaymentRow) -> dict[str, str]:
        template = self._context.settings.account
        return account_of(template, till=row.till, shift=row.shift, number=row.number, attempt=row.attempt)

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
                self._events.add_answer(f"{failure.method}: {failure.explanation}")
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
            found = queries.receipt(self._wait.query_limit())
            if found is not None and found.has_account(self._account_of(row)):
                return found
        raise Unclear(_CREATE, Fault.FOREIGN_ANSWER, "an answer without our id, which receipts.get does not confirm")

    def _id_of_new(self, receipt: ServerReceipt, row: PaymentRow) -> str | NotPaid:
        self._events.add_answer(f"{_CREATE}: state {receipt.state}")
        if receipt.receipt_id is None:
            return self._wrong_receipt("the new receipt has no id")
        if receipt.state != ReceiptState.CREATED:
            return self._wrong_receipt(f"the new receipt is in state {receipt.state}")
        if receipt.amount != row.amount:
            return self._wrong_receipt("the new receipt is over another amount")
        if self._journal.find_receipt(receipt.receipt_id) is not None:
            return self._wrong_receipt("the receipt id is another payment's")
        return receipt.receipt_id

    def _wrong_receipt(self, reason: str) -> NotPaid:
        message = self._context.texts(Text.PAYMENT_WRONG_RECEIPT)
        return NotPaid(status=PaymentStatus.REFUSED, message=message, reason=reason)

    def _code_to_send(self, code: Code | NoCode | None) -> Code | NoCode:
        if self._wait.has_stopped():  # Payme's answer came while the cashier was asked whether to stop
            return NoCode(None)
        if code is None:
            code = self._codes.first()
        code = self._codes.fresh(code) if isinstance(code, Code) else code
        if isinstance(code, Code) and self._wait.report(self._context.progress(Text.PROGRESS_PAYING)):
            return NoCode(None)  # the last moment at which a stop certainly charges nothing
        return code

    def _commit_paying(self, row: PaymentRow, fingerprint: str, receipt_id: str | None) -> PaymentRow:
        row = self._journal.move(
            row,
            PaymentState.PAYING,
            "the code is about to leave",
            receipt_id=receipt_id if row.receipt_id is None else None,
            fingerprint=fingerprint,
            events=self._events.unstored,
            request=self._events.request_event(_PAY),
        )
        self._events.take()
        return row

    def _send_pay(self, row: PaymentRow, code: Code) -> NotPaid | Paid | StaleCode | None:
        """Send the code and return the outcome; None if the state must be polled.

        Money effect: charges.
        """
        self._wait.start()
        queries = self._queries(row, Text.PROGRESS_PAYING)
        try:
            answer = queries.call(_PAY, receipts.pay(receipt_id_of(row), code.secret), self._wait.request_limit())
        except CallFailed as failure:
            may_scan_again = self._codes.may_scan_again
            outcome = classify_pay_failure(self._context, queries, self._wait, failure, may_scan_again=may_scan_again)
            if not isinstance(outcome, NotPaid) or outcome.error_code not in self._context.settings.stale_codes:
                return outcome
            if not is_other_wallets(code.secret):
                return outcome
            return outcome._replace(message=self._context.texts(Text.PAYMENT_OTHER_WALLET, code=outcome.error_code))
        receipt = queries.receipt_in(answer, self._wait.query_limit())
        return Paid(receipt) if receipt is not None and receipt.state == ReceiptState.PAID else None

    def _poll(self, row: PaymentRow, *, created_until: float = math.inf) -> NotPaid | Paid:
        queries = self._queries(row, Text.PROGRESS_WAITING_FOR_BUYER)
        return poll(self._context, queries, self._wait, created_until=created_until)

    def _commit_created_again(self, row: PaymentRow, stale: StaleCode) -> PaymentRow:
        reason = f"error {stale.error_code} proves no charge, state 0 asked after it"
        self.row = self._journal.move(row, PaymentState.CREATED, reason, events=self._events.take())
        return self.row

    def _paid_unless_moved(self, paid: Paid) -> Paid | NotPaid:
        """Return UNKNOWN if the journal's files are no longer in place, because a restart would not find the payment.

        The worker of this process still has the files, and delivers the cancellation.
        """
        try:
            self._context.files.require()
        except JournalError as error:
            results.report_journal_fault(self._context, self._request.payment_id, error)
            return self._unknown("paid (4), but the journal's files were moved")
        return paid

    def _unknown(self, reason: str) -> NotPaid:
        text = Text.PAYMENT_CHARGE_MAY_HANG
        return results.to_cancel(self._context.texts, PaymentStatus.UNKNOWN, text, reason)

    def _paid(self, row: PaymentRow, receipt: ServerReceipt | None) -> PaymentResult:
        """Return PAID, unless Payme's receipt contradicts it; it is asked for if the slip needs a missing field."""
        is_lacking = receipt is None or any(receipt.raw.get(name) is None for name in _SLIP_NEEDS)
        if is_lacking and (context := self._context.for_row(row)) is not None:
            self._context = context
            found = self._queries(row, Text.PROGRESS_PAYING).look(self._wait.query_limit())
            contradiction = None if found is None else _contradiction(found, row.amount)
            if found is not None and contradiction is not None:
                return self._contradicted(row, found, contradiction)
            receipt = found or receipt
        return results.paid_result(self._context, row, receipt)

    def _contradicted(self, row: PaymentRow, found: ServerReceipt, reason: str) -> PaymentResult:
        """Return REFUSED for a payment that Payme has no longer; return its money unless the host acknowledged it."""
        is_open = row.state is PaymentState.PAID
        if not is_open and found.amount == row.amount and found.state not in _RETURNED:
            return results.pending_result(self._context.texts, row.amount)
        if is_open:
            cancellation = NewCancellation(cause=Cause.UNRECORDED)
            self._journal.move(row, PaymentState.REVERSING, reason, cancellation=cancellation)
        else:
            _log.error("payment %s is in the sale, but %s", row.payment_id, reason)
            self._context.notice(SALE_NOTICE, self._context.texts(Text.NOTICE_SALE_UNPAID, number=row.number))
        refused = results.refused_result(row.amount, self._context.texts(Text.PAYMENT_ALREADY_REVERSED))
        return replace(refused, receipt_id=row.receipt_id, cancellation_queued=is_open)

    def _ended_without_code(self, receipt_id: str | None, missing: NoCode) -> NotPaid:
        if missing.reason is None:
            status, text, reason = PaymentStatus.ABORTED, Text.PAYMENT_ABORTED_BEFORE_CHARGE, "no code was scanned"
        else:
            text = Text.PAYMENT_CODE_NOT_ACCEPTED if self._request.qr_code is None else missing.reason
            status, reason = PaymentStatus.REFUSED, f"no usable code ({missing.reason.value})"
        return NotPaid(
            status=status,
            message=self._context.texts(text, character=missing.character),
            reason=reason,
            needs_cancellation=receipt_id is not None,
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
