"""What the bank knows: merchant accounts, phones, codes and movements, as records that never change."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

# ``store`` reads the types of the fields at run time.
from payme_plugin.sandbox.behaviour import Behaviour  # noqa: TC001
from payme_plugin.sandbox.receipt import Buyer, Receipt  # noqa: TC001

SHOWN_RECEIPTS = 50
"""How many receipts a phone shows, the newest first."""


@dataclass(frozen=True)
class MerchantAccount:
    """A merchant account of the bank, which sees only its own receipts.

    Attributes:
        pos_id: its id.
        pos_key: its key. The bank does not check it.
        name: as buyers see it.
    """

    pos_id: str
    pos_key: str = field(default="", repr=False)
    name: str = "Sandbox"


@dataclass(frozen=True)
class Phone:
    """A buyer's phone, with a wallet.

    Attributes:
        phone_id: its id, 16 hex digits.
        balance: tiyin in the wallet before its first payment.
        buyer: the number and the masked card that paid receipts show.
    """

    phone_id: str
    balance: int
    buyer: Buyer


@dataclass(frozen=True)
class PhoneReceipt:
    """A receipt as a phone shows it.

    Attributes:
        receipt_id: the server's id.
        state: the state's number; 0 if the payment with this phone was refused.
        amount: tiyin.
        merchant: the name of the merchant account.
        created_ms: Unix milliseconds.
        paid_ms: Unix milliseconds; 0 if it was never paid with this phone.
        cancelled_ms: Unix milliseconds; 0 if it is not in state 50.
        error_code: the error that refused the payment with this phone, or ``None``.
    """

    receipt_id: str
    state: int
    amount: int
    merchant: str
    created_ms: int
    paid_ms: int
    cancelled_ms: int
    error_code: int | None


@dataclass(frozen=True)
class PhoneView:
    """A phone at one moment.

    Attributes:
        phone_id: its id.
        card: the masked card.
        balance: tiyin: the balance at the start minus what Payme holds for its receipts.
        receipts: those that its codes were sent for, newest first, at most ``SHOWN_RECEIPTS``.
    """

    phone_id: str
    card: str = field(repr=False)
    balance: int
    receipts: tuple[PhoneReceipt, ...]


class ReceiptAction(Enum):
    """What the dashboard of the sandbox does to a receipt by hand."""

    CONFIRM = "confirm"
    """The buyer confirms the payment that waits in state 1."""
    DECLINE = "decline"
    """The buyer declines it."""
    PAY = "pay"
    """The buyer's payment goes through late, from state 0 or 1."""
    CANCEL = "cancel"
    """The bank cancels the receipt and returns its money."""


@dataclass(frozen=True)
class CodeView:
    """A code of the buyer's phone.

    Attributes:
        expires_ms: from here on it is refused as expired.
        behaviour: what the buyer will do with it.
        used_by: the receipt that it was sent for; ``None`` while it is unused.
        code: its digits.
        phone_id: the phone that shows it; ``None``: no phone of the bank.
        error_code: the error that refused its payment, or ``None``.
    """

    expires_ms: int
    behaviour: Behaviour
    used_by: str | None
    code: str = field(repr=False)
    phone_id: str | None = None
    error_code: int | None = None


@dataclass(frozen=True)
class Movement:
    """Money that came to Payme or went back to the buyer.

    Attributes:
        at_ms: when.
        receipt_id: for which receipt.
        amount: tiyin; above zero when the buyer was debited, below when the money went back.
    """

    at_ms: int
    receipt_id: str
    amount: int


@dataclass(frozen=True)
class BankRecords:
    """All that a bank knows, or what has changed in it.

    Attributes:
        latest_ms: the latest moment that it has seen, Unix milliseconds.
        accounts: its merchant accounts; the first one is the bank's own.
        phones: its phones.
        codes: its codes.
        receipts: its receipts, oldest first.
        pays: how many ``receipts.pay`` came with each code.
    """

    latest_ms: int
    accounts: tuple[MerchantAccount, ...]
    phones: tuple[Phone, ...]
    codes: tuple[CodeView, ...]
    receipts: tuple[Receipt, ...]
    pays: tuple[tuple[str, int], ...]

    @property
    def shown_phones(self) -> dict[str, None]:
        """The ids of the phones that show something else after these changes."""
        shown = [
            *(phone.phone_id for phone in self.phones),
            *(code.phone_id for code in self.codes if code.used_by is not None),
            *(receipt.phone_id for receipt in self.receipts),
        ]
        return {phone_id: None for phone_id in shown if phone_id is not None}
