"""Data of a made-up payment, for previews."""

from __future__ import annotations

from slips.vocabulary import OPERATIONS

__all__ = ["sample_data"]

_PAID_AT_MS = 1_769_851_996_000
_DAY_MS = 86_400_000


def sample_data(operation: str) -> dict[str, object]:
    """Return the data of a made-up payment, cancellation or refund.

    Args:
        operation: ``pay``, ``cancel`` or ``refund``.

    Raises:
        ValueError: it is none of these.
    """
    if operation not in OPERATIONS:
        message = f"operation {operation!r}: allowed are {', '.join(OPERATIONS)}"
        raise ValueError(message)
    data: dict[str, object] = {
        "operation": operation,
        "amount": 1_234_500_00,
        "receipt_id": "65f0a1b2c3d4e5f601234567",
        "payment_id": "3-12-118-1",
        "paid_at": _PAID_AT_MS,
        "till": "3",
        "shift": 12,
        "number": 118,
        "receipt": _sample_receipt(reversed_too=operation != "pay"),
    }
    if operation == "cancel":
        data["reversed_at"] = _PAID_AT_MS + 90_000
    if operation == "refund":
        data |= {
            "reversed_at": _PAID_AT_MS + _DAY_MS,
            "sale": {"till": "3", "shift": 12, "number": 118},
            "number": 9,
            "shift": 13,
        }
    return data


def _sample_receipt(*, reversed_too: bool) -> dict[str, object]:
    return {
        "_id": "65f0a1b2c3d4e5f601234567",
        "create_time": _PAID_AT_MS - 2_000,
        "pay_time": _PAID_AT_MS,
        "cancel_time": _PAID_AT_MS + 90_000 if reversed_too else 0,
        "state": 50 if reversed_too else 4,
        "amount": 1_234_500_00,
        "currency": 860,
        "commission": 0,
        "description": "",
        "account": [
            {
                "name": "order_id",
                "title": {"ru": "Заказ", "uz": "Buyurtma", "en": "Order"},
                "value": "3-12-118-1",
                "main": True,
            },
            {
                "name": "xEntityTaxpayerID",
                "title": {"ru": "ИНН", "uz": "STIR", "en": "Tax number"},
                "value": "301234567",
            },
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
