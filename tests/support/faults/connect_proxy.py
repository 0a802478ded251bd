"""An HTTP proxy on loopback: ``CONNECT`` for https, whole URLs for plain http, and a login where a test wants one."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit

from faults.server import Connection, Peer, Request


class ConnectProxy(Peer):
    """Listens until it is closed.

    Args:
        login: the header ``Proxy-Authorization`` that it wants; None: none.
        refusal: the status line of its answer to everybody; None: it lets through.

    Attributes:
        passed: everything that clients sent through a tunnel.
    """

    def __init__(self, login: str | None = None, refusal: str | None = None) -> None:
        self._login = login
        self._refusal = refusal
        self.passed = b""
        super().__init__(self._serve)

    @property
    def asked(self) -> list[str]:
        """The first lines of what it was asked."""
        return [request.line for request in self.requests]

    def _serve(self, client: Connection) -> None:
        request = client.read_request()
        if request is None:
            return
        refusal = self._refusal
        if self._login not in {None, request.headers.get("Proxy-Authorization")}:
            refusal = "HTTP/1.1 407 Proxy Authentication Required"
        if refusal is not None:
            client.send(f"{refusal}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            return
        method, target, _ = request.line.split(" ")
        address = urlsplit(f"//{target}" if method == "CONNECT" else target)
        server = socket.create_connection((address.hostname, address.port or 80))
        self._open.append(server)
        if method == "CONNECT":
            client.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            server.sendall(_forwarded(request, address.path))
        back = threading.Thread(target=_copy, args=(server, client.socket), name="proxy", daemon=True)
        back.start()
        with contextlib.suppress(OSError):
            while part := client.socket.recv(65536):
                self.passed += part
                server.sendall(part)
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)
        back.join()
        server.close()


def _forwarded(request: Request, path: str) -> bytes:
    headers = "".join(f"{name}: {value}\r\n" for name, value in request.headers.items())
    return f"POST {path} HTTP/1.1\r\n{headers}\r\n".encode("latin-1") + request.body


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
