"""What a broken network or a strange server makes of a request: never sent, or unclear, and nothing else."""

from __future__ import annotations

import gzip
import json
import socket
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego import connection as connection_module
from payme_plugin.paymego import receipts
from payme_plugin.paymego.connection import MAX_ANSWER_BYTES, HttpConnection
from payme_plugin.paymego.errors import CallFailed, Fault, NotSent, Unclear
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.paymego.client import PaymeGoClient
    from payme_plugin.paymego.connection import Address
    from tests.protocol.conftest import Peer, Script, Time, Visit

    ClientOf = Callable[..., PaymeGoClient]
    Serve = Callable[..., Peer]

pytestmark = pytest.mark.floor

RECEIPT = "65f0a1b2c3d4e5f601234567"
PAID = b'{"id": 1001, "result": {"receipt": {"_id": "65f0a1b2c3d4e5f601234567", "state": 4}}}'


def fault_of_pay(client: PaymeGoClient, time: Time) -> CallFailed:
    """Pay, and return what became of it; it must be told well before its deadline."""
    began_at = time.monotonic()
    with pytest.raises(CallFailed) as caught:
        client.begin("receipts.pay", receipts.pay(RECEIPT, Secret("0027161293")), time.after(20)).answer()
    assert time.monotonic() - began_at < 5
    return caught.value


def test_a_refused_connection_is_not_sent(client_of: ClientOf, time: Time) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    failure = fault_of_pay(client_of(f"http://127.0.0.1:{port}/api"), time)
    assert isinstance(failure, NotSent)
    assert failure.fault is Fault.NOT_CONNECTED
    assert f"127.0.0.1 port {port}: Connection refused" in str(failure)


def test_a_name_that_can_not_be_looked_up_is_not_sent(client_of: ClientOf, time: Time) -> None:
    failure = fault_of_pay(client_of(f"http://{'x' * 64}.example/api"), time)
    assert isinstance(failure, NotSent)
    assert failure.fault is Fault.NAME_NOT_FOUND


def test_the_second_address_is_tried_when_the_first_refuses(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    # ``localhost`` is ::1 and 127.0.0.1 on most machines; the peer listens on the latter alone.
    peer = serve(honest)
    answer = client_of(peer.url).begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()
    assert receipts.state_of(answer) == 4


def _dead_addresses(monkeypatch: pytest.MonkeyPatch) -> list[str]:
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


def test_the_address_that_answered_last_is_tried_first(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    def once(visit: Visit) -> None:
        if heard := visit.request():
            visit.reply(
                json.dumps({"id": heard.document["id"], "result": {"state": 4}}).encode(),
                headers="Connection: close\r\n",
            )

    tried = _dead_addresses(monkeypatch)
    client = client_of(serve(once, once, honest).url)
    for _ in range(3):
        client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()

    assert tried == ["first", "second", "second", "second"]


def test_an_address_that_only_connects_is_not_preferred(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = _dead_addresses(monkeypatch)
    client = client_of(serve(lost_after_reading, honest).url)
    fault_of_pay(client, time)
    client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()

    assert tried == ["first", "second", "first", "second"]


def lost_before_reading(visit: Visit) -> None:
    visit.connection.recv(1)
    visit.reset()


def lost_after_reading(visit: Visit) -> None:
    visit.request()
    visit.reset()


def closed_after_reading(visit: Visit) -> None:
    visit.request()


def cut_by_content_length(visit: Visit) -> None:
    visit.request()
    visit.reply(PAID, length=len(PAID) + 1)


def cut_in_a_chunk(visit: Visit) -> None:
    visit.request()
    visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n400\r\n" + PAID)


def broken_chunk(visit: Visit) -> None:
    visit.request()
    visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n" + PAID + b"\r\n0\r\n\r\n")


def chunk_of_negative_size(visit: Visit) -> None:
    visit.request()
    visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n")
    while not visit.peer.stopping.is_set():
        visit.send(b" " * 65_536)


def endless_headers(visit: Visit) -> None:
    visit.request()
    visit.send(b"HTTP/1.1 200 OK\r\n")
    while not visit.peer.stopping.is_set():
        visit.send(b"X-More: and more\r\n" * 1000)


@pytest.mark.parametrize(
    "script",
    [
        lost_before_reading,
        lost_after_reading,
        closed_after_reading,
        cut_by_content_length,
        cut_in_a_chunk,
        broken_chunk,
        chunk_of_negative_size,
        endless_headers,
    ],
)
def test_a_connection_lost_after_the_first_byte_is_unclear(
    serve: Serve, client_of: ClientOf, time: Time, script: Script
) -> None:
    failure = fault_of_pay(client_of(serve(script).url), time)
    assert isinstance(failure, Unclear)
    assert failure.fault is Fault.CONNECTION_LOST


def test_an_answer_that_is_no_http_is_unclear(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    failure = fault_of_pay(client_of(serve(script).url), time)
    assert isinstance(failure, Unclear)
    assert failure.fault is Fault.HTTP_STATUS


@pytest.mark.parametrize(
    "status",
    ["401 Unauthorized", "404 Not Found", "429 Too Many Requests", "500 Oops", "502 Bad Gateway", "201 Created"],
)
def test_another_status_than_200_is_unclear_even_with_a_sound_body(
    serve: Serve, client_of: ClientOf, time: Time, status: str
) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.reply(PAID, status=status, headers="Retry-After: 0\r\n")

    peer = serve(script)
    failure = fault_of_pay(client_of(peer.url), time)
    assert isinstance(failure, Unclear)
    assert failure.fault is Fault.HTTP_STATUS
    assert failure.explanation == f"HTTP status {status[:3]}"
    assert len(peer.requests) == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect", "308 Permanent Redirect"])
def test_a_redirect_is_not_followed(serve: Serve, client_of: ClientOf, time: Time, honest: Script, status: str) -> None:
    elsewhere = serve(honest)

    def script(visit: Visit) -> None:
        visit.request()
        visit.reply(b"", status=status, headers=f"Location: {elsewhere.url}\r\n")

    peer = serve(script)
    failure = fault_of_pay(client_of(peer.url), time)
    assert isinstance(failure, Unclear)
    assert failure.fault is Fault.HTTP_STATUS
    assert (len(peer.requests), elsewhere.connections) == (1, 0)


def test_a_compressed_answer_is_refused_unopened(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.reply(gzip.compress(PAID), headers="Content-Encoding: gzip\r\n")

    failure = fault_of_pay(client_of(serve(script).url), time)
    assert isinstance(failure, Unclear)
    assert failure.fault is Fault.NOT_JSON
    assert "compressed" in failure.explanation


@pytest.mark.parametrize("framing", ["Content-Length: 104857600", "Connection: close"])
def test_an_answer_is_read_up_to_a_bound(serve: Serve, client_of: ClientOf, time: Time, framing: str) -> None:
    taken: list[int] = []

    def script(visit: Visit) -> None:
        visit.request()
        visit.send(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
        for number in range(100):
            taken.append(number)
            visit.send(b" " * 1024 * 1024)

    failure = fault_of_pay(client_of(serve(script).url), time)
    assert isinstance(failure, Unclear)
    assert failure.fault is Fault.TOO_LARGE
    # What the sockets of both sides hold comes on top.
    assert len(taken) * 1024 * 1024 < MAX_ANSWER_BYTES + 32 * 1024 * 1024


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", Fault.NOT_JSON),
        (b"<html>Sign in to the Wi-Fi</html>", Fault.NOT_JSON),
        (PAID[:-1], Fault.NOT_JSON),
        (b"\xef\xbb\xbf" + PAID, Fault.NOT_JSON),
        (PAID.decode().encode("utf-16"), Fault.NOT_JSON),
        (b"[" * 100_000, Fault.NOT_JSON),
        (b"[]", Fault.WRONG_SHAPE),
        (b'{"id": 1001, "result": null, "error": null}', Fault.WRONG_SHAPE),
        (b'{"id": 1001, "result": {}, "error": {"code": -1}}', Fault.WRONG_SHAPE),
    ],
)
def test_an_answer_that_is_not_payme_s_is_unclear(
    serve: Serve, client_of: ClientOf, time: Time, body: bytes, fault: Fault
) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.reply(body)

    failure = fault_of_pay(client_of(serve(script).url), time)
    assert isinstance(failure, Unclear)
    assert failure.fault is fault


def test_an_http_1_0_answer_is_taken(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def script(visit: Visit) -> None:
        visit.request()
        visit.send(b"HTTP/1.0 200 OK\r\n\r\n" + PAID)

    pending = client_of(serve(script).url).begin(
        "receipts.pay", receipts.pay(RECEIPT, Secret("0027161293")), time.after(5)
    )
    assert receipts.receipt_of(pending.answer()).state == 4
