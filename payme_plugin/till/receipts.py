"""The receipts of the reference till, one JSON file each, so that a power cut leaves the old or the new one.

They hold what the contract obliges a host to remember: every selected tender before a plugin is asked, the record of a
paid one, a cancel or refund that has begun, and which closed receipts the plugins have taken.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping  # noqa: TC003 - read at run time by ``structure``
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hookspecs import Item, PaymentRecord, PaymentStatus, Receipt, ReceiptFiscal, ReceiptKind, SaleRecord, Slip
from hookspecs.structure import structure, unstructure
from payme_plugin.fsync import sync_folder
from payme_plugin.till.errors import FolderUnusable

if TYPE_CHECKING:
    from pathlib import Path

_VERSION = 1
FOLDER_MODE = 0o700
FILE_MODE = 0o600


@dataclass(frozen=True, slots=True, kw_only=True)
class Tender:
    """A tender that was selected on an open sale.

    Attributes:
        payment_id: new each time a tender is selected.
        payment_type: the tender's number.
        amount: tiyin.
        status: the result; None until a plugin has returned one other than PENDING.
        record: what the plugin gets back with a cancel or a refund; None unless PAID.
        acknowledged: ``on_payment_recorded`` has returned.
    """

    payment_id: str
    payment_type: int
    amount: int
    status: PaymentStatus | None = field(default=None, metadata={"json": "verdict"})
    record: PaymentRecord | None = None
    acknowledged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """What a refund receipt returns.

    Attributes:
        refund_id: the same when the plugins are asked again after a crash.
        sale_number: receipt number of the sale.
        payment_id: the payment that is returned.
        amount: tiyin.
        manual_selection: the cashier chose the goods by hand.
        currency_selection: the cashier may choose the tender that is paid out.
    """

    refund_id: str
    sale_number: int
    payment_id: str
    amount: int
    manual_selection: bool = False
    currency_selection: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredReceipt:
    """A receipt as the till stores it.

    Attributes:
        number: its number; the reference till has one shift only.
        kind: a sale or a refund.
        items: its lines.
        total: tiyin.
        tenders: the selected tenders, in order.
        attributes: what the plugins add to this fiscal receipt.
        slips: what is not printed yet.
        closed_at: Unix time in milliseconds of its closing, or None.
        annulled: it ended without a sale or a refund.
        reported: ``on_receipt_closed`` has returned.
        cancelling: the payment whose cancel has begun and has no result yet, or None.
        refund: what a refund receipt returns; None for a sale.
        fiscal_url: the OFD link that it has once it is closed, or None.
    """

    number: int
    kind: ReceiptKind
    items: tuple[Item, ...]
    total: int
    tenders: tuple[Tender, ...] = ()
    attributes: Mapping[str, str] = field(default_factory=dict)
    slips: tuple[Slip, ...] = ()
    closed_at: int | None = None
    annulled: bool = False
    reported: bool = field(default=False, metadata={"json": "told"})
    cancelling: str | None = None
    refund: Refund | None = None
    fiscal_url: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is neither closed nor annulled."""
        return self.closed_at is None and not self.annulled

    @property
    def is_pending(self) -> bool:
        """Whether a payment in it has no result yet, so that it is neither closed nor annulled."""
        return any(tender.status is None for tender in self.tenders)

    @property
    def payment_id(self) -> str | None:
        """The payment that it returns, or the one of its last tender; None if there is neither."""
        if self.refund is not None:
            return self.refund.payment_id
        return self.tenders[-1].payment_id if self.tenders else None

    def tender(self, payment_id: str) -> Tender | None:
        """Return the tender of a payment, or None."""
        return next((tender for tender in self.tenders if tender.payment_id == payment_id), None)

    def with_tender(self, tender: Tender) -> StoredReceipt:
        """Return the receipt with ``tender`` in place of the one of the same payment, or at the end."""
        if self.tender(tender.payment_id) is None:
            return replace(self, tenders=(*self.tenders, tender))
        tenders = (tender if each.payment_id == tender.payment_id else each for each in self.tenders)
        return replace(self, tenders=tuple(tenders))

    def for_plugins(self, till: str, *, without: str | None = None, as_open: bool = False) -> Receipt:
        """Return the receipt as plugins see it.

        Args:
            till: the till's name.
            without: a payment that is left out.
            as_open: as if it had not been closed.
        """
        is_closed = self.closed_at is not None and not as_open
        records = (tender.record for tender in self.tenders if tender.payment_id != without)
        return Receipt(
            till=till,
            shift=1,
            number=self.number,
            kind=self.kind,
            items=self.items,
            total=self.total,
            payments=tuple(record for record in records if record is not None),
            closed_at=self.closed_at if is_closed else None,
            fiscal=ReceiptFiscal(url=self.fiscal_url) if is_closed and self.fiscal_url is not None else None,
        )


class ReceiptStore:
    """The receipts of one till, in memory and in a folder. Another thread may read while one writes.

    Args:
        folder: is made if it is missing.

    Raises:
        FolderUnusable: the folder can't be made, read or written.

    Attributes:
        unreadable: damaged files; they stay as they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._receipts: dict[int, StoredReceipt] = {}
        self.unreadable: tuple[Path, ...] = ()
        try:
            folder.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            paths = sorted(folder.glob("*.json"))
        except OSError as error:
            raise FolderUnusable(folder, error) from error
        for path in paths:
            try:
                receipt = from_json(path.read_text(encoding="utf-8"))
            except (OSError, ValueError, RecursionError):
                self.unreadable += (path,)
            else:
                self._receipts[receipt.number] = receipt

    def receipts(self) -> tuple[StoredReceipt, ...]:
        """Return all receipts, oldest first."""
        return tuple(receipt for _, receipt in sorted(self._receipts.items()))

    def open_receipt(self, items: tuple[Item, ...], total: int, refund: Refund | None = None) -> StoredReceipt:
        """Store a new sale, or the ``refund`` of one, under the next number.

        Raises:
            FolderUnusable: it can't be stored.
        """
        taken = [*self._receipts, *(int(path.stem) for path in self.unreadable if path.stem.isdecimal())]
        kind = ReceiptKind.SALE if refund is None else ReceiptKind.REFUND
        receipt = StoredReceipt(number=max(taken, default=0) + 1, kind=kind, items=items, total=total, refund=refund)
        self.store(receipt)
        return receipt

    def store(self, receipt: StoredReceipt) -> None:
        """Store ``receipt`` durably in place of the one with its number.

        Raises:
            FolderUnusable: it can't be stored; the former one stays.
        """
        path = self._folder / f"{receipt.number:06d}.json"
        try:
            _replace(path, to_json(receipt).encode())
        except OSError as error:
            raise FolderUnusable(path, error) from error
        self._receipts = {**self._receipts, receipt.number: receipt}

    def annul(self, number: int) -> None:
        """End a receipt without a sale or a refund.

        Raises:
            FolderUnusable: it can't be stored.
        """
        self.store(replace(self._receipts[number], annulled=True, cancelling=None, slips=()))

    def find(self, payment_id: str) -> tuple[StoredReceipt, Tender] | None:
        """Return the sale and the tender of a payment, or None if no plugin was ever asked for it."""
        for receipt in reversed(self.receipts()):
            if (tender := receipt.tender(payment_id)) is not None:
                return receipt, tender
        return None

    def is_recorded(self, payment_id: str) -> bool | None:
        """Return what ``Host.is_recorded`` does; a payment may also be named by its receipt id.

        Returns:
            True: PAID, in a sale that isn't annulled. None: no plugin has returned a result yet, or a file is damaged.
            False: anything else.
        """
        found = self.find(payment_id) or self._find_receipt(payment_id)
        if found is None:
            return None if self.unreadable else False
        receipt, tender = found
        if tender.status is None:
            return None if receipt.is_open else False
        return tender.status is PaymentStatus.PAID and not receipt.annulled

    def _find_receipt(self, receipt_id: str) -> tuple[StoredReceipt, Tender] | None:
        """Return the sale and the tender of a payment by its plugin's receipt id, or None."""
        for receipt in self.receipts():
            for tender in receipt.tenders:
                if tender.record is not None and tender.record.data.get("receipt_id") == receipt_id:
                    return receipt, tender
        return None

    def sales(self, plugin: str, since: int, until: int) -> tuple[SaleRecord, ...] | None:
        """Return what ``Host.sales`` does, for the payments of one plugin; None if a file is damaged."""
        if self.unreadable:
            return None
        return tuple(
            SaleRecord(
                payment_id=tender.payment_id,
                amount=tender.amount,
                receipt_id=tender.record.data.get("receipt_id", ""),
                sold_at=receipt.closed_at,
            )
            for receipt in self.receipts()
            if receipt.kind is ReceiptKind.SALE and not receipt.annulled
            for tender in receipt.tenders
            if receipt.closed_at is not None and since <= receipt.closed_at < until
            if tender.record is not None and tender.record.data.get("plugin") == plugin
        )

    def refunds_of(self, payment_id: str) -> tuple[StoredReceipt, ...]:
        """Return the open and closed refund receipts of a payment."""
        refunds = (receipt for receipt in self.receipts() if receipt.refund is not None and not receipt.annulled)
        return tuple(receipt for receipt in refunds if receipt.payment_id == payment_id)


def to_json(receipt: StoredReceipt) -> str:
    """Return ``receipt`` as a JSON object."""
    return json.dumps({"version": _VERSION, **unstructure(receipt)}, indent=1)


def from_json(text: str) -> StoredReceipt:
    """Return the receipt that ``to_json`` wrote.

    Raises:
        ValueError: it is not one, or has another version.
        RecursionError: it is nested too deeply.
    """
    document = json.loads(text)
    if not isinstance(document, dict) or structure(int, document.pop("version", None), "version") != _VERSION:
        message = f"not a receipt of version {_VERSION}"
        raise ValueError(message)
    return structure(StoredReceipt, document, "receipt")


def _replace(path: Path, data: bytes) -> None:
    """Replace a file in one step; file and folder are on the disk when this returns."""
    fresh = path.with_name(f"{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, FILE_MODE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)
