"""A server between the till and the sandbox that repeats what it was asked, wherever an answer has room for it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from faults.canaries import CARD, KEY, PHONE, grouped

if TYPE_CHECKING:
    from types import TracebackType

    from payme_plugin.sandbox import Sandbox

_UNKNOWN_ERROR = -31999


@dataclass(frozen=True)
class Exchange:
    """A request, and the sandbox's answer to it.

    Attributes:
        x_auth: the header with the key.
        body: the request's body.
        answer: the envelope of the sandbox's answer.
    """

    x_auth: str
    body: str
    answer: Mapping[str, Any]

    @property
    def words(self) -> str:
        """All that the request held, and what the server knows of the buyer."""
        return f"{self.x_auth} {self.body} card {CARD} phone +{PHONE}"

    @property
    def code(self) -> str:
        """The buyer's code in it; empty where there is none."""
        return str(json.loads(self.body)["params"].get("token", ""))


Shape = Callable[[Exchange], bytes]


def _reply(body: bytes, status: str = "200 OK", headers: str = "") -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


def _envelope(exchange: Exchange, **members: object) -> bytes:
    return _reply(json.dumps({"id": exchange.answer.get("id"), **members}).encode())


def _error(exchange: Exchange, message: object, code: int = _UNKNOWN_ERROR) -> bytes:
    return _envelope(exchange, error={"code": code, "message": message, "data": exchange.words})


def _in_every_field(exchange: Exchange) -> bytes:
    words = exchange.words
    result = exchange.answer.get("result")
    receipt = result.get("receipt") if isinstance(result, Mapping) else None
    if not isinstance(receipt, Mapping):
        return _error(exchange, words)
    told = {
        **receipt,
        "description": words,
        "detail": {"items": [words]},
        "account": [{"name": "xEntityTaxpayerID", "title": words, "value": words}],
        "merchant": {
            "name": f"{KEY} {grouped(CARD)}",
            "organization": f"{words} {grouped(PHONE, '-', 3)}",
            "address": words,
            "epos": {"merchantId": words, "terminalId": words},
        },
        words: words,
    }
    return _envelope(exchange, result={"receipt": told})


def _with_receipt(exchange: Exchange, **fields: object) -> bytes:
    result = exchange.answer.get("result")
    receipt = result.get("receipt", result) if isinstance(result, Mapping) else {}
    told = {**receipt, **fields}
    return _envelope(exchange, result={"receipt": told, **told})


def _in_groups(exchange: Exchange) -> str:
    numbers = [
        grouped(exchange.code),
        grouped(CARD, "-"),
        grouped(CARD, "\u00a0"),
        "+998 (90) 111-22-33",
        grouped(CARD, "\r\n\r\n"),
    ]
    return " / ".join(numbers)


SHAPES: dict[str, Shape] = {
    "an error's words": lambda exchange: _error(exchange, exchange.words),
    "an error's words in every language": lambda exchange: _error(
        exchange, {"ru": exchange.words, "uz": exchange.words}
    ),
    "an error's words, numbers in groups": lambda exchange: _error(exchange, _in_groups(exchange)),
    "an error's code": lambda exchange: _error(exchange, "no", -int(CARD)),
    "every field of the receipt": _in_every_field,
    "the receipt's id": lambda exchange: _with_receipt(exchange, _id=exchange.x_auth),
    "the receipt's state": lambda exchange: _with_receipt(exchange, state=int(CARD)),
    "the receipt's amount": lambda exchange: _with_receipt(exchange, amount=int(CARD)),
    "the envelope's id": lambda exchange: _reply(json.dumps({**exchange.answer, "id": exchange.words}).encode()),
    "broken JSON": lambda exchange: _reply(exchange.words.encode()),
    "a page": lambda exchange: _reply(f"<html>{exchange.words}</html>".encode(), headers="Content-Type: text/html\r\n"),
    "the page of a server's fault": lambda exchange: _reply(exchange.words.encode(), "500 " + exchange.x_auth),
    "a redirection": lambda exchange: _reply(b"", "302 Found", f"Location: http://127.0.0.1:9/{exchange.x_auth}\r\n"),
    "a status line that is none": lambda exchange: f"{exchange.words}\r\n\r\n".encode(),
    "a broken header": lambda exchange: _reply(b"{}", headers=f"X-Auth {exchange.x_auth}\r\n"),
}


class EchoingServer:
    """Passes requests on to the sandbox, and gives the answers to some methods a shape that repeats the request.

    Attributes:
        url: its address, for the setting ``url``.
        shapes: the shape of the answers, by method; all others pass unchanged.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.shapes: dict[str, Shape] = {}
        echo, port = self, sandbox.port

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                method = json.loads(body)["method"]
                self.wfile.write(echo._answer(port, method, body, self.headers["X-Auth"]))
                # What is no HTTP any more leaves no connection to go on with.
                self.close_connection = method in echo.shapes

            def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 - the base class's name
                """Keep quiet."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}/api"

    def __enter__(self) -> EchoingServer:  # noqa: PYI034 - Self is newer than Python 3.10
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, port: int, method: str, body: bytes, x_auth: str) -> bytes:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        try:
            connection.request("POST", "/api", body, {"X-Auth": x_auth, "Content-Type": "application/json"})
            told = connection.getresponse().read()
        finally:
            connection.close()
        shape = self.shapes.get(method)
        return _reply(told) if shape is None else shape(Exchange(x_auth, body.decode(), json.loads(told)))
