"""Dispatch the host's hooks: serve our payments, one money hook at a time, always with a result."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from contextlib import nullcontext
from dataclasses import replace
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from hookspecs import PaymentResult, PaymentStatus, ReceiptKind, RefundRequest, ReversalResult, ReversalStatus
from payme_plugin.ledger.errors import AnotherTill, Conflict, JournalError, Unstorable
from payme_plugin.log import Log
from payme_plugin.operations import reversal_requests
from payme_plugin.operations.acknowledgement import acknowledge
from payme_plugin.operations.answers import reversal_answer
from payme_plugin.operations.fiscal import store_link
from payme_plugin.operations.lost_payment import find_lost_payment
from payme_plugin.operations.payment import resume_payment, take_payment
from payme_plugin.operations.results import is_ours, pending_result, refused_result
from payme_plugin.operations.reversal import refused
from payme_plugin.operations.reversal_requests import ReversalContext
from payme_plugin.secret import safe_traceback
from payme_plugin.settings import SettingsError
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import (
        CancelRequest,
        PaymentRecord,
        PaymentRequest,
        PaymentType,
        QueueMessage,
        QueueVerdict,
        Receipt,
        RefundViolation,
        Ui,
    )
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.service import Service

_log = Log()

_STOP_TIMEOUT_S = 2.0

_Found = TypeVar("_Found")
_Result = TypeVar("_Result", PaymentResult, ReversalResult)


class _State(Enum):
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    """``stop`` waits for the running money hook, and then closes the service."""
    STOPPED = "stopped"
    """``stop`` no longer waits. A money hook that still runs closes the service when it returns."""


class _Running(NamedTuple):
    """The money hook that runs: its name, payment and refund; its thread, and its result once it returns."""

    key: tuple[str, str, str]
    thread: int
    result: Future[object]


class HookDispatcher:
    """Serves the hooks of one till from ``start`` to ``stop``. Any thread may call it."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._changed = threading.Condition(threading.Lock())
        self._state = _State.STARTING
        self._running: _Running | None = None

    def is_running(self) -> bool:
        """Return whether hooks are served, i.e. ``start`` has ended and ``stop`` has not begun."""
        return self._state is _State.RUNNING

    @property
    def is_over(self) -> bool:
        """Whether ``stop`` has ended and no money hook runs any more, so that none can be joined."""
        return self._state is _State.STOPPED and self._running is None

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
                self._service.stop()

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
            if self._running is not None and self._running.thread != threading.get_ident():
                self._changed.wait_for(lambda: self._running is None, _STOP_TIMEOUT_S)
            self._state = _State.STOPPED
            if self._running is not None:
                return
        self._service.stop()

    def payment_types(self) -> list[PaymentType]:
        """Return the tender of the settings; an empty list if there is none."""
        return self._service.payment_types()

    # ------------------------------------------------------------------------------------------------------------------
    # A sale
    # ------------------------------------------------------------------------------------------------------------------

    def pay(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Take a payment; return None if it isn't ours.

        Money effect: may charge.
        """
        row, fault = None, None
        try:
            row = self._service.storage.journal().find(request.payment_id)
        except JournalError as error:
            fault = error
        # The tender may have another number since the payment began.
        if row is None and self._service.settings.payment_type() != request.payment_type:
            return None
        asked = replace(request, repeated=request.repeated or row is not None)
        key, pending = ("on_payment", request.payment_id, ""), self._service.background.pending
        busy = partial(self._cannot_pay, asked, Text.PAYMENT_BUSY)
        result = self._exclusively(key, lambda: self._pay(asked, _StoppableUi(ui, self), fault), busy)
        if result.status is PaymentStatus.PENDING:
            pending.setdefault(request.payment_id, self._service.clock.monotonic())
        else:
            pending.pop(request.payment_id, None)
        return result

    def _cannot_pay(self, request: PaymentRequest, text: Text, **values: object) -> PaymentResult:
        """Return REFUSED with a text for a new payment, and PENDING for a repeated one."""
        if request.repeated:
            return pending_result(self._service.texts(), request.amount)
        return refused_result(request.amount, self._service.texts()(text, **values))

    def pay_in_child(self, request: PaymentRequest) -> PaymentResult | None:
        """Answer a payment in a forked child, without the journal and without a lock; return None if it isn't ours."""
        is_ours = self._service.settings.payment_type() == request.payment_type
        return self._cannot_pay(request, Text.PAYMENT_TILL_FAULT) if is_ours else None

    def _pay(self, request: PaymentRequest, ui: Ui, fault: JournalError | None) -> PaymentResult:
        background = self._service.background
        try:
            if fault is not None:
                raise fault
            with background.active_payment(request.payment_id):
                context = self._service.context()
                if request.repeated:
                    row = context.journal.find(request.payment_id)
                    if row is None:
                        return find_lost_payment(context, request, ui)
                    return resume_payment(context, request, row, ui)
                background.notify_unacknowledged(request.receipt)
                return take_payment(context, request, ui)
        except SettingsError as error:
            _log.error("payment %s can't be taken, the settings can't be used: %s", request.payment_id, error)
            return self._cannot_pay(request, Text.PAYMENT_SETTINGS_BROKEN, fault=error.faults[0].short)
        except AnotherTill as error:
            _log.error("payment %s can't be taken: %s", request.payment_id, error)
            return self._cannot_pay(request, Text.PAYMENT_ANOTHER_TILL)
        except JournalError as error:
            self._service.journal_fault(error, f"payment {request.payment_id}")
            return self._cannot_pay(request, Text.PAYMENT_JOURNAL_UNWRITABLE)
        except Exception as error:  # noqa: BLE001
            # No hook raises. take_payment answers for its own faults, so no code was sent here.
            _log.error("payment %s: a fault of the plugin: %s", request.payment_id, safe_traceback(error))
            return self._cannot_pay(request, Text.PAYMENT_TILL_FAULT)

    def acknowledge(self, record: PaymentRecord) -> None:
        """Take note that the host has stored a paid tender.

        Raises:
            JournalError: it could not be stored.
        """
        self._acknowledge(record, None)
        self._service.background.wake()

    def receipt_closed(self, receipt: Receipt) -> None:
        """Acknowledge the payments in a closed sale and store its fiscal link.

        Raises:
            JournalError: one of them could not be stored.
        """
        if receipt.kind is not ReceiptKind.SALE or not any(is_ours(record) for record in receipt.payments):
            return
        if receipt.closed_at is None:
            receipt = replace(receipt, closed_at=self._service.clock.wall_ms())
        for record in receipt.payments:
            row = self._acknowledge(record, receipt)
            if row is not None and row.receipt_id is not None and receipt.fiscal is not None:
                store_link(self._service.storage.journal(), row, receipt.fiscal.url)
            self._service.background.wake()

    def ready(self) -> None:
        """Cancel the payments of earlier processes that the host neither repeated nor acknowledged.

        Raises:
            JournalError: not all of them could be decided, or another process is the leader.

        Money effect: may cancel.
        """
        self._service.background.decide_orphans()

    def _acknowledge(self, record: PaymentRecord, sale: Receipt | None) -> PaymentRow | None:
        service, storage = self._service, self._service.storage
        row = acknowledge(storage.journal(), storage.owner, service.texts(), service.host.notice, record, sale)
        service.background.pending.pop(record.payment_id, None)
        return row

    # ------------------------------------------------------------------------------------------------------------------
    # Cancels and refunds
    # ------------------------------------------------------------------------------------------------------------------

    def cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of an open sale; return None if the payment isn't ours.

        Raises:
            JournalError: nothing was stored; the host repeats it.

        Money effect: may cancel, the whole amount.
        """
        record = request.payment
        # A record that lost its data counts as ours under our tender.
        is_lost = not record.data and record.payment_type == self._service.settings.payment_type()
        find = partial(reversal_requests.row_of_cancel, request=request)
        row = self._found(find, f"cancel of {record.payment_id}", is_ours=is_lost or is_ours(record))
        if row is None and not is_ours(record):
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
            # Rules that need the journal are skipped; on_full_refund raises then, because it can't store a cancel.
            return reversal_requests.violations_without_journal(request, texts) if self._may_be_ours(request) else []

    def refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of a closed sale if the rules allow it; None if the payment isn't ours.

        Raises:
            JournalError: nothing was stored; the host repeats it.

        Money effect: may cancel, the whole amount.
        """
        find = partial(reversal_requests.original_of, request=request)
        original = self._found(find, f"refund {request.refund_id}", is_ours=self._may_be_ours(request))
        if original is None and not self._may_be_ours(request):
            return None
        named = request.payment.payment_id if request.payment is not None else "-"
        return self._reverse("on_full_refund", named if original is None else original.payment_id, request, ui)

    def _reverse(self, hook: str, payment_id: str, request: CancelRequest | RefundRequest, ui: Ui) -> ReversalResult:
        key = (hook, payment_id, request.refund_id if isinstance(request, RefundRequest) else "")

        def work(*, may_ask_payme: bool = True) -> ReversalResult:
            result = self._try_reversal(payment_id, request, _StoppableUi(ui, self), may_ask_payme=may_ask_payme)
            if result.status is ReversalStatus.REFUSED:
                result = self._answer_instead(result, payment_id, request)
            return result

        def busy() -> ReversalResult:
            running = self._running
            if running is None or running.key[1] != payment_id:
                return work(may_ask_payme=False)  # the worker returns the money
            # The running hook may be returning the same payment.
            return self._answer_instead(refused(self._service.texts(), Text.REVERSAL_BUSY), payment_id, request)

        return self._exclusively(key, work, busy)

    def _try_reversal(
        self, payment_id: str, request: CancelRequest | RefundRequest, ui: Ui, *, may_ask_payme: bool
    ) -> ReversalResult:
        service = self._service
        try:
            merchant = service.context() if may_ask_payme else None
        except SettingsError as error:
            _log.error("reversal of %s is queued, the settings can't be used: %s", payment_id, error)
            merchant = None
        try:
            service.background.store_results()
            context = ReversalContext(
                service.storage.journal(), service.storage.owner, service.clock, service.texts(), merchant
            )
            # Beside another hook the worker yields to that one.
            with service.background.active(payment_id) if may_ask_payme else nullcontext():
                result = reversal_requests.return_payment(context, request, ui)
        except Conflict as error:
            _log.warning("reversal of %s: %s", payment_id, error)
            return refused(service.texts(), Text.REVERSAL_BUSY)
        except Unstorable as error:
            _log.error("reversal of %s: %s", payment_id, error)
            return refused(service.texts(), Text.REVERSAL_UNKNOWN_PAYMENT)
        except JournalError as error:
            service.journal_fault(error, f"reversal of {payment_id}")
            nothing_stored = refused(service.texts(), Text.REVERSAL_TILL_FAULT)
            result = self._answer_instead(nothing_stored, payment_id, request)
            if result is nothing_stored:
                raise
            return result
        except Exception as error:  # noqa: BLE001
            # No hook raises. A durable cancellation is delivered whatever this result is.
            _log.error("reversal of %s: a fault of the plugin: %s", payment_id, safe_traceback(error))
            return refused(service.texts(), Text.REVERSAL_TILL_FAULT)
        service.background.pending.pop(payment_id, None)
        return result

    def _answer_instead(
        self, refusal: ReversalResult, payment_id: str, request: CancelRequest | RefundRequest
    ) -> ReversalResult:
        """Return the journal's result, or else ``refusal``.

        The host must not keep a sale whose money is being returned.
        """
        try:
            journal = self._service.storage.journal()
            row = reversal_requests.row_of(journal, request)
            return refusal if row is None else reversal_answer(journal, row, self._service.texts(), refusal)
        except JournalError as error:
            _log.error("reversal of %s: its stored state can't be read: %s", payment_id, error)
            return refusal

    def _found(self, find: Callable[[Journal], _Found | None], what: str, *, is_ours: bool) -> _Found | None:
        """Return what the journal has of a cancel or refund; None also if it can't be read and the payment isn't ours.

        Raises:
            JournalError: the journal can't be read, and the payment may be ours.
        """
        try:
            return find(self._service.storage.journal())
        except Unstorable:  # no journal can have such an id
            return None
        except JournalError as error:
            if not is_ours:
                return None
            self._service.journal_fault(error, what)
            raise

    def _may_be_ours(self, request: RefundRequest) -> bool:
        return is_ours(request.payment) or request.payment_type == self._service.settings.payment_type()

    def shift_text(self) -> str | None:
        """Return the result of the last finished reconciliation for a shift report, or None, without waiting."""
        return self._service.background.reconciler.shift_text(self._service.texts())

    def queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Handle a message of the host's queue; return None if its kind is not ours.

        Money effect: may cancel.
        """
        return self._service.background.queue_message(message)

    def _exclusively(
        self, key: tuple[str, str, str], work: Callable[[], _Result], busy: Callable[[], _Result]
    ) -> _Result:
        """Do the work of a money hook; wait for the result of a running one with the same key; else return ``busy()``.

        A call joins also after the stop has begun. A call from within the running hook is busy.
        """
        with self._changed:
            running, mine = self._running, None
            if running is None and self.is_running():
                self._running = mine = _Running(key, threading.get_ident(), Future())
        if mine is None:
            if running is not None and running.key == key and running.thread != threading.get_ident():
                return cast("_Result", running.result.result())
            return busy()
        began_at = self._service.clock.monotonic()
        try:
            result = work()
            mine.result.set_result(result)
        except BaseException as error:
            mine.result.set_exception(error)
            raise
        finally:
            with self._changed:
                self._running = None
                self._changed.notify_all()
                is_last = self._state is _State.STOPPED
            if is_last:
                self._service.stop()
        self._log_result(key, result, began_at)
        if result.cancellation_queued:
            self._service.background.wake(retry=True)
        return result

    def _log_result(self, key: tuple[str, str, str], result: PaymentResult | ReversalResult, began_at: float) -> None:
        _log.info(
            "%s %s: %s, receipt %s, error %s, cancellation %s, %d ms",
            *key[:2],
            result.status.value,
            result.receipt_id or "-",
            result.error_code if result.error_code is not None else "-",
            "queued" if result.cancellation_queued else "none",
            (self._service.clock.monotonic() - began_at) * 1000,
        )


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
