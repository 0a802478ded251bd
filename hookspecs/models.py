"""What the hooks take and return.

Every amount is an integer in tiyin (1 sum = 100 tiyin); a quantity is a ``Decimal``; no amount is ever a float.
A time is an integer, Unix time in milliseconds.
A model with a field of the wrong type raises ``TypeError`` where it is made, so that no hook receives one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

__all__ = [
    "CancelRequest",
    "GoodsKind",
    "Item",
    "ItemFiscal",
    "PaymentRecord",
    "PaymentRequest",
    "PaymentResult",
    "PaymentStatus",
    "PaymentType",
    "QueueMessage",
    "QueueVerdict",
    "Receipt",
    "ReceiptFiscal",
    "ReceiptKind",
    "RefundRequest",
    "RefundViolation",
    "ReversalResult",
    "ReversalStatus",
    "SaleRecord",
    "Shift",
    "Slip",
]


class ReceiptKind(Enum):
    """What a receipt is."""

    SALE = "SALE"
    REFUND = "REFUND"


class GoodsKind(Enum):
    """How the law treats goods; everything but ORDINARY is marked or excise."""

    ORDINARY = "ORDINARY"
    MARKED = "MARKED"
    ALCOHOL = "ALCOHOL"
    TOBACCO = "TOBACCO"
    SHOES = "SHOES"
    MEDICINE = "MEDICINE"


class PaymentStatus(Enum):
    """How a payment ended. Only PAID adds the tender to the sale."""

    PAID = "PAID"
    """The money is the shop's."""
    REFUSED = "REFUSED"
    """No money moved, or its return is under way."""
    ABORTED = "ABORTED"
    """The cashier stopped it; what may have been charged goes back."""
    UNKNOWN = "UNKNOWN"
    """Time ran out; what may have been charged goes back."""
    PENDING = "PENDING"
    """The outcome can't be told now: neither add nor remove the tender, and ask again with ``repeated``."""


class ReversalStatus(Enum):
    """How a cancel or a refund ended."""

    REVERSED = "REVERSED"
    """The money is back with the buyer: annul the sale or close the refund, pay out nothing else."""
    QUEUED = "QUEUED"
    """The money will go back by itself: annul the sale or close the refund, pay out nothing else."""
    REFUSED = "REFUSED"
    """The payment stands: keep the sale."""


class QueueVerdict(Enum):
    """What the host's queue does with a message that it delivered."""

    DONE = "DONE"
    """Its work is over: remove it."""
    RETRY = "RETRY"
    """Deliver it again later."""
    DROP = "DROP"
    """It is not for this plugin: remove it and say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentType:
    """A tender that a plugin answers to.

    Attributes:
        number: the tender's number at this till.
        name: what the cashier reads, in the host's language.
    """

    number: int
    name: str

    def __post_init__(self) -> None:
        _require(self, int, "number")
        _require(self, str, "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    """A payment as the host stores it with the sale and hands it back.

    Attributes:
        payment_id: the host's id of the payment.
        payment_type: the tender's number.
        amount: tiyin.
        data: the plugin's own facts, strings to strings, without secrets. ``data["plugin"]`` names the plugin that took
            the payment. The plugin ``payme`` stores ``v`` (version of these facts), ``plugin``, ``receipt_id``,
            ``posId`` and ``url`` (where it was charged) and ``paid_at`` (Unix time in milliseconds).
    """

    payment_id: str
    payment_type: int
    amount: int
    data: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require(self, str, "payment_id")
        _require(self, int, "payment_type", "amount")
        _require_texts(self, "data")


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemFiscal:
    """What the tax authority asks of an item.

    Attributes:
        code: IKPU (MXIK) of the goods, digits, leading zeros kept.
        package_code: package code from the IKPU card.
        vat_percent: VAT rate in percent.
        units: unit code, where there is one.
        discount: tiyin off the whole quantity.
    """

    code: str
    package_code: str
    vat_percent: int
    units: int | None = None
    discount: int = 0

    def __post_init__(self) -> None:
        _require(self, str, "code", "package_code")
        _require(self, int, "vat_percent", "discount")
        _require_or_none(self, int, "units")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of a receipt.

    Attributes:
        name: the goods' name, any text.
        quantity: how many or how much.
        price: tiyin for one.
        amount: tiyin for the line.
        barcode: the goods' barcode, digits; empty where there is none.
        goods: how the law treats them.
        marking: the marking code of this piece, or None.
        fiscal: the tax authority's codes, or None.
    """

    name: str
    quantity: Decimal
    price: int
    amount: int
    barcode: str = ""
    goods: GoodsKind = GoodsKind.ORDINARY
    marking: str | None = None
    fiscal: ItemFiscal | None = None

    def __post_init__(self) -> None:
        _require(self, str, "name", "barcode")
        _require(self, Decimal, "quantity")
        _require(self, int, "price", "amount")
        _require(self, GoodsKind, "goods")
        _require_or_none(self, str, "marking")
        _require_or_none(self, ItemFiscal, "fiscal")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptFiscal:
    """The fiscal side of a closed receipt.

    Attributes:
        url: the OFD link that is printed as a QR code.
    """

    url: str

    def __post_init__(self) -> None:
        _require(self, str, "url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt of the till, open or closed.

    Attributes:
        till: the till's stable name.
        shift: number of the shift.
        number: number of the receipt in its shift.
        kind: a sale or a refund.
        items: its lines.
        total: tiyin.
        payments: the payments in it so far.
        closed_at: Unix time in milliseconds of its closing; None while it is open.
        fiscal: its fiscal side, once it has one.
    """

    till: str
    shift: int
    number: int
    kind: ReceiptKind
    items: tuple[Item, ...]
    total: int
    payments: tuple[PaymentRecord, ...] = ()
    closed_at: int | None = None
    fiscal: ReceiptFiscal | None = None

    def __post_init__(self) -> None:
        _require(self, str, "till")
        _require(self, int, "shift", "number", "total")
        _require(self, ReceiptKind, "kind")
        _require_each(self, Item, "items")
        _require_each(self, PaymentRecord, "payments")
        _require_or_none(self, int, "closed_at")
        _require_or_none(self, ReceiptFiscal, "fiscal")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRequest:
    """A tender was selected on an open sale.

    Attributes:
        payment_id: new for every press of the tender; the same only when the host asks again.
        payment_type: the tender's number.
        amount: tiyin to charge.
        receipt: the open sale.
        qr_code: the buyer's code if the host scanned it already; None: the plugin asks ``ui.scan``.
        repeated: the host asks again for a payment that it had begun; nothing is scanned and no charge begins.
    """

    payment_id: str
    payment_type: int
    amount: int
    receipt: Receipt
    qr_code: str | None = field(default=None, repr=False)
    repeated: bool = False

    def __post_init__(self) -> None:
        _require(self, str, "payment_id")
        _require(self, int, "payment_type", "amount")
        _require(self, Receipt, "receipt")
        _require_or_none(self, str, "qr_code")
        _require(self, bool, "repeated")


@dataclass(frozen=True, slots=True, kw_only=True)
class CancelRequest:
    """A sale that holds a payment is annulled before it closes, or a PAID could not be stored.

    Attributes:
        payment: the payment as the host stored it, or as the PAID result had it.
        receipt: the open sale.
        reason: why, for the log.
    """

    payment: PaymentRecord
    receipt: Receipt
    reason: str = ""

    def __post_init__(self) -> None:
        _require(self, PaymentRecord, "payment")
        _require(self, Receipt, "receipt")
        _require(self, str, "reason")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundRequest:
    """A refund by sale receipt.

    Attributes:
        refund_id: the host's id of this refund; the same only when it asks again after a crash.
        payment_type: number of the tender that is paid out.
        payment: the original payment as the host stored it, or None where it has none.
        sale: the original sale, or None for a refund without one.
        refund: the refund receipt as it would close.
        amount: tiyin to give back.
        manual_selection: the choice of goods for a refund is on and the cashier built this refund by hand.
        currency_selection: the cashier may choose the tender that the refund is paid out in.
    """

    refund_id: str
    payment_type: int
    payment: PaymentRecord | None
    sale: Receipt | None
    refund: Receipt
    amount: int
    manual_selection: bool
    currency_selection: bool

    def __post_init__(self) -> None:
        _require(self, str, "refund_id")
        _require(self, int, "payment_type", "amount")
        _require(self, Receipt, "refund")
        _require(self, bool, "manual_selection", "currency_selection")
        _require_or_none(self, PaymentRecord, "payment")
        _require_or_none(self, Receipt, "sale")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundViolation:
    """A reason why a refund may not close.

    Attributes:
        rule: ``partial-refund``, ``manual-selection-required``, ``currency-selection-forbidden``,
            ``no-sale-receipt``, ``already-reversed`` or ``foreign-payment``.
        message: what the cashier reads, in the host's language.
    """

    rule: str
    message: str

    def __post_init__(self) -> None:
        _require(self, str, "rule", "message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """A bank slip, ready to print.

    Attributes:
        xml: the validated document.
        lines: the same, as text lines no wider than the host's slip width.
        copies: how often the host prints those lines.
    """

    xml: str
    lines: tuple[str, ...]
    copies: int

    def __post_init__(self) -> None:
        _require(self, str, "xml")
        _require_each(self, str, "lines")
        _require(self, int, "copies")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentResult:
    """The result of a payment.

    Attributes:
        status: only PAID adds the tender.
        amount: tiyin charged; the amount asked for where nothing was.
        receipt_id: Payme's receipt id, or None where there is none.
        payment: what the host stores with the sale; None unless PAID.
        slips: the host prints a sale's slips after its receipt closed.
        message: what the cashier reads, two or three short lines in the host's language.
        receipt_attributes: goes onto the fiscal receipt of this sale, and of no other.
        error_code: the server's error code, or None.
        cancellation_queued: this result wrote a cancellation, even if it has been delivered since.
    """

    status: PaymentStatus
    amount: int
    receipt_id: str | None = None
    payment: PaymentRecord | None = None
    slips: tuple[Slip, ...] = ()
    message: str = ""
    receipt_attributes: Mapping[str, str] = field(default_factory=dict, repr=False)
    error_code: int | None = None
    cancellation_queued: bool = False

    def __post_init__(self) -> None:
        _require(self, PaymentStatus, "status")
        _require(self, int, "amount")
        _require_or_none(self, str, "receipt_id")
        _require_or_none(self, PaymentRecord, "payment")
        _require_each(self, Slip, "slips")
        _require(self, str, "message")
        _require_texts(self, "receipt_attributes")
        _require_or_none(self, int, "error_code")
        _require(self, bool, "cancellation_queued")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReversalResult:
    """The result of a cancel or a refund.

    Attributes:
        status: REVERSED and QUEUED oblige the host to annul or refund and to pay out nothing else.
        receipt_id: Payme's receipt id, or None where there is none.
        slips: the host prints a reversal's slips at once.
        message: what the cashier reads, in the host's language.
        error_code: the server's error code, or None.
        cancellation_queued: this result wrote a cancellation, even if it has been delivered since.
    """

    status: ReversalStatus
    receipt_id: str | None = None
    slips: tuple[Slip, ...] = ()
    message: str = ""
    error_code: int | None = None
    cancellation_queued: bool = False

    def __post_init__(self) -> None:
        _require(self, ReversalStatus, "status")
        _require_or_none(self, str, "receipt_id")
        _require_each(self, Slip, "slips")
        _require(self, str, "message")
        _require_or_none(self, int, "error_code")
        _require(self, bool, "cancellation_queued")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """A closed shift of the till.

    Attributes:
        number: number of the shift.
        opened_at: Unix time in milliseconds of its opening.
        closed_at: Unix time in milliseconds of its closing.
    """

    number: int
    opened_at: int
    closed_at: int

    def __post_init__(self) -> None:
        _require(self, int, "number", "opened_at", "closed_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class SaleRecord:
    """One payment of the plugin in the host's stored sales, for reconciliation.

    Attributes:
        payment_id: the host's id of the payment.
        amount: tiyin.
        receipt_id: ``data["receipt_id"]`` of the payment's record.
        sold_at: Unix time in milliseconds of the sale.
    """

    payment_id: str
    amount: int
    receipt_id: str
    sold_at: int

    def __post_init__(self) -> None:
        _require(self, str, "payment_id", "receipt_id")
        _require(self, int, "amount", "sold_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueMessage:
    """A message in the host's queue.

    Attributes:
        message_id: unique; the same message offered twice has the same id.
        kind: whose it is and what it asks, ``plugin.what``.
        body: versioned JSON without secrets.
        created_at: Unix time in milliseconds.
        attempts: how often the host has delivered it.
    """

    message_id: str
    kind: str
    body: str
    created_at: int
    attempts: int = 0

    def __post_init__(self) -> None:
        _require(self, str, "message_id", "kind", "body")
        _require(self, int, "created_at", "attempts")


def _require(owner: object, kind: type, *names: str) -> None:
    """Raise ``TypeError`` unless every named field of ``owner`` is of ``kind``; a bool is no integer here."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            message = f"{type(owner).__name__}.{name} must be {kind.__name__}, not {type(value).__name__}"
            raise TypeError(message)


def _require_or_none(owner: object, kind: type, *names: str) -> None:
    """Raise ``TypeError`` unless every named field of ``owner`` is of ``kind`` or None."""
    for name in names:
        if getattr(owner, name) is not None:
            _require(owner, kind, name)


def _require_each(owner: object, kind: type, *names: str) -> None:
    """Raise ``TypeError`` unless every named field of ``owner`` is a tuple that holds nothing but ``kind``."""
    _require(owner, tuple, *names)
    for name in names:
        for each in getattr(owner, name):
            if not isinstance(each, kind):
                message = (
                    f"{type(owner).__name__}.{name} must be a tuple of {kind.__name__}, not of {type(each).__name__}"
                )
                raise TypeError(message)


def _require_texts(owner: object, *names: str) -> None:
    """Raise ``TypeError`` unless every named field of ``owner`` is a mapping of strings to strings."""
    _require(owner, Mapping, *names)
    for name in names:
        for pair in getattr(owner, name).items():
            for each in pair:
                if not isinstance(each, str):
                    message = f"{type(owner).__name__}.{name} must be str to str, not {type(each).__name__}"
                    raise TypeError(message)
