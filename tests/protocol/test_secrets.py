"""The client shows the key, the code, the card and the phone to nobody but Payme."""

from __future__ import annotations

import http.client
import json
import logging
import pickle
import re
import traceback
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from faults.canaries import CARD, KEY, PHONE, grouped
from payme_plugin.paymego import receipts
from payme_plugin.paymego.client import PaymeGoClient
from payme_plugin.paymego.errors import CallFailed, ServerError
from payme_plugin.paymego.protocols import MerchantAccount
from payme_plugin.secret import Secret, mask_digits, safe_traceback
from tests.protocol.conftest import CODE, RECEIPT, begin_check, begin_pay, check, failure_of, replying, sending, silent

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.server import Connection, Script
    from tests.protocol.conftest import ClientOf, Serve, Time

pytestmark = pytest.mark.floor

CANARIES = (KEY, CODE, CARD, grouped(CARD), PHONE)
WORDS = f"no: {KEY} / {CODE} / {CARD} / {grouped(CARD)} / {PHONE}"


def answering(**members: object) -> Script:
    def script(connection: Connection) -> None:
        if request := connection.read_request():
            connection.answer(request, **members)

    return script


def reset(connection: Connection) -> None:
    connection.read_request()
    connection.reset()


IN_AN_ERROR = answering(error={"code": -31900, "message": WORDS, "data": WORDS})
RECEIPT_WITH_SECRETS = {"_id": RECEIPT, "detail": CODE, "card": {"number": CARD}, "payer": {"phone": PHONE}}


@pytest.mark.parametrize(
    "script",
    [
        IN_AN_ERROR,
        answering(error={"code": -31900, "message": {"ru": WORDS, "uz": WORDS}}),
        answering(error={"code": -int(CARD), "message": "no"}),
        answering(result={"receipt": RECEIPT_WITH_SECRETS}),
        answering(id=WORDS, result={"state": 4}),
        replying(WORDS.encode()),
        replying(b"", headers=f"Content-Encoding: {CODE}\r\nLocation: {KEY}\r\n"),
        sending(f"HTTP/1.1 400 {WORDS}\r\nContent-Length: 0\r\n\r\n".encode()),
        sending(f"{WORDS}\r\n\r\n".encode()),
        sending(f"HTTP/1.1 200 OK\r\nX-A: 1\r\n{WORDS}\r\nX-Auth {KEY}\r\nContent-Length: 0\r\n\r\n".encode()),
        sending(f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{WORDS}\r\n".encode()),
        reset,
        silent,
    ],
)
def test_no_log_error_traceback_or_print_shows_a_secret_that_the_server_repeats(
    serve: Serve,
    client_of: ClientOf,
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
    pending = begin_pay(client_of(serve(script).url), 0.3)
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


def test_what_is_masked_of_the_servers_words_leaves_the_rest_readable(serve: Serve, client_of: ClientOf) -> None:
    failure = failure_of(begin_pay(client_of(serve(IN_AN_ERROR).url)))
    assert isinstance(failure, ServerError)
    assert failure.text.default == "no: *** / *** / ************6311 / ************6311 / ********2233"


def test_the_log_has_one_line_for_the_request_and_one_for_its_end_without_a_secret(
    serve: Serve, client_of: ClientOf, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    def script(connection: Connection) -> None:
        for result in ({"receipt": {"_id": f"{KEY}\n{CARD}", "state": 0}}, {"state": 4}, None):
            if request := connection.read_request():
                members = {"error": {"code": -31400, "message": "Карта не\nнайдена"}} if result is None else {}
                connection.answer(request, **members, **({"result": result} if result else {}))

    caplog.set_level(logging.INFO)
    client = client_of(serve(script).url)
    client.begin("receipts.create", receipts.create(100, {"order_id": "3-118"}), time.monotonic() + 5).answer()
    check(client)
    failure_of(begin_pay(client))
    failure_of(begin_check(client_of("http://127.0.0.1:9/api")))

    lines = [re.sub(r"\d+ ms$", "N ms", record.getMessage()) for record in caplog.records]
    assert lines[:6] == [
        "request receipts.create",
        "answer receipts.create receipt=*** ************6311 state=0 N ms",
        f"request receipts.check receipt={RECEIPT}",
        f"answer receipts.check receipt={RECEIPT} state=4 N ms",
        f"request receipts.pay receipt={RECEIPT}",
        f"answer receipts.pay receipt={RECEIPT} error=-31400 'Карта не найдена' N ms",
    ]
    assert f"receipt={RECEIPT} not sent: not-connected (can't connect to 127.0.0.1 port 9" in lines[7]
    assert {record.name for record in caplog.records} == {"payme"}
    assert [record.levelname for record in caplog.records[-2:]] == ["INFO", "WARNING"]


def test_a_log_that_raises_changes_no_outcome(
    serve: Serve, client_of: ClientOf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: object) -> bool:
        raise RuntimeError("the disk is full")

    caplog.set_level(logging.INFO)
    monkeypatch.setattr(logging.getLogger("payme"), "filter", fail)
    assert check(client_of(serve().url)) == 4


def test_a_key_that_could_break_out_of_its_header_is_refused_without_being_shown(time: Time) -> None:
    merchant = MerchantAccount("id", Secret(f"{KEY}\r\nX-More: 1"), "https://payme.example/api")
    with pytest.raises(ValueError, match="posKey") as caught:
        PaymeGoClient(merchant, clock=time, request_ids=lambda: 1)
    assert KEY not in str(caught.value)
    assert repr(merchant) == "MerchantAccount(pos_id='id', url='https://payme.example/api')"


def test_a_key_of_any_letters_goes_out_as_utf_8(serve: Serve, time: Time) -> None:
    peer = serve()
    client = PaymeGoClient(MerchantAccount("id", Secret("ключ"), peer.url), clock=time, request_ids=lambda: 1)
    check(client)
    client.close()
    assert peer.requests[0].headers["X-Auth"].encode("latin-1").decode() == "id:ключ"
    assert json.loads(peer.requests[0].body)["id"] == 1


# What a secret, a number and a fault show


@pytest.mark.parametrize("shown", [str, repr, "{}".format, "{:>80}".format, "{!r}".format, "%s".__mod__, ascii])
def test_a_secret_is_shown_by_no_way_of_writing_it(shown: Callable[[object], str]) -> None:
    secret = Secret(KEY)

    assert "***" in shown(secret)
    assert KEY not in f"{shown(secret)} {[secret]}"
    assert pickle.loads(pickle.dumps(secret)).reveal() == "***"  # noqa: S301 - our own


def test_a_traceback_has_the_classes_and_lines_of_an_error_and_its_causes_and_no_text() -> None:
    def inner() -> None:
        raise KeyError(WORDS)

    def outer() -> None:
        try:
            inner()
        except KeyError as cause:
            raise RuntimeError(WORDS) from cause

    with pytest.raises(RuntimeError) as raised:
        outer()
    shown = safe_traceback(raised.value)

    assert re.fullmatch(
        r"RuntimeError < test_secrets.py:\d+.*, after KeyError < test_secrets.py:\d+ .*< test_secrets.py:\d+.*", shown
    )
    assert KEY not in shown
    assert raised.value.__cause__ is not None
    raised.value.__cause__.__cause__ = raised.value  # a circle of causes has an end
    assert safe_traceback(raised.value).count("RuntimeError") == 1


@given(
    number=st.sampled_from([CARD, "88776655443322110099", PHONE]),
    by=st.sampled_from(["", " ", "-", "\u00a0", "\u2011", ".", "- ", ") ", "\u200b"]),
    size=st.integers(2, 6),
    before=st.text(st.characters(exclude_categories=["Cs", "N"]), max_size=9),
)
def test_a_number_in_groups_is_masked_once_but_for_its_last_four_digits(
    number: str, by: str, size: int, before: str
) -> None:
    masked = mask_digits(f"{before}{grouped(number, by, size)}.")

    assert masked == f"{before}{'*' * (len(number) - 4)}{number[-4:]}."
    assert mask_digits(masked) == masked


@pytest.mark.parametrize(
    "text",
    ["", "15 000 000 sum", "150 000.00", "error -31400", "-31400, -31101, -31103", "12:30:59", "2026-01-31", "a1b2c3"],
)
def test_amounts_codes_and_times_stay(text: str) -> None:
    assert mask_digits(text) == text
