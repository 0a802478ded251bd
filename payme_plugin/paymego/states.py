"""The states of a receipt at Payme, and what each means for a till.

Source: the Subscribe API's published list of receipt states; what the till does in each is this plugin's own reading.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = ["ReceiptState"]


class ReceiptState(IntEnum):
    """A receipt's state. Payme may send numbers that are not here: they are kept, and decide nothing."""

    CREATED = 0
    CHECKING = 1
    DEBITING = 2
    CLOSING = 3
    PAID = 4
    HELD = 5
    HOLDING = 6
    PAUSED = 20
    CANCELLING = 21
    CLOSING_QUEUED = 30
    CANCELLED = 50
