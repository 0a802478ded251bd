"""The contract between a POS and its payment plugins.

A plugin implements the hooks of ``hookspecs.hooks`` with ``hookimpl`` and is found through the entry point group
``pos``. A POS loads plugins and calls them through ``PosPlugins``. Models and services are imported on first access,
because looking for plugins does not need them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hookspecs.hooks import PROJECT, hookimpl, hookspec
from hookspecs.manager import PosPlugins

if TYPE_CHECKING:
    from hookspecs.faults import HookFailed, PluginFault
    from hookspecs.host import BaseHost, BaseUi, Host, SalesHost, Ui
    from hookspecs.models import (
        CancelRequest,
        GoodsKind,
        Item,
        ItemFiscal,
        PaymentRecord,
        PaymentRequest,
        PaymentResult,
        PaymentStatus,
        PaymentType,
        QueueMessage,
        QueueVerdict,
        Receipt,
        ReceiptFiscal,
        ReceiptKind,
        RefundRequest,
        RefundViolation,
        ReversalResult,
        ReversalStatus,
        SaleRecord,
        Shift,
        Slip,
    )

API_VERSION = 2

__all__ = [
    "API_VERSION",
    "PROJECT",
    "BaseHost",
    "BaseUi",
    "CancelRequest",
    "GoodsKind",
    "HookFailed",
    "Host",
    "Item",
    "ItemFiscal",
    "PaymentRecord",
    "PaymentRequest",
    "PaymentResult",
    "PaymentStatus",
    "PaymentType",
    "PluginFault",
    "PosPlugins",
    "QueueMessage",
    "QueueVerdict",
    "Receipt",
    "ReceiptFiscal",
    "ReceiptKind",
    "RefundRequest",
    "RefundViolation",
    "ReversalResult",
    "ReversalStatus",
    "SaleRecord",
    "SalesHost",
    "Shift",
    "Slip",
    "Ui",
    "hookimpl",
    "hookspec",
]

if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        from importlib import import_module  # noqa: PLC0415 - needed only here

        if name in __all__:
            for home in ("models", "host", "faults"):
                found = vars(import_module(f"hookspecs.{home}")).get(name)
                if found is not None:
                    return globals().setdefault(name, found)
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
