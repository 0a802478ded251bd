"""A fault of the network or the server ends a request as not sent or as unclear."""

from __future__ import annotations

import gzip
import json
import socket
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego import connection as connection_module
from payme_plugin.paymego import receipts
from payme_plugin.paymego.connection import MAX_ANSWER_BYTES, HttpConnection
from payme_plugin.paymego.errors import Fault, NotSent, Unclear
from tests.protocol.conftest import begin_pay, check, failure_of, fault_of, honest, replying, sending, tls_of

if TYPE_CHECKING:
    from pathlib import Path

    import trustme

    from faults.server import Connection, Script
    from payme_plugin.paymego.connection import Address
    from tests.protocol.conftest import ClientOf, Serve

pytestmark = pytest.mark.floor

PAID = b'{"id": 1001, "result": {"receipt": {"_id": "65f0a1b2c3d4e5f601234567", "state": 4}}}'
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_refused_connection_is_not_sent(client_of: ClientOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failure = failure_of(begin_pay(client_of(f"http://127.0.0.1:{port}/api")))
    assert isinstance(failure, NotSent)
    assert failure.fault is Fault.NOT_CONNECTED
    assert f"127.0.0.1 port {port}: Connection refused" in str(failure)


def test_a_name_that_can_not_be_looked_up_is_not_sent(client_of: ClientOf) -> None:
    assert fault_of(begin_pay(client_of(f"http://{'x' * 64}.example/api"))) == (NotSent, Fault.NAME_NOT_FOUND)


@pytest.fixture
def tried(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Let ``localhost`` be three addresses, of which the second listens; return which are connected to."""
    tried: list[str] = []
    real = HttpConnection._connect_to

    def connect(self: HttpConnection, address: Address, *, share: int) -> socket.socket:
        tried.append({1: "first", 2: "third"}.get(address[2][1], "second"))  # type: ignore[call-overload]
        return real(self, address, share=share)

    def look_up(_: str, port: int) -> list[Address]:
        return [(socket.AF_INET, 6, ("127.0.0.1", one)) for one in (1, port, 2)]

    monkeypatch.setattr(HttpConnection, "_connect_to", connect)
    monkeypatch.setattr(connection_module, "look_up", look_up)
    return tried


def test_the_address_that_answered_last_is_tried_first(serve: Serve, client_of: ClientOf, tried: list[str]) -> None:
    def once(connection: Connection) -> None:
        if request := connection.read_request():
            answer = {"id": request.document["id"], "result": {"state": 4}}
            connection.reply(json.dumps(answer).encode(), headers="Connection: close\r\n")

    client = client_of(serve(once, once, honest).url)
    for _ in range(3):
        check(client)

    assert tried == ["first", "second", "second", "second"]


def test_an_address_that_only_connects_is_not_preferred(serve: Serve, client_of: ClientOf, tried: list[str]) -> None:
    client = client_of(serve(lost_after_reading, honest).url)
    failure_of(begin_pay(client))
    check(client)

    assert tried == ["first", "second", "first", "second"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_request_is_one_write(
    serve: Serve,
    client_of: ClientOf,
    authority: trustme.CA,
    ca_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    scheme: str,
) -> None:
    writes: list[bytes] = []
    real = HTTPConnection.send

    def send(self: HTTPConnection, data: bytes) -> None:
        writes.append(data)
        real(self, data)

    monkeypatch.setattr(HTTPConnection, "send", send)
    peer = serve(tls=tls_of(authority.issue_cert("localhost")) if scheme == "https" else None)
    client = client_of(f"{scheme}://localhost:{peer.port}/api", ca_file if scheme == "https" else None)
    for _ in range(2):
        check(client)

    assert [write.partition(b"\r\n\r\n")[2] for write in writes] == [request.body for request in peer.requests]
    assert (len(writes), peer.connections) == (2, 1)


def lost_before_reading(connection: Connection) -> None:
    connection.socket.recv(1)
    connection.reset()


def lost_after_reading(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


def chunk_of_negative_size(connection: Connection) -> None:
    connection.read_request()
    connection.send(CHUNKED + b"-1\r\n")
    while not connection.peer.stopping.is_set():
        connection.send(b" " * 65_536)


def endless_headers(connection: Connection) -> None:
    connection.read_request()
    connection.send(b"HTTP/1.1 200 OK\r\n")
    while not connection.peer.stopping.is_set():
        connection.send(b"X-More: and more\r\n" * 1000)


@pytest.mark.parametrize(
    ("script", "fault"),
    [
        (lost_before_reading, Fault.CONNECTION_LOST),
        (lost_after_reading, Fault.CONNECTION_LOST),
        (sending(b""), Fault.CONNECTION_LOST),
        (sending(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + PAID), Fault.CONNECTION_LOST),
        (sending(CHUNKED + b"400\r\n" + PAID), Fault.CONNECTION_LOST),
        (sending(CHUNKED + b"zz\r\n" + PAID + b"\r\n0\r\n\r\n"), Fault.CONNECTION_LOST),
        (chunk_of_negative_size, Fault.CONNECTION_LOST),
        (endless_headers, Fault.CONNECTION_LOST),
        (sending(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Fault.HTTP_STATUS),
        (replying(PAID, status="401 Unauthorized"), Fault.HTTP_STATUS),
        (replying(PAID, status="429 Too Many Requests", headers="Retry-After: 0\r\n"), Fault.HTTP_STATUS),
        (replying(PAID, status="502 Bad Gateway"), Fault.HTTP_STATUS),
        (replying(PAID, status="201 Created"), Fault.HTTP_STATUS),
        (replying(gzip.compress(PAID), headers="Content-Encoding: gzip\r\n"), Fault.NOT_JSON),
        (replying(b""), Fault.NOT_JSON),
        (replying(b"<html>Sign in to the Wi-Fi</html>"), Fault.NOT_JSON),
        (replying(b"[]"), Fault.WRONG_SHAPE),
    ],
)
def test_what_goes_wrong_after_the_first_byte_is_unclear_and_nothing_is_sent_again(
    serve: Serve, client_of: ClientOf, script: Script, fault: Fault
) -> None:
    peer = serve(script, honest)
    assert fault_of(begin_pay(client_of(peer.url), 20)) == (Unclear, fault)
    assert (len(peer.requests) <= 1, peer.connections) == (True, 1)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_not_followed(serve: Serve, client_of: ClientOf, status: str) -> None:
    elsewhere = serve()
    peer = serve(replying(b"", status=status, headers=f"Location: {elsewhere.url}\r\n"))
    failure = failure_of(begin_pay(client_of(peer.url)))
    assert isinstance(failure, Unclear)
    assert failure.explanation == f"HTTP status {status[:3]}"
    assert (len(peer.requests), elsewhere.connections) == (1, 0)


@pytest.mark.parametrize("framing", ["Content-Length: 104857600", "Connection: close"])
def test_an_answer_is_read_up_to_a_bound(serve: Serve, client_of: ClientOf, framing: str) -> None:
    taken: list[int] = []

    def script(connection: Connection) -> None:
        connection.read_request()
        connection.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        for number in range(100):
            taken.append(number)
            connection.send(b" " * 1024 * 1024)

    assert fault_of(begin_pay(client_of(serve(script).url))) == (Unclear, Fault.TOO_LARGE)
    # What the sockets of both sides hold comes on top.
    assert len(taken) * 1024 * 1024 < MAX_ANSWER_BYTES + 32 * 1024 * 1024


def test_an_http_1_0_answer_is_taken(serve: Serve, client_of: ClientOf) -> None:
    pending = begin_pay(client_of(serve(sending(b"HTTP/1.0 200 OK\r\n\r\n" + PAID)).url))
    assert receipts.receipt_of(pending.answer()).state == 4
