"""A receipt as the reference till keeps it.

What the contract obliges a host to remember is here: every press of a tender from before the plugin is asked, the
record of a paid one, that a cancel or a refund has begun, that a closed receipt was told to the plugins.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from hookspecs import Receipt, ReceiptFiscal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hookspecs import Item, PaymentRecord, PaymentStatus, ReceiptKind, Slip

__all__ = ["BookedReceipt", "Refund", "Tender"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tender:
    """A press of a tender in an open sale.

    Attributes:
        payment_id: new for every press.
        payment_type: the tender's number.
        amount: tiyin.
        verdict: None until the plugin has answered with a result that is not PENDING.
        record: what the plugin wants back with a cancel or a refund; None unless PAID.
        acknowledged: the plugin knows that the record is stored.
    """

    payment_id: str
    payment_type: int
    amount: int
    verdict: PaymentStatus | None = None
    record: PaymentRecord | None = None
    acknowledged: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """What a refund receipt gives back.

    Attributes:
        refund_id: the same when the plugins are asked again after a crash.
        sale_number: receipt number of the sale.
        payment_id: the payment that is given back.
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
class BookedReceipt:
    """A receipt in the till's book.

    Attributes:
        number: its number; the reference till has one shift only.
        kind: a sale or a refund.
        items: its lines.
        total: tiyin.
        tenders: every press of a tender, in order.
        attributes: what the plugins put onto this fiscal receipt.
        slips: what is still to be printed.
        closed_at: Unix time in milliseconds of its closing, or None.
        annulled: it ended without being a sale or a refund.
        told: every plugin has returned from ``on_receipt_closed``.
        cancelling: the payment whose cancel has begun and has no verdict yet, or None.
        refund: what a refund receipt gives back; None for a sale.
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
    told: bool = False
    cancelling: str | None = None
    refund: Refund | None = None
    fiscal_url: str | None = None

    @property
    def is_open(self) -> bool:
        """Say whether it is neither closed nor annulled."""
        return self.closed_at is None and not self.annulled

    def tender(self, payment_id: str) -> Tender | None:
        """Return its tender of this payment id, or None."""
        return next((tender for tender in self.tenders if tender.payment_id == payment_id), None)

    def without_tender(self, payment_id: str) -> BookedReceipt:
        """Return the receipt without its tender of this payment id, as it was before."""
        return replace(self, tenders=tuple(each for each in self.tenders if each.payment_id != payment_id))

    @property
    def is_pending(self) -> bool:
        """Whether a payment in it has no result yet; then it is neither closed nor annulled."""
        return any(tender.verdict is None for tender in self.tenders)

    def with_tender(self, tender: Tender) -> BookedReceipt:
        """Return the receipt with ``tender`` in the place of the one that has its payment id, or at the end."""
        if self.tender(tender.payment_id) is None:
            return replace(self, tenders=(*self.tenders, tender))
        return replace(
            self, tenders=tuple(tender if each.payment_id == tender.payment_id else each for each in self.tenders)
        )

    def for_plugins(self, till: str, *, as_open: bool = False) -> Receipt:
        """Return the receipt as the contract shows it to plugins; ``as_open``: as if it had not been closed."""
        is_closed = self.closed_at is not None and not as_open
        return Receipt(
            till=till,
            shift=1,
            number=self.number,
            kind=self.kind,
            items=self.items,
            total=self.total,
            payments=tuple(tender.record for tender in self.tenders if tender.record is not None),
            closed_at=self.closed_at if is_closed else None,
            fiscal=ReceiptFiscal(url=self.fiscal_url) if is_closed and self.fiscal_url is not None else None,
        )
