"""The plugin as a host loads it; each hook only calls ``dispatcher``.

It imports only ``hookspecs`` and the standard library, so that a till starts quickly; ``on_start`` loads the rest.
"""

from __future__ import annotations

import logging
import os
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import hookspecs

if (getattr(hookspecs, "PROJECT", None), getattr(hookspecs, "API_VERSION", None)) != ("pos", 2):
    # Another program may have a package of the same name.
    _found = getattr(hookspecs, "__file__", None)
    raise ImportError(f"payme-plugin needs its own package hookspecs, API version 2, but found {_found}", path=_found)

from hookspecs import hookimpl
from payme_plugin import PLUGIN_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from hookspecs import (
        CancelRequest,
        Host,
        PaymentRecord,
        PaymentRequest,
        PaymentResult,
        PaymentType,
        QueueMessage,
        QueueVerdict,
        Receipt,
        RefundRequest,
        RefundViolation,
        ReversalResult,
        Ui,
    )
    from payme_plugin.dispatcher import HookDispatcher

__all__ = ["PaymePlugin", "plugin"]


class PaymePlugin:
    """A PaymeGO payment plugin for one till; several tills in one process have one each."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: int | None = None
        self._host: Host | None = None
        self._starting: HookDispatcher | None = None
        self._dispatcher: HookDispatcher | None = None

    @hookimpl
    def on_start(self, host: Host) -> None:
        """Begin work; see ``hookspecs``. A second start ends the first.

        A start that fails, e.g. for want of threads, is tried again at the next hook.
        """
        self.on_stop()
        self._host, self._process = host, os.getpid()
        self._started()

    @hookimpl
    def payment_types(self) -> list[PaymentType]:
        """Return the tender of the settings; see ``hookspecs``."""
        dispatcher = self._started()
        return [] if dispatcher is None else dispatcher.payment_types()

    @hookimpl
    def on_payment(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Take a payment; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``PaymentRequest``.

        Money effect: may charge.
        """
        _require(request, hookspecs.PaymentRequest)
        if self._is_child():
            return None if self._dispatcher is None else self._dispatcher.pay_in_child(request)
        dispatcher = self._started()
        return None if dispatcher is None else dispatcher.pay(request, ui)

    @hookimpl
    def on_payment_recorded(self, record: PaymentRecord) -> None:
        """Acknowledge a payment; see ``hookspecs``.

        Raises:
            TypeError: ``record`` is not a ``PaymentRecord``.
            HookFailed: it could not be stored.
        """
        _require(record, hookspecs.PaymentRecord)
        if _is_ours(record):
            dispatcher = self._running("on_payment_recorded")
            with self._failing_as("on_payment_recorded"):
                dispatcher.acknowledge(record)

    @hookimpl
    def on_ready(self) -> None:
        """Cancel what earlier runs left; see ``hookspecs``.

        Raises:
            HookFailed: not every payment could be decided.

        Money effect: may cancel.
        """
        dispatcher = self._running("on_ready")
        with self._failing_as("on_ready"):
            dispatcher.ready()

    @hookimpl
    def on_cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of an open sale; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``CancelRequest``.
            HookFailed: nothing could be stored.

        Money effect: may cancel.
        """
        _require(request, hookspecs.CancelRequest)
        dispatcher = self._running_for("on_cancel", request.payment)
        if dispatcher is None:
            return None
        with self._failing_as("on_cancel"):
            return dispatcher.cancel(request, ui)

    @hookimpl
    def validate_refund(self, request: RefundRequest) -> list[RefundViolation]:
        """Return the rules that forbid a refund; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``RefundRequest``.
            HookFailed: the plugin is not running, and the payment is ours.
        """
        _require(request, hookspecs.RefundRequest)
        dispatcher = self._running_for("validate_refund", request.payment)
        return [] if dispatcher is None else dispatcher.violations(request)

    @hookimpl
    def on_full_refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of a closed sale; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``RefundRequest``.
            HookFailed: nothing could be stored.

        Money effect: may cancel.
        """
        _require(request, hookspecs.RefundRequest)
        dispatcher = self._running_for("on_full_refund", request.payment)
        if dispatcher is None:
            return None
        with self._failing_as("on_full_refund"):
            return dispatcher.refund(request, ui)

    @hookimpl
    def on_receipt_closed(self, receipt: Receipt) -> None:
        """Acknowledge the payments in a closed sale; see ``hookspecs``.

        Raises:
            TypeError: ``receipt`` is not a ``Receipt``.
            HookFailed: they could not be stored.
        """
        _require(receipt, hookspecs.Receipt)
        if any(_is_ours(record) for record in receipt.payments):
            dispatcher = self._running("on_receipt_closed")
            with self._failing_as("on_receipt_closed"):
                dispatcher.receipt_closed(receipt)

    @hookimpl
    def on_queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Handle a cancellation that the host's queue delivers; see ``hookspecs``.

        Raises:
            TypeError: ``message`` is not a ``QueueMessage``.

        Money effect: may cancel.
        """
        _require(message, hookspecs.QueueMessage)
        dispatcher = self._started()
        return None if dispatcher is None else dispatcher.queue_message(message)

    @hookimpl
    def on_stop(self) -> None:
        """End work; see ``hookspecs``. Meanwhile hooks are still answered, because they may join a running one."""
        if self._is_child():
            self._lock, self._starting, self._dispatcher = threading.Lock(), None, None
        with self._lock:
            self._host = None
            stopping, self._starting = self._starting or self._dispatcher, None
        if stopping is not None:
            stopping.stop()
        with self._lock:
            if self._dispatcher is stopping:
                self._dispatcher = None

    def _is_child(self) -> bool:
        """Return whether the process that called ``on_start`` has forked this one.

        A child takes no lock and stops nothing, because all of it is the parent's. A host in C may have forked without
        Python's knowledge, so the parent's lock files are closed here.
        """
        if self._process in {None, os.getpid()}:
            return False
        if self._dispatcher is not None:
            self._dispatcher.leave_to_parent()
        return True

    def _started(self) -> HookDispatcher | None:
        """Return the dispatcher; start it if an earlier start failed. None before the start and after the stop.

        During the start it is None too: the start calls the host, which may call a hook, a stop or another start. In a
        forked child it is None until ``on_start`` is called there.
        """
        if self._is_child():
            return None
        starting: HookDispatcher | None = None
        try:
            with self._lock:
                host = self._host
                if host is None or self._starting is not None or self._dispatcher is not None:
                    return self._dispatcher
                # A till loads the heavy parts here, not when it looks for plugins.
                from payme_plugin.dispatcher import HookDispatcher  # noqa: PLC0415
                from payme_plugin.service import Service  # noqa: PLC0415

                self._starting = starting = HookDispatcher(Service(host))
            starting.start()
        except Exception as error:  # noqa: BLE001 - the next hook tries again
            with suppress(Exception):
                reason = f"{type(error).__name__}: {error}"
                logging.getLogger(PLUGIN_NAME).warning("the plugin can't start yet: %s", reason)
        finally:
            with self._lock:
                if starting is not None and self._starting is starting:
                    self._starting = None
                    self._dispatcher = starting if starting.is_running() else None
        return self._dispatcher

    def _running(self, hook: str) -> HookDispatcher:
        dispatcher = self._started()
        if dispatcher is None:
            raise hookspecs.HookFailed(PLUGIN_NAME, hook, "is not running")
        return dispatcher

    def _running_for(self, hook: str, record: PaymentRecord | None) -> HookDispatcher | None:
        """Return the dispatcher; None if the plugin is not running and the payment is not ours for certain."""
        return self._running(hook) if record is not None and _is_ours(record) else self._started()

    @contextmanager
    def _failing_as(self, hook: str) -> Iterator[None]:
        """Raise ``HookFailed`` if the journal can't store what a hook has to store."""
        from payme_plugin.ledger.errors import JournalError  # noqa: PLC0415

        try:
            yield
        except JournalError as error:
            raise hookspecs.HookFailed(PLUGIN_NAME, hook, f"could not store it: {error}", error) from error


def _require(argument: object, kind: type) -> None:
    if not isinstance(argument, kind):
        message = f"expected {kind.__name__}, got {type(argument).__name__}"
        raise TypeError(message)


def _is_ours(record: PaymentRecord) -> bool:
    return record.data.get("plugin") == PLUGIN_NAME


plugin = PaymePlugin()
