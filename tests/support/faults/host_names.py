"""Made-up host names for one run of tests: each leads where a test says, and what does not exist leads to real faults.

The client looks names up with ``socket.getaddrinfo``; ``Names`` stands in for it and hands every other name on.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DOMAIN = "payme.test"
"""Where the made-up names are; no real one ends so (RFC 6761)."""

LookUp = Callable[[], "list[int]"]
"""Gives the ports on 127.0.0.1 that a name's addresses lead to, in order; it may take its time, and raise OSError."""


class Names:
    """A name server of the tests; it stands in for ``socket.getaddrinfo``."""

    def __init__(self) -> None:
        self._real = socket.getaddrinfo
        self._look_ups: dict[str, LookUp] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, look_up: LookUp) -> str:
        """Return a new name that leads where ``look_up`` says."""
        with self._lock:
            name = f"till-{next(self._numbers)}.{DOMAIN}"
            self._look_ups[name] = look_up
        return name

    def lead(self, name: str, look_up: LookUp) -> None:
        """Let a name lead elsewhere from now on."""
        self._look_ups[name] = look_up

    def __call__(self, host: Any, port: Any, *arguments: Any, **options: Any) -> Any:  # noqa: ANN401 - the resolver's
        look_up = self._look_ups.get(host)
        if look_up is None:
            return self._real(host, port, *arguments, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", one)) for one in look_up()]


class Counted:
    """A look-up that counts how often it is asked for.

    Attributes:
        times: how often.
    """

    def __init__(self, ports: list[int]) -> None:
        self.times = 0
        self._ports = ports

    def __call__(self) -> list[int]:
        self.times += 1
        return self._ports


class Nowhere:
    """Ports on loopback that lead nowhere, each in its own way.

    Attributes:
        refusing: a connection is refused at once.
        dead: a connection is never answered, as by a host that is off.
        mute: a connection is accepted, and then nothing is said and nothing read.
    """

    def __init__(self, undo: contextlib.ExitStack) -> None:
        refusing = undo.enter_context(socket.socket())
        refusing.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port meanwhile
        dead = undo.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # a full backlog: the kernel drops what comes next
            caller = undo.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(dead.getsockname())
        mute = undo.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1000))
        self.refusing: int = refusing.getsockname()[1]
        self.dead: int = dead.getsockname()[1]
        self.mute: int = mute.getsockname()[1]


@contextlib.contextmanager
def nowhere() -> Iterator[Nowhere]:
    """Hold the ports for the time of a block."""
    with contextlib.ExitStack() as undo:
        yield Nowhere(undo)
