"""Receipts on the wire: the parameters of every ``receipts.*`` method, and what its answer says.

The builders are named as the methods are: ``client.begin("receipts.pay", receipts.pay(receipt_id, code), deadline)``.
The models take what Payme's documentation and running tills show: fields may be missing, unknown ones are kept, and
nothing is converted (``"4"``, ``4.0`` and ``true`` are no state).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import Fault, Unclear

if TYPE_CHECKING:
    from payme_plugin.paymego.protocols import Answer, Params
    from payme_plugin.secret import Secret

__all__ = [
    "MAX_RECEIPTS",
    "ServerReceipt",
    "cancel",
    "check",
    "create",
    "get",
    "get_all",
    "named_in",
    "pay",
    "receipt_of",
    "receipts_of",
    "set_fiscal_data",
    "state_of",
]

MAX_RECEIPTS = 50
"""How many receipts ``receipts.get_all`` gives at most. Source: the Subscribe API's page of that method."""

_MAX_ID = 64
_MAX_PHONE = 32
_MAX_STATE = 99_999
_END_OF_TIME_MS = 253_402_300_800_000  # the year 10000


@dataclass(frozen=True)
class ServerReceipt:
    """A receipt as Payme describes it. Every field may be missing.

    Attributes:
        receipt_id: Payme's ``_id``; None where it is no text of 1 to 64 visible ASCII characters.
        state: its state, known to ``paymego.states`` or not; None where it is no number of at most five digits.
        amount: its amount in tiyin.
        create_time_ms: when it was created, Unix time in milliseconds.
        pay_time_ms: when it was paid; None while it is not (Payme sends 0).
        phone: the buyer's phone, from the receipt's ``payer`` or from its merchant's; absent from ``repr``.
        raw: all that the server sent, unknown fields too; absent from ``repr``.
    """

    receipt_id: str | None
    state: int | None
    amount: int | None
    create_time_ms: int | None
    pay_time_ms: int | None
    phone: str | None = field(repr=False)
    raw: Mapping[str, object] = field(repr=False, hash=False)


def create(
    amount: int,
    account: Mapping[str, object],
    *,
    detail: Mapping[str, object] | None = None,
) -> Params:
    """Return the parameters of ``receipts.create``.

    Args:
        amount: tiyin.
        account: the fields that are configured for the kassa.
        detail: goods and shipping; left out where None.

    Money effect: none. Every such request makes a new receipt.
    """
    return {"amount": amount, "account": account, **({"detail": detail} if detail else {})}


def pay(receipt_id: str, code: Secret) -> Params:
    """Return the parameters of ``receipts.pay``; the code stays a ``Secret`` until the body is made.

    Money effect: may charge the buyer whose code it is.
    """
    return {"id": receipt_id, "token": code}


def check(receipt_id: str) -> Params:
    """Return the parameters of ``receipts.check``. Money effect: none."""
    return {"id": receipt_id}


def get(receipt_id: str) -> Params:
    """Return the parameters of ``receipts.get``. Money effect: none."""
    return {"id": receipt_id}


def cancel(receipt_id: str) -> Params:
    """Return the parameters of ``receipts.cancel``. Money effect: returns the whole amount, or voids what is unpaid."""
    return {"id": receipt_id}


def get_all(from_ms: int, to_ms: int, *, count: int = MAX_RECEIPTS, offset: int = 0) -> Params:
    """Return the parameters of ``receipts.get_all``.

    Args:
        from_ms: start of the period, Unix time in milliseconds.
        to_ms: its end.
        count: how many receipts, at most 50.
        offset: how many to skip.

    Money effect: none.
    """
    return {"count": count, "from": from_ms, "to": to_ms, "offset": offset}


def set_fiscal_data(receipt_id: str, fiscal_data: Mapping[str, object]) -> Params:
    """Return the parameters of ``receipts.set_fiscal_data``.

    Args:
        receipt_id: the paid receipt.
        fiscal_data: at least ``receipt_id`` (the fiscal receipt's number, an integer) and ``qr_code_url``.

    Money effect: none.
    """
    return {"id": receipt_id, "fiscal_data": fiscal_data}


def receipt_of(answer: Answer) -> ServerReceipt:
    """Return the receipt in an answer to ``create``, ``pay``, ``get`` or ``cancel``.

    Raises:
        Unclear: there is none (``WRONG_SHAPE``).
    """
    found = answer.result.get("receipt") if isinstance(answer.result, Mapping) else None
    if not isinstance(found, Mapping):
        raise Unclear(answer.method, Fault.WRONG_SHAPE, "the result holds no receipt")
    return _receipt(found)


def state_of(answer: Answer) -> int:
    """Return the state in an answer to ``check``.

    Raises:
        Unclear: there is none, or it is no integer (``WRONG_SHAPE``).
    """
    state = _state(answer.result.get("state")) if isinstance(answer.result, Mapping) else None
    if state is None:
        raise Unclear(answer.method, Fault.WRONG_SHAPE, "the result holds no state")
    return state


def named_in(answer: Answer) -> tuple[ServerReceipt, ...]:
    """Return what an answer names of the receipt that it is about: in its result itself, and in the ``receipt`` there.

    An answer to ``check`` holds a state and nothing else, as far as is known; one that names more may be another's.

    Raises:
        Unclear: its ``receipt`` is none (``WRONG_SHAPE``).
    """
    result = answer.result if isinstance(answer.result, Mapping) else {}
    inner = result.get("receipt")
    if inner is None:
        return (_receipt(result),)
    if not isinstance(inner, Mapping):
        raise Unclear(answer.method, Fault.WRONG_SHAPE, "the receipt in the result is none")
    return (_receipt(result), _receipt(inner))


def receipts_of(answer: Answer) -> tuple[ServerReceipt, ...]:
    """Return the receipts in an answer to ``get_all``, in its order.

    Raises:
        Unclear: it is no list of receipts (``WRONG_SHAPE``).
    """
    items = () if isinstance(answer.result, Mapping) else answer.result
    receipts = tuple(_receipt(item) for item in items if isinstance(item, Mapping))
    if isinstance(answer.result, Mapping) or len(receipts) != len(items):
        raise Unclear(answer.method, Fault.WRONG_SHAPE, "the result is no list of receipts")
    return receipts


def _receipt(raw: Mapping[str, object]) -> ServerReceipt:
    return ServerReceipt(
        receipt_id=_identifier(raw.get("_id")),
        state=_state(raw.get("state")),
        amount=_integer(raw.get("amount")),
        create_time_ms=_time_ms(raw.get("create_time")),
        pay_time_ms=_time_ms(raw.get("pay_time")),
        phone=_phone(raw) or _phone(raw.get("merchant")),
        raw=raw,
    )


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _state(value: object) -> int | None:
    # A longer number is no state, and might be a card's: it would be told in the story of the payment.
    state = _integer(value)
    return state if state is not None and abs(state) <= _MAX_STATE else None


def _time_ms(value: object) -> int | None:
    time_ms = _integer(value)
    return time_ms if time_ms is not None and 0 < time_ms < _END_OF_TIME_MS else None


def _identifier(value: object) -> str | None:
    sound = isinstance(value, str) and value.isascii() and value.isprintable() and " " not in value
    return value if isinstance(value, str) and sound and 0 < len(value) <= _MAX_ID else None


def _phone(owner: object) -> str | None:
    payer = owner.get("payer") if isinstance(owner, Mapping) else None
    phone = payer.get("phone") if isinstance(payer, Mapping) else None
    text = str(phone).strip() if isinstance(phone, (str, int)) and not isinstance(phone, bool) else ""
    return text if 0 < len(text) <= _MAX_PHONE and text.isprintable() else None
