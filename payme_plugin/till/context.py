"""What a sale and its reversal need: the plugins, the stored receipts, the cashier and the printer; and the errors."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hookspecs import HookFailed, PosPlugins, Slip, Ui
from payme_plugin.locale import Message, message

if TYPE_CHECKING:
    from pathlib import Path

    from payme_plugin.till.receipts import ReceiptStore, StoredReceipt

PrintSlip = Callable[[Slip], None]
"""Prints the lines of a slip, ``copies`` times."""

_log = logging.getLogger("pos.till")


class TillError(Exception):
    """The till can't do what it was asked to; ``str`` returns its text in English.

    Attributes:
        text: what, where, and what helps.
    """

    def __init__(self, text: Message) -> None:
        super().__init__(str(text))
        self.text = text


class FolderUnusable(TillError):
    """The till's folder can't be made, read or written."""

    def __init__(self, path: Path, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        super().__init__(message("till.folder_unusable", path=path, reason=reason))


class TillBusy(TillError):
    """Another process works with the same folder: a till does one thing at a time."""


class NoPlugin(TillError):
    """No plugin in service answers for the tender or the payment; nothing was charged and nothing returned."""


class UnknownPayment(TillError):
    """The till has no paid payment with this id."""


class PaymentMismatch(TillError):
    """The payment id belongs to a sale of another amount; no plugin was asked."""


class OutcomeUnknown(TillError):
    """A plugin failed in a hook that moves money; the receipt is kept, and the next start asks again.

    Attributes:
        payment_id: the payment whose outcome is unknown.
    """

    def __init__(self, payment_id: str, reason: Message | HookFailed) -> None:
        super().__init__(message("till.outcome_unknown", payment_id=payment_id, reason=reason))
        self.payment_id = payment_id


@dataclass(frozen=True, kw_only=True)
class TillContext:
    """The parts of one till.

    Attributes:
        identity: the till's name.
        language: the language of the till's own texts: ``ru``, ``uz`` or ``en``.
        plugins: the caller of the hooks.
        receipts: the stored receipts.
        ui: the cashier's screen and scanner.
        print_slip: prints one slip, all its copies.
        now_ms: the wall clock, Unix milliseconds.
        new_id: makes ids that were never used.
    """

    identity: str
    language: str
    plugins: PosPlugins
    receipts: ReceiptStore
    ui: Ui
    print_slip: PrintSlip
    now_ms: Callable[[], int]
    new_id: Callable[[], str]

    def acknowledge(self, receipt: StoredReceipt) -> StoredReceipt:
        """Call ``on_payment_recorded`` for the paid tenders in ``receipt``; one that fails is repeated later.

        Raises:
            FolderUnusable: a receipt can't be stored.
        """
        for tender in receipt.tenders:
            if tender.record is None or tender.acknowledged:
                continue
            try:
                self.plugins.on_payment_recorded(tender.record)
            except HookFailed as failure:
                _log.error("payment %s is stored but %s; it is acknowledged again", tender.payment_id, failure)
                continue
            receipt = receipt.with_tender(replace(tender, acknowledged=True))
            self.receipts.store(receipt)
        return receipt

    def acknowledge_all(self) -> bool:
        """Acknowledge the paid tenders of every receipt that isn't annulled; return whether none is left.

        Raises:
            FolderUnusable: a receipt can't be stored.
        """
        kept = [self.acknowledge(receipt) for receipt in self.receipts.receipts() if not receipt.annulled]
        return all(tender.acknowledged for receipt in kept for tender in receipt.tenders if tender.record is not None)

    def close(self, receipt: StoredReceipt) -> None:
        """Close ``receipt`` durably, report it to the plugins, and print its slips. Done once, each also after a crash.

        Raises:
            FolderUnusable: a receipt can't be stored; the rest is done at the next start.

        Money effect: none; the payments in it are then returned by a refund only.
        """
        if receipt.closed_at is None:
            receipt = replace(receipt, closed_at=self.now_ms())
            self.receipts.store(receipt)
        if not receipt.reported:
            try:
                self.plugins.on_receipt_closed(receipt.for_plugins(self.identity))
            except HookFailed as failure:
                _log.error("receipt %d is closed but %s; it is reported again", receipt.number, failure)
            else:
                receipt = replace(receipt, reported=True)
                self.receipts.store(receipt)
        if receipt.slips:
            for slip in receipt.slips:
                self.print_slip(slip)
            self.receipts.store(replace(receipt, slips=()))


def print_slip(slip: Slip, write_line: Callable[[str], None]) -> None:
    """Write the lines of a slip as often as it asks for, each copy with an empty line at its end."""
    for line in (*slip.lines, "") * slip.copies:
        write_line(line)
