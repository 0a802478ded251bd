"""Return the money of paid receipts that neither the journal nor the till knows.

This can hit a sale that the till has, if its journal and its list of sales are both wrong. So it is done only on an
operator's command, and only if every proof is there.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from payme_plugin.ledger.rows import Intent
from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.receipt_list import times_of
from payme_plugin.operations.recovery import end_without_sale
from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.ledger.journal import Journal
    from payme_plugin.operations.receipt_list import ReceiptList
    from payme_plugin.paymego.receipts import ServerReceipt
    from payme_plugin.settings import Settings
    from payme_plugin.texts import Texts

_YOUNGEST_MS = 3_600_000


class Obstacle(Enum):
    """Why the money of a receipt is not returned."""

    OTHER_TILL = "other-till"
    """Its account does not name this till."""
    NOT_PAID = "not-paid"
    """It is not in state 4 with the same amount in both lists."""
    TOO_YOUNG = "too-young"
    """Payme names no time that is an hour later."""
    NOT_READY = "not-ready"
    """The till has not acknowledged its sales since the journal was created or repaired: it may hold the payment."""
    RECORDED = "recorded"
    """The till says that it has the payment."""
    NOT_ASKED = "not-asked"
    """The till can't tell, or can't be asked, whether it has the payment."""
    KNOWN = "known"
    """The journal has it after all, under another merchant account or in a damaged row."""


def obstacle_of(
    receipt: ServerReceipt,
    again: ReceiptList,
    is_ours: Callable[[ServerReceipt], bool],
    is_recorded: Callable[[str], bool | None],
    *,
    is_ready: bool,
) -> Obstacle | None:
    """Return why the money of a receipt that nobody knows can't be returned, or None if it can.

    Args:
        receipt: from a first complete list.
        again: a second one.
        is_ours: returns whether this till made a receipt, by its account.
        is_recorded: asks the till about a receipt id; a payment id is not known.
        is_ready: ``on_ready`` was called since the journal was created or repaired.
    """
    later = next((each for each in again.receipts if each.receipt_id == receipt.receipt_id), None)
    if later is None or receipt.receipt_id is None or not (is_ours(receipt) and is_ours(later)):
        return Obstacle.OTHER_TILL if later is not None else Obstacle.NOT_PAID
    is_paid = receipt.state == later.state == ReceiptState.PAID
    if not is_paid or not receipt.amount or receipt.amount < 0 or receipt.amount != later.amount:
        return Obstacle.NOT_PAID
    # The newest time that Payme names is never later than its clock.
    if later.create_time_ms is None or again.server_ms - max(times_of(later)) < _YOUNGEST_MS:
        return Obstacle.TOO_YOUNG
    if not is_ready:
        return Obstacle.NOT_READY
    answer = is_recorded(receipt.receipt_id)
    if answer is None:
        return Obstacle.NOT_ASKED
    return Obstacle.RECORDED if answer else None


def cancel_unknown(journal: Journal, owner: str, settings: Settings, receipt: ServerReceipt, texts: Texts) -> None:
    """Store a paid receipt as a payment that the till does not have, with its cancellation.

    Args:
        journal: the journal; this process is the leader.
        owner: this process's token.
        settings: the merchant account.
        receipt: without an obstacle.
        texts: for the result that a host may ask for later.

    Raises:
        Conflict: the journal has the receipt.
        Unavailable: nothing was stored, or only the payment, which is an orphan at the till's next start.

    Money effect: leaves a cancellation of the whole amount.
    """
    receipt_id, amount = str(receipt.receipt_id), receipt.amount or 0
    row = journal.import_payment(
        Intent(
            payment_id=receipt_id,
            payment_type=settings.payment_type,
            amount=amount,
            till=journal.host_identity,
            shift=0,
            number=0,
            pos_id=settings.pos_id,
            url=settings.url,
            owner=owner,
        ),
        "from Payme's list; neither the journal nor the till had it",
        PaymentState.PAID,
        receipt_id=receipt_id,
        paid_at=receipt.pay_time_ms,
    )
    end_without_sale(journal, row, "cancelled by an operator: the till does not have it", texts)
