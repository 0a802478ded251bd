"""One connection of a till to the fault proxy: what is heard on it, and every way to answer badly."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import threading

PATIENCE_S = 30
"""Nobody in these tests waits longer for anything."""

DRIP_PAUSE_S = 0.4
"""From one dripping byte to the next: sooner than the tills' ``timeout`` of 1 s, which every single read may take.

It is a byte a second under a real ``timeout`` of several seconds: no read is ever late, and nothing but the limit of
the whole request ends it.
"""


@dataclass(frozen=True)
class Request:
    """A request as it came over the wire.

    Attributes:
        method: ``receipts.pay`` say.
        document: the whole JSON.
        head: its request line and headers.
        body: its bytes.
        nth: which one on its connection, from 1.
    """

    method: str
    document: dict[str, Any]
    head: bytes
    body: bytes
    nth: int


class Line:
    """One connection of the till, in the hands of a fault.

    Attributes:
        over: set when the proxy closes; what drips or floods looks at it.
    """

    def __init__(self, connection: socket.socket, over: threading.Event) -> None:
        self.over = over
        self._connection = connection
        self._buffer = b""
        self._heard = 0

    def hear(self) -> Request | None:
        """Read one whole request; None when the till is gone."""
        while b"\r\n\r\n" not in self._buffer:
            if not self._receive():
                return None
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(rest) < length:
            if not self._receive():
                return None
            rest = self._buffer.partition(b"\r\n\r\n")[2]
        self._buffer = rest[length:]
        self._heard += 1
        document = json.loads(rest[:length])
        return Request(document["method"], document, head, rest[:length], self._heard)

    def wait_unread(self) -> None:
        """Wait until a request begins to come, and leave it unread."""
        select.select([self._connection], [], [], PATIENCE_S)

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self._connection.sendall(data)

    def reply(self, body: bytes, *, status: str = "200 OK", headers: str = "", length: int | None = None) -> None:
        """Send a whole HTTP answer; with a ``length`` of its own it may be less or more than that."""
        said = len(body) if length is None else length
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {said}\r\n{headers}\r\n".encode() + body)

    def drip(self, data: bytes, pause_s: float = DRIP_PAUSE_S) -> None:
        """Send byte by byte, each in time for whoever waits for one, until the till is gone."""
        for byte in data:
            self.send(bytes([byte]))
            if self.over.wait(pause_s):
                return

    def reset(self) -> None:
        """Break the connection off with an RST."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._connection.close()

    def shut(self) -> None:
        """End the connection, from any thread; the one that serves it closes it.

        Closed from here its number would be another connection's at once, and the serving thread would read there.
        """
        with contextlib.suppress(OSError):
            # Not the TLS socket's own: that one would go on in plain.
            socket.socket.shutdown(self._connection, socket.SHUT_RDWR)

    def close(self) -> None:
        """End the connection; in the thread that serves it."""
        self.shut()
        self._connection.close()

    def half_close(self) -> None:
        """Say that nothing more comes, and go on listening."""
        self._connection.shutdown(socket.SHUT_WR)

    def until_gone(self) -> None:
        """Say nothing, until the till is gone."""
        while self._receive():
            pass

    def _receive(self) -> bool:
        part = self._connection.recv(65536)
        self._buffer += part
        return bool(part)
