"""The names that a placeholder or a condition may use, and the filters.

The table is the documentation: what isn't in it can't be printed. The buyer's phone is not in it, and never will be.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

__all__ = ["FIELDS", "FILTERS", "OPERATIONS", "Field", "Kind", "find_field", "nearest_name", "refusal_of"]

OPERATIONS = ("pay", "cancel", "refund")


class Kind(Enum):
    """What a field holds; it decides how the field is printed and which filters fit."""

    TEXT = "text"
    WORD = "word"
    MONEY = "money"
    MOMENT = "moment"
    CARD = "card"


FILTERS: dict[Kind, tuple[str, ...]] = {
    Kind.TEXT: ("upper", "mask"),
    Kind.WORD: ("upper",),
    Kind.MONEY: ("money",),
    Kind.MOMENT: ("date", "time"),
    Kind.CARD: ("mask",),
}
"""The filters that fit each kind. Without one, money and cards look as with theirs, a moment as date and time."""


@dataclass(frozen=True, eq=False)
class Field:
    """A field that a template may print or ask for. Two are the same only if they are one object: its hash is cheap.

    Attributes:
        name: as it stands in a template, ``receipt.card.number``.
        kind: what it holds.
        meaning: one sentence for the technician.
        paths: where its value is looked for, in this order.
        account: name of the entry of ``receipt.account`` that holds it; empty where it is no such entry.
        account_part: ``value`` or ``title``.
        is_foreign_text: whether the server wrote it freely, so that it may repeat what must not be printed.
    """

    name: str
    kind: Kind
    meaning: str
    paths: tuple[tuple[str, ...], ...]
    account: str = ""
    account_part: str = "value"
    is_foreign_text: bool = False


def _field(name: str, kind: Kind, meaning: str, *other_paths: str) -> Field:
    paths = tuple(tuple(path.split(".")) for path in (name, *other_paths))
    is_foreign_text = kind is Kind.TEXT and name.startswith("receipt.") and name != "receipt._id"
    return Field(name, kind, meaning, paths, is_foreign_text=is_foreign_text)


_ALL = (
    _field("operation", Kind.WORD, "What was done, in the template's language: payment, cancellation or refund."),
    _field("status", Kind.WORD, "How it ended, in the template's language."),
    _field("amount", Kind.MONEY, "The amount paid, cancelled or refunded."),
    _field("receipt_id", Kind.TEXT, "Payme's id of the receipt, 24 characters.", "receipt._id"),
    _field("payment_id", Kind.TEXT, "The till's own id of the payment."),
    _field("paid_at", Kind.MOMENT, "When the buyer paid.", "receipt.pay_time"),
    _field("reversed_at", Kind.MOMENT, "When the payment was cancelled or refunded.", "receipt.cancel_time"),
    _field("till", Kind.TEXT, "The till's name or number."),
    _field("shift", Kind.TEXT, "Number of the shift."),
    _field("number", Kind.TEXT, "Number of the till's receipt in its shift."),
    _field("sale.till", Kind.TEXT, "The till that made the sale which is refunded."),
    _field("sale.shift", Kind.TEXT, "The shift of the sale which is refunded."),
    _field("sale.number", Kind.TEXT, "The receipt number of the sale which is refunded."),
    _field("receipt._id", Kind.TEXT, "The same as receipt_id, as the server sent it."),
    _field("receipt.create_time", Kind.MOMENT, "When the receipt was created at Payme."),
    _field("receipt.pay_time", Kind.MOMENT, "When the receipt was paid, by the server's clock."),
    _field("receipt.cancel_time", Kind.MOMENT, "When the receipt was cancelled, by the server's clock."),
    _field("receipt.state", Kind.TEXT, "The state as a number: 4 paid, 21 waiting for its return, 50 cancelled."),
    _field("receipt.amount", Kind.MONEY, "The amount, as the server sent it."),
    _field("receipt.commission", Kind.MONEY, "What Payme took from the buyer on top, if anything."),
    _field("receipt.currency", Kind.TEXT, "The currency's number: 860 is the sum."),
    _field("receipt.description", Kind.TEXT, "The description that was sent with the receipt."),
    _field("receipt.processing_id", Kind.TEXT, "The processing's own number of the payment."),
    _field("receipt.card.number", Kind.CARD, "The buyer's card: at most its first six and last four digits."),
    _field("receipt.merchant._id", Kind.TEXT, "The kassa's id at Payme."),
    _field("receipt.merchant.name", Kind.TEXT, "The shop's name at Payme."),
    _field("receipt.merchant.organization", Kind.TEXT, "The company behind the shop."),
    _field("receipt.merchant.address", Kind.TEXT, "The shop's address."),
    _field("receipt.merchant.business_id", Kind.TEXT, "The company's id at Payme."),
    _field("receipt.merchant.type", Kind.TEXT, "What kind of shop it is."),
    _field("receipt.merchant.epos.merchantId", Kind.TEXT, "The merchant number at the bank."),
    _field("receipt.merchant.epos.terminalId", Kind.TEXT, "The terminal number at the bank."),
)

FIELDS: dict[str, Field] = {field.name: field for field in _ALL}
"""Every fixed name. Beside them, ``receipt.account.NAME`` and ``receipt.account.NAME.title`` print an account entry."""

_ACCOUNT = re.compile(r"receipt\.account\.([A-Za-z0-9_-]{1,64})(\.title)?")
_ACCOUNT_HINT = "receipt.account.NAME"
_LONGEST_NAME = 100


def find_field(name: str) -> Field | None:
    """Return the field of that name, or None where there is none."""
    field = FIELDS.get(name)
    return _account_field(name) if field is None and not refusal_of(name) else field


@lru_cache(maxsize=256)
def _account_field(name: str) -> Field | None:
    """Return an entry of the account; asked again, the same object, so that a slip looks it up once."""
    account = _ACCOUNT.fullmatch(name)
    if account is None:
        return None
    return Field(
        name,
        Kind.TEXT,
        "An entry of the account that was sent with the receipt, or its title.",
        (("receipt", "account"),),
        account=account[1],
        account_part="title" if account[2] else "value",
        is_foreign_text=True,
    )


def refusal_of(name: str) -> str | None:
    """Return why a field that the server sends may not be printed, or None."""
    if "phone" in name.lower():
        return "the buyer's phone is never printed"
    if name == "receipt.card.expire":
        return "a card's expiry date is never printed"
    return None


def nearest_name(name: str, allowed: tuple[str, ...]) -> str | None:
    """Return the allowed name that is most like ``name``, or None where none is."""
    if not name or len(name) > _LONGEST_NAME:
        return None
    for candidate in allowed:
        if candidate.endswith("." + name) or candidate.rpartition(".")[2] == name:
            return candidate
    if name.startswith(("receipt.account", "account")):
        return _ACCOUNT_HINT
    by_lower_case = {candidate.lower(): candidate for candidate in allowed}
    close = difflib.get_close_matches(name.lower(), by_lower_case, n=1)
    return by_lower_case[close[0]] if close else None
