"""A local PaymeGO with a buyer's phone, for tests, demonstrations and the simulator. No money moves anywhere.

bank        what PaymeGO knows: receipts, codes, money; pure, on the time handed in
behaviour   what a buyer does with a code; ``buyer_code``: codes that say so themselves
faults      what goes wrong between a kassa and the bank, as data
desk        the bank with a lock, a key, a wire log and faults
server      ``Sandbox``: all of it over HTTP on loopback, from this process
"""

from __future__ import annotations

from payme_plugin.sandbox.bank import Bank, CodeView, Movement
from payme_plugin.sandbox.behaviour import Behaviour, BuyerAction, CancelPlan
from payme_plugin.sandbox.buyer_code import read_code, write_code
from payme_plugin.sandbox.desk import WireRequest
from payme_plugin.sandbox.errors import BankError
from payme_plugin.sandbox.faults import Fault, FaultKind, FaultPlan
from payme_plugin.sandbox.phone import terminal_code
from payme_plugin.sandbox.receipt import Buyer, ReceiptView
from payme_plugin.sandbox.server import SANDBOX_POS_ID, SANDBOX_POS_KEY, ExtraMissing, PortUnavailable, Sandbox

__all__ = [
    "SANDBOX_POS_ID",
    "SANDBOX_POS_KEY",
    "Bank",
    "BankError",
    "Behaviour",
    "Buyer",
    "BuyerAction",
    "CancelPlan",
    "CodeView",
    "ExtraMissing",
    "Fault",
    "FaultKind",
    "FaultPlan",
    "Movement",
    "PortUnavailable",
    "ReceiptView",
    "Sandbox",
    "WireRequest",
    "read_code",
    "terminal_code",
    "write_code",
]
