"""The parameters of the methods, checked. Every fault is -32602 with the parameter's name."""

from __future__ import annotations

from collections.abc import Mapping

from payme_plugin.sandbox.errors import ABOVE_THE_LIMIT, BELOW_THE_LIMIT, INVALID_PARAMS, BankError

__all__ = ["Params", "account", "amount", "fiscal_data", "optional_mapping", "page", "refuse_hold", "text"]

Params = Mapping[str, object]

_LARGEST_AMOUNT = 10**12
_LARGEST_PAGE = 50
_LONGEST_TEXT = 1000
_FISCAL_TEXTS = ("message", "terminal_id", "date", "fiscal_sign")


def _integer(params: Params, name: str, default: int | None = None) -> int:
    value = params.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise BankError(INVALID_PARAMS, name)
    return value


def text(params: Params, name: str, default: str | None = None) -> str:
    """Return the text ``name``; empty only where ``default`` is given.

    Raises:
        BankError: -32602, missing, no text, or longer than 1000 characters.
    """
    value = params.get(name, default)
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT or not (value or default is not None):
        raise BankError(INVALID_PARAMS, name)
    return value


def optional_mapping(params: Params, name: str) -> Mapping[str, object] | None:
    """Return the object ``name``; ``None`` where it is missing or null.

    Raises:
        BankError: -32602, something else.
    """
    value = params.get(name)
    if value is not None and not isinstance(value, Mapping):
        raise BankError(INVALID_PARAMS, name)
    return value


def amount(params: Params) -> int:
    """Return the amount in tiyin.

    Raises:
        BankError: -32602 no integer, -31611 below one tiyin, -31612 above ten thousand million sum.
    """
    value = _integer(params, "amount")
    if value <= 0:
        raise BankError(BELOW_THE_LIMIT, "amount")
    if value > _LARGEST_AMOUNT:
        raise BankError(ABOVE_THE_LIMIT, "amount")
    return value


def account(params: Params) -> Mapping[str, object]:
    """Return the account: an object of texts and numbers; it may be empty.

    Raises:
        BankError: -32602, anything else.
    """
    value = params.get("account")
    if not isinstance(value, Mapping):
        raise BankError(INVALID_PARAMS, "account")
    for name, entry in value.items():
        if isinstance(entry, bool) or not isinstance(entry, (str, int, float)):
            raise BankError(INVALID_PARAMS, str(name))
    return value


def refuse_hold(params: Params) -> None:
    """Accept no ``hold``: holding is by agreement, and a kassa of the sandbox has none.

    Raises:
        BankError: -32602, ``hold`` is there and not false.
    """
    if params.get("hold", False) is not False:
        raise BankError(INVALID_PARAMS, "hold")


def page(params: Params) -> tuple[int, int, int, int]:
    """Return ``from`` and ``to`` (Unix milliseconds, both included), ``offset``, and ``count`` (50 at most).

    Raises:
        BankError: -32602, missing or out of range.
    """
    begin_ms, end_ms = _integer(params, "from"), _integer(params, "to")
    offset, count = _integer(params, "offset", 0), _integer(params, "count", _LARGEST_PAGE)
    if offset < 0:
        raise BankError(INVALID_PARAMS, "offset")
    if not 1 <= count <= _LARGEST_PAGE:
        raise BankError(INVALID_PARAMS, "count")
    return begin_ms, end_ms, offset, count


def fiscal_data(params: Params) -> Mapping[str, object]:
    """Return the fiscal data: ``receipt_id`` and ``qr_code_url`` required, the rest optional.

    Raises:
        BankError: -32602, with the name of the faulty field.
    """
    value = optional_mapping(params, "fiscal_data")
    if value is None:
        raise BankError(INVALID_PARAMS, "fiscal_data")
    _integer(value, "receipt_id")
    text(value, "qr_code_url")
    _integer(value, "status_code", 0)
    for name in _FISCAL_TEXTS:
        text(value, name, "")
    return value
