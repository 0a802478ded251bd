"""Data of a sample payment, for previews."""

from __future__ import annotations

from slips.dialect import OPERATIONS

_PAID_AT_MS = 1_769_851_996_000
_DAY_MS = 86_400_000
_AMOUNT = 1_234_500_00
_RECEIPT_ID = "65f0a1b2c3d4e5f601234567"


def sample_data(operation: str) -> dict[str, object]:
    """Return the data of a sample payment, cancellation or refund.

    Args:
        operation: ``pay``, ``cancel`` or ``refund``.

    Raises:
        ValueError: ``operation`` is another one.
    """
    if operation not in OPERATIONS:
        raise ValueError(f"operation {operation!r}: allowed are {', '.join(OPERATIONS)}")
    data: dict[str, object] = {
        "operation": operation,
        "amount": _AMOUNT,
        "receipt_id": _RECEIPT_ID,
        "payment_id": "3-12-118-1",
        "paid_at": _PAID_AT_MS,
        "till": "3",
        "shift": 12,
        "number": 118,
        "receipt": _receipt(is_cancelled=operation != "pay"),
    }
    if operation == "cancel":
        data["reversed_at"] = _PAID_AT_MS + 90_000
    if operation == "refund":
        data |= {"reversed_at": _PAID_AT_MS + _DAY_MS, "sale": {"till": "3", "shift": 12, "number": 118}}
        data |= {"shift": 13, "number": 9}
    return data


def _receipt(*, is_cancelled: bool) -> dict[str, object]:
    return {
        "_id": _RECEIPT_ID,
        "create_time": _PAID_AT_MS - 2_000,
        "pay_time": _PAID_AT_MS,
        "cancel_time": _PAID_AT_MS + 90_000 if is_cancelled else 0,
        "state": 50 if is_cancelled else 4,
        "amount": _AMOUNT,
        "currency": 860,
        "commission": 0,
        "description": "",
        "account": [
            _entry("order_id", "3-12-118-1", ru="Заказ", uz="Buyurtma", en="Order"),
            _entry("xEntityTaxpayerID", "301234567", ru="ИНН", uz="STIR", en="Tax number"),
        ],
        "card": {"number": "860012******3456", "expire": "2712"},
        "merchant": {
            "_id": "65aa00112233445566778899",
            "name": "Чорсу Market",
            "organization": "OOO «CHORSU SAVDO»",
            "address": "Ташкент, ул. Навои, 12",
            "epos": {"merchantId": "90001234567", "terminalId": "92001234"},
            "type": {"ru": "Продукты", "uz": "Oziq-ovqat"},
        },
    }


def _entry(name: str, value: str, **title: str) -> dict[str, object]:
    return {"name": name, "title": title, "value": value}
