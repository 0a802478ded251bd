"""A small reference POS: it loads plugins by entry point and, of the plugin, imports the contract only."""

from __future__ import annotations

from payme_plugin.till.context import FolderUnusable, OutcomeUnknown, TillBusy, TillError, print_slip
from payme_plugin.till.host import locked, reference_identity
from payme_plugin.till.receipts import ReceiptStore, StoredReceipt
from payme_plugin.till.reversal import Reversal
from payme_plugin.till.sale import Payment, one_line_sale
from payme_plugin.till.terminal_log import TerminalLogFormatter, stderr_log, terminal_log
from payme_plugin.till.till import Restored, Till

__all__ = [
    "FolderUnusable",
    "OutcomeUnknown",
    "Payment",
    "ReceiptStore",
    "Restored",
    "Reversal",
    "StoredReceipt",
    "TerminalLogFormatter",
    "Till",
    "TillBusy",
    "TillError",
    "locked",
    "one_line_sale",
    "print_slip",
    "reference_identity",
    "stderr_log",
    "terminal_log",
]
