"""What a sale and its reversal work with: the plugins, the book, the printer; and how a receipt ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from hookspecs import HookFailed, PosPlugins, Slip

if TYPE_CHECKING:
    from payme_plugin.till.book import ReceiptBook
    from payme_plugin.till.receipts import BookedReceipt

__all__ = ["Desk", "PrintSlip", "print_slip"]

PrintSlip = Callable[[Slip], None]
"""Prints the lines of a slip as often as its ``copies`` say."""

_log = logging.getLogger("pos.till")


@dataclass(frozen=True, kw_only=True)
class Desk:
    """The tools of one till.

    Attributes:
        identity: the till's name.
        language: the cashier's language.
        plugins: who is asked.
        book: what is remembered.
        print_slip: prints one slip, all its copies.
        now_ms: the wall clock, Unix milliseconds.
        new_id: makes ids that were never used.
    """

    identity: str
    language: str
    plugins: PosPlugins
    book: ReceiptBook
    print_slip: PrintSlip
    now_ms: Callable[[], int]
    new_id: Callable[[], str]

    def close(self, receipt: BookedReceipt) -> BookedReceipt:
        """Close ``receipt`` durably, tell the plugins, and print what waits for its closing.

        Raises:
            FolderUnusable: the book can't be written; what was stored so far is finished at the next start.

        Money effect: none; the payments in it are then given back by a refund only.
        """
        if receipt.closed_at is None:
            receipt = replace(receipt, closed_at=self.now_ms())
            self.book.store(receipt)
        return self.print_waiting(self.tell(receipt))

    def acknowledge(self, receipt: BookedReceipt) -> BookedReceipt:
        """Tell the plugins that the paid tenders in ``receipt`` are stored; what fails is repeated later.

        Raises:
            FolderUnusable: the book can't be written.
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
            self.book.store(receipt)
        return receipt

    def acknowledge_all(self) -> bool:
        """Acknowledge every paid tender of a sale that isn't annulled; return whether all are acknowledged.

        Raises:
            FolderUnusable: the book can't be written.
        """
        kept = [self.acknowledge(receipt) for receipt in self.book.receipts() if not receipt.annulled]
        return all(tender.acknowledged for receipt in kept for tender in receipt.tenders if tender.record is not None)

    def tell(self, receipt: BookedReceipt) -> BookedReceipt:
        """Tell the plugins once that ``receipt`` is closed; where one failed it stays untold."""
        if receipt.told:
            return receipt
        try:
            self.plugins.on_receipt_closed(receipt.for_plugins(self.identity))
        except HookFailed as failure:
            _log.error("receipt %d is closed but %s; it is told again", receipt.number, failure)
            return receipt
        told = replace(receipt, told=True)
        self.book.store(told)
        return told

    def print_waiting(self, receipt: BookedReceipt) -> BookedReceipt:
        """Print the slips that ``receipt`` still holds, and forget them."""
        if not receipt.slips:
            return receipt
        for slip in receipt.slips:
            self.print_slip(slip)
        printed = replace(receipt, slips=())
        self.book.store(printed)
        return printed


def print_slip(slip: Slip, write_line: Callable[[str], None]) -> None:
    """Write the lines of ``slip`` as often as it asks for, with an empty line where paper would be cut."""
    for _ in range(slip.copies):
        for line in slip.lines:
            write_line(line)
        write_line("")
