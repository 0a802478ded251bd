"""A closed receipt confirms the payments in it: from then on a refund alone can return them."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from hookspecs import ReceiptKind
from payme_plugin.ledger.errors import StateMoved
from payme_plugin.ledger.fiscal_links import FiscalLinks
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.endings import is_ours
from payme_plugin.operations.fiscal import fiscal_data_of

if TYPE_CHECKING:
    from hookspecs import PaymentRecord, Receipt
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow

__all__ = ["confirm_payments"]

_log = logging.getLogger("payme")


def confirm_payments(journal: Journal, receipt: Receipt, now_ms: int) -> None:
    """Take every payment of ours in a closed receipt from paid to recorded, and file its fiscal link.

    Told twice, it changes nothing.

    Args:
        journal: where they are.
        receipt: the closed receipt.
        now_ms: Unix time in milliseconds, for a receipt that does not say when it closed.

    Raises:
        JournalError: one of them could not be stored; it stays paid, and the host's word about it is asked later.

    Money effect: none.
    """
    closed_at = receipt.closed_at if receipt.closed_at is not None else now_ms
    for record in receipt.payments:
        if is_ours(record):
            _confirm(journal, record, closed_at)
            if receipt.fiscal is not None and receipt.kind is ReceiptKind.SALE:
                _file_link(journal, record, receipt.fiscal.url)


def _file_link(journal: Journal, record: PaymentRecord, link: str) -> None:
    row = journal.find(record.payment_id)
    if row is None or row.receipt_id is None:
        return
    if fiscal_data_of(link) is None:
        _log.error("payment %s: its fiscal link is no OFD link with t, r, c and s", record.payment_id)
        return
    FiscalLinks(journal).add(row, link)


def _confirm(journal: Journal, record: PaymentRecord, closed_at: int) -> None:
    row = journal.find(record.payment_id)
    if row is None:
        _log.warning("payment %s is in a closed receipt but not in the journal", record.payment_id)
        return
    try:
        _move_to_recorded(journal, row, closed_at)
    except StateMoved:
        _log.warning("payment %s moved on while its receipt closed", record.payment_id)


def _move_to_recorded(journal: Journal, row: PaymentRow, closed_at: int) -> None:
    if row.state is PaymentState.PAYING:
        # The host stores a payment on PAID alone, so this one was PAID and the journal could not store it then.
        row = journal.move(row, PaymentState.PAID, "the till has the payment that could not be stored as paid")
    if row.state is PaymentState.PAID:
        journal.move(row, PaymentState.RECORDED, "the receipt is closed", closed_at=closed_at)
    elif row.state is PaymentState.RECORDED:
        journal.mark_closed(row, closed_at)
    else:
        _log.error("payment %s is in a closed receipt, but the journal has it as %s", row.payment_id, row.state.value)
