"""A till's requests over HTTP, and what the log of requests keeps of them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import pytest

from payme_plugin.sandbox import Sandbox
from payme_plugin.sandbox.http_server import Answer

if TYPE_CHECKING:
    from tests.sandbox.conftest import Client


def test_a_payment_goes_from_0_to_4(client: Client, sandbox: Sandbox) -> None:
    receipt_id, code = client.create(2_500), sandbox.issue_code()

    answer = client.call("receipts.pay", {"id": receipt_id, "token": code}, request_id=41)

    assert (answer["jsonrpc"], answer["id"], answer["result"]["receipt"]["state"]) == ("2.0", 41, 4)
    assert client.state(receipt_id) == 4
    assert sandbox.held(receipt_id) == 2_500
    assert sandbox.pays(code) == 1


@pytest.mark.parametrize("request_id", [0, 2**70, 1.5, "text", None, [1], {"a": 1}, "\ud800"])
def test_an_answer_repeats_whatever_id_the_request_had(client: Client, request_id: object) -> None:
    assert client.call("receipts.check", {"id": "f" * 24}, request_id=request_id)["id"] == request_id


def test_calls_share_a_connection(client: Client, sandbox: Sandbox) -> None:
    receipt_id = client.create()
    client.state(receipt_id)

    assert sandbox.requests[-1].connection == sandbox.requests[-2].connection


def test_the_log_of_requests_shows_what_came_but_no_code_phone_or_key(client: Client, sandbox: Sandbox) -> None:
    receipt_id, code = client.create(), sandbox.issue_code()
    client.call("receipts.pay", {"id": receipt_id, "token": code, "payer": {"phone": "998997654321"}}, request_id=9)

    logged = sandbox.requests[-1]
    assert (logged.method, logged.request_id, logged.authorised, logged.fault) == ("receipts.pay", 9, True, None)
    assert logged.params == {"id": receipt_id, "token": f"***{code[-4:]}", "payer": "***"}
    assert abs(logged.at_ms - sandbox.now_ms()) < 60_000
    for secret in (code, "998997654321", sandbox.pos_key):
        assert secret not in repr(sandbox.requests)


@pytest.mark.parametrize("token", ["1234", 12345678901234567890, None])
def test_a_short_code_is_masked_whole(client: Client, sandbox: Sandbox, token: object) -> None:
    client.call("receipts.pay", {"id": "f" * 24, "token": token})

    assert sandbox.requests[-1].params["token"] == "***"


def test_the_log_keeps_the_latest_requests_of_8_mib_in_all_wherever_their_bytes_are() -> None:
    sandbox, text = Sandbox(), "x" * 300_000
    for number in range(20):
        document = {"id": f"{number} {text}", "method": text, "params": {"account": text}}
        sandbox.receive(json.dumps(document).encode(), b"", 1)
    kept = [json.dumps(asdict(request)) for request in sandbox.requests]

    assert 7 << 20 < sum(map(len, kept)) <= 8 << 20
    assert sandbox.requests[-1].request_id == f"19 {text}"


def test_the_log_counts_answers_too_and_keeps_none_over_a_mebibyte() -> None:
    sandbox = Sandbox()
    x_auth = f"{sandbox.pos_id}:{sandbox.pos_key}".encode()

    def ask(method: str, **params: object) -> None:
        body = json.dumps({"id": 1, "method": method, "params": params}).encode()
        arrival = sandbox.receive(body, x_auth, 1)
        assert arrival.call is not None
        document = sandbox.carry_out(arrival.call)
        sandbox.answered(arrival, Answer(json.dumps(document).encode(), document=document))

    ask("receipts.create", amount=1, account={}, detail={"text": "x" * 900_000})
    ask("receipts.create", amount=1, account={}, detail={"text": "x" * 900_000})
    for _ in range(20):
        ask("receipts.get", id=sandbox.receipts()[0].receipt_id)
    kept = len(sandbox.requests)
    ask("receipts.get_all", **{"from": 0, "to": 2**60})

    assert 7 <= kept <= 9
    assert all(request.answer for request in sandbox.requests[:-1])
    assert (sandbox.requests[-1].status, sandbox.requests[-1].answer) == (200, None)
    assert len(sandbox.requests) == kept + 1
