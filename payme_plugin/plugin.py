"""The plugin as a host loads it; each hook only calls ``dispatcher``.

It imports only ``hookspecs`` and the standard library, so that a till starts quickly; ``on_start`` loads the rest.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

import hookspecs

if (getattr(hookspecs, "PROJECT", None), getattr(hookspecs, "API_VERSION", None)) != ("pos", 2):
    # Another program may have a package of the same name.
    _found = getattr(hookspecs, "__file__", None)
    raise ImportError(f"payme-plugin needs its own package hookspecs, API version 2, but found {_found}", path=_found)

from hookspecs import hookimpl
from payme_plugin import PLUGIN_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

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
        Shift,
        Ui,
    )
    from payme_plugin.dispatcher import HookDispatcher

_Result = TypeVar("_Result")


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
        self._dispatcher = None
        self._host, self._process = host, os.getpid()
        self._started()

    @hookimpl
    def payment_types(self) -> list[PaymentType]:
        """Return the tender of the settings; see ``hookspecs``."""
        return self._serve("payment_types", lambda dispatcher: dispatcher.payment_types()) or []

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
        return self._serve("on_payment", lambda dispatcher: dispatcher.pay(request, ui))

    @hookimpl
    def on_payment_recorded(self, record: PaymentRecord) -> None:
        """Acknowledge a payment; see ``hookspecs``.

        Raises:
            TypeError: ``record`` is not a ``PaymentRecord``.
            HookFailed: it could not be stored.
        """
        _require(record, hookspecs.PaymentRecord)
        if _is_ours(record):
            self._serve("on_payment_recorded", lambda dispatcher: dispatcher.acknowledge(record), is_ours=True)

    @hookimpl
    def on_ready(self) -> None:
        """Cancel what earlier runs left; see ``hookspecs``.

        Raises:
            HookFailed: not every payment could be decided.

        Money effect: may cancel.
        """
        self._serve("on_ready", lambda dispatcher: dispatcher.ready(), is_ours=True)

    @hookimpl
    def on_cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of an open sale; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``CancelRequest``.
            HookFailed: nothing could be stored.

        Money effect: may cancel.
        """
        _require(request, hookspecs.CancelRequest)
        is_ours = _is_ours(request.payment)
        return self._serve("on_cancel", lambda dispatcher: dispatcher.cancel(request, ui), is_ours=is_ours)

    @hookimpl
    def validate_refund(self, request: RefundRequest) -> list[RefundViolation]:
        """Return the rules that forbid a refund; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``RefundRequest``.
            HookFailed: the plugin is not running, and the payment is ours.
        """
        _require(request, hookspecs.RefundRequest)
        is_ours = _is_ours(request.payment)
        return self._serve("validate_refund", lambda dispatcher: dispatcher.violations(request), is_ours=is_ours) or []

    @hookimpl
    def on_full_refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of a closed sale; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``RefundRequest``.
            HookFailed: nothing could be stored.

        Money effect: may cancel.
        """
        _require(request, hookspecs.RefundRequest)
        is_ours = _is_ours(request.payment)
        return self._serve("on_full_refund", lambda dispatcher: dispatcher.refund(request, ui), is_ours=is_ours)

    @hookimpl
    def on_receipt_closed(self, receipt: Receipt) -> None:
        """Acknowledge the payments in a closed sale; see ``hookspecs``.

        Raises:
            TypeError: ``receipt`` is not a ``Receipt``.
            HookFailed: they could not be stored.
        """
        _require(receipt, hookspecs.Receipt)
        if any(_is_ours(record) for record in receipt.payments):
            self._serve("on_receipt_closed", lambda dispatcher: dispatcher.receipt_closed(receipt), is_ours=True)

    @hookimpl
    def on_shift_closed(self, shift: Shift) -> str | None:
        """Return the result of the last finished reconciliation; see ``hookspecs``.

        Raises:
            TypeError: ``shift`` is not a ``Shift``.
        """
        _require(shift, hookspecs.Shift)
        return self._serve("on_shift_closed", lambda dispatcher: dispatcher.shift_text())

    @hookimpl
    def on_queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Handle a cancellation that the host's queue delivers; see ``hookspecs``.

        Raises:
            TypeError: ``message`` is not a ``QueueMessage``.

        Money effect: may cancel.
        """
        _require(message, hookspecs.QueueMessage)
        return self._serve("on_queue_message", lambda dispatcher: dispatcher.queue_message(message))

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
            # A hook that still runs can be joined until it returns.
            if self._dispatcher is stopping and (stopping is None or stopping.is_over):
                self._dispatcher = None

    def _is_child(self) -> bool:
        """Return whether the process that called ``on_start`` has forked this one.

        A child takes no lock and stops nothing, because all of it is the parent's. A host in C may have forked without
        Python's knowledge, so the parent's lock files are closed here.
        """
        if self._process in {None, os.getpid()}:
            return False
        if self._dispatcher is not None:
            from payme_plugin.ledger.locks import Leases  # noqa: PLC0415

            Leases.close_inherited()
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
                if self._dispatcher is not None and self._dispatcher.is_over:
                    self._dispatcher = None
                if host is None or self._starting is not None or self._dispatcher is not None:
                    return self._dispatcher
                # A till loads the heavy parts here, not when it looks for plugins.
                from payme_plugin.dispatcher import HookDispatcher  # noqa: PLC0415
                from payme_plugin.service import Service  # noqa: PLC0415

                self._starting = starting = HookDispatcher(Service(host))
            starting.start()
        except Exception as error:  # noqa: BLE001 - the next hook tries again
            import logging  # noqa: PLC0415 - only for a fault

            with suppress(Exception):
                reason = f"{type(error).__name__}: {error}"
                logging.getLogger(PLUGIN_NAME).warning("the plugin can't start yet: %s", reason)
        finally:
            with self._lock:
                if starting is not None and self._starting is starting:
                    self._starting = None
                    self._dispatcher = starting if starting.is_running() else None
        return self._dispatcher

    def _serve(self, hook: str, serve: Callable[[HookDispatcher], _Result], *, is_ours: bool = False) -> _Result | None:
        """Return what the dispatcher answers to a hook; None if the plugin is not running.

        Args:
            hook: its name.
            serve: calls the dispatcher.
            is_ours: the hook is certainly for this plugin, so that None would be wrong.

        Raises:
            HookFailed: the hook is ours and the plugin is not running, or the journal can't store what it has to.
        """
        dispatcher = self._started()
        if dispatcher is None:
            if is_ours:
                raise hookspecs.HookFailed(PLUGIN_NAME, hook, "is not running")
            return None
        from payme_plugin.ledger.errors import JournalError  # noqa: PLC0415

        try:
            return serve(dispatcher)
        except JournalError as error:
            raise hookspecs.HookFailed(PLUGIN_NAME, hook, f"could not store it: {error}", error) from error


def _require(argument: object, kind: type) -> None:
    if not isinstance(argument, kind):
        message = f"expected {kind.__name__}, got {type(argument).__name__}"
        raise TypeError(message)


def _is_ours(record: PaymentRecord | None) -> bool:
    return record is not None and record.data.get("plugin") == PLUGIN_NAME


plugin = PaymePlugin()
