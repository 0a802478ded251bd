"""A peer on loopback that does with its connections whatever a test says, and clients that talk to it."""

from __future__ import annotations

import itertools
import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from fakes.fixtures import authority, ca_file
from faults.server import Connection, Peer, Script
from payme_plugin.clock import SystemClock
from payme_plugin.paymego import receipts
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.errors import CallFailed, Fault, NotSent, Unclear
from payme_plugin.paymego.protocols import MerchantAccount, Pending
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import trustme

    from payme_plugin.settings.parsers import ProxyAddress

__all__ = ["authority", "ca_file"]

KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
CODE = "90172612939"
RECEIPT = "65f0a1b2c3d4e5f601234567"

ClientOf = Callable[..., PaymeGoClient]
Serve = Callable[..., Peer]


class Time(SystemClock):
    """The machine's clock, which a test may put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


def begin_pay(client: PaymeGoClient, limit_s: float = 5.0) -> Pending:
    """Begin a ``receipts.pay``."""
    return client.begin("receipts.pay", receipts.pay(RECEIPT, Secret(CODE)), client._clock.monotonic() + limit_s)


def begin_check(client: PaymeGoClient, limit_s: float = 5.0) -> Pending:
    """Begin a ``receipts.check``."""
    return client.begin("receipts.check", receipts.by_id(RECEIPT), client._clock.monotonic() + limit_s)


def check(client: PaymeGoClient) -> int:
    """Return the state that ``receipts.check`` brings."""
    return receipts.state_of(begin_check(client).answer())


def failure_of(pending: Pending) -> CallFailed:
    """Return why a request has no answer."""
    with pytest.raises(CallFailed) as caught:
        pending.answer()
    return caught.value


def fault_of(pending: Pending) -> tuple[type[CallFailed], Fault]:
    """Return whether a request was not sent or is unclear, and why."""
    failure = failure_of(pending)
    assert isinstance(failure, (NotSent, Unclear))
    return type(failure), failure.fault


def honest(connection: Connection) -> None:
    """Answer every request with a receipt in state 4."""
    while request := connection.read_request():
        receipt = {"_id": RECEIPT, "state": 4, "amount": 1_500_000}
        connection.answer(request, result={"state": 4} if request.method == "receipts.check" else {"receipt": receipt})


def replying(body: bytes, **how: str) -> Script:
    """Return a script that answers one request with a body, and then waits until the client is gone."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.reply(body, **how)  # type: ignore[arg-type]
        connection.until_gone()

    return script


def sending(data: bytes) -> Script:
    """Return a script that sends bytes after one request, and closes."""

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(data)

    return script


def silent(connection: Connection) -> None:
    """Read a request and say nothing."""
    connection.read_request()
    connection.until_gone()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a peer: ``serve(first_script, second_script, ..., tls=context)``; without a script it is honest."""
    peers: list[Peer] = []

    def start(*scripts: Script, tls: ssl.SSLContext | None = None) -> Peer:
        peers.append(Peer(*(scripts or (honest,)), tls=tls))
        return peers[-1]

    yield start
    for peer in peers:
        peer.close()
    assert [fault for peer in peers for fault in peer.faults] == []


@pytest.fixture
def client_of(time: Time) -> Iterator[ClientOf]:
    """Make a client: ``client_of(url, ca_file=path)``. Its request ids are 1001, 1002, ..."""
    clients: list[PaymeGoClient] = []
    ids = itertools.count(1001)

    def make(url: str, ca_file: Path | None = None, proxy: ProxyAddress | None = None) -> PaymeGoClient:
        merchant = MerchantAccount("5e730e8e0b852a417aa49ceb", Secret(KEY), url)
        clients.append(PaymeGoClient(merchant, clock=time, request_ids=lambda: next(ids), ca_file=ca_file, proxy=proxy))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def tls_of(certificate: trustme.LeafCert) -> ssl.SSLContext:
    """Return what a server speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return context
