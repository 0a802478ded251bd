"""The contract between a POS and its payment plugins.

A plugin implements the hooks of ``hookspecs.hooks`` with ``hookimpl`` and is found through the entry point group
``pos``.
A POS loads plugins and calls them through ``PosPlugins``.
"""

from __future__ import annotations

from hookspecs.hooks import PROJECT, hookimpl, hookspec
from hookspecs.host import BaseHost, BaseUi, Host, Ui
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
    Slip,
)
from hookspecs.plugins import HookFailed, PluginFault, PosPlugins

API_VERSION = 1

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
    "Slip",
    "Ui",
    "hookimpl",
    "hookspec",
]
