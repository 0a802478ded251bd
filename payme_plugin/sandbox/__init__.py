"""A local PaymeGO with a buyer's phone, for tests, demonstrations and the simulator. No money moves anywhere.

bank        what PaymeGO knows: receipts, codes, money; pure, on the time handed in
receipt     one receipt of the bank
walk        how a receipt goes through its states
params      the parameters of the methods, checked
errors      the errors that are answered, as PaymeGO numbers and words them
behaviour   what a buyer does with a code
buyer_code  codes that say so themselves
faults      what goes wrong between a kassa and the bank, as data
desk        the bank with a lock, a key, a wire log and faults
rpc         JSON-RPC as PaymeGO speaks it
control     what a test sets and reads, as JSON
phone       the buyer's phone on a page
app         all of it over HTTP
hanging     connections that end badly, on purpose
serving     an HTTP server on a thread of its own
server      ``Sandbox``: all of it on loopback, from this process
"""

from __future__ import annotations

from payme_plugin.sandbox.bank import Bank, CodeView, Movement
from payme_plugin.sandbox.behaviour import Behaviour, BuyerAction, CancelPlan
from payme_plugin.sandbox.buyer_code import read_code, write_code
from payme_plugin.sandbox.desk import WireRequest
from payme_plugin.sandbox.errors import BankError
from payme_plugin.sandbox.faults import Fault, FaultKind, FaultPlan
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
    "write_code",
]
