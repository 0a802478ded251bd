"""A server on loopback that does with its connections whatever a test says."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import ssl

PATIENCE_S = 30
"""Nobody in these tests waits longer for anything."""


@dataclass(frozen=True)
class Request:
    """A request as it came over the wire.

    Attributes:
        line: its request line.
        headers: its headers.
        body: its bytes.
        nth: which one on its connection, from 1.
    """

    line: str
    headers: dict[str, str]
    body: bytes
    nth: int

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        """The JSON in the body."""
        return json.loads(self.body)

    @property
    def method(self) -> str:
        """The method, e.g. ``receipts.pay``."""
        return str(self.document["method"])


class Connection:
    """One connection of a client to a server.

    Attributes:
        peer: the server.
        socket: the connection itself.
        requests: those that came on it.
    """

    def __init__(self, peer: Peer, socket: socket.socket) -> None:
        self.peer = peer
        self.socket = socket
        self.requests: list[Request] = []
        self._buffer = b""

    def receive(self) -> bool:
        """Take in what comes next; False when the client is gone."""
        part = self.socket.recv(65536)
        self._buffer += part
        self.peer.received += part
        return bool(part)

    def read_request(self) -> Request | None:
        """Read one whole request; None when the client is gone."""
        while b"\r\n\r\n" not in self._buffer:
            if not self.receive():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = dict(field.split(": ", 1) for field in fields)
        length = int(headers.get("Content-Length", 0))
        while len(rest) < length:
            if not self.receive():
                return None
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = rest[length:]
        request = Request(line, headers, rest[:length], len(self.requests) + 1)
        self.requests.append(request)
        self.peer.requests.append(request)
        return request

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def reply(self, body: bytes, *, status: str = "200 OK", headers: str = "", length: int | None = None) -> None:
        """Send an HTTP answer; with a ``length`` of its own the body may be shorter or longer than that."""
        stated = len(body) if length is None else length
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {stated}\r\n{headers}\r\n".encode() + body)

    def answer(self, request: Request, **members: object) -> None:
        """Send a JSON answer that repeats the request's id, unless ``members`` say otherwise."""
        self.reply(json.dumps({"jsonrpc": "2.0", "id": request.document["id"], **members}).encode())

    def drip(self, data: bytes, pause_s: float, size: int = 1) -> None:
        """Send some bytes at a time until the client is gone."""
        for start in range(0, len(data), size):
            self.send(data[start : start + size])
            if self.peer.stopping.wait(pause_s):
                return

    def reset(self) -> None:
        """Break the connection off with an RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def half_close(self) -> None:
        """Say that nothing more comes, and go on listening."""
        self.socket.shutdown(socket.SHUT_WR)

    def until_gone(self) -> None:
        """Say nothing until the client is gone."""
        while self.receive():
            pass


Script = Callable[[Connection], object]


class Peer:
    """A server from its making to ``close``; its n-th connection follows the n-th script, later ones the last.

    Attributes:
        port: where it listens on 127.0.0.1.
        connections: how many there were.
        received: every byte that clients sent, after TLS.
        requests: those that arrived whole.
        faults: what scripts raised, but for an OSError.
        stopping: set when the server closes.
    """

    def __init__(self, *scripts: Script, tls: ssl.SSLContext | None = None) -> None:
        self.connections = 0
        self.received = b""
        self.requests: list[Request] = []
        self.faults: list[BaseException] = []
        self.stopping = threading.Event()
        self._scripts = scripts
        self._tls = tls
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, name="peer", daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Its address, for the setting ``url``."""
        return f"{'https' if self._tls else 'http'}://localhost:{self.port}/api"

    @property
    def methods(self) -> list[str]:
        """The methods of the requests that arrived."""
        return [request.method for request in self.requests]

    def has_ended(self, nth: int) -> bool:
        """Return whether the n-th connection, from 1, ends soon."""
        self._threads[nth].join(5)
        return not self._threads[nth].is_alive()

    def cut(self) -> None:
        """End every connection, in good order, as an idle one is ended."""
        for one in self._open:
            with contextlib.suppress(OSError):
                # Not the TLS socket's own shutdown: that one would go on in plain.
                socket.socket.shutdown(one, socket.SHUT_RDWR)

    def close(self) -> None:
        """End every connection and listen no longer."""
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(PATIENCE_S)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join(PATIENCE_S)

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            script = self._scripts[min(number, len(self._scripts) - 1)]
            self.connections += 1
            self._open.append(client)
            thread = threading.Thread(target=self._follow, args=(script, client), name="peer-connection", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _follow(self, script: Script, client: socket.socket) -> None:
        try:
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
                self._open.append(client)
            script(Connection(self, client))
        except OSError:  # the client is gone, or refused the certificate
            pass
        except BaseException as fault:  # noqa: BLE001 - raised when the test ends
            self.faults.append(fault)
        finally:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(client, socket.SHUT_RDWR)
            client.close()
