"""The setting ``proxy``: every request goes through it, https as a tunnel, and its password is seen nowhere."""

from __future__ import annotations

import base64
import logging
import socket
from typing import TYPE_CHECKING

import pytest
import trustme

from faults.connect_proxy import ConnectProxy
from payme_plugin.paymego.connection import Endpoint
from payme_plugin.paymego.errors import Fault, NotSent, Unclear
from payme_plugin.secret import Secret
from payme_plugin.settings.parsers import ProxyAddress
from tests.protocol.conftest import RECEIPT, begin_pay, check, failure_of, sending, tls_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.protocol.conftest import ClientOf, Serve

    StartProxy = Callable[..., ConnectProxy]


pytestmark = pytest.mark.floor

PASSWORD = "canary-п@роль"
LOGIN = Secret(f"till:{PASSWORD}")
BASIC = "Basic " + base64.b64encode(LOGIN.reveal().encode()).decode()


@pytest.fixture
def start_proxy() -> Iterator[StartProxy]:
    """Start a proxy: ``start_proxy(login=..., refusal=...)``."""
    proxies: list[ConnectProxy] = []

    def start(**how: str) -> ConnectProxy:
        proxies.append(ConnectProxy(**how))
        return proxies[-1]

    yield start
    for proxy in proxies:
        proxy.close()


def address_of(proxy: ConnectProxy, login: Secret | None = None) -> ProxyAddress:
    return ProxyAddress("127.0.0.1", proxy.port, login)


def test_https_goes_through_one_tunnel_and_the_proxy_reads_nothing(
    serve: Serve, client_of: ClientOf, start_proxy: StartProxy,
    authority: trustme.CA, ca_file: Path,
) -> None:  # fmt: skip
    peer, proxy = serve(tls=tls_of(authority.issue_cert("localhost"))), start_proxy()
    client = client_of(peer.url, ca_file, address_of(proxy))

    assert [check(client) for _ in range(3)] == [4, 4, 4]

    assert proxy.asked == [f"CONNECT localhost:{peer.port} HTTP/1.{proxy.asked[0][-1]}"]
    assert peer.connections == 1
    assert RECEIPT.encode() not in proxy.passed
    assert peer.requests[0].line == "POST /api HTTP/1.1"


def test_plain_http_goes_to_the_proxy_with_the_whole_address(
    serve: Serve, client_of: ClientOf, start_proxy: StartProxy
) -> None:
    peer, proxy = serve(), start_proxy()
    client = client_of(peer.url, None, address_of(proxy))

    assert [check(client) for _ in range(2)] == [4, 4]

    assert proxy.asked == [f"POST {peer.url} HTTP/1.1"]
    assert proxy.requests[0].headers["Host"] == f"localhost:{peer.port}"
    assert len(peer.requests) == 2


@pytest.mark.parametrize("is_https", [True, False])
def test_a_proxy_gets_the_login_and_the_server_behind_a_tunnel_does_not(
    serve: Serve, client_of: ClientOf, start_proxy: StartProxy,
    authority: trustme.CA, ca_file: Path, is_https: bool,
) -> None:  # fmt: skip
    peer = serve(tls=tls_of(authority.issue_cert("localhost")) if is_https else None)
    proxy = start_proxy(login=BASIC)

    assert check(client_of(peer.url, ca_file, address_of(proxy, LOGIN))) == 4

    assert proxy.requests[0].headers["Proxy-Authorization"] == BASIC
    assert ("X-Auth" in proxy.requests[0].headers) is not is_https
    if is_https:
        assert "Proxy-Authorization" not in peer.requests[0].headers


def test_the_servers_certificate_is_verified_through_a_tunnel(
    serve: Serve, client_of: ClientOf, start_proxy: StartProxy,
    authority: trustme.CA, ca_file: Path,
) -> None:  # fmt: skip
    wrong_name = serve(tls=tls_of(authority.issue_cert("127.0.0.1")))
    unknown = serve(tls=tls_of(trustme.CA().issue_cert("localhost")))

    for peer in (wrong_name, unknown):
        failure = failure_of(begin_pay(client_of(peer.url, ca_file, address_of(start_proxy()))))
        assert isinstance(failure, NotSent)
        assert failure.fault is Fault.TLS
        assert peer.requests == []


@pytest.mark.parametrize(
    ("refusal", "fault"),
    [
        ("HTTP/1.1 403 canary", Fault.NOT_CONNECTED),
        ("HTTP/1.1 407 canary", Fault.NOT_CONNECTED),
        ("HTTP/1.1 502 Bad Gateway", Fault.NOT_CONNECTED),
        ("nonsense", Fault.HTTP_STATUS),
    ],
)
def test_a_tunnel_that_is_refused_is_a_request_that_was_not_sent(
    client_of: ClientOf, start_proxy: StartProxy, ca_file: Path, refusal: str, fault: Fault
) -> None:
    proxy = start_proxy(refusal=refusal)

    failure = failure_of(begin_pay(client_of("https://localhost:9/api", ca_file, address_of(proxy, LOGIN))))

    assert isinstance(failure, NotSent)
    assert failure.fault is fault
    assert "canary" not in f"{failure} {failure!r}"


def test_a_proxy_that_is_not_there_is_named_and_nothing_goes_around_it(serve: Serve, client_of: ClientOf) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    peer = serve()

    failure = failure_of(begin_pay(client_of(peer.url, None, ProxyAddress("127.0.0.1", port, None))))

    assert isinstance(failure, NotSent)
    assert f"127.0.0.1 port {port}: Connection refused" in str(failure)
    assert peer.connections == 0


def test_a_proxy_that_opens_no_tunnel_in_time_is_a_request_that_was_not_sent(
    serve: Serve, client_of: ClientOf, ca_file: Path
) -> None:
    proxy = serve(lambda connection: connection.until_gone())
    address = ProxyAddress("127.0.0.1", proxy.port, None)

    failure = failure_of(begin_pay(client_of("https://localhost:9/api", ca_file, address), 0.3))

    assert isinstance(failure, NotSent)
    assert failure.fault is Fault.TIME_OVER
    assert proxy.received.startswith(b"CONNECT ")


@pytest.mark.parametrize("is_https", [True, False])
def test_an_answer_that_is_lost_behind_a_proxy_is_unclear(
    serve: Serve, client_of: ClientOf, start_proxy: StartProxy, authority: trustme.CA, ca_file: Path,
    is_https: bool,
) -> None:  # fmt: skip
    peer = serve(sending(b""), tls=tls_of(authority.issue_cert("localhost")) if is_https else None)

    assert isinstance(failure_of(begin_pay(client_of(peer.url, ca_file, address_of(start_proxy())))), Unclear)


def test_the_password_is_in_no_log_error_or_repr(
    serve: Serve, client_of: ClientOf, start_proxy: StartProxy,
    caplog: pytest.LogCaptureFixture, authority: trustme.CA, ca_file: Path,
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    peer, address = serve(tls=tls_of(authority.issue_cert("localhost"))), address_of(start_proxy(login=BASIC), LOGIN)
    refusing = address_of(start_proxy(refusal=f"HTTP/1.1 407 {PASSWORD.encode().decode('latin-1')}"), LOGIN)

    check(client_of(peer.url, ca_file, address))
    failure = failure_of(begin_pay(client_of(peer.url, ca_file, refusing)))

    shown = [f"{failure} {failure!r} {failure.__context__!r}", f"{address!r} {Endpoint.of(peer.url, address)!r}"]
    for secret in (PASSWORD, BASIC.partition(" ")[2], "canary"):
        assert secret not in caplog.text
        assert not any(secret in one for one in shown)
