"""Dispatch the host's hooks: serve our payments, one money hook at a time, always with a result."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING

from hookspecs import CancelRequest, PaymentResult, RefundViolation, ReversalResult, ReversalStatus
from payme_plugin.ledger.errors import AnotherTill, Conflict, Damaged, JournalError
from payme_plugin.log import Log
from payme_plugin.operations import reversal_requests
from payme_plugin.operations.answers import payment_answer, reversal_answer
from payme_plugin.operations.payment import take_payment
from payme_plugin.operations.results import is_ours, refused_result, unknown_result
from payme_plugin.operations.reversal import refused
from payme_plugin.secret import safe_traceback
from payme_plugin.settings import SettingsError
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hookspecs import PaymentRequest, PaymentType, QueueMessage, QueueVerdict, Receipt, RefundRequest, Ui
    from payme_plugin.service import Service

__all__ = ["HookDispatcher"]

_log = Log()

_STOP_TIMEOUT_S = 2.0


class _State(Enum):
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    """``stop`` waits for the running money hook, and then closes the service."""
    STOPPED = "stopped"
    """``stop`` no longer waits. A money hook that still runs closes the service when it returns."""


class HookDispatcher:
    """Serves the hooks of one till from ``start`` to ``stop``. Any thread may call it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._changed = threading.Condition(threading.Lock())
        self._state = _State.STARTING
        self._busy_thread: int | None = None

    def is_running(self) -> bool:
        """Return whether hooks are served, i.e. ``start`` has ended and ``stop`` has not begun."""
        return self._state is _State.RUNNING

    def start(self) -> None:
        """Start the service; close it if it can't start or if ``stop`` was called during the start."""
        has_started = False
        try:
            self._service.start()
            with self._changed:
                has_started = self._state is _State.STARTING
                if has_started:
                    self._state = _State.RUNNING
        finally:
            if not has_started:
                self._service.stop(ask_host=False)

    def stop(self) -> None:
        """End work; unfinished payments and cancellations are durable.

        A running money hook ends as if the cashier had stopped it. Wait up to 2 s for it. If it takes longer, or if its
        own ``Ui`` called this, it closes the service when it returns. So does a running ``start``.
        """
        with self._changed:
            if self._state is _State.STARTING:
                self._state = _State.STOPPED
            if not self.is_running():
                return
            self._state = _State.STOPPING
            was_busy = self._busy_thread is not None
            if self._busy_thread != threading.get_ident():
                self._changed.wait_for(lambda: self._busy_thread is None, _STOP_TIMEOUT_S)
            self._state = _State.STOPPED
            if self._busy_thread is not None:
                return
        # The host may not have stored the result of that hook yet, so it is not asked about this process's payments.
        self._service.stop(ask_host=not was_busy)

    def payment_types(self) -> list[PaymentType]:
        """Return the tender of the settings; an empty list if there is none."""
        return self._service.payment_types()

    def pay(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Take a payment; return None if the tender isn't ours.

        Money effect: may charge.
        """
        if self._service.settings.payment_type() != request.payment_type:
            return None
        with self._one_at_a_time() as began_at:
            if began_at is None:
                result = self._refused_payment(request, Text.PAYMENT_BUSY)
            else:
                result = self._pay(request, _StoppableUi(ui, self))
                self._log_result("on_payment", request.payment_id, result, began_at)
        self._wake_for(result)
        return result

    def cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of an open sale; return None if the payment isn't ours.

        Money effect: may cancel, the whole amount.
        """
        record, row, is_lost = request.payment, None, False
        try:
            row = reversal_requests.row_of_cancel(self._service.storage.journal(), request)
        except JournalError as error:
            _log.error("the journal can't be asked whose payment it is: %s", error)
            # A record that lost its data counts as ours under our tender.
            is_lost = not record.data and record.payment_type == self._service.settings.payment_type()
        if row is None and not (is_lost or is_ours(record)):
            return None
        return self._reverse("on_cancel", record.payment_id if row is None else row.payment_id, request, ui)

    def violations(self, request: RefundRequest) -> list[RefundViolation]:
        """Return the rules that forbid a refund; an empty list if the payment isn't ours."""
        texts = self._service.texts()
        try:
            journal = self._service.storage.journal()
            original = reversal_requests.original_of(journal, request)
            if original is None and not self._may_be_ours(request):
                return []
            return reversal_requests.violations(journal, request, original, texts)
        except JournalError as error:
            self._service.journal_fault(error, f"refund {request.refund_id}")
            # Rules that need the journal are skipped. on_full_refund is refused then, because it sends no cancel that
            # is not durable.
            return reversal_requests.violations_without_journal(request, texts) if self._may_be_ours(request) else []

    def refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of a closed sale if the rules allow it; None if the payment isn't ours.

        Money effect: may cancel, the whole amount.
        """
        try:
            original = reversal_requests.original_of(self._service.storage.journal(), request)
        except JournalError as error:
            _log.error("the journal can't be asked whose payment it is: %s", error)
            original = None
        if original is None and not self._may_be_ours(request):
            return None
        named = request.payment.payment_id if request.payment is not None else "-"
        return self._reverse("on_full_refund", named if original is None else original.payment_id, request, ui)

    def receipt_closed(self, receipt: Receipt) -> None:
        """Confirm the payments in a closed receipt and store its fiscal link, now or later."""
        try:
            self._service.background.closed_receipts.store(receipt)
        except JournalError as error:
            self._service.journal_fault(error, f"receipt {receipt.shift}/{receipt.number} is closed")
        self._service.background.wake()

    def queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Handle a message of the host's queue; return None if its kind is not ours.

        Money effect: may cancel.
        """
        return self._service.background.queue_message(message)

    def _pay(self, request: PaymentRequest, ui: Ui) -> PaymentResult:
        try:
            with self._service.background.active_payment(request.payment_id):
                return take_payment(self._service.context(), request, ui)
        except SettingsError as error:
            _log.error("payment %s is refused, the settings can't be used: %s", request.payment_id, error)
            return self._refused_payment(request, Text.PAYMENT_SETTINGS_BROKEN, fault=error.faults[0].short)
        except AnotherTill as error:
            _log.error("payment %s is refused: %s", request.payment_id, error)
            return self._not_taken(request, Text.PAYMENT_ANOTHER_TILL)
        except JournalError as error:
            self._service.journal_fault(error, f"payment {request.payment_id}")
            return self._refused_payment(request, Text.PAYMENT_JOURNAL_UNWRITABLE)
        except Exception as error:  # noqa: BLE001
            # No hook raises. What is durable decides later; until then the result must not be PAID.
            _log.error("payment %s: a fault of the plugin: %s", request.payment_id, safe_traceback(error))
            return self._not_taken(request, Text.PAYMENT_TILL_FAULT)

    def _not_taken(self, request: PaymentRequest, text: Text) -> PaymentResult:
        """Return REFUSED if the journal proves that no code was sent, else the result that it has."""
        texts = self._service.texts()
        try:
            row = self._service.storage.journal().find(request.payment_id)
        except JournalError:
            return unknown_result(texts, request.amount)
        return payment_answer(texts, request, row, self._refused_payment(request, text))

    def _reverse(self, hook: str, payment_id: str, request: CancelRequest | RefundRequest, ui: Ui) -> ReversalResult:
        with self._one_at_a_time() as began_at:
            if began_at is not None:
                result = self._try_reversal(payment_id, request, _StoppableUi(ui, self))
                if result.status is ReversalStatus.REFUSED:
                    result = self._answer_instead(result, payment_id, request)
                self._log_result(hook, payment_id, result, began_at)
            else:
                # The running hook may be returning the same payment.
                result = refused(self._service.texts(), Text.REVERSAL_BUSY)
                if self.is_running():
                    result = self._answer_instead(result, payment_id, request)
        self._wake_for(result)
        return result

    def _try_reversal(self, payment_id: str, request: CancelRequest | RefundRequest, ui: Ui) -> ReversalResult:
        try:
            with self._service.background.active_payment(payment_id):
                return reversal_requests.return_payment(self._service.context(), request, ui)
        except SettingsError as error:
            _log.error("reversal of %s is refused, the settings can't be used: %s", payment_id, error)
            return refused(self._service.texts(), Text.REVERSAL_SETTINGS_BROKEN, fault=error.faults[0].short)
        except AnotherTill as error:
            _log.error("reversal of %s is refused: %s", payment_id, error)
            return refused(self._service.texts(), Text.REVERSAL_ANOTHER_TILL)
        except Conflict as error:
            _log.warning("reversal of %s: %s", payment_id, error)
            return refused(self._service.texts(), Text.REVERSAL_BUSY)
        except JournalError as error:
            self._service.journal_fault(error, f"reversal of {payment_id}")
            is_damaged = isinstance(error, Damaged)
            text = Text.REVERSAL_JOURNAL_DAMAGED if is_damaged else Text.REVERSAL_JOURNAL_UNWRITABLE
            return refused(self._service.texts(), text)
        except Exception as error:  # noqa: BLE001
            # No hook raises. A durable cancellation is carried out whatever this result is.
            _log.error("reversal of %s: a fault of the plugin: %s", payment_id, safe_traceback(error))
            return refused(self._service.texts(), Text.REVERSAL_JOURNAL_UNWRITABLE)

    def _answer_instead(
        self, refusal: ReversalResult, payment_id: str, request: CancelRequest | RefundRequest
    ) -> ReversalResult:
        """Return the journal's result, or else ``refusal``.

        The host must not keep a sale whose money is being returned.
        """
        try:
            journal = self._service.storage.journal()
            row = reversal_requests.row_of(journal, request)
            if row is None:
                return refusal
            return reversal_answer(journal, row, self._service.texts(), refusal)
        except Exception as error:  # noqa: BLE001 - the refusal is returned then
            _log.error("reversal of %s: its stored state can't be read: %s", payment_id, type(error).__name__)
            return refusal

    def _refused_payment(self, request: PaymentRequest, text: Text, **values: object) -> PaymentResult:
        return refused_result(request.amount, self._service.texts()(text, **values))

    def _may_be_ours(self, request: RefundRequest) -> bool:
        is_named = request.payment is not None and is_ours(request.payment)
        return is_named or request.payment_type == self._service.settings.payment_type()

    def _wake_for(self, result: PaymentResult | ReversalResult) -> None:
        if result.cancellation_queued:
            self._service.background.wake(retry=True)

    def _log_result(self, hook: str, payment_id: str, result: PaymentResult | ReversalResult, began_at: float) -> None:
        _log.info(
            "%s %s: %s, receipt %s, error %s, cancellation %s, %d ms",
            hook,
            payment_id,
            result.status.value,
            result.receipt_id or "-",
            result.error_code if result.error_code is not None else "-",
            "queued" if result.cancellation_queued else "none",
            (self._service.clock.monotonic() - began_at) * 1000,
        )

    @contextmanager
    def _one_at_a_time(self) -> Iterator[float | None]:
        """Yield when the money hook began; None if another one runs or the till stops."""
        with self._changed:
            is_free = self.is_running() and self._busy_thread is None
            if is_free:
                self._busy_thread = threading.get_ident()
        if not is_free:
            yield None
            return
        try:
            yield self._service.clock.monotonic()
        finally:
            with self._changed:
                self._busy_thread = None
                self._changed.notify_all()
                is_last = self._state is _State.STOPPED
            if is_last:
                self._service.stop(ask_host=False)


class _StoppableUi:
    """Wrap ``Ui``: after ``stop`` has begun, scan nothing and stop every wait."""

    def __init__(self, ui: Ui, dispatcher: HookDispatcher) -> None:
        self._ui = ui
        self._dispatcher = dispatcher

    def scan(self, prompt: str, timeout_s: float) -> str | None:
        if not self._dispatcher.is_running():
            return None
        scanned = self._ui.scan(prompt, timeout_s)
        return scanned if self._dispatcher.is_running() else None

    def progress(self, elapsed_s: float, total_s: float, text: str) -> bool | None:
        if not self._dispatcher.is_running():
            return True
        answer = self._ui.progress(elapsed_s, total_s, text)
        return answer if self._dispatcher.is_running() else True
