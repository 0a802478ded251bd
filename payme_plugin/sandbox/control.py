"""The control calls: what a test or the buyer's phone asks of the sandbox, JSON in and JSON out. It knows no HTTP."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from hookspecs.structure import structure
from payme_plugin.sandbox.behaviour import Behaviour
from payme_plugin.sandbox.faults import InjectedFault

if TYPE_CHECKING:
    from payme_plugin.sandbox.gateway import Gateway
    from payme_plugin.sandbox.jsonrpc import JsonObject

ControlCall = Callable[["Gateway", "JsonObject"], object]


@dataclass(frozen=True)
class _BuyerAnswer:
    code: str
    confirms: bool


@dataclass(frozen=True)
class _Code:
    code: str


def _issue_code(gateway: Gateway, document: JsonObject) -> object:
    return {"code": gateway.issue_code(structure(Behaviour, document, "body"))}


def _faults(gateway: Gateway, _: JsonObject) -> object:
    return [asdict(fault) for fault in gateway.faults]


def _inject(gateway: Gateway, document: JsonObject) -> object:
    gateway.inject(structure(InjectedFault, document, "body"))
    return _faults(gateway, document)


def _clear_faults(gateway: Gateway, document: JsonObject) -> object:
    gateway.clear_faults()
    return _faults(gateway, document)


def _requests(gateway: Gateway, _: JsonObject) -> object:
    return [asdict(request) for request in gateway.requests]


def _receipts(gateway: Gateway, _: JsonObject) -> object:
    return [{name: value for name, value in asdict(one).items() if name != "code"} for one in gateway.receipts()]


def _phone_code(gateway: Gateway, document: JsonObject) -> object:
    code = gateway.issue_code(structure(Behaviour, document, "body"))
    return {"code": code, "svg": _svg(code), **_status(gateway, code)}


def _phone_status(gateway: Gateway, document: JsonObject) -> object:
    return _status(gateway, structure(_Code, document, "body").code)


def _phone_answer(gateway: Gateway, document: JsonObject) -> object:
    answer = structure(_BuyerAnswer, document, "body")
    waited = gateway.buyer_answers(answer.code, confirms=answer.confirms)
    return {"waited": waited, **_status(gateway, answer.code)}


CALLS: Mapping[str, Mapping[str, ControlCall]] = {
    "/sandbox/codes": {"POST": _issue_code},
    "/sandbox/faults": {"GET": _faults, "POST": _inject, "DELETE": _clear_faults},
    "/sandbox/requests": {"GET": _requests},
    "/sandbox/receipts": {"GET": _receipts},
    "/phone/codes": {"POST": _phone_code},
    "/phone/status": {"POST": _phone_status},
    "/phone/answer": {"POST": _phone_answer},
}
"""The calls by path and method. One raises ``ValueError`` for a document that it can't use; the text says why."""


def _status(gateway: Gateway, code: str) -> dict[str, object]:
    """Return what the phone shows of its code; an unknown one has no time left."""
    known = gateway.code(code)
    if known is None:
        return {"left_ms": 0, "used": False, "state": None, "amount": None}
    view, receipt, left_ms = known
    state, amount = (receipt.state, receipt.amount) if receipt else (None, None)
    return {"left_ms": left_ms, "used": view.used_by is not None, "state": state, "amount": amount}


def _svg(code: str) -> str | None:
    """Return the QR of ``code`` as an SVG element that scales with its box; ``None`` without segno."""
    try:
        import segno  # noqa: PLC0415 - an extra: without it the phone shows only the digits
    except ImportError:
        return None
    return segno.make(code, micro=False, error="m").svg_inline(omitsize=True, border=4, title="QR", lineclass=None)
