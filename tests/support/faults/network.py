"""What all tills share: made-up host names, ports that lead nowhere, an authority, faults of the route."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import trustme

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from faults.proxy import FaultProxy

DOMAIN = "payme.test"
"""Where the made-up names are; no real one ends so (RFC 6761)."""

_AUTHORITY = "authority.pem"
_SERVER = "server.pem"
_SLOW_S = 3.0

LookUp = Callable[[], "list[int]"]
"""Returns the ports on 127.0.0.1 that a name's addresses lead to, in order; it may take its time, and raise OSError."""


class Names:
    """A name server of the tests; it stands in for ``socket.getaddrinfo`` and hands every other name on."""

    def __init__(self) -> None:
        self._real = socket.getaddrinfo
        self._look_ups: dict[str, LookUp] = {}
        self._numbers = itertools.count(1)

    def add(self, look_up: LookUp) -> str:
        """Return a new name that leads where ``look_up`` says."""
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


class Unreachable:
    """Ports on loopback where no server answers.

    Attributes:
        refusing: a connection is refused at once.
        dead: a connection is never answered, as by a host that is off.
        silent: a connection is accepted, and then nothing is said and nothing read.
    """

    def __init__(self, undo: contextlib.ExitStack) -> None:
        refusing = undo.enter_context(socket.socket())
        refusing.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port meanwhile
        dead = undo.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):  # a full backlog: the kernel drops what comes next
            caller = undo.enter_context(socket.socket())
            caller.setblocking(False)
            caller.connect_ex(dead.getsockname())
        silent = undo.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1000))
        self.refusing: int = refusing.getsockname()[1]
        self.dead: int = dead.getsockname()[1]
        self.silent: int = silent.getsockname()[1]


@dataclass(frozen=True)
class Network:
    """What all tills share.

    Attributes:
        names: where host names lead.
        unreachable: ports where no server answers.
        tls: what the proxies speak https with.
        ca_file: the authority behind it.
        folder: where the tills' folders are made.
    """

    names: Names
    unreachable: Unreachable
    tls: ssl.SSLContext
    ca_file: Path
    folder: Path


def make_certificates(folder: Path) -> trustme.CA:
    """Make an authority, and a certificate of it for all made-up names, in a folder."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / _AUTHORITY))
    authority.issue_cert(f"*.{DOMAIN}").private_key_and_cert_chain_pem.write_to_path(str(folder / _SERVER))
    return authority


@contextlib.contextmanager
def open_network(folder: Path) -> Iterator[Network]:
    """Open a network with the certificates in a folder.

    For the time of the block every look-up of the process is ours.
    """
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(folder / _SERVER)
    names, former = Names(), socket.getaddrinfo
    with contextlib.ExitStack() as undo:
        unreachable = Unreachable(undo)
        socket.getaddrinfo = names
        try:
            yield Network(names, unreachable, tls, folder / _AUTHORITY, folder)
        finally:
            socket.getaddrinfo = former


def _slow_look_up(proxy: FaultProxy, _: Unreachable) -> list[int]:
    proxy.healed.wait(_SLOW_S)
    return [proxy.port]


def _no_such_name(*_: object) -> list[int]:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


RESET_UNREAD = "reset before the request is read"
"""The one fault of the route that needs no new connection."""

ROUTE_FAULTS: dict[str, Callable[[FaultProxy, Unreachable], list[int]]] = {
    "connection refused": lambda _, ports: [ports.refusing],
    "no address answers": lambda _, ports: [ports.dead, ports.dead],
    "the first addresses dead, a later one not": lambda proxy, ports: [ports.refusing, ports.dead, *(3 * [proxy.port])],
    "accepted, then silent before TLS": lambda _, ports: [ports.silent],
    "slow name look-up": _slow_look_up,
    "no such name": _no_such_name,
    RESET_UNREAD: lambda proxy, _: [proxy.port],
}
"""What happens before a server has read any of a request: where the till's name leads from the next connection on."""
