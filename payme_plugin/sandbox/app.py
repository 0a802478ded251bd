"""What the sandbox serves: ``/api`` for the till, the control calls, and ``/phone`` with the buyer's phone.

A control call is what a test or the buyer's phone asks, JSON in and JSON out.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from hookspecs.structure import structure
from payme_plugin.sandbox.behaviour import Behaviour
from payme_plugin.sandbox.faults import FaultKind, InjectedFault, altered
from payme_plugin.sandbox.http_server import Abort, Answer, Request
from payme_plugin.sandbox.jsonrpc import BankError, ErrorCode, error_answer, member, read_object

if TYPE_CHECKING:
    from threading import Event

    from payme_plugin.sandbox.jsonrpc import Call, JsonObject
    from payme_plugin.sandbox.server import Sandbox

_LOG = logging.getLogger("payme.sandbox")
_PORTAL_PAGE = b"<!doctype html><title>Wi-Fi</title><h1>Sign in to use this network</h1>"
_HTML = "text/html; charset=utf-8"
_OWN_PAGE = (
    ("Content-Security-Policy", "default-src 'self' 'unsafe-inline'; img-src 'self' data:"),
    ("Cache-Control", "no-store"),
)


def _issue_code(sandbox: Sandbox, document: JsonObject) -> dict[str, object]:
    return {"code": sandbox.issue_code(structure(Behaviour, document, "body"))}


def _faults(sandbox: Sandbox, _: JsonObject) -> list[dict[str, Any]]:
    return [asdict(fault) for fault in sandbox.faults]


def _inject(sandbox: Sandbox, document: JsonObject) -> list[dict[str, Any]]:
    sandbox.inject(structure(InjectedFault, document, "body"))
    return _faults(sandbox, document)


def _clear_faults(sandbox: Sandbox, document: JsonObject) -> list[dict[str, Any]]:
    sandbox.clear_faults()
    return _faults(sandbox, document)


def _receipts(sandbox: Sandbox, _: JsonObject) -> list[dict[str, Any]]:
    return [{name: value for name, value in asdict(one).items() if name != "code"} for one in sandbox.receipts()]


def _phone_code(sandbox: Sandbox, document: JsonObject) -> dict[str, object]:
    issued = _issue_code(sandbox, document)
    return {**issued, "svg": _svg(str(issued["code"])), **_phone_status(sandbox, issued)}


def _phone_status(sandbox: Sandbox, document: JsonObject) -> dict[str, object]:
    """Return what the phone shows of its code; an unknown one has no time left."""
    known = sandbox.code(member(document, "code", str))
    if known is None:
        return {"left_ms": 0, "used": False, "state": None, "amount": None}
    view, receipt, left_ms = known
    state, amount = (receipt.state, receipt.amount) if receipt else (None, None)
    return {"left_ms": left_ms, "used": view.used_by is not None, "state": state, "amount": amount}


def _phone_answer(sandbox: Sandbox, document: JsonObject) -> dict[str, object]:
    waited = sandbox.buyer_answers(member(document, "code", str), confirms=member(document, "confirms", bool))
    return {"waited": waited, **_phone_status(sandbox, document)}


def _svg(code: str) -> str | None:
    """Return the QR of ``code`` as an SVG element that scales with its box; ``None`` without segno."""
    try:
        import segno  # noqa: PLC0415 - an extra: without it the phone shows only the digits
    except ImportError:
        return None
    return segno.make(code, micro=False, error="m").svg_inline(omitsize=True, border=4, title="QR", lineclass=None)


ControlCall = Callable[["Sandbox", "JsonObject"], object]

CALLS: Mapping[str, Mapping[str, ControlCall]] = {
    "/sandbox/codes": {"POST": _issue_code},
    "/sandbox/faults": {"GET": _faults, "POST": _inject, "DELETE": _clear_faults},
    "/sandbox/requests": {"GET": lambda sandbox, _: [asdict(request) for request in sandbox.requests]},
    "/sandbox/receipts": {"GET": _receipts},
    "/phone/codes": {"POST": _phone_code},
    "/phone/status": {"POST": _phone_status},
    "/phone/answer": {"POST": _phone_answer},
}
"""The control calls by path and method. One raises ``ValueError`` or ``BankError`` for a document that it can't use."""


class App:
    """The sandbox over HTTP.

    Every error is in Payme's own form, also those of HTTP and of control calls: ``error`` has ``code``, ``message`` and
    ``data``, which says why.

    Args:
        sandbox: what is served.
        stopping: ends the delays of faults.
    """

    def __init__(self, sandbox: Sandbox, stopping: Event) -> None:
        self._sandbox = sandbox
        self._stopping = stopping
        self._routes: dict[str, dict[str, Callable[[Request], Answer | Abort]]] = {
            "/api": {"POST": self._api},
            "/phone": {"GET": lambda _: Answer(phone_page(), content_type=_HTML, headers=_OWN_PAGE)},
        }
        for path, calls in CALLS.items():
            self._routes[path] = {method: partial(self._control, call) for method, call in calls.items()}

    def answer(self, request: Request) -> Answer | Abort:
        """Return what becomes of a request."""
        try:
            path = urlsplit(request.target).path
            methods = self._routes.get(path.removesuffix("/"))
            if methods is None:
                return self.refusal(404, "no such path")
            endpoint = methods.get("GET" if request.method == "HEAD" else request.method)
            if endpoint is None:
                allowed = ", ".join(methods)
                return self.refusal(405, f"only {allowed}", ("Allow", allowed))
            return endpoint(request)
        except BankError as error:
            return _json(error_answer(None, error), 400)
        except (ValueError, OverflowError) as error:
            return _json(error_answer(None, BankError(ErrorCode.INVALID_PARAMS, str(error))), 400)
        except Exception:  # noqa: BLE001 - a fault of the sandbox is answered in Payme's form too
            _LOG.exception("the sandbox can't answer %s", request.method)
            return _json(error_answer(None, BankError(ErrorCode.INTERNAL_ERROR)))

    def refusal(self, status: int, reason: str, *headers: tuple[str, str]) -> Answer:
        """Return the answer to what HTTP does not allow."""
        return _json(error_answer(None, BankError(ErrorCode.TRANSPORT_ERROR, reason)), status, headers)

    def _control(self, call: ControlCall, request: Request) -> Answer:
        return _json(call(self._sandbox, read_object(request.body or b"{}")))

    def _api(self, request: Request) -> Answer | Abort:
        x_auth = request.headers.get("X-Auth", "").encode("latin-1")
        received = self._sandbox.receive(request.body, x_auth, request.port)
        if not isinstance(received, tuple):
            return _json(received)
        call, fault = received
        return _json(self._sandbox.carry_out(call)) if fault is None else self._with_fault(call, fault)

    def _with_fault(self, call: Call, fault: InjectedFault) -> Answer | Abort:
        """Carry out a request as far as its fault lets it."""
        kind = fault.kind
        if kind is FaultKind.REQUEST_DELAYED and self._stopping.wait(fault.after_s):
            return Abort.CLOSE
        answer = self._sandbox.carry_out(call) if kind.effect else None
        if kind is FaultKind.ANSWER_DELAYED and self._stopping.wait(fault.after_s):
            return Abort.CLOSE
        if kind in {FaultKind.REQUEST_LOST, FaultKind.ANSWER_LOST}:
            return Abort.CLOSE
        if kind in {FaultKind.SILENT, FaultKind.SILENT_AFTER_EFFECT}:
            return Abort.HANG
        if kind in {FaultKind.HTML, FaultKind.HTML_AFTER_EFFECT}:
            return Answer(_PORTAL_PAGE, content_type=_HTML)
        if kind in {FaultKind.HTTP_ERROR, FaultKind.HTTP_ERROR_AFTER_EFFECT}:
            return Answer(f"sandbox fault {fault.status}".encode(), fault.status, "text/plain; charset=utf-8")
        if answer is None or kind is FaultKind.ERROR_AFTER_EFFECT:
            return _json(error_answer(call.request_id, BankError(fault.error_code)))
        return _json(altered(answer, kind))


def phone_page() -> bytes:
    """Return the buyer's phone as a page that needs nothing from outside the sandbox."""
    return files("payme_plugin.sandbox").joinpath("phone.html").read_bytes()


def _json(document: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    text = json.dumps(document, default=lambda enumerated: enumerated.value)
    return Answer(text.encode("ascii"), status, headers=headers)
