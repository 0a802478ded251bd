"""The till's book: one file for each receipt, written so that a power cut leaves the old page or the new one.

Answers from the book are given under a lock: a plugin may ask from a thread of its own.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from hookspecs import PaymentStatus, ReceiptKind
from payme_plugin.till import receipt_json
from payme_plugin.till.errors import FolderUnusable
from payme_plugin.till.receipts import BookedReceipt, Refund, Tender

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from hookspecs import Item

__all__ = ["ReceiptBook"]

_FOLDER_MODE = 0o700
_FILE_MODE = 0o600


class ReceiptBook:
    """The receipts of one till, in memory and in a folder."""

    def __init__(self, folder: Path) -> None:
        """Read the book in ``folder``; it is made where it is missing.

        Raises:
            FolderUnusable: the folder can't be made, read or written.
        """
        self._folder = folder
        self._lock = threading.Lock()
        self._receipts: dict[int, BookedReceipt] = {}
        self._unreadable: list[Path] = []
        try:
            folder.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
            pages = sorted(folder.glob("*.json"))
        except OSError as error:
            raise _unusable(folder, error) from error
        for page in pages:
            self._read(page)

    @property
    def unreadable(self) -> tuple[Path, ...]:
        """The pages that are damaged; they are left as they are."""
        return tuple(self._unreadable)

    def _read(self, page: Path) -> None:
        try:
            receipt = receipt_json.loads(page.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self._unreadable.append(page)
        else:
            self._receipts[receipt.number] = receipt

    def receipts(self) -> tuple[BookedReceipt, ...]:
        """Return all receipts, oldest first."""
        with self._lock:
            return tuple(self._receipts[number] for number in sorted(self._receipts))

    def receipt(self, number: int) -> BookedReceipt:
        """Return the receipt of this number as it stands now.

        Raises:
            KeyError: there is none.
        """
        with self._lock:
            return self._receipts[number]

    # -----------------------------------------------------------------------------------------------------------------
    # Writing: durable when the call returns
    # -----------------------------------------------------------------------------------------------------------------

    def open_receipt(self, items: tuple[Item, ...], total: int, refund: Refund | None = None) -> BookedReceipt:
        """Open a sale, or the ``refund`` of one, under the next number.

        Raises:
            FolderUnusable: it can't be stored.
        """
        taken = [*self._receipts, *(int(page.stem) for page in self._unreadable if page.stem.isdecimal())]
        kind = ReceiptKind.SALE if refund is None else ReceiptKind.REFUND
        receipt = BookedReceipt(number=max(taken, default=0) + 1, kind=kind, items=items, total=total, refund=refund)
        self.store(receipt)
        return receipt

    def store(self, receipt: BookedReceipt) -> None:
        """Put ``receipt`` in the place of the one that has its number.

        Raises:
            FolderUnusable: it can't be stored; the book still holds the old one.
        """
        page = self._folder / f"{receipt.number:06d}.json"
        try:
            _write_durably(page, receipt_json.dumps(receipt))
        except OSError as error:
            raise _unusable(page, error) from error
        with self._lock:
            self._receipts[receipt.number] = receipt

    # -----------------------------------------------------------------------------------------------------------------
    # Answers
    # -----------------------------------------------------------------------------------------------------------------

    def find(self, payment_id: str) -> tuple[BookedReceipt, Tender] | None:
        """Return the sale and the tender of a payment, or None where the till has never asked for it."""
        return next(self._with_payment(payment_id), None)

    def _with_payment(self, payment_id: str) -> Iterator[tuple[BookedReceipt, Tender]]:
        for receipt in reversed(self.receipts()):
            tender = receipt.tender(payment_id)
            if tender is not None:
                yield receipt, tender

    def is_recorded(self, payment_id: str) -> bool | None:
        """Answer ``Host.is_recorded``.

        True: PAID and stored with a sale that isn't annulled. None: the plugin hasn't answered yet and will be asked
        again, or a page of the book is damaged. False: anything else.
        """
        found = self.find(payment_id)
        if found is None:
            return None if self._unreadable else False
        receipt, tender = found
        if tender.verdict is None:
            return None if receipt.is_open else False
        return tender.verdict is PaymentStatus.PAID and not receipt.annulled

    def refunds_of(self, payment_id: str) -> tuple[BookedReceipt, ...]:
        """Return the refund receipts of a payment that are open or closed."""
        return tuple(
            receipt
            for receipt in self.receipts()
            if receipt.refund is not None and receipt.refund.payment_id == payment_id and not receipt.annulled
        )

    def annul(self, number: int) -> None:
        """End a receipt without a sale or a refund.

        Raises:
            FolderUnusable: it can't be stored.
        """
        self.store(replace(self.receipt(number), annulled=True, cancelling=None, slips=()))


def _unusable(path: Path, error: OSError) -> FolderUnusable:
    reason = error.strerror or type(error).__name__
    return FolderUnusable(f"the till's folder can't be used: {path}: {reason}. Name one that this user may write.")


def _write_durably(page: Path, text: str) -> None:
    """Replace ``page`` by ``text`` at once: file and folder are on the disk when this returns."""
    fresh = page.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, _FILE_MODE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(page)
    folder = os.open(page.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
