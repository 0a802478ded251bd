"""A small reference POS: it loads plugins by entry point and, of the plugin, imports the contract only."""

from __future__ import annotations

from payme_plugin.till.errors import FolderUnusable, OutcomeUnknown, TillBusy, TillError
from payme_plugin.till.host import locked, reference_identity
from payme_plugin.till.receipts import ReceiptStore, StoredReceipt
from payme_plugin.till.reversal import Reversal
from payme_plugin.till.sale import Payment, one_line_sale, print_slip
from payme_plugin.till.terminal_log import TerminalLogFormatter, stderr_log, terminal_log
from payme_plugin.till.till import Operation, Till, unfinished

__all__ = [
    "FolderUnusable",
    "Operation",
    "OutcomeUnknown",
    "Payment",
    "ReceiptStore",
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
    "unfinished",
]
