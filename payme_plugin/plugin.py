"""The plugin as a host loads it: its hooks, each no more than a call of ``service``.

It imports ``hookspecs`` and the standard library alone, so that a till starts quickly; the rest comes in ``on_start``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import hookspecs

if getattr(hookspecs, "PROJECT", None) != "pos" or getattr(hookspecs, "API_VERSION", None) != 1:
    # The name is short enough for another program to have one of its own.
    _found = getattr(hookspecs, "__file__", None)
    raise ImportError(f"payme-plugin needs its own package hookspecs, API version 1, but found {_found}", path=_found)

from hookspecs import PaymentRequest, QueueMessage, Receipt, hookimpl

if TYPE_CHECKING:
    from hookspecs import Host, PaymentResult, PaymentType, QueueVerdict, Ui
    from payme_plugin.service import Service

__all__ = ["PaymePlugin", "plugin"]


class PaymePlugin:
    """A PaymeGO payment plugin for one till; several tills in one process have one each."""

    def __init__(self) -> None:
        self._service: Service | None = None

    @hookimpl
    def on_start(self, host: Host) -> None:
        """Begin work; see ``hookspecs``. A second start ends the first."""
        from payme_plugin.service import Service  # noqa: PLC0415 - a till loads the heavy parts here, not at import

        self.on_stop()
        self._service = Service(host)
        self._service.start()

    @hookimpl
    def payment_types(self) -> list[PaymentType]:
        """Name the tender of the settings; see ``hookspecs``."""
        return [] if self._service is None else self._service.payment_types()

    @hookimpl
    def on_payment(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Take a payment; see ``hookspecs``.

        Raises:
            TypeError: ``request`` is no ``PaymentRequest``.

        Money effect: may charge.
        """
        _require(request, PaymentRequest)
        return None if self._service is None else self._service.pay(request, ui)

    @hookimpl
    def on_receipt_closed(self, receipt: Receipt) -> None:
        """Confirm the payments in a closed receipt; see ``hookspecs``.

        Raises:
            TypeError: ``receipt`` is no ``Receipt``.
        """
        _require(receipt, Receipt)
        if self._service is not None:
            self._service.receipt_closed(receipt)

    @hookimpl
    def on_queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Work on a cancellation that the host's queue delivers; see ``hookspecs``.

        Raises:
            TypeError: ``message`` is no ``QueueMessage``.

        Money effect: may cancel.
        """
        _require(message, QueueMessage)
        return None if self._service is None else self._service.queue_message(message)

    @hookimpl
    def on_stop(self) -> None:
        """End work; see ``hookspecs``."""
        service, self._service = self._service, None
        if service is not None:
            service.stop()


def _require(value: object, kind: type) -> None:
    if not isinstance(value, kind):
        message = f"expected {kind.__name__}, got {type(value).__name__}"
        raise TypeError(message)


plugin = PaymePlugin()
