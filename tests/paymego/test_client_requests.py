"""What goes over the wire, and what comes back, while all is well."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import Fault, ServerError, Unclear
from payme_plugin.paymego.protocols import Answer
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from payme_plugin.paymego.client import PaymeGoClient
    from tests.paymego.conftest import Peer, Script, Time, Visit

    ClientOf = Callable[..., PaymeGoClient]
    Serve = Callable[..., Peer]

pytestmark = pytest.mark.floor

RECEIPT = "65f0a1b2c3d4e5f601234567"


def test_a_request_is_one_post_with_the_kassas_authorisation(
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
