"""An HTTP proxy on loopback: ``CONNECT`` for https, whole URLs for plain http, and a login where a test wants one."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

_PART = 65536


class ConnectProxy:
    """Listens until it is closed.

    Args:
        login: the header ``Proxy-Authorization`` that it wants; None: none.
        refusal: the status line of its answer to everybody; None: it lets through.

    Attributes:
        asked: the first lines of what it was asked, in order.
        heads: the same with their headers.
        passed: everything that clients sent through a tunnel.
    """

    def __init__(self, login: str | None = None, refusal: str | None = None) -> None:
        self._login = login
        self._refusal = refusal
        self.asked: list[str] = []
        self.heads: list[str] = []
        self.passed = b""
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def close(self) -> None:
        """End every connection."""
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client = self._listener.accept()[0]
                self._open.append(client)
                threading.Thread(target=self._serve, args=(client,), name="proxy", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            buffer = b""
            while b"\r\n\r\n" not in buffer:
                part = client.recv(_PART)
                if not part:
                    return
                buffer += part
            head = buffer.partition(b"\r\n\r\n")[0].decode("latin-1")
            self.heads.append(head)
            self.asked.append(head.split("\r\n")[0])
            method, target, _ = self.asked[-1].split(" ")
            refusal = self._refusal
            if self._login is not None and f"Proxy-Authorization: {self._login}" not in head:
                refusal = "HTTP/1.1 407 Proxy Authentication Required"
            if refusal is not None:
                client.sendall(f"{refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
                client.close()
                return
            parts = urlsplit(f"//{target}" if method == "CONNECT" else target)
            server = socket.create_connection((parts.hostname, parts.port or 80))
            self._open.append(server)
            if method == "CONNECT":
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                path = f"{method} {parts.path} HTTP/1.1\r\n".encode()
                server.sendall(path + buffer.partition(b"\r\n")[2])
            threading.Thread(target=_copy, args=(server, client, None), name="proxy", daemon=True).start()
            _copy(client, server, self)


def _copy(source: socket.socket, target: socket.socket, proxy: ConnectProxy | None) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(_PART):
            if proxy is not None:
                proxy.passed += part
            target.sendall(part)
    for one in (source, target):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
