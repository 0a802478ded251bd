"""The states of a receipt at Payme. Source: the Subscribe API's published list of receipt states.

A file of its own because the sandbox shares it with the client, and nothing else but the error codes.
"""

from __future__ import annotations

from enum import IntEnum


class ReceiptState(IntEnum):
    """A receipt's state. Payme may send other numbers: they are kept, and nothing is concluded from them."""

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
