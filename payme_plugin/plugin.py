"""The plugin as a host loads it: its hooks, each no more than a call of ``counter``.

It imports ``hookspecs`` and the standard library alone, so that a till starts quickly; the rest comes in ``on_start``.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import hookspecs

if getattr(hookspecs, "PROJECT", None) != "pos" or getattr(hookspecs, "API_VERSION", None) != 1:
    # The name is short enough for another program to have one of its own.
    _found = getattr(hookspecs, "__file__", None)
    raise ImportError(f"payme-plugin needs its own package hookspecs, API version 1, but found {_found}", path=_found)

from hookspecs import hookimpl

if TYPE_CHECKING:
    from hookspecs import (
        CancelRequest,
        Host,
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
        self._latest: HookDispatcher | None = None
        self._counter: HookDispatcher | None = None

    @hookimpl
    def on_start(self, host: Host) -> None:
        """Begin work; see ``hookspecs``. A second start ends the first.

        Money effect: may cancel, later: what an earlier run left.
        """
        # A till loads the heavy parts here, not when it looks for plugins.
        from payme_plugin.dispatcher import HookDispatcher  # noqa: PLC0415
        from payme_plugin.service import Service  # noqa: PLC0415

        service = Service(host)
        counter = HookDispatcher(service)
        self._replace(counter)
        service.start()
        with self._lock:
            is_latest = self._latest is counter
            if is_latest:
                self._counter = counter
        if not is_latest:
            # It was stopped or started anew while it began: by another thread, or by a host that pumps events.
            service.stop(ask_host=False)

    @hookimpl
    def payment_types(self) -> list[PaymentType]:
        """Name the tender of the settings; see ``hookspecs``."""
        return [] if self._counter is None else self._counter.payment_types()

    @hookimpl
    def on_payment(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Take a payment; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is no ``PaymentRequest``.

        Money effect: may charge.
        """
        _require(request, hookspecs.PaymentRequest)
        return None if self._counter is None else self._counter.pay(request, ui)

    @hookimpl
    def on_cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        """Give the payment of an open sale back; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is no ``CancelRequest``.

        Money effect: may cancel.
        """
        _require(request, hookspecs.CancelRequest)
        return None if self._counter is None else self._counter.cancel(request, ui)

    @hookimpl
    def validate_refund(self, request: RefundRequest) -> list[RefundViolation]:
        """Say what forbids a refund; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is no ``RefundRequest``.

        Money effect: none.
        """
        _require(request, hookspecs.RefundRequest)
        return [] if self._counter is None else self._counter.violations(request)

    @hookimpl
    def on_full_refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        """Give the payment of a closed sale back; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is no ``RefundRequest``.

        Money effect: may cancel.
        """
        _require(request, hookspecs.RefundRequest)
        return None if self._counter is None else self._counter.refund(request, ui)

    @hookimpl
    def on_receipt_closed(self, receipt: Receipt) -> None:
        """Confirm the payments in a closed receipt; see ``hookspecs``.

        Raises:
            TypeError: ``receipt`` is no ``Receipt``.

        Money effect: none.
        """
        _require(receipt, hookspecs.Receipt)
        if self._counter is not None:
            self._counter.receipt_closed(receipt)

    @hookimpl
    def on_queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Work on a cancellation that the host's queue delivers; see ``hookspecs``.

        Raises:
            TypeError: ``message`` is no ``QueueMessage``.

        Money effect: may cancel.
        """
        _require(message, hookspecs.QueueMessage)
        return None if self._counter is None else self._counter.queue_message(message)

    @hookimpl
    def on_stop(self) -> None:
        """End work; see ``hookspecs``.

        Money effect: may cancel, later.
        """
        self._replace(None)

    def _replace(self, counter: HookDispatcher | None) -> None:
        """End what was started last, and name what is to come after it."""
        with self._lock:
            former, self._latest, self._counter = self._latest, counter, None
        if former is not None:
            former.stop()


def _require(value: object, kind: type) -> None:
    if not isinstance(value, kind):
        message = f"expected {kind.__name__}, got {type(value).__name__}"
        raise TypeError(message)


plugin = PaymePlugin()
