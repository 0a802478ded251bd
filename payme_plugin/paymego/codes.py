"""The server's error codes, their meanings, and whether they prove that nothing was charged.

The manual of the module that this plugin replaces lists 32 codes for its setting ``ignoredErrors``. Payme publishes the
meanings of some. Others are known only from the code of integrators, and one code may have several meanings. A code is
a proof only if all its known meanings are refusals before the debit.
"""

from __future__ import annotations

from typing import NamedTuple


class ErrorCode(NamedTuple):
    """An error code of the server.

    Attributes:
        code: the code.
        meaning: its meaning; several meanings are joined with *or*.
        proves_no_charge: whether it proves in an answer to ``receipts.pay`` that nothing was charged, because it is a
            refusal before the debit. If not, the receipt's state decides.
    """

    code: int
    meaning: str
    proves_no_charge: bool


OF_ANOTHER_ACCOUNT = frozenset({-32504, -31602, -31601, -31003})
"""Codes that say, for a receipt of the journal, that another server or account was asked; they prove nothing."""

_TRANSIENT = frozenset({-32400, -32504, -31001, -31002, -31100, -31620, -31622, -31623, -31624, -31625})
_NO, _ASK = True, False

_MANUAL = (
    ErrorCode(-32300, "transport error: the request was not a POST", _NO),
    ErrorCode(-32700, "the request is not JSON", _NO),
    ErrorCode(-32600, "the request lacks a member, or a member has a wrong type", _NO),
    ErrorCode(-32400, "internal error of the server", _ASK),
    ErrorCode(-32601, "no such method", _NO),
    ErrorCode(-32602, "wrong parameters", _NO),
    ErrorCode(-32504, "wrong id or key of the merchant account, or an account of another server", _NO),
    ErrorCode(-31301, "the card's notifications are off, or the card has expired or is blocked", _NO),
    ErrorCode(-31300, "wrong card number or expiry date, or no such card, or a corporate card", _NO),
    ErrorCode(-31302, "the card's balance could not be read", _ASK),
    ErrorCode(-31303, "not enough money", _NO),
    ErrorCode(-31002, "the card processing is not available", _ASK),
    ErrorCode(-31001, "Payme is not available, or the amount is wrong, or no access to this receipt", _ASK),
    ErrorCode(-31400, "the buyer's code is unknown, expired or used", _NO),
    ErrorCode(-31101, "the buyer's code has expired, or the card is deleted, blocked or not supported", _NO),
    ErrorCode(-31102, "too many attempts", _NO),
    ErrorCode(-31103, "wrong buyer's code", _NO),
    ErrorCode(-31110, "Payme could not reach the buyer's phone", _NO),
    ErrorCode(-31700, "the receipt is on the stop list, or too many attempts to pay", _ASK),
    ErrorCode(-31613, "the shop does not accept this currency", _NO),
    ErrorCode(-31630, "not enough money, or the card is wrong, expired, blocked or corporate", _NO),
    ErrorCode(-31602, "no such receipt, or it is already paid", _ASK),
    ErrorCode(-31601, "the shop is unknown, blocked or under maintenance", _NO),
    ErrorCode(-31620, "not published; codes next to it are errors of the shop's service", _ASK),
    ErrorCode(-31100, "error of the card processing", _ASK),
    ErrorCode(-31624, "not published; codes next to it are errors of the shop's service", _ASK),
    ErrorCode(-31623, "the shop's service failed, perhaps after the debit", _ASK),
    ErrorCode(-31900, "cards of this type are not supported", _NO),
    ErrorCode(-31640, "the payment has expired", _ASK),
    ErrorCode(-31901, "payments of this type are not supported", _NO),
    ErrorCode(-31200, "wrong confirmation code", _ASK),
    ErrorCode(-31800, "the receipt can't be cancelled automatically, or its state has just changed", _ASK),
)

CATALOGUE = (
    *_MANUAL,
    ErrorCode(-32500, "the buyer's code has a wrong format", _NO),
    ErrorCode(-31610, "wrong value of an account field", _ASK),
    ErrorCode(-31611, "the amount is below the limit", _ASK),
    ErrorCode(-31612, "the amount is above the limit", _ASK),
    ErrorCode(-31622, "the shop's service is not available", _ASK),
    ErrorCode(-31625, "temporarily not available", _ASK),
    ErrorCode(-31050, "the account was not accepted (any code from -31099 to -31050)", _ASK),
    ErrorCode(-31003, "no such transaction", _ASK),
    ErrorCode(-31007, "the shop's billing does not allow the cancellation", _ASK),
    ErrorCode(-31008, "the operation is not possible, or no such receipt", _ASK),
    ErrorCode(-31201, "the confirmation code has expired", _ASK),
    ErrorCode(-31151, "the card is already attached", _ASK),
)
"""The 32 codes of the manual in its order, then other known codes."""

MANUAL_CODES = tuple(entry.code for entry in _MANUAL)
"""The codes that the manual lists for ``ignoredErrors``, in its order."""

_BY_CODE = {entry.code: entry for entry in CATALOGUE}


def find(code: int) -> ErrorCode | None:
    """Return the catalogue's entry for a code; None if it is unknown."""
    return _BY_CODE.get(code)


def is_transient(code: int) -> bool:
    """Return whether a request that got this code may succeed later: a service is down, or the settings are wrong."""
    return code in _TRANSIENT


def is_documented(code: int) -> bool:
    """Return whether the manual lists the code for ``ignoredErrors``."""
    return code in MANUAL_CODES


def proves_no_charge(code: int) -> bool:
    """Return whether the code in an answer to ``receipts.pay`` proves that nothing was charged.

    An unknown code proves nothing.
    """
    entry = find(code)
    return entry is not None and entry.proves_no_charge
