"""uvicorn on a thread of its own: ready when ``Serving`` is made, gone when ``stop`` returns."""

from __future__ import annotations

import asyncio
from threading import Event, Thread
from typing import TYPE_CHECKING

import uvicorn

from payme_plugin.sandbox.app import build_app
from payme_plugin.sandbox.hanging import CuttableProtocol

if TYPE_CHECKING:
    import socket

    from payme_plugin.sandbox.desk import Desk

__all__ = ["Serving"]

_KEEP_ALIVE_S = 75
_READY_WITHIN_S = 10
_LEAVE_WITHIN_S = 5


class _Server(uvicorn.Server):
    """A server that tells when it is ready, and that cuts every connection when it leaves."""

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event) -> None:
        super().__init__(config)
        self.ready = Event()
        self._stopping = stopping
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen, then tell."""
        await super().startup(sockets=sockets)
        self._loop = asyncio.get_running_loop()
        self.ready.set()

    def leave(self) -> None:
        """Ask the server, from any thread, to end."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._leave)

    def _leave(self) -> None:
        self._stopping.set()
        self.should_exit = True
        for connection in tuple(self.server_state.connections):
            connection.transport.abort()


class Serving:
    """The sandbox being served.

    Args:
        desk: what is served.
        listener: a bound socket; it is closed at the end.
        certfile: a PEM file with the certificate; ``None``: plain http.
        keyfile: a PEM file with its key; ``None``: ``certfile`` has it.

    Raises:
        OSError: a PEM file can't be read or used (``ssl.SSLError`` is one).
        RuntimeError: the server was not ready within 10 s.
    """

    def __init__(self, desk: Desk, listener: socket.socket, certfile: str | None, keyfile: str | None) -> None:
        stopping = asyncio.Event()
        config = uvicorn.Config(
            build_app(desk, stopping),
            http=CuttableProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            log_level="error",
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_LEAVE_WITHIN_S,
            ssl_certfile=certfile,
            ssl_keyfile=keyfile,
        )
        config.load()
        self._server = _Server(config, stopping)
        self._thread = Thread(target=self._server.run, args=([listener],), name="payme-sandbox", daemon=True)
        self._thread.start()
        if not self._server.ready.wait(_READY_WITHIN_S):
            self.stop()
            raise RuntimeError(f"the sandbox was not ready within {_READY_WITHIN_S} s")

    def stop(self) -> None:
        """Cut every connection and wait for the thread's end."""
        self._server.leave()
        self._thread.join(2 * _LEAVE_WITHIN_S)
