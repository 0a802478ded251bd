"""Compare the journal with Payme's list of receipts; send no request and change nothing.

the journal says          Payme should say
paid, recorded            4
reversed                  50
reversing                 anything while a cancellation is live, else 50
refused, aborted, unknown anything while a cancellation is live, else 0 or 50
intent, created, paying   anything but 4 or 5: these mean that the buyer is charged
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from payme_plugin.ledger.states import PaymentState
from payme_plugin.paymego.states import ReceiptState

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.paymego.receipts import ServerReceipt

_PAID = frozenset({PaymentState.PAID, PaymentState.RECORDED})
_CHARGED = frozenset({ReceiptState.PAID, ReceiptState.HELD})
_WITHOUT_MONEY = frozenset({ReceiptState.CREATED, ReceiptState.CANCELLED})
_UNTOUCHED = _WITHOUT_MONEY | {ReceiptState.CHECKING}


class DifferenceKind(Enum):
    """How the journal and Payme's list disagree about a receipt."""

    STATE = "state"
    """The state in the journal does not allow Payme's."""
    AMOUNT = "amount"
    """The amounts differ."""
    ONLY_HERE = "only-here"
    """Payme's list lacks it."""
    ONLY_THERE = "only-there"
    """The journal lacks it."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One receipt in the journal and at Payme.

    Attributes:
        receipt_id: Payme's receipt id.
        payment: what the journal has, or None.
        receipt: what Payme's list has, or None.
    """

    receipt_id: str
    payment: PaymentRow | None
    receipt: ServerReceipt | None

    @property
    def in_journal(self) -> int:
        """What the journal says is paid, in tiyin."""
        return self.payment.amount if self.payment is not None and self.payment.state in _PAID else 0

    @property
    def at_payme(self) -> int:
        """What Payme may hold, in tiyin."""
        if self.receipt is None or self.receipt.state in _UNTOUCHED:
            return 0
        return self.receipt.amount or 0


@dataclass(frozen=True, slots=True)
class Difference:
    """One disagreement.

    Attributes:
        kind: how they disagree.
        pair: about which receipt.
    """

    kind: DifferenceKind
    pair: Pair


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The result of a comparison.

    Attributes:
        differences: the disagreements, the most money first.
        returning: payments that disagree only because a live cancellation is still returning their money.
        agreed: how many receipts agree.
        in_journal: sum of what the journal says is paid, in tiyin.
        at_payme: sum of what Payme may hold, in tiyin.
    """

    differences: tuple[Difference, ...]
    returning: tuple[Difference, ...]
    agreed: int
    in_journal: int
    at_payme: int


def reconcile(
    payments: Iterable[PaymentRow],
    receipts: Iterable[ServerReceipt],
    live: Collection[str],
    *,
    begin_ms: int,
    end_ms: int,
) -> Reconciled:
    """Compare what the journal and Payme have of a period.

    The two clocks differ, so both lists may reach beyond the period. A receipt counts if either side has it inside.

    Args:
        payments: the journal's payments of one merchant account, of all times.
        receipts: Payme's receipts of that account, from somewhat before to somewhat after the period.
        live: ids of the payments whose cancellation has not ended.
        begin_ms: begin of the period, Unix milliseconds.
        end_ms: its end, exclusive.
    """
    pairs = [pair for pair in _pairs(payments, receipts) if _is_in(pair, begin_ms, end_ms)]
    found = [Difference(kind, pair) for pair in pairs for kind in _disagreements(pair)]
    returning = [each for each in found if each.kind is DifferenceKind.STATE and _is_returning(each.pair, live)]
    differences = [each for each in found if each not in returning]
    return Reconciled(
        differences=tuple(sorted(differences, key=_by_money)),
        returning=tuple(sorted(returning, key=_by_money)),
        agreed=len(pairs) - len({each.pair.receipt_id for each in found}),
        in_journal=sum(pair.in_journal for pair in pairs),
        at_payme=sum(pair.at_payme for pair in pairs),
    )


def _is_returning(pair: Pair, live: Collection[str]) -> bool:
    return pair.payment is not None and pair.payment.payment_id in live


def _pairs(payments: Iterable[PaymentRow], receipts: Iterable[ServerReceipt]) -> Iterator[Pair]:
    theirs = {receipt.receipt_id: receipt for receipt in receipts if receipt.receipt_id is not None}
    for payment in payments:
        if payment.receipt_id is not None:
            yield Pair(payment.receipt_id, payment, theirs.pop(payment.receipt_id, None))
    for receipt_id, receipt in theirs.items():
        yield Pair(receipt_id, None, receipt)


def _is_in(pair: Pair, begin_ms: int, end_ms: int) -> bool:
    times = (
        pair.payment.created_at if pair.payment is not None else None,
        pair.receipt.create_time_ms if pair.receipt is not None else None,
    )
    known = [time for time in times if time is not None]
    # A receipt without a time was listed for the period, so it counts.
    return not known or any(begin_ms <= time < end_ms for time in known)


def _disagreements(pair: Pair) -> Iterator[DifferenceKind]:
    if pair.payment is None:
        yield DifferenceKind.ONLY_THERE
    elif pair.receipt is None:
        yield DifferenceKind.ONLY_HERE
    else:
        if pair.receipt.amount != pair.payment.amount:
            yield DifferenceKind.AMOUNT
        if not _agree(pair.payment.state, pair.receipt.state):
            yield DifferenceKind.STATE


def _agree(ours: PaymentState, theirs: int | None) -> bool:
    if theirs is None:
        return False
    if ours in _PAID:
        return theirs == ReceiptState.PAID
    if ours in {PaymentState.REVERSING, PaymentState.REVERSED}:
        return theirs == ReceiptState.CANCELLED
    if ours.is_unfinished:
        return theirs not in _CHARGED
    return theirs in _WITHOUT_MONEY


def _by_money(difference: Difference) -> tuple[int, str, str]:
    pair = difference.pair
    return -max(pair.at_payme, pair.in_journal), difference.kind.value, pair.receipt_id
