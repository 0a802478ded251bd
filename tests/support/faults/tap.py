"""A tap on the wire: it hands bytes on in both directions, and keeps what came from the till."""

from __future__ import annotations

import contextlib
import socket
import threading


class Tap:
    """A wire to a port on loopback, for the time of a block.

    Attributes:
        port: where it is reached.
        heard: every byte that came from the till.
    """

    def __init__(self, behind: int) -> None:
        self._behind = behind
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.heard = b""
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="tap", daemon=True)]

    def __enter__(self) -> Tap:  # noqa: PYI034 - Self is not in Python 3.10
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(5)
        self._listener.close()
        for one in self._open:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for one in self._open:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                till, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._behind))
            self._open += [till, server]
            for ends in ((till, server, True), (server, till, False)):
                thread = threading.Thread(target=self._hand_on, args=ends, name="tap-wire", daemon=True)
                self._threads.append(thread)
                thread.start()

    def _hand_on(self, source: socket.socket, target: socket.socket, is_till: bool) -> None:
        with contextlib.suppress(OSError):
            while part := source.recv(65536):
                if is_till:
                    self.heard += part
                target.sendall(part)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
