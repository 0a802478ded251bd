"""The host stored a payment durably, or closed its receipt; afterwards only a cancel or refund returns its money.

| The journal's payment                                   | What an acknowledgement does                          |
|---------------------------------------------------------|-------------------------------------------------------|
| paid                                                    | it is recorded                                        |
| recorded                                                | nothing                                               |
| reversing as *unrecorded*, no ``cancel`` begun          | the cancellation ends, it is recorded                 |
| reversing for another reason, reversed, or ended unpaid | it is stored; a notice says that the sale has no money |
| without a result                                        | it is stored, and applied to the result               |
| none                                                    | it is adopted if the record names receipt and account |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from payme_plugin.ledger.errors import Conflict, Unstorable
from payme_plugin.ledger.rows import Intent
from payme_plugin.ledger.states import PaymentState
from payme_plugin.log import Log
from payme_plugin.operations.results import SALE_NOTICE, is_ours
from payme_plugin.texts import Text

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import PaymentRecord, Receipt
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.texts import Texts

_log = Log()

_MAX_TIME_DIGITS = 15
_WITHOUT_MONEY = frozenset({PaymentState.REVERSING, PaymentState.REVERSED})


def acknowledge(
    journal: Journal,
    owner: str,
    texts: Texts,
    notice: Callable[[str, str | None], None],
    record: PaymentRecord,
    sale: Receipt | None,
) -> PaymentRow | None:
    """Acknowledge one payment; return it, or None if neither the journal nor the record identifies it.

    Args:
        journal: the journal.
        owner: this process's token.
        texts: the cashier's language.
        notice: shows a notice at the till, by key.
        record: the payment as the host stored it.
        sale: its receipt if it is closed; ``closed_at`` is set.

    Raises:
        JournalError: nothing was stored.
    """
    if not is_ours(record):
        return None
    row = None
    try:
        # An operator's command may have stored it from Payme's list, with the receipt id as the payment id.
        known = journal.find(record.payment_id) or journal.find(record.data.get("receipt_id", ""))
        if conflicts_with(record, known):
            _log.error("payment %s is acknowledged with another receipt of Payme's", record.payment_id)
        elif known is not None:
            if known.state is PaymentState.PAYING and known.owner != owner:
                # Its process has ended, so it gets no other result; e.g. the journal was restored from a copy.
                known = journal.move(known, PaymentState.PAID, "the till has it")
            row = journal.acknowledge(known, closed_at=None if sale is None else sale.closed_at)
        elif is_complete(record):
            return import_from_host(journal, owner, record, sale)
    except (Conflict, Unstorable) as error:
        _log.error("payment %s: %s", record.payment_id, error)
    if row is None or row.state.is_not_paid or row.state in _WITHOUT_MONEY:
        _log.error("payment %s is in a sale, but the journal has no money for it", record.payment_id)
        number = sale.number if sale is not None else row.number if row is not None else "-"
        notice(SALE_NOTICE, texts(Text.NOTICE_SALE_UNPAID, number=number))
    return row


def conflicts_with(record: PaymentRecord, row: PaymentRow | None) -> bool:
    """Return whether the journal has a record's payment under another receipt id."""
    receipt_id = record.data.get("receipt_id")
    return row is not None and bool(receipt_id) and row.receipt_id != receipt_id


def is_complete(record: PaymentRecord) -> bool:
    """Return whether a host's record names the receipt and merchant account of a lost payment."""
    return all(record.data.get(name) for name in ("receipt_id", "posId"))


def import_from_host(journal: Journal, owner: str, record: PaymentRecord, sale: Receipt | None) -> PaymentRow:
    """Store a payment that the journal lost, from the host's record.

    Args:
        journal: where to store it.
        owner: this process's token.
        record: as the host stored it; it is complete.
        sale: the sale that it is in, or None if that is unknown; ``closed_at`` is None if it is open.

    Raises:
        Conflict: the journal already has it, or has its receipt under another payment.
        Unavailable: nothing was stored.
    """
    paid_at = record.data.get("paid_at", "")
    is_time = paid_at.isascii() and paid_at.isdigit() and len(paid_at) <= _MAX_TIME_DIGITS
    return journal.import_payment(
        Intent(
            payment_id=record.payment_id,
            payment_type=record.payment_type,
            amount=record.amount,
            till=journal.host_identity if sale is None else sale.till,
            shift=0 if sale is None else sale.shift,
            number=0 if sale is None else sale.number,
            pos_id=record.data["posId"],
            url=record.data.get("url", ""),
            owner=owner,
        ),
        "from the till's record; the journal did not have it",
        receipt_id=record.data["receipt_id"],
        paid_at=int(paid_at) if is_time else None,
        closed_at=None if sale is None else sale.closed_at,
    )
