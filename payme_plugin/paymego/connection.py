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

from payme_plugin.paymego.call import CallOver
from payme_plugin.paymego.errors import Fault
from payme_plugin.paymego.link_fault import LinkFault
from payme_plugin.paymego.tls import fault_of_handshake

if TYPE_CHECKING:
    from payme_plugin.paymego.wire import Wire

__all__ = ["Address", "PlainConnection", "TlsConnection", "look_up"]

_MOST_ADDRESSES = 8

Address = tuple[socket.AddressFamily, int, tuple[object, ...]]
"""Family, protocol, and what a socket of that family connects to; its host comes first."""


def look_up(host: str, port: int) -> list[Address]:
    """Return the addresses of a host, in the order of the system.

    Raises:
        LinkFault: it is no name, or it can't be looked up.
    """
    try:
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise LinkFault(Fault.NAME_NOT_FOUND, f"{host} is no host name") from None
    except OSError as error:
        raise LinkFault(Fault.NAME_NOT_FOUND, f"can't look up {host}: {error.strerror}") from None
    return [(family, protocol, address) for family, _, protocol, _, address in found]


class _SoundResponse(HTTPResponse):
    """An answer whose headers are headers: urllib3 would log what is none word by word, even our key, sent back.

    And whose chunks have a size: http.client takes a negative one and then reads in one go, past every bound.
    """

    def begin(self) -> None:
        """Read the status line and the headers."""
        super().begin()
        if self.msg.defects or self.msg.get_payload():
            raise LinkFault(Fault.HTTP_STATUS, "the answer's headers are broken")

    def _read_next_chunk_size(self) -> int:
        # A private method, but every Python from 3.10 on has it; a test sends such a chunk.
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise LinkFault(Fault.CONNECTION_LOST, "the answer's chunks are broken")
        return size


class _CarryingConnection(HTTPConnection):
    """A connection that belongs to a wire."""

    response_class = _SoundResponse

    # A host may switch http.client's debug prints on for all connections: they would show the key.
    debuglevel = 0

    def __init__(self, host: str, port: int | None = None, *, wire: Wire, **options: Any) -> None:  # noqa: ANN401
        super().__init__(host, port, **options)
        self._wire = wire

    def _new_conn(self) -> socket.socket:
        """Connect to the first address that answers. urllib3 calls this from ``connect``, on both its lines."""
        addresses = look_up(self.host, self.port)[:_MOST_ADDRESSES]
        reason = "the name has no address"
        for position, address in enumerate(addresses):
            try:
                return self._connect_to(address, share=len(addresses) - position)
            except OSError as error:
                reason = error.strerror or ("no answer" if isinstance(error, TimeoutError) else type(error).__name__)
        self._wire.call.check()
        raise LinkFault(Fault.NOT_CONNECTED, f"can't connect to {self.host} port {self.port}: {reason}")

    def _connect_to(self, address: Address, *, share: int) -> socket.socket:
        family, protocol, target = address
        call = self._wire.call
        call.check()
        connection = socket.socket(family, socket.SOCK_STREAM, protocol)
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            for option in self.socket_options or ():
                connection.setsockopt(*option)
            self._wire.attach(connection)
            # An address that never answers must leave time for the ones after it.
            connection.settimeout(call.patience_s(share))
            connection.connect(target)
            connection.settimeout(call.patience_s())
            undo.pop_all()
        self._wire.connected = True
        return connection

    def send(self, data: object) -> None:
        """Write ``data`` to the socket, if the call still lets it."""
        if self.sock is None:
            if self._wire.call.sent:
                raise LinkFault(Fault.CONNECTION_LOST, "the connection was closed in the middle of the request")
            self.connect()
        self._wire.call.allow_write()
        super().send(cast("bytes", data))

    def close(self) -> None:
        """Close the socket."""
        self._wire.connected = False
        super().close()


class PlainConnection(_CarryingConnection):
    """A connection over plain http."""


class TlsConnection(_CarryingConnection, HTTPSConnection):
    """A connection over https; it never writes a request to a server whose certificate was not verified."""

    def connect(self) -> None:
        """Connect and verify."""
        try:
            super().connect()
        except (CallOver, LinkFault, TimeoutError):
            raise
        except (OSError, ValueError) as error:
            raise fault_of_handshake(error) from None
        if not self.is_verified:
            raise LinkFault(Fault.TLS, "the server's certificate was not verified")
