"""A local PaymeGO with a buyer's phone, for tests, demonstrations and the simulator. No money moves anywhere.

bank         what PaymeGO knows: accounts, phones, receipts, codes, money; a pure state machine on the time handed in
records      the records that the bank keeps and shows
receipt      one receipt of the bank, and its timeline
behaviour    what a buyer does with a code, and codes that spell it
jsonrpc      requests, parameters, answers and error codes as PaymeGO has them
faults       what goes wrong between a till and the bank, as data
scenario     what a sandbox is prepared with, as one JSON document: accounts, phones, codes and faults
request_log  a till's request on its way to the bank; the last requests with their answers, secrets masked
store        the state file, in which a bank survives the end of the process
events       what happens, for readers that may be slow
control      the control API, version 1
http_server  HTTP on threads; connections that hang or are cut on purpose
app          the till's requests, the control API and the pages over HTTP
server       ``Sandbox``: the bank with a lock, keys, a log of requests, faults and events, on loopback
"""

from __future__ import annotations

from payme_plugin.sandbox.bank import SANDBOX_POS_ID, Bank
from payme_plugin.sandbox.behaviour import Behaviour, BuyerAction, CancelPlan, read_code
from payme_plugin.sandbox.events import Event, EventKind, Reader
from payme_plugin.sandbox.faults import FaultKind, FaultPlan, FaultRule, InjectedFault, RequestFacts
from payme_plugin.sandbox.http_server import PortUnavailable
from payme_plugin.sandbox.jsonrpc import BankError
from payme_plugin.sandbox.receipt import Buyer, ReceiptView
from payme_plugin.sandbox.records import (
    CodeView,
    MerchantAccount,
    Movement,
    PhoneReceipt,
    PhoneView,
    ReceiptAction,
)
from payme_plugin.sandbox.request_log import WireRequest
from payme_plugin.sandbox.scenario import (
    NewAccount,
    NewPhone,
    Played,
    Scenario,
    ScenarioError,
    load_scenario,
    read_scenario,
)
from payme_plugin.sandbox.server import SANDBOX_POS_KEY, Sandbox
from payme_plugin.sandbox.store import StateFault, StateFileError

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
    "Event",
    "EventKind",
    "FaultKind",
    "FaultPlan",
    "FaultRule",
    "InjectedFault",
    "MerchantAccount",
    "Movement",
    "NewAccount",
    "NewPhone",
    "PhoneReceipt",
    "PhoneView",
    "Played",
    "PortUnavailable",
    "Reader",
    "ReceiptAction",
    "ReceiptView",
    "RequestFacts",
    "Sandbox",
    "Scenario",
    "ScenarioError",
    "StateFault",
    "StateFileError",
    "WireRequest",
    "load_scenario",
    "read_code",
    "read_scenario",
]
