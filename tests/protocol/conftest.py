"""A peer on loopback that does with its connections whatever a test says, and clients that talk to it."""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from payme_plugin.clock import SystemClock
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.protocols import MerchantAccount
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

    from payme_plugin.settings.parsers import ProxyAddress

KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"

Script = Callable[["Visit"], None]


@dataclass
class Heard:
    """A request as it came over the wire."""

    line: str
    headers: dict[str, str]
    body: bytes

    @property
    def document(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.body)


class Visit:
    """One connection to the peer, in the hands of a script."""

    def __init__(self, peer: Peer, connection: socket.socket) -> None:
        self.peer = peer
        self.connection = connection
        self._buffer = b""

    def receive(self) -> bool:
        """Take in what comes next; False when the client is gone."""
        part = self.connection.recv(65536)
        self._buffer += part
        self.peer.received += part
        return bool(part)

    def request(self) -> Heard | None:
        """Read one request; None when the client is gone."""
        while b"\r\n\r\n" not in self._buffer:
            if not self.receive():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        line, *fields = head.decode("latin-1").split("\r\n")
        headers = dict(text.split(": ", 1) for text in fields)
        length = int(headers["Content-Length"])
        while len(rest) < length:
            if not self.receive():
                return None
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = rest[length:]
        heard = Heard(line, headers, rest[:length])
        self.peer.requests.append(heard)
        return heard

    def send(self, data: bytes) -> None:
        self.connection.sendall(data)

    def reply(self, body: bytes, *, status: str = "200 OK", headers: str = "", length: int | None = None) -> None:
        """Send a whole HTTP answer."""
        said = len(body) if length is None else length
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {said}\r\n{headers}\r\n".encode() + body)

    def answer(self, heard: Heard, **members: object) -> None:
        """Send a JSON answer that repeats the request's id, unless ``members`` say otherwise."""
        self.reply(json.dumps({"jsonrpc": "2.0", "id": heard.document["id"], **members}).encode())

    def drip(self, data: bytes, pause_s: float = 0.02) -> None:
        """Send byte by byte until the client is gone."""
        for byte in data:
            self.send(bytes([byte]))
            if self.peer.stopping.wait(pause_s):
                return

    def reset(self) -> None:
        """Break the connection off with an RST."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def until_gone(self) -> None:
        """Say nothing, until the client is gone."""
        while self.receive():
            pass


@dataclass
class Peer:
    """A listening socket; its n-th connection follows the n-th script, later ones the last."""

    scripts: tuple[Script, ...]
    tls: ssl.SSLContext | None = None
    connections: int = 0
    received: bytes = b""
    requests: list[Heard] = field(default_factory=list)
    faults: list[BaseException] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="peer", daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://localhost:{self.port}/api"

    @property
    def methods(self) -> list[str]:
        return [heard.document["method"] for heard in self.requests]

    def close(self) -> None:
        self.stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(5)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        for number in itertools.count():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            script = self.scripts[min(number, len(self.scripts) - 1)]
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._follow, args=(script, connection), name="visit", daemon=True)
            self._threads.append(thread)
            thread.start()

    def _follow(self, script: Script, connection: socket.socket) -> None:
        try:
            if self.tls is not None:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            script(Visit(self, connection))
        except OSError:  # the client is gone, or refused the certificate
            pass
        except BaseException as fault:  # noqa: BLE001 - told when the test ends
            self.faults.append(fault)
        finally:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


class Time(SystemClock):
    """The machine's clock, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s

    def after(self, duration_s: float) -> float:
        """Return the moment ``duration_s`` from now."""
        return self.monotonic() + duration_s


def answering(state: int = 4) -> Script:
    """Return a script that answers every request with a receipt in ``state``."""

    def script(visit: Visit) -> None:
        while (heard := visit.request()) is not None:
            receipt = {"_id": "65f0a1b2c3d4e5f601234567", "state": state, "amount": 1_500_000}
            is_check = heard.document["method"] == "receipts.check"
            visit.answer(heard, result={"state": state} if is_check else {"receipt": receipt})

    return script


@pytest.fixture
def honest() -> Script:
    """A script that answers every request with a receipt in state 4."""
    return answering()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def serve() -> Iterator[Callable[..., Peer]]:
    """Start a peer: ``serve(first_script, second_script, ..., tls=context)``."""
    peers: list[Peer] = []

    def start(*scripts: Script, tls: ssl.SSLContext | None = None) -> Peer:
        peers.append(Peer(scripts, tls))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()
    assert [fault for peer in peers for fault in peer.faults] == []


@pytest.fixture
def client_of(time: Time) -> Iterator[Callable[..., PaymeGoClient]]:
    """Make a client: ``client_of(url, ca_file=path)``. Its request ids are 1001, 1002, ..."""
    clients: list[PaymeGoClient] = []
    ids = itertools.count(1001)

    def make(url: str, ca_file: Path | None = None, proxy: ProxyAddress | None = None) -> PaymeGoClient:
        merchant = MerchantAccount("5e730e8e0b852a417aa49ceb", Secret(KEY), url)
        clients.append(PaymeGoClient(merchant, clock=time, request_ids=lambda: next(ids), ca_file=ca_file, proxy=proxy))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
