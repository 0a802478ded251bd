"""The handle by which one thread ends a connection that another thread is blocked on."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payme_plugin.paymego.call import Call

__all__ = ["SocketHandle"]


class SocketHandle:
    """What a connection and its current call know of each other.

    It keeps a duplicate of the connection's descriptor. The connection's own socket object is not enough: TLS detaches
    it before the handshake, and an answer with ``Connection: close`` takes it away before the body is read.
    """

    def __init__(self) -> None:
        self.connected = False
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._call: Call | None = None

    @property
    def call(self) -> Call:
        """The call that the connection carries."""
        if self._call is None:
            raise RuntimeError("a connection was used outside of a call")
        return self._call

    def bind(self, call: Call) -> None:
        """Take a call on.

        Raises:
            CallFinished: it has ended.
        """
        self._call = call
        call.attach(self)

    def set_socket(self, connection: socket.socket) -> None:
        """Keep a handle on a new connection, in the place of the one before.

        Raises:
            CallFinished: the call has ended.
            OSError: no descriptor is free.
        """
        self._replace(connection.dup())
        self.call.check()

    def abort(self) -> None:
        """Shut the connection in both directions: blocked reads and writes return, later ones fail."""
        with self._lock, contextlib.suppress(OSError):
            if self._socket is not None:
                self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Shut the connection and give the handle back."""
        self.abort()
        self._replace(None)
        self._call = None

    def _replace(self, new: socket.socket | None) -> None:
        with self._lock:
            if self._socket is not None:
                self._socket.close()
            self._socket = new
