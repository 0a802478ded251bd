"""The parameters of every ``receipts.*`` method, and the receipts in the answers.

A builder has the name of its method: ``client.begin("receipts.pay", receipts.pay(receipt_id, code), deadline)``;
``by_id`` serves ``check``, ``get`` and ``cancel``. Answers are read as Payme documents them and running tills get them:
fields may be missing, unknown ones are kept, and nothing is converted (``"4"``, ``4.0``, ``true`` are not states).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import Fault, Unclear
from payme_plugin.paymego.redaction import MAX_NUMBER

if TYPE_CHECKING:
    from payme_plugin.paymego.protocols import Answer, Params
    from payme_plugin.secret import Secret

MAX_RECEIPTS = 50
"""The most receipts that ``receipts.get_all`` returns. Source: its page in the Subscribe API."""

MAX_ID = 64
"""The maximum length of a receipt's id; Payme's own have 24 characters."""

_ID = re.compile(rf"[!-~]{{1,{MAX_ID}}}")
_MAX_PHONE = 32
_STATES = range(-MAX_NUMBER, MAX_NUMBER + 1)
_AMOUNTS = range(-(2**63), 2**63)  # what a strict JSON integer can be
_TIMES_MS = range(1, 253_402_300_800_000)  # until the year 10000


@dataclass(frozen=True)
class ServerReceipt:
    """A receipt as Payme describes it. Every field may be missing.

    Attributes:
        receipt_id: Payme's ``_id``; None if it is not a text of 1 to 64 visible ASCII characters.
        state: its state, known to ``paymego.states`` or not; None if it is not a number of at most five digits.
        amount: its amount in tiyin.
        create_time_ms: when it was created, Unix time in milliseconds.
        pay_time_ms: when it was paid; None if it is not paid (Payme sends 0).
        phone: the buyer's phone, from the receipt's ``payer`` or from its merchant's; absent from ``repr``.
        raw: everything that the server sent, unknown fields too; absent from ``repr``.
        cancel_time_ms: when it was cancelled; None if it is not cancelled (Payme sends 0).
    """

    receipt_id: str | None
    state: int | None
    amount: int | None
    create_time_ms: int | None
    pay_time_ms: int | None
    phone: str | None = field(repr=False)
    raw: Mapping[str, object] = field(repr=False, hash=False)
    cancel_time_ms: int | None = None

    @property
    def account(self) -> dict[str, str]:
        """Its account, from names to values; Payme lists the fields, each with ``name`` and ``value``."""
        listed = self.raw.get("account")
        fields = [field for field in listed if isinstance(field, Mapping)] if isinstance(listed, list) else []
        return {str(field.get("name")): str(field.get("value")) for field in fields}

    def has_account(self, account: Mapping[str, object]) -> bool:
        """Return whether it names every field of an account."""
        named = self.account.items()
        return all((name, str(value)) in named for name, value in account.items())


def create(amount: int, account: Mapping[str, object], *, detail: Mapping[str, object] | None = None) -> Params:
    """Return the parameters of ``receipts.create``.

    Args:
        amount: tiyin.
        account: the fields that are configured for the merchant account.
        detail: goods and shipping; omitted if None.

    Every such request creates a new receipt.
    """
    return {"amount": amount, "account": account, **({"detail": detail} if detail else {})}


def pay(receipt_id: str, code: Secret) -> Params:
    """Return the parameters of ``receipts.pay``; the code stays a ``Secret`` until the body is encoded."""
    return {"id": receipt_id, "token": code}


def by_id(receipt_id: str) -> Params:
    """Return the parameters of ``receipts.check``, ``receipts.get`` and ``receipts.cancel``."""
    return {"id": receipt_id}


def get_all(from_ms: int, to_ms: int, *, count: int = MAX_RECEIPTS, offset: int = 0) -> Params:
    """Return the parameters of ``receipts.get_all``.

    Args:
        from_ms: start of the period, Unix time in milliseconds.
        to_ms: its end.
        count: how many receipts, at most 50.
        offset: how many to skip.
    """
    return {"count": count, "from": from_ms, "to": to_ms, "offset": offset}


def set_fiscal_data(receipt_id: str, fiscal_data: Mapping[str, object]) -> Params:
    """Return the parameters of ``receipts.set_fiscal_data``.

    Args:
        receipt_id: the paid receipt.
        fiscal_data: at least ``receipt_id`` (the fiscal receipt's number, an integer) and ``qr_code_url``.
    """
    return {"id": receipt_id, "fiscal_data": fiscal_data}


def receipt_of(answer: Answer) -> ServerReceipt:
    """Return the receipt in an answer to ``create``, ``pay``, ``get`` or ``cancel``.

    Raises:
        Unclear: it holds no receipt (``WRONG_SHAPE``).
    """
    found = answer.result.get("receipt") if isinstance(answer.result, Mapping) else None
    if not isinstance(found, Mapping):
        raise Unclear(answer.method, Fault.WRONG_SHAPE, "the result holds no receipt")
    return _receipt(found)


def state_of(answer: Answer) -> int:
    """Return the state in an answer to ``check``.

    Raises:
        Unclear: it holds no state, or one that is not an integer (``WRONG_SHAPE``).
    """
    state = _integer(answer.result.get("state"), _STATES) if isinstance(answer.result, Mapping) else None
    if state is None:
        raise Unclear(answer.method, Fault.WRONG_SHAPE, "the result holds no state")
    return state


def named_in(answer: Answer) -> tuple[ServerReceipt, ...]:
    """Return the receipts in an answer: its result, and the member ``receipt`` of the result.

    As far as known, an answer to ``check`` holds only a state. Other fields may describe another receipt.

    Raises:
        Unclear: the member ``receipt`` is not an object (``WRONG_SHAPE``).
    """
    result = answer.result if isinstance(answer.result, Mapping) else {}
    inner = result.get("receipt")
    if inner is None:
        return (_receipt(result),)
    if not isinstance(inner, Mapping):
        raise Unclear(answer.method, Fault.WRONG_SHAPE, "the receipt in the result is not an object")
    return (_receipt(result), _receipt(inner))


def receipts_of(answer: Answer) -> tuple[ServerReceipt, ...]:
    """Return the receipts in an answer to ``get_all``, in the server's order.

    Raises:
        Unclear: it is not a list of receipts (``WRONG_SHAPE``).
    """
    receipts = tuple(_receipt(item) for item in answer.result if isinstance(item, Mapping))
    if isinstance(answer.result, Mapping) or len(receipts) != len(answer.result):
        raise Unclear(answer.method, Fault.WRONG_SHAPE, "the result is not a list of receipts")
    return receipts


def _receipt(raw: Mapping[str, object]) -> ServerReceipt:
    return ServerReceipt(
        receipt_id=_identifier(raw.get("_id")),
        state=_integer(raw.get("state"), _STATES),
        amount=_integer(raw.get("amount"), _AMOUNTS),
        create_time_ms=_integer(raw.get("create_time"), _TIMES_MS),
        pay_time_ms=_integer(raw.get("pay_time"), _TIMES_MS),
        phone=_phone(raw) or _phone(raw.get("merchant")),
        raw=raw,
        cancel_time_ms=_integer(raw.get("cancel_time"), _TIMES_MS),
    )


def _integer(value: object, allowed: range) -> int | None:
    return value if type(value) is int and value in allowed else None


def _identifier(value: object) -> str | None:
    return value if isinstance(value, str) and _ID.fullmatch(value) else None


def _phone(owner: object) -> str | None:
    payer = owner.get("payer") if isinstance(owner, Mapping) else None
    phone = payer.get("phone") if isinstance(payer, Mapping) else None
    text = str(phone).strip() if isinstance(phone, (str, int)) and not isinstance(phone, bool) else ""
    return text if 0 < len(text) <= _MAX_PHONE and text.isprintable() else None
