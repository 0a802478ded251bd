"""An HTTP/1.1 server with a thread for each connection. ``App`` is what it serves.

The standard library's, with what a hostile test needs: an answer may be withheld or the connection cut, bodies are
limited, an answer may be a stream without an end, faults of HTTP are answered in the application's own form, and
``stop`` ends every connection at once.
"""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler
from ipaddress import ip_address
from socketserver import ThreadingTCPServer
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from email.message import Message

    from payme_plugin.sandbox.app import App

LOOPBACK = "127.0.0.1"
MAX_BODY = 1 << 20
_DRAINED_CHUNKS = 1024
_CHUNK = 1 << 16
_DRAIN_S = 2.0
_STOP_S = 5.0
_SLOWEST_READER_S = 10.0
_LONGEST_PAUSE_S = 0.25
"""Within an answer that leaves slowly. It is shorter than a client waits for the next bytes."""


class PortUnavailable(OSError):
    """The sandbox can't listen on the port asked for.

    Attributes:
        port: that port.
        host: the address of that port.
        reason: why, in the words of the system.
    """

    def __init__(self, host: str, port: int, reason: Exception) -> None:
        super().__init__(f"port {port} on {host} can't be used ({reason}); choose another, or 0 for any free one")
        self.port = port
        self.host = host
        self.reason = str(reason)


class Abort(Enum):
    """A connection that gets no answer."""

    CLOSE = "closed at once, without a byte"
    HANG = "open until the other side or ``HttpServer.stop`` closes it"


@dataclass(frozen=True)
class Request:
    """A request that arrived whole.

    Attributes:
        method: e.g. ``POST``.
        target: as in the request line: the path, perhaps with a query.
        headers: by name, in any case.
        body: at most 1 MiB.
        port: the other side's port.
    """

    method: str
    target: str
    headers: Message
    body: bytes
    port: int


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        body: the whole of it.
        status: the HTTP status.
        content_type: the media type of ``body``.
        headers: further headers.
        document: what ``body`` is as JSON; ``None`` if it is not JSON.
        times: how often it is sent; 2 is once more than the other side expects.
        is_cut: the connection closes after half of the body.
        over_s: how long it takes to leave, in small pieces.
    """

    body: bytes
    status: int = 200
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    document: object = field(default=None, repr=False)
    times: int = 1
    is_cut: bool = False
    over_s: float = 0.0


@dataclass(frozen=True)
class Stream:
    """An answer without an end: the connection closes after its last part, or once the other side stops reading.

    Attributes:
        parts: what to send, each part as soon as it is there; closed at the end.
        content_type: the media type.
        headers: further headers.
    """

    parts: Generator[bytes, None, None]
    content_type: str
    headers: tuple[tuple[str, str], ...] = ()


class _Connection(BaseHTTPRequestHandler):
    server: HttpServer
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 75.0

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.request)

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # the connection broke, or was cut
            if isinstance(self.request, ssl.SSLSocket):
                self.request.do_handshake()
            super().handle()

    def finish(self) -> None:
        super().finish()
        self.server.closed(self.request)

    def __getattr__(self, name: str) -> Callable[[], None]:
        """Serve a request of any method: the base class looks for ``do_GET``, ``do_POST``, ..."""
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def log_message(self, *_: object) -> None:
        """Log nothing: the sandbox has a log of its own."""

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:  # noqa: ARG002
        """Answer a head that can't be read; called by the base class."""
        self.close_connection = True
        self._send(self.server.application.refusal(int(code), message or self.responses[code][0]))
        # A peer that is cut off while it still sends would not read its answer.
        self.request.settimeout(_DRAIN_S)
        for _ in range(_DRAINED_CHUNKS):
            if not self.rfile.read1(_CHUNK):
                return

    def _serve(self) -> None:
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers:
            return self.send_error(411, "send the body with Content-Length")
        if len(self.headers.get_all("Content-Length", [])) > 1:
            return self.send_error(400, "Content-Length is given twice")
        if not (length.isascii() and length.isdigit()):
            return self.send_error(400, "Content-Length is not a number")
        if len(length) > len(str(MAX_BODY)) or int(length) > MAX_BODY:
            return self.send_error(413, f"the body is over {MAX_BODY} bytes")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionAbortedError("the other side left in the middle of its request")
        request = Request(self.command, self.path, self.headers, body, self.client_address[1])
        self.server.opened(self.request, self.path)
        answer = self.server.application.answer(request)
        if isinstance(answer, Answer):
            return self._send(answer)
        if isinstance(answer, Stream):
            return self._send_parts(answer)
        self.close_connection = True
        if answer is Abort.HANG:
            self.request.settimeout(None)
            while self.rfile.read1(_CHUNK):
                pass
        return _cut(self.request)

    def _send(self, answer: Answer) -> None:
        length = ("Content-Length", str(len(answer.body)))
        head = self._head(answer.status, ("Content-Type", answer.content_type), length, *answer.headers)
        body = b"" if self.command == "HEAD" else answer.body
        content = (head + body) * answer.times
        if answer.is_cut:
            self.close_connection = True
            content = content[: len(content) - len(body) // 2]
        pieces = math.ceil(answer.over_s / _LONGEST_PAUSE_S) or 1
        size = math.ceil(len(content) / pieces)
        for start in range(0, len(content), size):
            if answer.over_s and self.server.stopping.wait(answer.over_s * size / len(content)):
                return
            self.wfile.write(content[start : start + size])

    def _send_parts(self, stream: Stream) -> None:
        self.close_connection = True
        with contextlib.closing(stream.parts):
            self.request.settimeout(_SLOWEST_READER_S)
            self.wfile.write(self._head(200, ("Content-Type", stream.content_type), *stream.headers))
            if self.command != "HEAD":
                for part in stream.parts:
                    self.wfile.write(part)

    def _head(self, status: int, *headers: tuple[str, str]) -> bytes:
        reason, _ = self.responses.get(status, ("", ""))
        closes = [("Connection", "close")] if self.close_connection else []
        lines = (f"HTTP/1.1 {status} {reason}", *map(": ".join, [*headers, *closes]), "")
        return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


class HttpServer(ThreadingTCPServer):
    """``application`` on a port of ``host``, from ``start`` until ``stop``.

    Args:
        host: the address to listen on.
        port: where to listen; 0: any free port.
        application: what is served.
        stopping: set as soon as the server stops; an application that waits should wait for this too.
        tls: how to serve https; ``None``: http.

    Raises:
        PortUnavailable: the port is taken, not allowed, or out of range.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = socket.SOMAXCONN

    def __init__(self, host: str, port: int, application: App, stopping: Event, tls: ssl.SSLContext | None) -> None:
        try:
            self.address_family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            super().__init__((str(address[0]), port), _Connection)
        except (OSError, OverflowError, UnicodeError) as error:
            raise PortUnavailable(host, port, error) from error
        self.application = application
        self.port: int = self.server_address[1]
        self.stopping = stopping
        self._tls = tls
        self._open: dict[socket.socket, str] = {}
        self._changed = Condition()
        self._thread = Thread(target=self.serve_forever, name="payme-sandbox", daemon=True)

    def start(self) -> None:
        """Serve; connections that came before wait for it."""
        self._thread.start()

    def get_request(self) -> tuple[socket.socket, object]:
        """Accept a connection; its TLS handshake is made on its own thread."""
        connection, address = super().get_request()
        if self._tls is not None:
            connection = self._tls.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        return connection, address

    def opened(self, connection: socket.socket, target: str = "") -> None:
        """Remember an open connection and its last request's target; one that comes too late is cut at once."""
        with self._changed:
            self._open[connection] = target
        if self.stopping.is_set():
            _cut(connection)

    def closed(self, connection: socket.socket) -> None:
        """Forget a connection."""
        with self._changed:
            self._open.pop(connection, None)
            self._changed.notify_all()

    def cut(self, path: str) -> None:
        """Cut the connections whose last request was for ``path``."""
        with self._changed:
            for connection, target in self._open.items():
                if target.partition("?")[0].removesuffix("/") == path:
                    _cut(connection)

    def stop(self) -> None:
        """Stop listening, cut every connection, and wait up to 5 s until their threads have left."""
        self.stopping.set()
        _cut(self.socket)  # wakes ``serve_forever``, which would look for the end only twice a second
        self.shutdown()
        with self._changed:
            for connection in self._open:
                _cut(connection)
            self._changed.wait_for(lambda: not self._open, _STOP_S)
        self.server_close()
        self._thread.join()


def _cut(connection: socket.socket) -> None:
    """End a connection in both directions at once, also below TLS, and wake the thread that reads from it."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def reachable(host: str) -> str:
    """Return ``host``; for all addresses of the machine, the one from which it reaches other networks."""
    try:
        if not ip_address(host).is_unspecified:
            return host
    except ValueError:  # a name
        return host
    family, outside, here = (
        (socket.AF_INET6, "2001:db8::1", "::1") if ":" in host else (socket.AF_INET, "192.0.2.1", LOOPBACK)
    )
    # Connecting UDP sends nothing; the addresses are for documentation (RFC 5737, RFC 3849).
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((outside, 9))
        except OSError:
            return here
        return str(probe.getsockname()[0])
