"""What the sandbox serves: ``/api`` for the till, the control calls, and ``/phone`` with the buyer's phone."""

from __future__ import annotations

import json
import logging
from functools import partial
from importlib.resources import files
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from payme_plugin.sandbox.control import CALLS
from payme_plugin.sandbox.faults import FaultKind, InjectedFault, altered
from payme_plugin.sandbox.gateway import Gateway, Received
from payme_plugin.sandbox.http_server import Abort, Answer, Request
from payme_plugin.sandbox.jsonrpc import BankError, ErrorCode, error_answer, read_object

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import Enum
    from threading import Event

    from payme_plugin.sandbox.control import ControlCall

_LOG = logging.getLogger("payme.sandbox")
_PORTAL_PAGE = b"<!doctype html><title>Wi-Fi</title><h1>Sign in to use this network</h1>"
_HTML = "text/html; charset=utf-8"
_OWN_PAGE = (
    ("Content-Security-Policy", "default-src 'self' 'unsafe-inline'; img-src 'self' data:"),
    ("Cache-Control", "no-store"),
)


class App:
    """The gateway over HTTP.

    Every error is in Payme's own form, also those of HTTP and of control calls: ``error`` has ``code``, ``message`` and
    ``data``, which says why.

    Args:
        gateway: what is served.
        stopping: ends the delays of faults.
    """

    def __init__(self, gateway: Gateway, stopping: Event) -> None:
        self._gateway = gateway
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
        return _json(call(self._gateway, read_object(request.body or b"{}")))

    def _api(self, request: Request) -> Answer | Abort:
        x_auth = request.headers.get("X-Auth", "").encode("latin-1")
        received = self._gateway.receive(request.body, x_auth, request.port)
        if not isinstance(received, Received):
            return _json(received)
        if received.fault is None:
            return _json(self._gateway.carry_out(received.call))
        return self._befallen(received, received.fault)

    def _befallen(self, received: Received, fault: InjectedFault) -> Answer | Abort:
        """Carry out a request that a fault befalls, as far as the fault lets it."""
        kind = fault.kind
        if kind is FaultKind.REQUEST_DELAYED and self._stopping.wait(fault.after_s):
            return Abort.CLOSE
        answer = self._gateway.carry_out(received.call) if kind.effect else None
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
            return _json(error_answer(received.call.request_id, BankError(fault.error_code)))
        return _json(altered(answer, kind))


def phone_page() -> bytes:
    """Return the buyer's phone as a page that needs nothing from outside the sandbox."""
    return files("payme_plugin.sandbox").joinpath("phone.html").read_bytes()


def _json(document: object, status: int = 200, headers: tuple[tuple[str, str], ...] = ()) -> Answer:
    return Answer(json.dumps(document, default=_value_of).encode("ascii"), status, headers=headers)


def _value_of(member: Enum) -> object:
    return member.value
