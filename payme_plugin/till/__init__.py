"""A small reference POS: it loads plugins by entry point and imports the contract alone."""

from __future__ import annotations

from payme_plugin.till.book import ReceiptBook
from payme_plugin.till.desk import PrintSlip, print_slip
from payme_plugin.till.errors import (
    FolderUnusable,
    NoPlugin,
    OutcomeUnknown,
    PaymentMismatch,
    TillBusy,
    TillError,
    UnknownPayment,
)
from payme_plugin.till.host import PAYMENT_TYPE, reference_identity
from payme_plugin.till.lock import locked
from payme_plugin.till.receipts import BookedReceipt, Refund, Tender
from payme_plugin.till.reversal import Reversal
from payme_plugin.till.sale import Payment, one_line_sale
from payme_plugin.till.terminal_log import TerminalLogFormatter, stderr_log, terminal_log
from payme_plugin.till.till import Restored, Till

__all__ = [
    "PAYMENT_TYPE",
    "BookedReceipt",
    "FolderUnusable",
    "NoPlugin",
    "OutcomeUnknown",
    "Payment",
    "PaymentMismatch",
    "PrintSlip",
    "ReceiptBook",
    "Refund",
    "Restored",
    "Reversal",
    "Tender",
    "TerminalLogFormatter",
    "Till",
    "TillBusy",
    "TillError",
    "UnknownPayment",
    "locked",
    "one_line_sale",
    "print_slip",
    "reference_identity",
    "stderr_log",
    "terminal_log",
]
