"""Compare the journal, Payme's list of receipts and the till's list of sales. It sends no request, changes nothing.

the journal says          Payme should say                            the till's sales
paid                      4                                           with or without it
recorded                  4                                           with it, once the receipt is closed
reversed                  50                                          as above if it was refunded, else without it
reversing                 anything while a cancellation is live       as above if it was refunded, else without it
refused, aborted, unknown anything while a cancellation is live,      without it
                          else 0 or 50
intent, created, paying   anything but 4 or 5: these mean that the    without it
                          buyer is charged
nothing                   no receipt, or one in 0 or 50: the answer   without it
                          of its create was lost, or the scan stopped

States 21 and 30 must change within an hour, even where the table allows them.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from payme_plugin.ledger.states import PaymentState
from payme_plugin.operations.receipt_list import MARGIN_MS, times_of
from payme_plugin.paymego.states import ReceiptState
from payme_plugin.settings import accounts_of_till

if TYPE_CHECKING:
    import re
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from hookspecs import SaleRecord
    from payme_plugin.ledger.reader import JournalReader
    from payme_plugin.ledger.rows import PaymentRow
    from payme_plugin.operations.receipt_list import ReceiptList
    from payme_plugin.paymego.receipts import ServerReceipt
    from payme_plugin.settings import Settings

_PAID = frozenset({PaymentState.PAID, PaymentState.RECORDED})
_REVERSED = frozenset({PaymentState.REVERSING, PaymentState.REVERSED})
_CHARGED = frozenset({ReceiptState.PAID, ReceiptState.HELD})
_WITHOUT_MONEY = frozenset({ReceiptState.CREATED, ReceiptState.CANCELLED})
_UNTOUCHED = _WITHOUT_MONEY | {ReceiptState.CHECKING}
"""Payme holds no money in state 1 either; but it may still take some, so state 1 is not one to agree with."""
_PASSING = frozenset({ReceiptState.CANCELLING, ReceiptState.CLOSING_QUEUED})
_LONGEST_PASSING_MS = 3_600_000
_LONGEST_PAYMENT_MS = 3_600_000
"""The largest ``payDuration`` that the settings allow."""


class DifferenceKind(Enum):
    """How the journal, Payme's list and the till's sales disagree about a receipt."""

    STATE = "state"
    """The state in the journal does not allow Payme's."""
    STUCK = "stuck"
    """Payme has been cancelling (21) or closing (30) it for more than an hour."""
    AMOUNT = "amount"
    """The amounts differ."""
    ONLY_HERE = "only-here"
    """The journal has it, Payme's list lacks it."""
    ONLY_THERE = "only-there"
    """Payme's list has it, the journal lacks it."""
    ONLY_IN_SALES = "only-in-sales"
    """The till has a sale with it, but the journal says that it is not paid.

    If the journal lacks it: Payme's list does not say that it is paid.
    """
    NOT_IN_SALES = "not-in-sales"
    """The journal says that it is in a closed sale, but the till has no such sale."""


@dataclass(frozen=True, slots=True)
class Match:
    """One receipt in the journal, at Payme and in the till's sales.

    Attributes:
        receipt_id: Payme's receipt id.
        payment: what the journal has, or None.
        receipt: what Payme's list has, or None.
        sale: what the till's list has, or None.
    """

    receipt_id: str
    payment: PaymentRow | None
    receipt: ServerReceipt | None
    sale: SaleRecord | None = None

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
        match: about which receipt.
    """

    kind: DifferenceKind
    match: Match


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The result of a comparison.

    Attributes:
        differences: the disagreements, the most money first.
        returning: payments that disagree only because a live cancellation is still returning their money.
        of_other_tills: receipts that may hold money, are in neither journal nor sales, and whose account does not name
            this till.
        agreed: how many receipts agree.
        in_progress: how many payments can't be compared, because they changed meanwhile or may still change.
        in_journal: sum of what the journal says is paid, in tiyin.
        at_payme: sum of what Payme may hold, in tiyin, without other tills.
    """

    differences: tuple[Difference, ...]
    returning: tuple[Difference, ...]
    of_other_tills: tuple[ServerReceipt, ...]
    agreed: int
    in_progress: int
    in_journal: int
    at_payme: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the journal says about a period.

    Attributes:
        payments: the payments of the merchant account.
        others: the payments of other merchant accounts.
        live: when the live cancellation of a payment was written, by ``payment_id``.
        tills: the names of this till.
    """

    payments: tuple[PaymentRow, ...] = ()
    others: tuple[PaymentRow, ...] = ()
    live: Mapping[str, int]
    tills: frozenset[str] = frozenset()


def read_journal(
    journal: JournalReader,
    settings: Settings,
    listed: ReceiptList,
    sales: Iterable[SaleRecord] | None,
    period: tuple[int, int],
) -> Stored:
    """Return what the journal says about a period and about the receipts in the other lists.

    Call it after the other lists were read, so that a payment made meanwhile is in the result.

    Args:
        journal: the journal.
        settings: the merchant account.
        listed: Payme's list.
        sales: the till's sales, or None.
        period: its begin and its end, which is exclusive, in Unix milliseconds.

    Raises:
        JournalError: the journal can't be read.
    """
    rows = {row.payment_id: row for row in journal.payments_between(period[0] - MARGIN_MS, period[1] + MARGIN_MS)}
    # A payment from the host's record has no attempt, and may be of another till, whose sale was refunded here.
    tills = frozenset({journal.host_identity, *(row.till for row in rows.values() if row.attempt)})
    is_ours = TillAccounts(settings.account, tills)
    names_till = accounts_of_till(settings.account, "") is not None
    # A sale may close long after it was paid, and the till's clock may have been set since.
    wanted = {receipt.receipt_id for receipt in listed.receipts if is_ours(receipt) or not names_till}
    wanted |= {sale.receipt_id for sale in sales or ()}
    for receipt_id in filter(None, wanted - {row.receipt_id for row in rows.values()}):
        row = journal.find_receipt(receipt_id)
        if row is not None:
            rows[row.payment_id] = row
    return Stored(
        payments=tuple(row for row in rows.values() if row.pos_id == settings.pos_id),
        others=tuple(row for row in rows.values() if row.pos_id != settings.pos_id),
        live={row.payment_id: row.created_at for row in journal.live_cancellations()},
        tills=tills,
    )


class TillAccounts:
    """Decide whether a receipt's account was made by this till.

    Args:
        template: the setting ``account``. Without the till's name in it, no receipt is this till's.
        tills: the names of this till.
    """

    def __init__(self, template: str, tills: Iterable[str]) -> None:
        self._made: list[dict[str, re.Pattern[str]]] = [
            made for till in tills if (made := accounts_of_till(template, till)) is not None
        ]

    def __call__(self, receipt: ServerReceipt) -> bool:
        """Return whether each field of the receipt's account has a value that this till could make."""
        account = receipt.account
        return any(
            all(name in account and pattern.fullmatch(account[name]) for name, pattern in made.items())
            for made in self._made
        )


def reconcile(
    stored: Stored,
    listed: ReceiptList,
    sales: Iterable[SaleRecord] | None,
    is_ours: Callable[[ServerReceipt], bool],
    period: tuple[int, int],
    *,
    as_of_ms: int,
) -> Reconciled:
    """Compare what the journal, Payme and the till have of a period.

    The clocks differ, so the lists may reach beyond the period. A receipt counts if it is in the period by the time in
    the journal or by Payme's. One that only the till has counts by the time of its sale. A sale may close long after it
    was paid.

    Args:
        stored: the journal.
        listed: Payme's list, from somewhat before to somewhat after the period.
        sales: the till's sales closed from somewhat before the period until now; None if the till can't list them.
        is_ours: returns whether this till made a receipt, by its account.
        period: its begin and its end, which is exclusive, in Unix milliseconds.
        as_of_ms: when the reading of Payme's list began, by the till's clock. Payments that changed since, or that may
            still be in progress, are left out.
    """
    matches: list[Match] = []
    of_other_tills: list[ServerReceipt] = []
    in_progress = 0
    elsewhere = {row.receipt_id for row in stored.others}
    sold = [sale for sale in sales or () if sale.receipt_id not in elsewhere]
    for match in _matches(stored.payments, listed.receipts, sold):
        payment, receipt = match.payment, match.receipt
        if not _is_in(match, *period):
            continue
        if payment is not None and _is_in_progress(payment, as_of_ms):
            in_progress += 1
        elif receipt is None or payment is not None or match.sale is not None:
            matches.append(match)
        elif receipt.state in _WITHOUT_MONEY:
            continue
        elif is_ours(receipt):
            matches.append(match)
        else:
            of_other_tills.append(receipt)
    found = [
        Difference(kind, match)
        for match in matches
        for kind in _disagreements(match, stored.live, listed.server_ms, has_sales=sales is not None)
    ]
    returning = [each for each in found if _is_returning(each, stored.live)]
    differences = [each for each in found if not _is_returning(each, stored.live)]
    return Reconciled(
        differences=tuple(sorted(differences, key=_by_money)),
        returning=tuple(sorted(returning, key=_by_money)),
        of_other_tills=tuple(of_other_tills),
        agreed=len(matches) - len({id(each.match) for each in found}),
        in_progress=in_progress,
        in_journal=sum(match.in_journal for match in matches),
        at_payme=sum(match.at_payme for match in matches),
    )


def _matches(
    payments: Iterable[PaymentRow], receipts: Iterable[ServerReceipt], sales: Iterable[SaleRecord]
) -> Iterator[Match]:
    theirs = {receipt.receipt_id: receipt for receipt in receipts if receipt.receipt_id is not None}
    sold: dict[str, SaleRecord] = {}
    for sale in sales:
        if sold.setdefault(sale.receipt_id, sale) is not sale:  # one payment can't pay for two sales
            yield Match(sale.receipt_id, None, None, sale)
    for payment in payments:
        if payment.receipt_id is not None:
            receipt_id = payment.receipt_id
            yield Match(receipt_id, payment, theirs.pop(receipt_id, None), sold.pop(receipt_id, None))
    for receipt_id, receipt in theirs.items():
        yield Match(receipt_id, None, receipt, sold.pop(receipt_id, None))
    for receipt_id, sale in sold.items():
        yield Match(receipt_id, None, None, sale)


def _is_in(match: Match, begin_ms: int, end_ms: int) -> bool:
    payment, receipt, sale = match.payment, match.receipt, match.sale
    known = [] if payment is None else [payment.created_at]
    if receipt is not None and receipt.create_time_ms is not None:
        known.append(receipt.create_time_ms)
    if payment is None and receipt is None and sale is not None:
        known = [sale.sold_at]
    # A receipt without a time was listed for the period, so it counts.
    return not known or any(begin_ms <= time < end_ms for time in known)


def _is_in_progress(payment: PaymentRow, as_of_ms: int) -> bool:
    return payment.updated_at >= as_of_ms - (_LONGEST_PAYMENT_MS if payment.state.is_unfinished else 0)


def _is_returning(difference: Difference, live: Mapping[str, int]) -> bool:
    payment = difference.match.payment
    return difference.kind is DifferenceKind.STATE and payment is not None and payment.payment_id in live


def _disagreements(
    match: Match, live: Mapping[str, int], server_ms: int, *, has_sales: bool
) -> Iterator[DifferenceKind]:
    payment, receipt, sale = match.payment, match.receipt, match.sale
    if receipt is None and payment is not None:
        yield DifferenceKind.ONLY_HERE
    elif payment is None and receipt is not None:
        yield DifferenceKind.ONLY_THERE
    elif payment is not None and receipt is not None:
        if _is_stuck(receipt, live.get(payment.payment_id, 0), server_ms):
            yield DifferenceKind.STUCK
        elif not _agree(payment.state, receipt.state):
            yield DifferenceKind.STATE
    if len({each.amount for each in (payment, receipt, sale) if each is not None}) > 1:
        yield DifferenceKind.AMOUNT
    is_paid = receipt is not None and receipt.state == ReceiptState.PAID
    if sale is not None and not (is_paid if payment is None else _may_be_sold(payment)):
        yield DifferenceKind.ONLY_IN_SALES
    is_sold = payment is not None and payment.state is PaymentState.RECORDED and payment.closed_at is not None
    if has_sales and sale is None and is_sold:
        yield DifferenceKind.NOT_IN_SALES


def _is_stuck(receipt: ServerReceipt, cancelled_at: int, server_ms: int) -> bool:
    """Return whether Payme has been cancelling (21) or closing (30) a receipt for more than an hour.

    Payme's list does not say since when, so the latest time counts that Payme or the journal's cancellation names.
    """
    since_ms = max([cancelled_at, *times_of(receipt)])
    return receipt.state in _PASSING and server_ms - since_ms > _LONGEST_PASSING_MS


def _may_be_sold(payment: PaymentRow) -> bool:
    """Return whether the till's sales may include a payment; the sale of a refunded one stays among them."""
    return payment.state in _PAID or (payment.state in _REVERSED and payment.closed_at is not None)


def _agree(ours: PaymentState, theirs: int | None) -> bool:
    if theirs is None:
        return False
    if ours in _PAID:
        return theirs == ReceiptState.PAID
    if ours in _REVERSED:
        return theirs == ReceiptState.CANCELLED
    if ours.is_unfinished:
        return theirs not in _CHARGED
    return theirs in _WITHOUT_MONEY


def _by_money(difference: Difference) -> tuple[int, str, str]:
    match = difference.match
    sold = 0 if match.sale is None else match.sale.amount
    return -max(match.at_payme, match.in_journal, sold), difference.kind.value, match.receipt_id
