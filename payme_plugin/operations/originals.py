"""Which payment a cancel or a refund is about, and what forbids giving it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from payme_plugin.ledger.cancellations import Cancellations
from payme_plugin.ledger.states import Cause, PaymentState
from payme_plugin.operations.refund_rules import FOREIGN_PAYMENT, violations_of
from payme_plugin.operations.results import is_ours, record_of

if TYPE_CHECKING:
    from hookspecs import CancelRequest, PaymentRecord, RefundRequest, RefundViolation
    from payme_plugin.ledger.journal import Journal
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.texts import Texts

__all__ = [
    "RETURNED",
    "Original",
    "is_cause",
    "is_contradicted",
    "original_of",
    "row_of_cancel",
    "violations",
    "violations_without_journal",
]

RETURNED = frozenset({PaymentState.REVERSING, PaymentState.REVERSED})
"""The states of a payment that went back by the host's own call, or is on its way."""


@dataclass(frozen=True, slots=True)
class Original:
    """The payment that a refund is about.

    Attributes:
        record: as the host stored it, or as the journal has it where the host lost it.
        row: the journal's row, or None where the journal lost it.
    """

    record: PaymentRecord
    row: PaymentRow | None

    @property
    def payment_id(self) -> str:
        """The id under which the journal has it, or will have it."""
        return self.record.payment_id if self.row is None else self.row.payment_id


def row_of_cancel(journal: Journal, request: CancelRequest) -> PaymentRow | None:
    """Return the payment of ours that a cancel is about; None where the journal has none.

    Args:
        journal: a record that lost its data is found there by its id, under the tender that took it.
        request: the cancel.

    Raises:
        JournalError: the journal can't be read.
    """
    record = request.payment
    if record.data:
        return _row_of(journal, record) if is_ours(record) else None
    row = journal.find(record.payment_id)
    return row if row is not None and row.payment_type == record.payment_type else None


def original_of(journal: Journal, request: RefundRequest) -> Original | None:
    """Return the payment of ours that a refund is about; None where there is none.

    Args:
        journal: asked where the host lost the payment: it is the one of our tender in that sale.
        request: the refund.

    Raises:
        JournalError: the journal can't be read.
    """
    record = request.payment
    if record is not None and record.data:
        row = _row_of(journal, record)
        return Original(record, row) if is_ours(record) and not is_contradicted(record, row) else None
    if request.sale is None:
        return None
    rows = [
        row
        for row in journal.payments_of_sale(request.sale.till, request.sale.shift, request.sale.number)
        if row.payment_type == request.payment_type
        and row.state in {PaymentState.PAID, PaymentState.RECORDED, *RETURNED}
        and (record is None or record.payment_id == row.payment_id)
    ]
    return Original(record_of(rows[0]), rows[0]) if len(rows) == 1 else None


def violations(
    journal: Journal, request: RefundRequest, original: Original | None, texts: Texts
) -> list[RefundViolation]:
    """Return what forbids a refund of our tender or of a payment of ours; an empty list: nothing.

    Raises:
        JournalError: the journal can't be read.

    Money effect: none.
    """
    row = original.row if original is not None else None
    is_reversed = row is not None and row.state in RETURNED and not is_cause(journal, row, request.refund_id)
    record = original.record if original is not None else None
    # What was charged is what the journal says, where it says anything.
    known = record_of(row) if row is not None else record
    return violations_of(request, known, texts, is_reversed=is_reversed)


def violations_without_journal(request: RefundRequest, texts: Texts) -> list[RefundViolation]:
    """Return what forbids a refund as far as that can be told while the journal can't be read.

    Which payment the host lost, and whether one was returned, only the journal knows: of that nothing is said.

    Money effect: none.
    """
    record = request.payment if request.payment is not None and is_ours(request.payment) else None
    found = violations_of(request, record, texts, is_reversed=False)
    is_lost = request.payment is None or not request.payment.data
    return [each for each in found if not (is_lost and each.rule == FOREIGN_PAYMENT)]


def is_cause(journal: Journal, row: PaymentRow, refund_id: str) -> bool:
    """Say whether it was this refund that gave a payment back, or is giving it back.

    Raises:
        JournalError: the journal can't be read.
    """
    latest = Cancellations(journal).latest_of(row.payment_id)
    return latest is not None and latest.cause is Cause.REFUND and latest.request_id == refund_id


def _row_of(journal: Journal, record: PaymentRecord) -> PaymentRow | None:
    row = journal.find(record.payment_id)
    if row is None and record.data.get("receipt_id"):
        row = journal.find_receipt(record.data["receipt_id"])
    return row


def is_contradicted(record: PaymentRecord, row: PaymentRow | None) -> bool:
    """Say whether the journal has another receipt of Payme's for the record's payment: nobody knows which is meant."""
    receipt_id = record.data.get("receipt_id")
    return row is not None and bool(receipt_id) and row.receipt_id != receipt_id
