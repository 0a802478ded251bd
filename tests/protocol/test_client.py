"""What the client sends, what comes back, and on which connection."""

from __future__ import annotations

import threading
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego import receipts
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.errors import Fault, ServerError, Unclear
from payme_plugin.paymego.protocols import Answer, MerchantAccount
from payme_plugin.secret import Secret
from tests.protocol.conftest import CODE, KEY, RECEIPT, begin_check, begin_pay, check, failure_of, honest, replying

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.server import Connection
    from payme_plugin.paymego.protocols import Pending
    from tests.protocol.conftest import ClientOf, Serve, Time

pytestmark = pytest.mark.floor

STATE_0 = b'{"id": null, "result": {"state": 0}}'


def test_a_request_is_one_post_with_the_merchant_accounts_authorisation(serve: Serve, client_of: ClientOf) -> None:
    peer = serve()
    begin_pay(client_of(f"http://127.0.0.1:{peer.port}/gate/api/?till=3")).answer()

    (request,) = peer.requests
    assert request.line == "POST /gate/api/?till=3 HTTP/1.1"
    assert request.document == {"id": 1001, "method": "receipts.pay", "params": {"id": RECEIPT, "token": CODE}}
    assert request.headers["X-Auth"] == "5e730e8e0b852a417aa49ceb:KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["Accept-Encoding"] == "identity"
    assert request.headers["Host"] == f"127.0.0.1:{peer.port}"


def test_the_ids_of_requests_are_random_in_each_client_and_no_larger_than_any_server_can_repeat(
    serve: Serve, time: Time
) -> None:
    """Otherwise the answer to another till's request could be bound to ours."""
    peer = serve()
    merchant = MerchantAccount(url=peer.url, pos_id="5e730e8e0b852a417aa49ceb", pos_key=Secret(KEY))
    for _ in range(2):
        with closing(PaymeGoClient(merchant, clock=time)) as client:
            for _ in range(20):
                check(client)
    ids = [request.document["id"] for request in peer.requests]

    assert (len(set(ids)), ids == sorted(ids), max(ids) < 2**53) == (40, False, True)
    assert max(ids) - min(ids) > 2**50


def test_an_answer_that_repeats_our_id_is_bound_to_us_and_stays_the_same(serve: Serve, client_of: ClientOf) -> None:
    pending = begin_check(client_of(serve().url))
    assert pending.answer() == Answer("receipts.check", {"state": 4}, bound=True)
    assert pending.answer() is pending.answer()


def test_an_error_is_refused_with_its_code_and_words_and_its_connection_is_kept(
    serve: Serve, client_of: ClientOf
) -> None:
    words = {"ru": "Карта не найдена", "uz": "Karta topilmadi", "en": "Card not found"}

    def script(connection: Connection) -> None:
        while request := connection.read_request():
            connection.answer(request, error={"code": -31400, "message": words, "data": None})

    peer = serve(script)
    client = client_of(peer.url)
    for failure in (failure_of(begin_check(client)), failure_of(begin_check(client))):
        assert isinstance(failure, ServerError)
        assert (failure.code, failure.text.in_language("uz")) == (-31400, "Karta topilmadi")
    assert peer.connections == 1


def test_waiting_ends_with_the_answer_or_with_the_slice(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def script(connection: Connection) -> None:
        if request := connection.read_request():
            connection.peer.stopping.wait(0.2)
            connection.answer(request, result={"state": 4})

    pending = begin_check(client_of(serve(script).url))
    began_at = time.monotonic()
    assert not pending.wait(began_at + 0.05)
    assert pending.wait(began_at + 5)
    assert time.monotonic() - began_at < 2


@pytest.mark.parametrize("params", [{"amount": float("nan")}, {"amount": object()}])
def test_parameters_that_have_no_form_in_json_are_the_callers_mistake(
    client_of: ClientOf, time: Time, params: dict[str, object]
) -> None:
    with pytest.raises((TypeError, ValueError)):
        client_of("http://127.0.0.1:9/api").begin("receipts.create", params, time.monotonic() + 1)


@pytest.mark.parametrize(
    "url", ["checkout.paycom.uz/api", "ftp://checkout.paycom.uz/api", "https:///api", "http://[::1/api", ""]
)
def test_an_invalid_address_is_a_value_error_at_once(client_of: ClientOf, url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        client_of(url)


def test_requests_one_after_another_share_a_connection(serve: Serve, client_of: ClientOf) -> None:
    peer = serve()
    client = client_of(peer.url)
    for _ in range(20):
        check(client)
        begin_pay(client).answer()
    assert (len(peer.requests), peer.connections) == (40, 1)


@pytest.mark.parametrize(
    ("begin", "idle_s", "connections"),
    [(begin_pay, 4.5, 1), (begin_pay, 5.1, 2), (begin_check, 29.0, 1), (begin_check, 31.0, 2)],
)
def test_pay_leaves_on_a_connection_that_answered_within_five_seconds_and_the_others_within_thirty(
    serve: Serve,
    client_of: ClientOf,
    time: Time,
    begin: Callable[[PaymeGoClient], Pending],
    idle_s: float,
    connections: int,
) -> None:
    peer = serve()
    client = client_of(peer.url)
    check(client)
    time.ahead_s += idle_s
    begin(client).answer()
    assert peer.connections == connections


@pytest.mark.parametrize("headers", ["", "Connection: close\r\n"])
def test_an_idle_connection_that_the_server_ended_costs_nothing(
    serve: Serve, client_of: ClientOf, headers: str
) -> None:
    def one_answer(connection: Connection) -> None:
        connection.read_request()
        connection.reply(STATE_0, headers=headers)

    peer = serve(one_answer, honest)
    client = client_of(peer.url)
    assert check(client) == 0
    assert peer.has_ended(1)
    begin_pay(client).answer()
    assert (peer.methods, peer.connections) == (["receipts.check", "receipts.pay"], 2)


def test_an_answer_with_connection_close_ends_the_connection(serve: Serve, client_of: ClientOf) -> None:
    peer = serve(replying(STATE_0, headers="Connection: close\r\n"), honest)
    client = client_of(peer.url)
    assert check(client) == 0
    assert peer.has_ended(1)
    assert (check(client), peer.connections) == (4, 2)


def test_a_chunked_answer_is_whole_too(serve: Serve, client_of: ClientOf) -> None:
    def chunked(connection: Connection) -> None:
        while connection.read_request():
            connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            connection.send(b'd\r\n{"result": {"\r\n' + b'b\r\nstate": 4}}\r\n0\r\n\r\n')

    peer = serve(chunked)
    client = client_of(peer.url)
    assert (check(client), check(client), peer.connections) == (4, 4, 1)


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next(serve: Serve, client_of: ClientOf) -> None:
    def talkative(connection: Connection) -> None:
        while connection.read_request():
            unasked = b"HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n" + STATE_0.replace(b"0", b"4")
            connection.reply(STATE_0 + unasked, length=36)

    client = client_of(serve(talkative).url)
    assert [check(client) for _ in range(5)] == [0] * 5


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": 7, "result": {"state": 4}}',
        b'{"id": 7, "error": {"code": -31400, "message": "of another request"}}',
        b"<html>Sign in to the Wi-Fi</html>",
        b'{"id": null}',
    ],
    ids=["foreign result", "foreign error", "html", "neither"],
)
def test_a_connection_that_brought_no_usable_answer_is_closed(serve: Serve, client_of: ClientOf, body: bytes) -> None:
    peer = serve(replying(body), honest)
    client = client_of(peer.url)
    failure = failure_of(begin_check(client))
    assert isinstance(failure, Unclear)
    assert (failure.fault is Fault.FOREIGN_ANSWER) is (b"7" in body)
    assert peer.has_ended(1)
    assert (check(client), peer.connections) == (4, 2)


def test_a_request_beside_another_has_a_connection_of_its_own(serve: Serve, client_of: ClientOf, time: Time) -> None:
    go_on = threading.Event()

    def slow(connection: Connection) -> None:
        if request := connection.read_request():
            go_on.wait(5)
            connection.answer(request, result={"state": 0})

    peer = serve(slow, honest)
    client = client_of(peer.url)
    first = begin_check(client)
    while not peer.requests:
        assert not first.wait(time.monotonic() + 0.01)
    assert check(client) == 4
    assert not first.wait(time.monotonic())
    go_on.set()
    assert receipts.state_of(first.answer()) == 0


def test_a_late_answer_to_an_abandoned_request_reaches_nobody(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def late(connection: Connection) -> None:
        if request := connection.read_request():
            connection.until_gone()
            connection.answer(request, result={"state": 4})

    peer = serve(late, honest)
    client = client_of(peer.url)
    first = begin_check(client)
    while not peer.requests:
        first.wait(time.monotonic() + 0.01)
    first.abandon()
    assert check(client) == 4
    failure_of(first)
    assert peer.connections == 2


def test_proxies_of_the_environment_have_no_effect(
    serve: Serve, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")

    assert check(client_of(serve().url)) == 4


def test_a_closed_client_sends_nothing(serve: Serve, client_of: ClientOf) -> None:
    peer = serve()
    client = client_of(peer.url)
    check(client)
    client.close()
    assert not failure_of(begin_check(client)).sent
    assert len(peer.requests) == 1


def test_close_abandons_what_is_under_way(serve: Serve, client_of: ClientOf, time: Time) -> None:
    client = client_of(serve(lambda connection: connection.until_gone()).url)
    pending = begin_check(client, 60)
    client.close()
    assert pending.wait(time.monotonic())
    failure_of(pending)
