"""The sandbox over HTTP: ``/api`` for the kassa, ``/sandbox/...`` for control calls, ``/phone`` for the buyer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from payme_plugin.sandbox import control, phone, rpc
from payme_plugin.sandbox.desk import Desk, Received, Rejected
from payme_plugin.sandbox.errors import TRANSPORT_ERROR, BankError
from payme_plugin.sandbox.faults import Fault, FaultKind
from payme_plugin.sandbox.hanging import Dropped, Silent

__all__ = ["build_app"]

_LARGEST_BODY = 1 << 20
_ANY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
_PORTAL_PAGE = "<!doctype html><title>Wi-Fi</title><h1>Sign in to use this network</h1>"
_NO_OUTSIDE = {
    "Content-Security-Policy": "default-src 'self' 'unsafe-inline'; img-src 'self' data:",
    "Cache-Control": "no-store",
}

_TOO_LARGE = PlainTextResponse("the request is over 1 MiB", status_code=413, headers={"Connection": "close"})

Control = Callable[[Mapping[str, object]], object]


def build_app(desk: Desk, stopping: asyncio.Event) -> Starlette:
    """Return the application; ``stopping`` ends the delays that are under way."""
    endpoints = _Endpoints(desk, stopping)
    return Starlette(
        routes=[
            Route("/api", endpoints.api, methods=_ANY_METHOD),
            Route("/api/", endpoints.api, methods=_ANY_METHOD),
            Route("/sandbox/codes", _control(endpoints.issue_code), methods=["POST"]),
            Route("/sandbox/faults", _control(endpoints.inject), methods=["POST"]),
            Route("/sandbox/faults", endpoints.faults, methods=["GET", "DELETE"]),
            Route("/sandbox/requests", endpoints.requests, methods=["GET"]),
            Route("/sandbox/receipts", endpoints.receipts, methods=["GET"]),
            Route("/phone", endpoints.phone, methods=["GET"]),
            Route("/phone/codes", _control(endpoints.phone_code), methods=["POST"]),
            Route("/phone/status", _control(endpoints.phone_status), methods=["POST"]),
            Route("/phone/answer", _control(endpoints.phone_answer), methods=["POST"]),
        ]
    )


def _json(document: object, status: int = 200) -> Response:
    return Response(json.dumps(document), status_code=status, media_type="application/json")


async def _body(request: Request) -> bytes | None:
    """Return the whole body; ``None`` where it is over 1 MiB."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            return None
    return bytes(body)


def _control(answer: Control) -> Callable[[Request], Awaitable[Response]]:
    """Return an endpoint that hands the JSON object of a POST to ``answer``; 400 with a text if that can't use it."""

    async def endpoint(request: Request) -> Response:
        try:
            body = await _body(request)
            return _TOO_LARGE if body is None else _json(answer(rpc.read_request(body or b"{}")))
        except ClientDisconnect:
            return Silent()
        except BankError:
            return _json({"error": "the body must be one JSON object"}, status=400)
        except ValueError as error:
            return _json({"error": str(error)}, status=400)

    return endpoint


class _Endpoints:
    def __init__(self, desk: Desk, stopping: asyncio.Event) -> None:
        self._desk = desk
        self._stopping = stopping

    async def api(self, request: Request) -> Response:
        if request.method != "POST":
            return _json(rpc.error_answer(None, BankError(TRANSPORT_ERROR)))
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Silent()
        if body is None:
            return _TOO_LARGE
        x_auth = request.headers.get("x-auth", "").encode("latin-1")
        try:
            received = self._desk.receive(body, x_auth, request.client.port if request.client else 0)
        except Rejected as rejected:
            return _json(rejected.answer)
        if received.fault is None:
            return _json(self._desk.carry_out(received.call))
        return await self._befallen(received, received.fault)

    async def _befallen(self, received: Received, fault: Fault) -> Response:
        """Carry out a request that a fault befalls, as far as the fault lets it."""
        if fault.kind is FaultKind.REQUEST_DELAYED and not await self._pause(fault.after_s):
            return Dropped()
        answer = self._desk.carry_out(received.call) if fault.kind.effect else None
        if fault.kind is FaultKind.ANSWER_DELAYED and not await self._pause(fault.after_s):
            return Dropped()
        if fault.kind in {FaultKind.REQUEST_LOST, FaultKind.ANSWER_LOST}:
            return Dropped()
        if fault.kind in {FaultKind.SILENT, FaultKind.SILENT_AFTER_EFFECT}:
            return Silent()
        if fault.kind in {FaultKind.HTML, FaultKind.HTML_AFTER_EFFECT}:
            return HTMLResponse(_PORTAL_PAGE)
        if fault.kind in {FaultKind.HTTP_ERROR, FaultKind.HTTP_ERROR_AFTER_EFFECT}:
            return PlainTextResponse(f"sandbox fault {fault.status}", status_code=fault.status)
        if answer is None or fault.kind is FaultKind.ERROR_AFTER_EFFECT:
            return _json(rpc.error_answer(received.call.request_id, BankError(fault.error_code)))
        return _json(rpc.altered(answer, fault.kind))

    async def _pause(self, duration_s: float) -> bool:
        """Wait; return False where the sandbox stops meanwhile."""
        try:
            await asyncio.wait_for(self._stopping.wait(), duration_s)
        except asyncio.TimeoutError:
            return True
        return False

    def issue_code(self, document: Mapping[str, object]) -> object:
        return {"code": self._desk.issue_code(control.behaviour_from(document))}

    def inject(self, document: Mapping[str, object]) -> object:
        self._desk.inject(control.fault_from(document))
        return [control.fault_as_json(fault) for fault in self._desk.faults]

    async def faults(self, request: Request) -> Response:
        if request.method == "DELETE":
            self._desk.clear_faults()
        return _json([control.fault_as_json(fault) for fault in self._desk.faults])

    async def requests(self, _request: Request) -> Response:
        return _json([control.request_as_json(one) for one in self._desk.requests])

    async def receipts(self, _request: Request) -> Response:
        return _json([control.receipt_as_json(one) for one in self._desk.receipts()])

    async def phone(self, _request: Request) -> Response:
        return HTMLResponse(phone.page(), headers=_NO_OUTSIDE)

    def phone_code(self, document: Mapping[str, object]) -> object:
        code = self._desk.issue_code(control.behaviour_from(document))
        return {"code": code, "svg": phone.svg_code(code), **phone.status(self._desk, code)}

    def phone_status(self, document: Mapping[str, object]) -> object:
        return phone.status(self._desk, control.code_from(document))

    def phone_answer(self, document: Mapping[str, object]) -> object:
        code, confirms = control.answer_from(document)
        return {"waited": self._desk.buyer_answers(code, confirms=confirms), **phone.status(self._desk, code)}
