"""What the client sends, what comes back, and on which connection."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed, Fault, ServerError, Unclear
from payme_plugin.paymego.protocols import Answer
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.paymego.client import PaymeGoClient
    from tests.protocol.conftest import Peer, Script, Time, Visit

    ClientOf = Callable[..., PaymeGoClient]
    Serve = Callable[..., Peer]

pytestmark = pytest.mark.floor

RECEIPT = "65f0a1b2c3d4e5f601234567"


def test_a_request_is_one_post_with_the_merchant_accounts_authorisation(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    peer = serve(honest)
    client_of(peer.url).begin("receipts.pay", receipts.pay(RECEIPT, Secret("0027161293")), time.after(5)).answer()

    (heard,) = peer.requests
    assert heard.line == "POST /api HTTP/1.1"
    assert heard.document == {"id": 1001, "method": "receipts.pay", "params": {"id": RECEIPT, "token": "0027161293"}}
    assert heard.headers["X-Auth"] == "5e730e8e0b852a417aa49ceb:KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
    assert heard.headers["Content-Type"] == "application/json"
    assert heard.headers["Accept-Encoding"] == "identity"
    assert heard.headers["Host"] == f"localhost:{peer.port}"


def test_the_address_is_used_as_it_is_written(serve: Serve, client_of: ClientOf, time: Time, honest: Script) -> None:
    peer = serve(honest)
    client_of(f"http://127.0.0.1:{peer.port}/gate/api/?till=3").begin(
        "receipts.check", receipts.by_id(RECEIPT), time.after(5)
    ).answer()
    assert peer.requests[0].line == "POST /gate/api/?till=3 HTTP/1.1"


def test_an_answer_that_repeats_our_id_is_bound_to_us(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    peer = serve(honest)
    answer = client_of(peer.url).begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()
    assert answer == Answer("receipts.check", {"state": 4}, bound=True)


@pytest.mark.parametrize("body", [b'{"id": null, "result": {"state": 4}}', b'{"result": {"state": 4}}'])
def test_an_answer_without_an_id_is_not_bound(serve: Serve, client_of: ClientOf, time: Time, body: bytes) -> None:
    def script(visit: Visit) -> None:
        if visit.request():
            visit.reply(body)

    answer = client_of(serve(script).url).begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()
    assert (receipts.state_of(answer), answer.bound) == (4, False)


def test_an_answer_to_another_request_is_unclear(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def script(visit: Visit) -> None:
        if heard := visit.request():
            visit.answer(heard, id=7, result={"state": 4})

    pending = client_of(serve(script).url).begin("receipts.check", receipts.by_id(RECEIPT), time.after(5))
    with pytest.raises(Unclear) as caught:
        pending.answer()
    assert caught.value.fault is Fault.FOREIGN_ANSWER


def test_an_error_is_refused_with_its_code_and_words(serve: Serve, client_of: ClientOf, time: Time) -> None:
    words = {"ru": "Карта не найдена", "uz": "Karta topilmadi", "en": "Card not found"}

    def script(visit: Visit) -> None:
        if heard := visit.request():
            visit.answer(heard, error={"code": -31400, "message": words, "data": None})

    pending = client_of(serve(script).url).begin("receipts.check", receipts.by_id(RECEIPT), time.after(5))
    with pytest.raises(ServerError) as caught:
        pending.answer()
    assert caught.value.code == -31400
    assert caught.value.text.in_language("uz") == "Karta topilmadi"


def test_the_same_pending_gives_the_same_outcome_again(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    pending = client_of(serve(honest).url).begin("receipts.check", receipts.by_id(RECEIPT), time.after(5))
    assert pending.answer() is pending.answer()


def test_waiting_ends_with_the_answer_or_with_the_slice(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def script(visit: Visit) -> None:
        if heard := visit.request():
            visit.peer.stopping.wait(0.2)
            visit.answer(heard, result={"state": 4})

    pending = client_of(serve(script).url).begin("receipts.check", receipts.by_id(RECEIPT), time.after(5))
    began_at = time.monotonic()
    assert not pending.wait(time.after(0.05))
    assert pending.wait(time.after(5))
    assert time.monotonic() - began_at < 2


@pytest.mark.parametrize("params", [{"amount": float("nan")}, {"amount": object()}])
def test_parameters_that_have_no_form_in_json_are_the_callers_mistake(
    client_of: ClientOf, time: Time, params: dict[str, object]
) -> None:
    with pytest.raises((TypeError, ValueError)):
        client_of("http://127.0.0.1:9/api").begin("receipts.create", params, time.after(1))


@pytest.mark.parametrize(
    "url", ["checkout.paycom.uz/api", "ftp://checkout.paycom.uz/api", "https:///api", "http://[::1/api", ""]
)
def test_an_address_that_is_none_is_told_at_once(client_of: ClientOf, url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        client_of(url)


def check(client: PaymeGoClient, time: Time) -> None:
    client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()


def pay(client: PaymeGoClient, time: Time) -> None:
    client.begin("receipts.pay", receipts.pay(RECEIPT, Secret("0027161293")), time.after(5)).answer()


def test_requests_one_after_another_share_a_connection(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    peer = serve(honest)
    client = client_of(peer.url)
    for _ in range(20):
        check(client, time)
        pay(client, time)
    assert (len(peer.requests), peer.connections) == (40, 1)


def test_pay_leaves_on_a_connection_that_answered_within_five_seconds(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    peer = serve(honest)
    client = client_of(peer.url)
    check(client, time)
    time.ahead_s += 4.5
    pay(client, time)
    assert peer.connections == 1


def test_pay_leaves_on_a_new_connection_otherwise(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    peer = serve(honest)
    client = client_of(peer.url)
    check(client, time)
    time.ahead_s += 5.1
    pay(client, time)
    assert peer.connections == 2


@pytest.mark.parametrize(("idle_s", "connections"), [(29.0, 1), (31.0, 2)])
def test_other_requests_use_a_connection_that_answered_within_thirty(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, idle_s: float, connections: int
) -> None:
    peer = serve(honest)
    client = client_of(peer.url)
    check(client, time)
    time.ahead_s += idle_s
    check(client, time)
    assert peer.connections == connections


def test_an_idle_connection_that_the_server_dropped_costs_nothing(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    def one_answer(visit: Visit) -> None:
        if heard := visit.request():
            visit.answer(heard, result={"state": 0})

    peer = serve(one_answer, honest)
    client = client_of(peer.url)
    check(client, time)
    peer._threads[1].join(5)
    pay(client, time)
    assert (peer.methods, peer.connections) == (["receipts.check", "receipts.pay"], 2)


def test_an_answer_with_connection_close_is_whole_and_the_next_request_connects_anew(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    gone = threading.Event()

    def closing(visit: Visit) -> None:
        if visit.request():
            body = b'{"id": null, "result": {"state": 0}}'
            visit.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 36\r\n\r\n" + body)
            visit.until_gone()
            gone.set()

    peer = serve(closing, honest)
    client = client_of(peer.url)
    check(client, time)
    assert gone.wait(5)
    check(client, time)
    assert peer.connections == 2


def test_a_chunked_answer_is_whole_too(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def chunked(visit: Visit) -> None:
        while visit.request():
            visit.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            visit.send(b'd\r\n{"result": {"\r\n' + b'b\r\nstate": 4}}\r\n0\r\n\r\n')

    peer = serve(chunked)
    client = client_of(peer.url)
    check(client, time)
    check(client, time)
    assert peer.connections == 1


def test_an_answer_that_nobody_asked_for_is_not_taken_for_the_next(
    serve: Serve, client_of: ClientOf, time: Time
) -> None:
    def talkative(visit: Visit) -> None:
        while visit.request():
            visit.reply(
                b'{"id": null, "result": {"state": 0}}HTTP/1.1 200 OK\r\nContent-Length: 36\r\n\r\n'
                b'{"id": null, "result": {"state": 4}}',
                length=36,
            )

    client = client_of(serve(talkative).url)
    for _ in range(5):
        pending = client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5))
        assert receipts.state_of(pending.answer()) == 0


def test_a_connection_is_kept_after_a_refusal_which_is_a_whole_answer(
    serve: Serve, client_of: ClientOf, time: Time
) -> None:
    def script(visit: Visit) -> None:
        while heard := visit.request():
            visit.answer(heard, error={"code": -31400, "message": "no"})

    peer = serve(script)
    client = client_of(peer.url)
    for _ in range(2):
        with pytest.raises(ServerError):
            check(client, time)
    assert peer.connections == 1


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
def test_a_connection_that_brought_no_usable_answer_is_closed(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, body: bytes
) -> None:
    gone: list[bool] = []

    def script(visit: Visit) -> None:
        if visit.request():
            visit.reply(body)
            visit.until_gone()
            gone.append(True)

    peer = serve(script, honest)
    client = client_of(peer.url)
    with pytest.raises(CallFailed):
        check(client, time)
    check(client, time)
    peer._threads[1].join(5)
    assert (peer.connections, gone) == (2, [True])


def test_a_request_beside_another_has_a_connection_of_its_own(serve: Serve, client_of: ClientOf, time: Time) -> None:
    def slow(visit: Visit) -> None:
        if heard := visit.request():
            visit.peer.stopping.wait(0.3)
            visit.answer(heard, result={"state": 0})

    def quick(visit: Visit) -> None:
        while heard := visit.request():
            visit.answer(heard, result={"state": 4})

    peer = serve(slow, quick)
    client = client_of(peer.url)
    first = client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5))
    while not peer.requests:
        assert not first.wait(time.after(0.01))
    check(client, time)
    assert not first.wait(time.monotonic())
    assert receipts.state_of(first.answer()) == 0


def test_a_late_answer_to_an_abandoned_request_reaches_nobody(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script
) -> None:
    def late(visit: Visit) -> None:
        if heard := visit.request():
            visit.until_gone()
            visit.answer(heard, result={"state": 4})

    peer = serve(late, honest)
    client = client_of(peer.url)
    first = client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5))
    while not peer.requests:
        first.wait(time.after(0.01))
    first.abandon()
    check(client, time)
    with pytest.raises(CallFailed):
        first.answer()
    assert peer.connections == 2


def test_a_request_that_nobody_waits_for_is_shut_at_its_deadline(serve: Serve, client_of: ClientOf, time: Time) -> None:
    gone = threading.Event()

    def dripping(visit: Visit) -> None:
        visit.request()
        try:
            visit.drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000)
        except OSError:
            gone.set()

    peer = serve(dripping)
    pending = client_of(peer.url).begin("receipts.create", receipts.create(1_500_000, {}), time.after(0.3))
    assert gone.wait(10), "the connection is still open"
    with pytest.raises(CallFailed) as caught:
        pending.answer()
    assert caught.value.sent


def test_proxies_of_the_environment_have_no_effect(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    peer = serve(honest)
    check(client_of(peer.url), time)
    assert peer.methods == ["receipts.check"]


def test_a_closed_client_sends_nothing(serve: Serve, client_of: ClientOf, time: Time, honest: Script) -> None:
    peer = serve(honest)
    client = client_of(peer.url)
    check(client, time)
    client.close()
    with pytest.raises(CallFailed) as caught:
        check(client, time)
    assert not caught.value.sent
    assert len(peer.requests) == 1


def test_close_abandons_what_is_under_way(serve: Serve, client_of: ClientOf, time: Time) -> None:
    peer = serve(lambda visit: visit.until_gone())
    client = client_of(peer.url)
    pending = client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(60))
    client.close()
    assert pending.wait(time.monotonic())
    with pytest.raises(CallFailed):
        pending.answer()
