"""The plugin as a host loads it; each hook only calls ``dispatcher``.

It imports only ``hookspecs`` and the standard library, so that a till starts quickly; ``on_start`` loads the rest.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import hookspecs

if (getattr(hookspecs, "PROJECT", None), getattr(hookspecs, "API_VERSION", None)) != ("pos", 2):
    # Another program may have a package of the same name.
    _found = getattr(hookspecs, "__file__", None)
    raise ImportError(f"payme-plugin needs its own package hookspecs, API version 2, but found {_found}", path=_found)

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
        self._dispatcher: HookDispatcher | None = None

    @hookimpl
    def on_start(self, host: Host) -> None:
        """Begin work; see ``hookspecs``. A second start ends the first.

        Money effect: may cancel, later: what an earlier run left.
        """
        # A till loads the heavy parts here, not when it looks for plugins.
        from payme_plugin.dispatcher import HookDispatcher  # noqa: PLC0415
        from payme_plugin.service import Service  # noqa: PLC0415

        dispatcher = HookDispatcher(Service(host))
        self._replace(dispatcher)
        dispatcher.start()

    @hookimpl
    def payment_types(self) -> list[PaymentType]:
        """Return the tender of the settings; see ``hookspecs``."""
        dispatcher = self._running()
        return [] if dispatcher is None else dispatcher.payment_types()

    @hookimpl
    def on_payment(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Take a payment; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``PaymentRequest``.

        Money effect: may charge.
        """
        dispatcher = self._running_for(request, hookspecs.PaymentRequest)
        return None if dispatcher is None else dispatcher.pay(request, ui)

    @hookimpl
    def on_cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of an open sale; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``CancelRequest``.

        Money effect: may cancel.
        """
        dispatcher = self._running_for(request, hookspecs.CancelRequest)
        return None if dispatcher is None else dispatcher.cancel(request, ui)

    @hookimpl
    def validate_refund(self, request: RefundRequest) -> list[RefundViolation]:
        """Return the rules that forbid a refund; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``RefundRequest``.
        """
        dispatcher = self._running_for(request, hookspecs.RefundRequest)
        return [] if dispatcher is None else dispatcher.violations(request)

    @hookimpl
    def on_full_refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of a closed sale; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is not a ``RefundRequest``.

        Money effect: may cancel.
        """
        dispatcher = self._running_for(request, hookspecs.RefundRequest)
        return None if dispatcher is None else dispatcher.refund(request, ui)

    @hookimpl
    def on_receipt_closed(self, receipt: Receipt) -> None:
        """Confirm the payments in a closed receipt; see ``hookspecs``.

        Raises:
            TypeError: ``receipt`` is not a ``Receipt``.
        """
        dispatcher = self._running_for(receipt, hookspecs.Receipt)
        if dispatcher is not None:
            dispatcher.receipt_closed(receipt)

    @hookimpl
    def on_queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Handle a cancellation that the host's queue delivers; see ``hookspecs``.

        Raises:
            TypeError: ``message`` is not a ``QueueMessage``.

        Money effect: may cancel.
        """
        dispatcher = self._running_for(message, hookspecs.QueueMessage)
        return None if dispatcher is None else dispatcher.queue_message(message)

    @hookimpl
    def on_stop(self) -> None:
        """End work; see ``hookspecs``.

        Money effect: may cancel, later.
        """
        self._replace(None)

    def _replace(self, dispatcher: HookDispatcher | None) -> None:
        """Replace the dispatcher and stop the former one."""
        with self._lock:
            former, self._dispatcher = self._dispatcher, dispatcher
        if former is not None:
            former.stop()

    def _running(self) -> HookDispatcher | None:
        """Return the dispatcher, or None before the start and after the stop."""
        dispatcher = self._dispatcher
        return dispatcher if dispatcher is not None and dispatcher.is_running() else None

    def _running_for(self, argument: object, kind: type) -> HookDispatcher | None:
        """Return the dispatcher for a hook with this argument; raise TypeError if it is of another kind."""
        if not isinstance(argument, kind):
            message = f"expected {kind.__name__}, got {type(argument).__name__}"
            raise TypeError(message)
        return self._running()


plugin = PaymePlugin()
