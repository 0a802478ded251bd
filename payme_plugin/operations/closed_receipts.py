"""A closed receipt confirms the payments in it; afterwards only a refund can return them.

A host repeats a closed receipt only until the hook has returned, and no hook raises. So a receipt that the journal
can't store is kept here and stored later.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from hookspecs import ReceiptKind
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.rows import ImportedPayment
from payme_plugin.ledger.states import PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.fiscal import fiscal_data_of
from payme_plugin.operations.results import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import PaymentRecord, Receipt
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow

__all__ = [
    "ClosedReceipts",
    "confirm_payments",
    "conflicts_with",
    "import_from_host",
    "is_complete",
    "mark_paid_per_host",
]

_log = Log()

_MAX_WAITING = 1000
_MAX_TIME_DIGITS = 15


class ClosedReceipts:
    """Stores closed receipts, and keeps those that the journal can't store now. Any thread may use it.

    At most 1000 are kept, until the process ends. The payments of receipts that are lost then stay paid, and the host
    is asked about them at the next start; their fiscal links are lost.

    Args:
        journal: returns the journal; raises ``JournalError`` if it can't be used.
        owner: this process's token.
        clock: time.
        is_active: returns whether a hook works on a payment now. The host does not have the result of that hook yet,
            so a receipt that closes with the payment does not confirm it.

    Attributes:
        waiting: the receipts that the journal could not store yet.
    """

    def __init__(
        self,
        journal: Callable[[], Journal],
        owner: str,
        clock: Clock,
        is_active: Callable[[str], bool],
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._clock = clock
        self._is_active = is_active
        # Each operation of a deque is atomic.
        self.waiting: deque[Receipt] = deque(maxlen=_MAX_WAITING)

    def store(self, receipt: Receipt) -> None:
        """Confirm the payments in a closed receipt and store its fiscal link, now or later.

        Raises:
            JournalError: the journal can't store it now; the receipt is kept.
        """
        if receipt.closed_at is None:
            receipt = replace(receipt, closed_at=self._clock.wall_ms())
        receipt = self._without_active(receipt)
        try:
            confirm_payments(self._journal(), receipt, self._owner)
        except JournalError:
            if any(is_ours(record) for record in receipt.payments):
                self._keep(receipt)
            raise

    def store_waiting(self) -> None:
        """Try once to store each receipt that was kept; raise nothing.

        A receipt is removed only after it is stored, so no other thread takes it for stored meanwhile.
        """
        for receipt in self.waiting.copy():
            if any(self._is_active(record.payment_id) for record in receipt.payments):
                continue  # The receipt closed before the hook began.
            try:
                confirm_payments(self._journal(), receipt, self._owner)
            except JournalError:
                continue
            _log.info("receipt %d/%d, closed earlier, is stored now", receipt.shift, receipt.number)
            with suppress(ValueError):  # Another thread has stored and removed it.
                self.waiting.remove(receipt)

    def _without_active(self, receipt: Receipt) -> Receipt:
        active = [record for record in receipt.payments if self._is_active(record.payment_id)]
        for record in active:
            _log.error("payment %s is in a closed receipt while it is under way", record.payment_id)
        return replace(receipt, payments=tuple(each for each in receipt.payments if each not in active))

    def _keep(self, receipt: Receipt) -> None:
        if len(self.waiting) >= _MAX_WAITING:
            _log.error("over %d closed receipts wait to be stored: the oldest is dropped", _MAX_WAITING)
        # Its items are not needed.
        self.waiting.append(replace(receipt, items=()))


def confirm_payments(journal: Journal, receipt: Receipt, owner: str) -> None:
    """Move each of our payments in a closed receipt from paid to recorded; store its fiscal link.

    A payment that the journal lost is imported from the record in the sale. A second call changes nothing.

    Args:
        journal: the journal.
        receipt: the closed receipt; its ``closed_at`` is set.
        owner: this process's token.

    Raises:
        JournalError: one of them could not be stored; it stays paid, and the host is asked about it later.
    """
    for record in receipt.payments:
        if is_ours(record):
            row = _confirmed(journal, record, receipt, owner)
            if row is not None and receipt.fiscal is not None and receipt.kind is ReceiptKind.SALE:
                _store_link(journal, row, receipt.fiscal.url)


def conflicts_with(record: PaymentRecord, row: PaymentRow | None) -> bool:
    """Return whether the journal has a record's payment under another receipt id."""
    receipt_id = record.data.get("receipt_id")
    return row is not None and bool(receipt_id) and row.receipt_id != receipt_id


def is_complete(record: PaymentRecord) -> bool:
    """Return whether a host's record has the receipt and merchant account of a lost payment."""
    return all(record.data.get(name) for name in ("receipt_id", "posId", "url"))


def import_from_host(journal: Journal, owner: str, record: PaymentRecord, sale: Receipt) -> PaymentRow:
    """Store a payment that the journal lost, from the host's record.

    Args:
        journal: where to store it.
        owner: this process's token.
        record: as the host stored it; it is complete.
        sale: the sale that it is in; ``closed_at`` is None if it is open.

    Raises:
        Conflict: the journal already has it, or has its receipt under another payment.
        Unavailable: nothing was stored.
    """
    paid_at = record.data.get("paid_at", "")
    is_time = paid_at.isascii() and paid_at.isdigit() and len(paid_at) <= _MAX_TIME_DIGITS
    return journal.import_payment(
        ImportedPayment(
            payment_id=record.payment_id,
            payment_type=record.payment_type,
            amount=record.amount,
            till=sale.till,
            shift=sale.shift,
            number=sale.number,
            pos_id=record.data["posId"],
            url=record.data["url"],
            owner=owner,
            receipt_id=record.data["receipt_id"],
            paid_at=int(paid_at) if is_time else None,
            closed_at=sale.closed_at,
        ),
        "from the till's record; the journal did not have it",
    )


def mark_paid_per_host(journal: Journal, row: PaymentRow) -> PaymentRow:
    """Move a payment in state paying to paid because the host has it; return any other unchanged.

    The host stores a payment only after PAID. So the hook returned PAID, and the journal could not store it. The state
    is still asked before money is returned.

    Raises:
        Conflict: the payment has changed.
        Unavailable: nothing was stored.
    """
    if row.state is not PaymentState.PAYING:
        return row
    return journal.move(row, PaymentState.PAID, "the till has the payment that could not be stored as paid")


def _confirmed(journal: Journal, record: PaymentRecord, receipt: Receipt, owner: str) -> PaymentRow | None:
    """Confirm one payment; return None if neither the journal nor its record identifies it."""
    row = journal.find(record.payment_id)
    if conflicts_with(record, row):
        _log.error("payment %s is in a closed receipt with another receipt of Payme's", record.payment_id)
        return None
    try:
        if row is not None:
            _move_to_recorded(journal, row, receipt.closed_at)
            return row if row.receipt_id is not None else None
        if receipt.kind is ReceiptKind.SALE and is_complete(record):
            return import_from_host(journal, owner, record, receipt)
    except Conflict:
        _log.warning("payment %s moved on while its receipt closed", record.payment_id)
        return row
    _log.warning("payment %s is in a closed receipt but not in the journal", record.payment_id)
    return None


def _store_link(journal: Journal, row: PaymentRow, link: str) -> None:
    if fiscal_data_of(link) is None:
        _log.error("payment %s: its fiscal link is not an OFD link with t, r, c and s", row.payment_id)
        return
    FiscalLinks(journal).add(row, link)


def _move_to_recorded(journal: Journal, row: PaymentRow, closed_at: int | None) -> None:
    row = mark_paid_per_host(journal, row)
    row = journal.acknowledge(row, closed_at=closed_at)
    if row.state is not PaymentState.RECORDED:
        _log.error("payment %s is in a closed receipt, but the journal has it as %s", row.payment_id, row.state.value)
