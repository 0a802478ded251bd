"""The key, the buyer's code, the card and the phone are seen by nobody but Payme."""

from __future__ import annotations

import http.client
import json
import logging
import re
import traceback
from typing import TYPE_CHECKING

import pytest

from payme_plugin.paymego import receipts
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.paymego.protocols import MerchantAccount
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.protocol.conftest import Peer, Script, Time, Visit

    ClientOf = Callable[..., PaymeGoClient]
    Serve = Callable[..., Peer]

pytestmark = pytest.mark.floor

RECEIPT = "65f0a1b2c3d4e5f601234567"
KEY = "KCR4W1kzqPxxUeW&BHNM0AOtR3?&0@E%R?P@;=x"
CODE = "90172612939"
CARD = "8600123456789012"
SPACED_CARD = "8600 1234 5678 9012"
PHONE = "998901112233"
CANARIES = (KEY, CODE, CARD, SPACED_CARD, PHONE)
WORDS = f"no: {KEY} / {CODE} / {CARD} / {SPACED_CARD} / {PHONE}"


def echo_in_the_message(visit: Visit) -> None:
    if heard := visit.request():
        visit.answer(heard, error={"code": -31900, "message": WORDS, "data": WORDS})


def echo_in_every_language(visit: Visit) -> None:
    if heard := visit.request():
        visit.answer(heard, error={"code": -31900, "message": {"ru": WORDS, "uz": WORDS}})


def echo_in_the_receipt(visit: Visit) -> None:
    if heard := visit.request():
        receipt = {"_id": RECEIPT, "state": 4, "detail": CODE, "card": {"number": CARD}, "payer": {"phone": PHONE}}
        visit.answer(heard, result={"receipt": receipt})


def echo_in_broken_json(visit: Visit) -> None:
    if visit.request():
        visit.reply(WORDS.encode())


def echo_in_the_status_line(visit: Visit) -> None:
    if visit.request():
        visit.send(f"HTTP/1.1 400 {WORDS}\r\nContent-Length: 0\r\n\r\n".encode())


def echo_in_the_place_of_http(visit: Visit) -> None:
    if visit.request():
        visit.send(f"{WORDS}\r\n\r\n".encode())


def echo_in_broken_headers(visit: Visit) -> None:
    if visit.request():
        visit.send(f"HTTP/1.1 200 OK\r\nX-A: 1\r\n{WORDS}\r\nX-Auth {KEY}\r\nContent-Length: 0\r\n\r\n".encode())


def echo_in_a_chunk_size(visit: Visit) -> None:
    if visit.request():
        visit.send(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{WORDS}\r\n".encode())


def echo_in_the_encoding(visit: Visit) -> None:
    if visit.request():
        visit.reply(b"", headers=f"Content-Encoding: {CODE}\r\nLocation: {KEY}\r\n")


def reset(visit: Visit) -> None:
    visit.request()
    visit.reset()


def silent(visit: Visit) -> None:
    visit.request()
    visit.until_gone()


ECHOES = [
    echo_in_the_message,
    echo_in_every_language,
    echo_in_the_receipt,
    echo_in_broken_json,
    echo_in_the_status_line,
    echo_in_the_place_of_http,
    echo_in_broken_headers,
    echo_in_a_chunk_size,
    echo_in_the_encoding,
    reset,
    silent,
]


@pytest.mark.parametrize("script", ECHOES)
def test_no_log_error_traceback_or_print_shows_a_secret_that_the_server_throws_back(
    serve: Serve,
    client_of: ClientOf,
    time: Time,
    script: Script,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A host that debugs its own requests switches these on for everybody.
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    caplog.set_level(logging.DEBUG)
    seen: list[str] = []
    causes: list[BaseException | None] = []
    pending = client_of(serve(script).url).begin("receipts.pay", receipts.pay(RECEIPT, Secret(CODE)), time.after(0.3))
    try:
        seen.append(repr(receipts.receipt_of(pending.answer())))
    except CallFailed as failure:
        causes.append(failure.__context__)
        seen.append("".join(traceback.TracebackException.from_exception(failure, capture_locals=True).format()))
        seen.append(repr(failure) + repr(vars(failure)))
    seen.extend([repr(pending), repr(vars(pending)), caplog.text, *map(repr, (vars(r) for r in caplog.records))])
    seen.extend(capsys.readouterr())
    assert not [canary for canary in CANARIES if canary in "\n".join(seen)]
    assert causes in ([], [None])


def test_what_is_masked_of_the_servers_words_leaves_the_rest_readable(
    serve: Serve, client_of: ClientOf, time: Time
) -> None:
    pending = client_of(serve(echo_in_the_message).url).begin(
        "receipts.pay", receipts.pay(RECEIPT, Secret(CODE)), time.after(5)
    )
    with pytest.raises(ServerError) as caught:
        pending.answer()
    assert caught.value.text.default == "no: *** / *** / ************9012 / ************9012 / ********2233"


def test_the_log_has_one_line_for_the_request_and_one_for_its_answer(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = client_of(serve(honest).url)
    client.begin("receipts.create", receipts.create(1_500_000, {"order_id": "3-118"}), time.after(5)).answer()
    client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()
    assert {record.name for record in caplog.records} == {"payme"}
    lines = [re.sub(r"\d+ ms$", "N ms", record.getMessage()) for record in caplog.records]
    assert lines == [
        "request receipts.create",
        f"answer receipts.create receipt={RECEIPT} state=4 N ms",
        f"request receipts.check receipt={RECEIPT}",
        f"answer receipts.check receipt={RECEIPT} state=4 N ms",
    ]


def test_the_log_shows_no_secret_that_the_server_gives_as_a_receipts_id(
    serve: Serve, client_of: ClientOf, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    def script(visit: Visit) -> None:
        if heard := visit.request():
            visit.answer(heard, result={"receipt": {"_id": f"{KEY}\n{CARD}", "state": 0}})

    caplog.set_level(logging.INFO)
    client_of(serve(script).url).begin("receipts.create", receipts.create(100, {}), time.after(5)).answer()
    assert "answer receipts.create receipt=*** ************9012 state=0 " in caplog.text


def test_the_log_tells_a_refusal_with_its_code(
    serve: Serve, client_of: ClientOf, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    def script(visit: Visit) -> None:
        if heard := visit.request():
            visit.answer(heard, error={"code": -31400, "message": "Карта не\nнайдена"})

    caplog.set_level(logging.INFO)
    pending = client_of(serve(script).url).begin("receipts.pay", receipts.pay(RECEIPT, Secret(CODE)), time.after(5))
    with pytest.raises(ServerError):
        pending.answer()
    assert f"answer receipts.pay receipt={RECEIPT} error=-31400 'Карта не найдена' " in caplog.text


def test_the_log_tells_why_there_is_no_answer(
    client_of: ClientOf, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    client = client_of("http://127.0.0.1:9/api")
    for _ in range(2):
        with pytest.raises(CallFailed):
            client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING"] * 2
    assert f"receipt={RECEIPT} not sent: not-connected (can't connect to 127.0.0.1 port 9" in caplog.text


def test_a_log_that_raises_changes_no_outcome(
    serve: Serve, client_of: ClientOf, time: Time, honest: Script, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            raise RuntimeError("the disk is full")

    caplog.set_level(logging.INFO)
    broken = Broken()
    logging.getLogger("payme").addFilter(broken)
    try:
        pending = client_of(serve(honest).url).begin("receipts.check", receipts.by_id(RECEIPT), time.after(5))
        assert receipts.state_of(pending.answer()) == 4
    finally:
        logging.getLogger("payme").removeFilter(broken)


def test_a_merchant_account_shows_no_key() -> None:
    assert repr(MerchantAccount("id", Secret(KEY), "https://payme.example/api")) == (
        "MerchantAccount(pos_id='id', url='https://payme.example/api')"
    )


def test_a_key_that_could_break_out_of_its_header_is_refused_without_being_shown(time: Time) -> None:
    merchant = MerchantAccount("id", Secret(f"{KEY}\r\nX-More: 1"), "https://payme.example/api")
    with pytest.raises(ValueError, match="posKey") as caught:
        PaymeGoClient(merchant, clock=time, request_ids=lambda: 1)
    assert KEY not in str(caught.value)


def test_a_key_of_any_letters_goes_out_as_utf_8(serve: Serve, time: Time, honest: Script) -> None:
    peer = serve(honest)
    client = PaymeGoClient(MerchantAccount("id", Secret("ключ"), peer.url), clock=time, request_ids=lambda: 1)
    client.begin("receipts.check", receipts.by_id(RECEIPT), time.after(5)).answer()
    client.close()
    assert peer.requests[0].headers["X-Auth"].encode("latin-1").decode() == "id:ключ"
    assert json.loads(peer.requests[0].body)["id"] == 1
