"""A peer on loopback that does with its connections whatever a test says, and clients that talk to it."""

from __future__ import annotations

import itertools
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme

from faults.server import Connection, Peer, Script
from payme_plugin.clock import SystemClock
from payme_plugin.paymego import receipts
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.protocols import Answer, MerchantAccount
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from payme_plugin.settings.parsers import ProxyAddress

KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
CODE = "90172612939"
RECEIPT = "65f0a1b2c3d4e5f601234567"


class Time(SystemClock):
    """The machine's clock, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s

    def after(self, duration_s: float) -> float:
        """Return the moment ``duration_s`` from now."""
        return self.monotonic() + duration_s


class Client(PaymeGoClient):
    """The client, with a short form of two requests."""

    def begin_pay(self, limit_s: float = 5) -> Call:
        """Begin a ``receipts.pay``."""
        return self.begin("receipts.pay", receipts.pay(RECEIPT, Secret(CODE)), self._clock.monotonic() + limit_s)

    def check(self, limit_s: float = 5) -> Answer:
        """Return the answer to a ``receipts.check``."""
        return self.begin("receipts.check", receipts.by_id(RECEIPT), self._clock.monotonic() + limit_s).answer()
