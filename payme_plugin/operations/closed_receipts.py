"""A closed receipt confirms the payments in it: from then on a refund alone can return them.

A host tells of a closed receipt until the hook has returned, and no hook raises. So what the journal can't store when
a receipt closes waits here for the next time.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from typing import TYPE_CHECKING

from hookspecs import ReceiptKind
from payme_plugin.ledger.errors import Conflict, JournalError
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.rows import Adopted
from payme_plugin.ledger.states import PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.fiscal import fiscal_data_of
from payme_plugin.operations.originals import is_contradicted
from payme_plugin.operations.results import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import PaymentRecord, Receipt
    from payme_plugin.clock import Clock
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow

__all__ = ["ClosedReceipts", "adopt", "confirm_payments", "paid_by_the_tills_word", "says_enough"]

_log = Log()

_MOST_WAITING = 1000
_LONGEST_TIME = 15


class ClosedReceipts:
    """Files closed receipts; those that the journal can't take now wait for the next time. Any thread may use it.

    At most 1000 wait. What waits ends with the process: its payments stay paid then, and the host's word about them is
    asked for at the next start; its fiscal link is lost.

    Args:
        journal: gives the journal; raises ``JournalError`` where it can't be used.
        owner: gives this process's token, once the journal was given.
        clock: time.
        is_in_hand: says whether a hook works on a payment just now. No host has a payment that it was not told of: a
            receipt that closes with it says nothing of it.
    """

    def __init__(
        self,
        journal: Callable[[], Journal],
        owner: Callable[[], str],
        clock: Clock,
        is_in_hand: Callable[[str], bool],
    ) -> None:
        self._journal = journal
        self._owner = owner
        self._clock = clock
        self._is_in_hand = is_in_hand
        # One step of a deque is whole, whatever thread makes it.
        self._waiting: deque[Receipt] = deque(maxlen=_MOST_WAITING)

    def file(self, receipt: Receipt) -> None:
        """Confirm the payments in a closed receipt and file its fiscal link, now or as soon as the journal takes it.

        Raises:
            JournalError: not now; the receipt waits.

        Money effect: none.
        """
        if receipt.closed_at is None:
            receipt = replace(receipt, closed_at=self._clock.wall_ms())
        receipt = self._without_those_in_hand(receipt)
        try:
            self._confirm(receipt)
        except JournalError:
            if any(is_ours(record) for record in receipt.payments):
                self._keep(receipt)
            raise

    def file_waiting(self) -> None:
        """Try again what waits, each receipt once; nothing is raised.

        Money effect: none.
        """
        for _ in range(len(self._waiting)):
            try:
                receipt = self._waiting.popleft()
            except IndexError:
                return
            if any(self._is_in_hand(record.payment_id) for record in receipt.payments):
                self._keep(receipt)  # it closed before the hook began
                continue
            try:
                self._confirm(receipt)
            except JournalError:
                self._keep(receipt)
            else:
                _log.info("receipt %d/%d, closed before, is stored now", receipt.shift, receipt.number)

    def _without_those_in_hand(self, receipt: Receipt) -> Receipt:
        in_hand = [record for record in receipt.payments if self._is_in_hand(record.payment_id)]
        for record in in_hand:
            _log.error("payment %s is in a closed receipt while it is under way", record.payment_id)
        return replace(receipt, payments=tuple(each for each in receipt.payments if each not in in_hand))

    def _confirm(self, receipt: Receipt) -> None:
        journal = self._journal()
        confirm_payments(journal, receipt, self._owner())

    def _keep(self, receipt: Receipt) -> None:
        if len(self._waiting) >= _MOST_WAITING:
            _log.error("over %d closed receipts wait to be stored: the oldest waits no more", _MOST_WAITING)
        # What was sold in it is asked for no more.
        self._waiting.append(replace(receipt, items=()))


def confirm_payments(journal: Journal, receipt: Receipt, owner: str) -> None:
    """Take every payment of ours in a closed receipt from paid to recorded, and file its fiscal link.

    A payment that the journal lost is taken from the record in the sale. Told twice, it changes nothing.

    Args:
        journal: where they are.
        receipt: the closed receipt; ``closed_at`` says when.
        owner: this process's token.

    Raises:
        JournalError: one of them could not be stored; it stays paid, and the host's word about it is asked later.

    Money effect: none.
    """
    for record in receipt.payments:
        if is_ours(record):
            row = _confirmed(journal, record, receipt, owner)
            if row is not None and receipt.fiscal is not None and receipt.kind is ReceiptKind.SALE:
                _file_link(journal, row, receipt.fiscal.url)


def says_enough(record: PaymentRecord) -> bool:
    """Say whether a record of the host's names all of a payment that the journal lost: its receipt and its kassa."""
    return all(record.data.get(name) for name in ("receipt_id", "posId", "url"))


def adopt(journal: Journal, owner: str, record: PaymentRecord, sale: Receipt, closed_at: int | None) -> PaymentRow:
    """Take the host's word for a payment that the journal lost.

    Args:
        journal: where it is to be.
        owner: this process's token.
        record: as the host stored it; it says enough.
        sale: the sale that it is in.
        closed_at: when the sale closed, Unix milliseconds; None: it is open.

    Raises:
        Conflict: the journal has it meanwhile, or its receipt under another payment.
        Unavailable: nothing was stored.

    Money effect: none.
    """
    paid_at = record.data.get("paid_at", "")
    is_time = paid_at.isascii() and paid_at.isdigit() and len(paid_at) <= _LONGEST_TIME
    return journal.adopt(
        Adopted(
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
            closed_at=closed_at,
        ),
        "from the till's record; the journal did not have it",
    )


def paid_by_the_tills_word(journal: Journal, row: PaymentRow) -> PaymentRow:
    """Move a payment in state paying to paid: a host stores one on PAID alone, so this one was told to be PAID.

    The journal could not store that then. Payme is asked about it where its money goes back.

    Raises:
        Conflict: it has moved on.
        Unavailable: nothing was stored.

    Money effect: none.
    """
    return journal.move(row, PaymentState.PAID, "the till has the payment that could not be stored as paid")


def _confirmed(journal: Journal, record: PaymentRecord, receipt: Receipt, owner: str) -> PaymentRow | None:
    """Confirm one payment; None where nobody here knows it."""
    row = journal.find(record.payment_id)
    if is_contradicted(record, row):
        _log.error("payment %s is in a closed receipt with another receipt of Payme's", record.payment_id)
        return None
    try:
        if row is not None:
            _move_to_recorded(journal, row, receipt.closed_at)
            return row if row.receipt_id is not None else None
        if receipt.kind is ReceiptKind.SALE and says_enough(record):
            return adopt(journal, owner, record, receipt, receipt.closed_at)
    except Conflict:
        _log.warning("payment %s moved on while its receipt closed", record.payment_id)
        return row
    _log.warning("payment %s is in a closed receipt but not in the journal", record.payment_id)
    return None


def _file_link(journal: Journal, row: PaymentRow, link: str) -> None:
    if fiscal_data_of(link) is None:
        _log.error("payment %s: its fiscal link is no OFD link with t, r, c and s", row.payment_id)
        return
    FiscalLinks(journal).add(row, link)


def _move_to_recorded(journal: Journal, row: PaymentRow, closed_at: int | None) -> None:
    if row.state is PaymentState.PAYING:
        row = paid_by_the_tills_word(journal, row)
    if row.state is PaymentState.PAID:
        journal.move(row, PaymentState.RECORDED, "the receipt is closed", closed_at=closed_at)
    elif row.state is PaymentState.RECORDED and closed_at is not None:
        journal.mark_closed(row, closed_at)
    elif row.state is not PaymentState.RECORDED:
        _log.error("payment %s is in a closed receipt, but the journal has it as %s", row.payment_id, row.state.value)
