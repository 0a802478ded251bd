"""What the hooks take and return.

Amounts are integers in tiyin (1 sum = 100 tiyin), quantities are ``Decimal``, times are Unix time in milliseconds. A
field of the wrong type raises ``TypeError`` when the model is created, so no hook receives one.
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
    """The kind of a receipt."""

    SALE = "SALE"
    REFUND = "REFUND"


class GoodsKind(Enum):
    """The legal category of goods; all but ORDINARY are marked or excise goods."""

    ORDINARY = "ORDINARY"
    MARKED = "MARKED"
    ALCOHOL = "ALCOHOL"
    TOBACCO = "TOBACCO"
    SHOES = "SHOES"
    MEDICINE = "MEDICINE"


class PaymentStatus(Enum):
    """How a payment ended. Only PAID adds the tender to the sale."""

    PAID = "PAID"
    """The buyer was charged."""
    REFUSED = "REFUSED"
    """No money was charged, or it is being returned."""
    ABORTED = "ABORTED"
    """The cashier stopped the payment; money that may have been charged is returned."""
    UNKNOWN = "UNKNOWN"
    """The time is over; money that may have been charged is returned."""
    PENDING = "PENDING"
    """The outcome can't be decided now: neither add nor remove the tender, and ask again with ``repeated``."""


class ReversalStatus(Enum):
    """How a cancel or a refund ended."""

    REVERSED = "REVERSED"
    """The buyer has the money back: annul the sale or close the refund, and pay out nothing else."""
    QUEUED = "QUEUED"
    """The money is returned later: annul the sale or close the refund, and pay out nothing else."""
    REFUSED = "REFUSED"
    """The payment stands: keep the sale."""


class QueueVerdict(Enum):
    """What the host's queue does with a message that it delivered."""

    DONE = "DONE"
    """Remove it; it has been handled."""
    RETRY = "RETRY"
    """Deliver it again later."""
    DROP = "DROP"
    """Remove it and log it: the plugin can't read it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentType:
    """A tender that a plugin handles.

    Attributes:
        number: the tender's number at this till.
        name: text for the cashier, in the host's language.
    """

    number: int
    name: str

    def __post_init__(self) -> None:
        _require(self, int, "number")
        _require(self, str, "name")


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentRecord:
    """A payment as the host stores it with the sale and passes it back.

    Attributes:
        payment_id: the host's id of the payment.
        payment_type: the tender's number.
        amount: tiyin.
        data: what the plugin needs later, from strings to strings, without secrets. ``data["plugin"]`` names the plugin
            that took the payment. The plugin ``payme`` stores ``v`` (the version of this format), ``plugin``,
            ``receipt_id``, ``posId`` and ``url`` (where it was charged) and ``paid_at`` (Unix time in milliseconds).
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
    """The codes of an item for the tax authority.

    Attributes:
        code: IKPU (MXIK) of the goods, digits, leading zeros kept.
        package_code: package code from the IKPU card.
        vat_percent: VAT rate in percent.
        units: unit code, or None.
        discount: tiyin off the line.
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
        name: name of the goods, any text.
        quantity: number of pieces, or weight or volume.
        price: tiyin per unit.
        amount: tiyin for the line.
        barcode: digits; empty if there is none.
        goods: their legal category.
        marking: marking code of this piece, or None.
        fiscal: codes for the tax authority, or None.
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
    """The fiscal data of a closed receipt.

    Attributes:
        url: the OFD link, as in the QR code on the printed receipt.
    """

    url: str

    def __post_init__(self) -> None:
        _require(self, str, "url")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt of the till, open or closed.

    Attributes:
        till: stable name or number of the till, for slips and for Payme.
        shift: number of the shift.
        number: number of the receipt in its shift.
        kind: SALE or REFUND.
        items: the lines.
        total: tiyin.
        payments: the payments that the receipt has already; not one that is being requested.
        closed_at: closing time, Unix time in milliseconds; None while the receipt is open.
        fiscal: fiscal data, or None while there is none.
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
        payment_id: new for every press of the tender; the same only if the host asks again.
        payment_type: the tender's number.
        amount: tiyin to charge.
        receipt: the open sale.
        qr_code: the buyer's code if the host has already scanned it; None: the plugin calls ``ui.scan``.
        repeated: the host asks again about a payment without a result; nothing is scanned or charged.
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
    """A sale with a payment is annulled before it closes, or PAID could not be stored.

    Attributes:
        payment: as the host stored it, or from the PAID result; without ``data`` if the payment is PENDING.
        receipt: the open sale.
        reason: text for the log.
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
        refund_id: the host's id of this refund; the same only if the host asks again.
        payment_type: number of the tender that is paid out.
        payment: the original payment as the host stored it, or None if it has none.
        sale: the original sale, or None for a refund without one.
        refund: the refund receipt as it would close.
        amount: tiyin to return.
        manual_selection: selection of goods is enabled, and the cashier selected the goods of this refund by hand.
        currency_selection: the cashier may choose the tender in which the refund is paid out.
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
    """A rule that a refund violates.

    Attributes:
        rule: ``partial-refund``, ``manual-selection-required``, ``currency-selection-forbidden``,
            ``no-sale-receipt``, ``already-reversed`` or ``foreign-payment``.
        message: text for the cashier, in the host's language.
    """

    rule: str
    message: str

    def __post_init__(self) -> None:
        _require(self, str, "rule", "message")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slip:
    """A bank slip, ready to print.

    Attributes:
        xml: the filled and validated document.
        lines: the same as text, each line at most ``Host.slip_width`` characters wide.
        copies: how often the host prints the slip.
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
        amount: tiyin charged, or requested if nothing was charged.
        receipt_id: Payme's id of its receipt, or None.
        payment: what the host stores with the sale; None unless PAID.
        slips: to print after the receipt has closed.
        message: text for the cashier, two or three short lines in the host's language.
        receipt_attributes: for the fiscal receipt of this sale only.
        error_code: the server's error code, or None.
        cancellation_queued: this result queued a cancellation, even if it has been delivered since.
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
        status: after REVERSED and QUEUED the host annuls the sale or closes the refund, and pays out nothing else.
        receipt_id: Payme's id of its receipt, or None.
        slips: to print at once.
        message: text for the cashier, in the host's language.
        error_code: the server's error code, or None.
        cancellation_queued: this result queued a cancellation, even if it has been delivered since.
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
