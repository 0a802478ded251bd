"""The control API, version 1: what the pages, tests and scripts ask of a running sandbox. JSON in, JSON out.

A call raises ``ValueError`` or ``BankError`` for a document or query that it can't use, ``LookupError`` for an id that
does not exist.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from hookspecs.structure import structure
from payme_plugin import VERSION
from payme_plugin.sandbox.behaviour import Behaviour
from payme_plugin.sandbox.events import Event, EventKind
from payme_plugin.sandbox.faults import InjectedFault
from payme_plugin.sandbox.jsonrpc import member
from payme_plugin.sandbox.receipt import ReceiptView
from payme_plugin.sandbox.records import PhoneView, ReceiptAction
from payme_plugin.sandbox.request_log import WireRequest
from payme_plugin.sandbox.scenario import NewAccount, NewPhone, read_part, read_scenario

if TYPE_CHECKING:
    from enum import Enum

    from payme_plugin.sandbox.jsonrpc import JsonObject
    from payme_plugin.sandbox.records import MerchantAccount
    from payme_plugin.sandbox.server import Sandbox

API = 1
"""The version of the control API."""

PREFIX = f"/sandbox/v{API}"
_MAX_DIGITS = 18
_NAMES = frozenset({"ID", "N"})


@dataclass(frozen=True)
class ControlRequest:
    """A control call that arrived.

    Attributes:
        document: the JSON object of its body; empty without a body.
        query: the members of its query.
        name: what the path has in place of ``ID`` or ``N``; empty if nothing.
    """

    document: JsonObject
    query: Mapping[str, str]
    name: str


def receipt_document(receipt: ReceiptView) -> dict[str, Any]:
    """Return a receipt as the calls show it: without the buyer's code."""
    steps = [{"at_ms": step.at_ms, "state": step.state} for step in receipt.steps]
    shown = {name: value for name, value in asdict(receipt).items() if name != "code"}
    return {**shown, "steps": steps}


def server_document(sandbox: Sandbox) -> dict[str, Any]:
    """Return what is served, and where."""
    return {
        "api": API,
        "version": VERSION,
        "url": sandbox.url,
        "phone_url": sandbox.phone_url,
        "dashboard_url": sandbox.dashboard_url,
        "away": sandbox.is_away,
        "accounts": [_account(account) for account in sandbox.accounts],
        "now_ms": sandbox.now_ms(),
    }


def faults_document(sandbox: Sandbox) -> list[dict[str, Any]]:
    """Return the faults that are still to happen."""
    return [rule.as_json() for rule in sandbox.fault_rules]


def event(kind: EventKind, subject: object) -> Event:
    """Return an event about a receipt, a request or a phone, or with a document, as a line of JSON."""
    if isinstance(subject, ReceiptView):
        subject = receipt_document(subject)
    elif isinstance(subject, WireRequest | PhoneView):
        subject = asdict(subject)
    return Event(kind, as_json(subject))


def as_json(document: object) -> str:
    """Return a document as one line of ASCII; an enum is its value."""
    return json.dumps(document, default=_value)


def _value(enumerated: Enum) -> object:
    return enumerated.value


def _account(account: MerchantAccount) -> dict[str, object]:
    return {"pos_id": account.pos_id, "name": account.name}


def _server(sandbox: Sandbox, _: ControlRequest) -> object:
    return server_document(sandbox)


def _set_server(sandbox: Sandbox, request: ControlRequest) -> object:
    _allow(request.document, "away")
    sandbox.set_away(member(request.document, "away", bool))
    return server_document(sandbox)


def _accounts(sandbox: Sandbox, _: ControlRequest) -> object:
    return [_account(account) for account in sandbox.accounts]


def _add_account(sandbox: Sandbox, request: ControlRequest) -> object:
    given = structure(NewAccount, request.document, "body")
    return asdict(sandbox.add_account(given.pos_id, given.pos_key, given.name))


def _issue_code(sandbox: Sandbox, request: ControlRequest) -> dict[str, object]:
    document = {name: value for name, value in request.document.items() if name != "phone"}
    phone_id = member(request.document, "phone", str) if "phone" in request.document else None
    return {"code": sandbox.issue_code(structure(Behaviour, document, "body"), phone_id)}


def _add_phone(sandbox: Sandbox, request: ControlRequest) -> object:
    given = structure(NewPhone, request.document, "body")
    return asdict(sandbox.add_phone(given.balance, card=given.card, phone=given.phone))


def _phone(sandbox: Sandbox, request: ControlRequest) -> object:
    return asdict(sandbox.phone(request.name))


def _phone_code(sandbox: Sandbox, request: ControlRequest) -> object:
    code = sandbox.issue_code(structure(Behaviour, request.document, "body"), request.name)
    known = sandbox.code(code)
    return {"code": code, "left_ms": known[2] if known else 0, "svg": qr_svg(code)}


def _phone_answer(sandbox: Sandbox, request: ControlRequest) -> object:
    _allow(request.document, "receipt_id", "confirms")
    receipt_id, confirms = member(request.document, "receipt_id", str), member(request.document, "confirms", bool)
    return {"waited": sandbox.phone_answers(request.name, receipt_id, confirms=confirms)}


def _receipts(sandbox: Sandbox, request: ControlRequest) -> object:
    pos_id, state, limit = request.query.get("pos_id"), _number(request, "state"), _number(request, "limit")
    # Views of all receipts take long once there are many, and the tills wait meanwhile.
    looked_at = sandbox.receipts(limit if pos_id is None and state is None else None)
    chosen = [receipt for receipt in looked_at if pos_id in {None, receipt.pos_id} and state in {None, receipt.state}]
    return [
        receipt_document(receipt) for receipt in (chosen if limit is None else chosen[max(0, len(chosen) - limit) :])
    ]


def _act(sandbox: Sandbox, request: ControlRequest) -> object:
    action = structure(_Action, request.document, "body").do
    return receipt_document(sandbox.act(request.name, action))


@dataclass(frozen=True)
class _Action:
    do: ReceiptAction


def _requests(sandbox: Sandbox, request: ControlRequest) -> object:
    found = sandbox.requests_after(_number(request, "after") or 0, _number(request, "limit"))
    return [asdict(one) for one in found]


def _faults(sandbox: Sandbox, _: ControlRequest) -> object:
    return faults_document(sandbox)


def _inject(sandbox: Sandbox, request: ControlRequest) -> object:
    return sandbox.inject(read_part(InjectedFault, request.document, "body")).as_json()


def _remove_fault(sandbox: Sandbox, request: ControlRequest) -> object:
    if not (request.name.isascii() and request.name.isdigit() and len(request.name) <= _MAX_DIGITS):
        raise KeyError(request.name)
    sandbox.remove_fault(int(request.name))
    return faults_document(sandbox)


def _play(sandbox: Sandbox, request: ControlRequest) -> object:
    known = {account.pos_id for account in sandbox.accounts}
    played = sandbox.play(read_scenario(request.document))
    accounts = [_account(each) if each.pos_id in known else asdict(each) for each in played.accounts]
    return {**played.as_json(), "accounts": accounts}


def _clear_faults(sandbox: Sandbox, _: ControlRequest) -> object:
    sandbox.clear_faults()
    return faults_document(sandbox)


def _allow(document: JsonObject, *names: str) -> None:
    for name in document:
        if name not in names:
            raise ValueError(f"body: has {name[:100]!r}; allowed are {', '.join(names) or 'none'}")


def _number(request: ControlRequest, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS):
        raise ValueError(f"{name} is {text[:100]!r}: a number from 0 is allowed")
    return int(text)


def check_body(method: str, document: JsonObject) -> None:
    """Raise ValueError if a call has a body that its method does not take."""
    if method != "POST":
        _allow(document)


def qr_svg(text: str) -> str | None:
    """Return the QR of ``text`` as an SVG element that scales with its box; ``None`` without segno."""
    try:
        import segno  # noqa: PLC0415 - an extra: without it the phone shows only the digits
    except ImportError:
        return None
    return segno.make(text, micro=False, error="m").svg_inline(omitsize=True, border=4, title="QR", lineclass=None)


ControlCall = Callable[["Sandbox", ControlRequest], object]

CALLS: Mapping[str, Mapping[str, ControlCall]] = {
    "/": {"GET": _server},
    "/accounts": {"GET": _accounts, "POST": _add_account},
    "/codes": {"POST": _issue_code},
    "/phones": {"POST": _add_phone},
    "/phones/ID": {"GET": _phone},
    "/phones/ID/code": {"POST": _phone_code},
    "/phones/ID/answer": {"POST": _phone_answer},
    "/receipts": {"GET": _receipts},
    "/receipts/ID": {"POST": _act},
    "/requests": {"GET": _requests},
    "/faults": {"GET": _faults, "POST": _inject, "DELETE": _clear_faults},
    "/faults/N": {"DELETE": _remove_fault},
    "/scenario": {"POST": _play},
    "/server": {"POST": _set_server},
}
"""The control calls by path and method, below ``PREFIX``. ``ID`` and ``N`` stand for any name."""

QUERIES: Mapping[str, frozenset[str]] = {
    "/receipts": frozenset({"pos_id", "state", "limit"}),
    "/requests": frozenset({"after", "limit"}),
}
"""What the query of a path may have; that of any other path must be empty."""


def route(path: str) -> tuple[str, str]:
    """Return the key in ``CALLS`` of a path, and what the path has in place of ``ID`` or ``N``; empty texts if none."""
    if path != PREFIX and not path.startswith(f"{PREFIX}/"):
        return "", ""
    given = path[len(PREFIX) + 1 :].split("/")
    for pattern in CALLS:
        parts = pattern[1:].split("/")
        names = [text for part, text in zip(parts, given, strict=False) if part in _NAMES]
        if (
            len(parts) == len(given)
            and all(names)
            and all(part == text or part in _NAMES for part, text in zip(parts, given, strict=True))
        ):
            return pattern, "".join(names)
    return "", ""
