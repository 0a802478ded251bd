"""urllib3's connections, taught to obey the call that they carry.

urllib3's own time limits bound single reads and single addresses, never a call, and its exceptions do not tell whether
a request left. So the connection asks its call before every address, every handshake and every write.
"""

from __future__ import annotations

import contextlib
import socket
from http.client import HTTPResponse
from typing import TYPE_CHECKING, Any, cast

from urllib3.connection import HTTPConnection, HTTPSConnection

from payme_plugin.paymego.call import CallFinished
from payme_plugin.paymego.errors import Fault
from payme_plugin.paymego.link_fault import TransportError
from payme_plugin.paymego.tls import handshake_error

if TYPE_CHECKING:
    from payme_plugin.paymego.wire import SocketHandle

__all__ = ["Address", "HttpConnection", "HttpsConnection", "look_up"]

_MAX_ADDRESSES = 8

Address = tuple[socket.AddressFamily, int, tuple[object, ...]]
"""Family, protocol, and what a socket of that family connects to; its host comes first."""


def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, in the order of the system.

    Raises:
        TransportError: it is no name, or it can't be looked up.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise TransportError(Fault.NAME_NOT_FOUND, f"{host} is no host name") from None
    except OSError as error:
        raise TransportError(Fault.NAME_NOT_FOUND, f"can't look up {host}: {error.strerror}") from None
    return [(family, protocol, address) for family, _, protocol, _, address in found]


class _StrictResponse(HTTPResponse):
    """An answer whose headers are headers: urllib3 would log what is none word by word, even our key, sent back.

    And whose chunks have a size: http.client takes a negative one and then reads in one go, past every bound.
    """

    def begin(self) -> None:
        """Read the status line and the headers."""
        super().begin()
        if self.msg.defects or self.msg.get_payload():
            raise TransportError(Fault.HTTP_STATUS, "the answer's headers are broken")

    def _read_next_chunk_size(self) -> int:
        # A private method, but every Python from 3.10 on has it; a test sends such a chunk.
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise TransportError(Fault.CONNECTION_LOST, "the answer's chunks are broken")
        return size


class _BoundConnection(HTTPConnection):
    """A connection that belongs to a handle."""

    response_class = _StrictResponse

    # A host may switch http.client's debug prints on for all connections: they would show the key.
    debuglevel = 0

    def __init__(self, host: str, port: int | None = None, *, handle: SocketHandle, **options: Any) -> None:  # noqa: ANN401
        super().__init__(host, port, **options)
        self._handle = handle

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers. urllib3 calls this from ``connect``, on both its lines."""
        addresses = look_up(self.host, self.port)[:_MAX_ADDRESSES]
        reason = "the name has no address"
        for position, address in enumerate(addresses):
            try:
                return self._connect_to(address, share=len(addresses) - position)
            except OSError as error:
                reason = error.strerror or ("no answer" if isinstance(error, TimeoutError) else type(error).__name__)
        self._handle.call.check()
        raise TransportError(Fault.NOT_CONNECTED, f"can't connect to {self.host} port {self.port}: {reason}")

    def _connect_to(self, address: Address, *, share: int) -> socket.socket:
        family, protocol, target = address
        call = self._handle.call
        call.check()
        connection = socket.socket(family, socket.SOCK_STREAM, protocol)
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            for option in self.socket_options or ():
                connection.setsockopt(*option)
            self._handle.set_socket(connection)
            # An address that never answers must leave time for the ones after it.
            connection.settimeout(call.timeout_s(share))
            connection.connect(target)
            connection.settimeout(call.timeout_s())
            undo.pop_all()
        self._handle.connected = True
        return connection

    def send(self, data: object) -> None:
        """Write ``data`` to the socket, if the call still lets it."""
        if self.sock is None:
            if self._handle.call.sent:
                raise TransportError(Fault.CONNECTION_LOST, "the connection was closed in the middle of the request")
            self.connect()
        self._handle.call.allow_write()
        super().send(cast("bytes", data))

    def close(self) -> None:
        """Close the socket."""
        self._handle.connected = False
        super().close()


class HttpConnection(_BoundConnection):
    """A connection over plain http."""


class HttpsConnection(_BoundConnection, HTTPSConnection):
    """A connection over https; it never writes a request to a server whose certificate was not verified."""

    def connect(self) -> None:
        """Connect and verify."""
        try:
            super().connect()
        except (CallFinished, TransportError, TimeoutError):
            raise
        except (OSError, ValueError) as error:
            raise handshake_error(error) from None
        if not self.is_verified:
            raise TransportError(Fault.TLS, "the server's certificate was not verified")
