"""Where the host's hooks are served: whose payment it is, one at a time, and no hook raises."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from hookspecs import PaymentResult, RefundViolation, ReversalResult, ReversalStatus
from payme_plugin.ledger.errors import AnotherTill, Conflict, Damaged, JournalError
from payme_plugin.log import Log
from payme_plugin.operations import originals, reversal_requests
from payme_plugin.operations.payment import take_payment
from payme_plugin.operations.results import answer_without_acting, is_ours, refused_result, unknown_result
from payme_plugin.secret import safe_traceback
from payme_plugin.settings import SettingsError
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from hookspecs import (
        CancelRequest,
        PaymentRequest,
        PaymentType,
        QueueMessage,
        QueueVerdict,
        Receipt,
        RefundRequest,
        Ui,
    )
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.operations.context import Context
    from payme_plugin.service import Service

__all__ = ["HookDispatcher"]

_log = Log()

_STOP_TIMEOUT_S = 2.0

_Result = TypeVar("_Result", PaymentResult, ReversalResult)
_Found = TypeVar("_Found")


class HookDispatcher:
    """Serves the hooks of one till. Any thread may call it; money hooks are served one at a time."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._changed = threading.Condition(threading.Lock())
        self._busy_thread: int | None = None
        self._is_stopping = False
        self._stop_waits = False

    def stop(self) -> None:
        """End work; what is unfinished is durable.

        A money hook under way ends as if the cashier had stopped it. It is waited for a little; one that takes longer,
        or whose own ``Ui`` called this, closes behind itself what it still needs.

        Money effect: none; a payment that ends so may leave a cancellation.
        """
        with self._changed:
            if self._is_stopping:
                return
            self._is_stopping = True
            was_busy = self._busy_thread is not None
            if self._busy_thread != threading.get_ident():
                self._stop_waits = True
                self._changed.wait_for(lambda: self._busy_thread is None, _STOP_TIMEOUT_S)
                self._stop_waits = False
            if self._busy_thread is not None:
                return
        # The host may not have recorded yet what that hook told it: its word about this process's own comes too early.
        self._service.stop(ask_host=not was_busy)

    def payment_types(self) -> list[PaymentType]:
        """Return the tender of the settings, or none."""
        return self._service.payment_types()

    def pay(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Take a payment; None where the tender isn't ours.

        Money effect: may charge.
        """
        if self._service.payment_type() != request.payment_type:
            return None
        with self._one_at_a_time("on_payment", request.payment_id) as logged:
            if logged is None:
                result = self._refusal(request, Text.PAYMENT_BUSY)
            else:
                result = logged(self._pay(request, self._heeding(ui)))
        self._wake_for(result)
        return result

    def cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        """Give the payment of an open sale back; None where the payment isn't ours.

        Money effect: may cancel, the whole amount.
        """
        try:
            row = originals.row_of_cancel(self._service.journal(), request)
            ours = row is not None or is_ours(request.payment)
        except JournalError as error:
            self._tell_not_asked(error)
            row, ours = None, self._may_be_cancelled(request)
        if not ours:
            return None

        def cancel(context: Context) -> ReversalResult:
            return reversal_requests.cancel_payment(context, request, self._heeding(ui))

        def durable(journal: Journal) -> ReversalResult | None:
            return reversal_requests.durable_cancel(journal, request, self._service.texts())

        payment_id = request.payment.payment_id if row is None else row.payment_id
        return self._give_back("on_cancel", payment_id, cancel, durable)

    def violations(self, request: RefundRequest) -> list[RefundViolation]:
        """Return what forbids a refund; an empty list where nothing does or it isn't ours.

        Money effect: none.
        """
        texts = self._service.texts()
        try:
            journal = self._service.journal()
            original = originals.original_of(journal, request)
            if original is None and not self._may_be_ours(request):
                return []
            return originals.violations(journal, request, original, texts)
        except JournalError as error:
            self._service.journal_fault(error, f"refund {request.refund_id}")
            # What the journal alone knows is not told. on_full_refund is refused then: it returns nothing that it can't
            # make durable first.
            return originals.violations_without_journal(request, texts) if self._may_be_ours(request) else []

    def refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        """Give the payment of a closed sale back, unless a rule forbids it; None where it isn't ours.

        Money effect: may cancel, the whole amount.
        """
        original = self._looked_up(lambda journal: originals.original_of(journal, request))
        if original is None and not self._may_be_ours(request):
            return None

        def refund(context: Context) -> ReversalResult:
            return reversal_requests.refund_payment(context, request, self._heeding(ui))

        def durable(journal: Journal) -> ReversalResult | None:
            return reversal_requests.durable_refund(journal, request, self._service.texts())

        named = request.payment.payment_id if request.payment is not None else "-"
        return self._give_back("on_full_refund", named if original is None else original.payment_id, refund, durable)

    def receipt_closed(self, receipt: Receipt) -> None:
        """Confirm the payments in a closed receipt and file its fiscal link, now or as soon as the journal takes it.

        Money effect: none.
        """
        try:
            self._service.background.closed_receipts.file(receipt)
        except JournalError as error:
            self._service.journal_fault(error, f"receipt {receipt.shift}/{receipt.number} is closed")
        self._service.background.wake()

    def queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Work on a message of the host's queue; None where its kind is not ours.

        Money effect: may cancel.
        """
        return self._service.background.queue_message(message)

    def _pay(self, request: PaymentRequest, ui: Ui) -> PaymentResult:
        try:
            with self._service.background.in_hand(request.payment_id):
                return take_payment(self._service.operation(), request, ui)
        except SettingsError as error:
            _log.error("payment %s is refused, the settings can't be used: %s", request.payment_id, error)
            return self._refusal(request, Text.PAYMENT_SETTINGS_BROKEN, fault=error.faults[0].short)
        except AnotherTill as error:
            _log.error("payment %s is refused: %s", request.payment_id, error)
            return self._not_taken(request, Text.PAYMENT_ANOTHER_TILL)
        except JournalError as error:
            self._service.journal_fault(error, f"payment {request.payment_id}")
            return self._refusal(request, Text.PAYMENT_JOURNAL_UNWRITABLE)
        except Exception as error:  # noqa: BLE001
            # No hook raises. What was durable before the fault decides later; until then nobody may hand out goods.
            _log.error("payment %s: a fault of the plugin: %s", request.payment_id, safe_traceback(error))
            return self._not_taken(request, Text.PAYMENT_TILL_FAULT)

    def _not_taken(self, request: PaymentRequest, text: Text) -> PaymentResult:
        """Refuse a payment if the journal says for certain that no code was sent; else return what it knows."""
        texts = self._service.texts()
        try:
            row = self._service.journal().find(request.payment_id)
        except JournalError:
            return unknown_result(texts, request.amount)
        return answer_without_acting(texts, request, row, self._refusal(request, text))

    def _give_back(
        self,
        hook: str,
        payment_id: str,
        operation: Callable[[Context], ReversalResult],
        durable: Callable[[Journal], ReversalResult | None],
    ) -> ReversalResult:
        with self._one_at_a_time(hook, payment_id) as logged:
            if logged is None:
                return self._told_while_busy(payment_id, durable)
            result = self._reversal(payment_id, operation)
            if result.status is ReversalStatus.REFUSED:
                result = self._durable(payment_id, durable) or result
            logged(result)
        self._wake_for(result)
        return result

    def _told_while_busy(self, payment_id: str, durable: Callable[[Journal], ReversalResult | None]) -> ReversalResult:
        """Answer beside another money hook: it may be the one that gives this very payment back."""
        result = None if self._is_stopping else self._durable(payment_id, durable)
        if result is None:
            return self._kept(Text.REVERSAL_BUSY)
        self._wake_for(result)
        return result

    def _durable(self, payment_id: str, durable: Callable[[Journal], ReversalResult | None]) -> ReversalResult | None:
        """Return what is durable of a refused reversal: the host must not keep a sale whose money goes back."""
        try:
            return durable(self._service.journal())
        except Exception as error:  # noqa: BLE001 - then the refusal is all that is known
            _log.error("reversal of %s: what is durable of it can't be read: %s", payment_id, type(error).__name__)
            return None

    def _reversal(self, payment_id: str, operation: Callable[[Context], ReversalResult]) -> ReversalResult:
        try:
            with self._service.background.in_hand(payment_id):
                return operation(self._service.operation())
        except SettingsError as error:
            _log.error("reversal of %s is refused, the settings can't be used: %s", payment_id, error)
            return self._kept(Text.REVERSAL_SETTINGS_BROKEN, fault=error.faults[0].short)
        except AnotherTill as error:
            _log.error("reversal of %s is refused: %s", payment_id, error)
            return self._kept(Text.REVERSAL_ANOTHER_TILL)
        except Conflict as error:
            _log.warning("reversal of %s: %s", payment_id, error)
            return self._kept(Text.REVERSAL_BUSY)
        except JournalError as error:
            self._service.journal_fault(error, f"reversal of {payment_id}")
            is_damaged = isinstance(error, Damaged)
            return self._kept(Text.REVERSAL_JOURNAL_DAMAGED if is_damaged else Text.REVERSAL_JOURNAL_UNWRITABLE)
        except Exception as error:  # noqa: BLE001
            # No hook raises. A cancellation that is durable is carried out whatever the cashier reads.
            _log.error("reversal of %s: a fault of the plugin: %s", payment_id, safe_traceback(error))
            return self._kept(Text.REVERSAL_JOURNAL_UNWRITABLE)

    def _looked_up(self, look: Callable[[Journal], _Found | None]) -> _Found | None:
        """Return what the journal has of a payment; None too where it can't be read: the operation then says so."""
        try:
            return look(self._service.journal())
        except JournalError as error:
            self._tell_not_asked(error)
            return None

    @staticmethod
    def _tell_not_asked(error: JournalError) -> None:
        _log.error("the journal can't be asked whose payment it is: %s", error)

    def _may_be_cancelled(self, request: CancelRequest) -> bool:
        """Say whether a payment may be ours as far as its record tells: one that lost its data is, under our tender."""
        record = request.payment
        return is_ours(record) or (not record.data and record.payment_type == self._service.payment_type())

    def _refusal(self, request: PaymentRequest, text: Text, **values: object) -> PaymentResult:
        return refused_result(request.amount, self._service.texts()(text, **values))

    def _kept(self, text: Text, **values: object) -> ReversalResult:
        return ReversalResult(status=ReversalStatus.REFUSED, message=self._service.texts()(text, **values))

    def _is_our_tender(self, request: RefundRequest) -> bool:
        return request.payment_type == self._service.payment_type()

    def _may_be_ours(self, request: RefundRequest) -> bool:
        if request.payment is not None and request.payment.data:
            return is_ours(request.payment) or self._is_our_tender(request)
        return self._is_our_tender(request)

    def _heeding(self, ui: Ui) -> Ui:
        return _StoppableUi(ui, lambda: self._is_stopping)

    def _wake_for(self, result: PaymentResult | ReversalResult) -> None:
        if result.cancellation_queued:
            self._service.background.wake()

    @contextmanager
    def _one_at_a_time(self, hook: str, payment_id: str) -> Iterator[_VerdictLog | None]:
        """Yield what tells the log the verdict, or None while another money hook is under way; nothing is locked."""
        with self._changed:
            is_alone = self._busy_thread is None and not self._is_stopping
            if is_alone:
                self._busy_thread = threading.get_ident()
        if not is_alone:
            yield None
            return
        try:
            yield _VerdictLog(hook, payment_id, self._service.clock.monotonic)
        finally:
            self._leave()

    def _leave(self) -> None:
        with self._changed:
            waits_for_us = self._stop_waits
            self._busy_thread = None
            self._changed.notify_all()
            ends = self._is_stopping and not waits_for_us
        if ends:
            self._service.stop(ask_host=False)


class _StoppableUi:
    """The cashier's ``Ui`` while the till may stop: then nothing more is scanned, and every wait is stopped."""

    def __init__(self, ui: Ui, is_stopping: Callable[[], bool]) -> None:
        self._ui = ui
        self._is_stopping = is_stopping

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        if self._is_stopping():
            return None
        scanned = self._ui.scan(prompt, timeout_s)
        return None if self._is_stopping() else scanned

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        if self._is_stopping():
            return True
        answer = self._ui.progress(elapsed_s, total_s, text)
        return True if self._is_stopping() else answer


class _VerdictLog:
    """Writes the one line of a finished operation."""

    def __init__(self, hook: str, payment_id: str, monotonic: Callable[[], float]) -> None:
        self._hook = hook
        self._payment_id = payment_id
        self._monotonic = monotonic
        self._began_at = monotonic()

    def __call__(self, result: _Result) -> _Result:
        _log.info(
            "%s %s: %s, receipt %s, error %s, cancellation %s, %d ms",
            self._hook,
            self._payment_id,
            result.status.value,
            result.receipt_id or "-",
            result.error_code if result.error_code is not None else "-",
            "queued" if result.cancellation_queued else "none",
            (self._monotonic() - self._began_at) * 1000,
        )
        return result
