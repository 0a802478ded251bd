from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from payme_plugin.sandbox import Sandbox
    from tests.sandbox.conftest import Kassa


def error_of(kassa: Kassa, body: bytes, x_auth: str | None = None) -> tuple[int, object]:
    answer = kassa.post(body, x_auth=x_auth)
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    document = json.loads(answer.data)
    assert set(document) == {"jsonrpc", "id", "error"}
    return document["error"]["code"], document["id"]


def test_a_payment_goes_from_0_to_4(kassa: Kassa, sandbox: Sandbox) -> None:
    receipt_id, code = kassa.create(2_500), sandbox.issue_code()

    answer = kassa.call("receipts.pay", {"id": receipt_id, "token": code}, request_id=41)

    assert (answer["jsonrpc"], answer["id"], answer["result"]["receipt"]["state"]) == ("2.0", 41, 4)
    assert kassa.state(receipt_id) == 4
    assert sandbox.held(receipt_id) == 2_500
    assert sandbox.pays(code) == 1


@pytest.mark.parametrize("request_id", [0, 2**70, "text", None, [1], {"a": 1}, "\ud800"])
def test_an_answer_repeats_whatever_id_the_request_had(kassa: Kassa, request_id: object) -> None:
    assert kassa.call("receipts.check", {"id": "f" * 24}, request_id=request_id)["id"] == request_id


def test_a_request_without_an_id_is_answered_with_null(kassa: Kassa) -> None:
    assert error_of(kassa, b'{"method": "receipts.check", "params": {}}') == (-32602, None)


def test_the_path_may_end_in_a_slash(kassa: Kassa) -> None:
    assert kassa.post(b"{}", "/api/").status == 200


@pytest.mark.parametrize("x_auth", ["", "id", "id:key", "65aa00112233445566778899:", "ключ:ключ"])
def test_a_wrong_key_is_refused_and_has_no_effect(kassa: Kassa, sandbox: Sandbox, x_auth: str) -> None:
    before = len(sandbox.receipts())
    body = json.dumps({"id": 3, "method": "receipts.create", "params": {"amount": 1, "account": {}}}).encode()

    assert error_of(kassa, body, x_auth=x_auth.encode().decode("latin-1")) == (-32504, 3)
    assert len(sandbox.receipts()) == before
    assert not sandbox.requests[-1].authorised


@pytest.mark.parametrize(
    ("body", "code", "request_id"),
    [
        (b"", -32700, None),
        (b"{", -32700, None),
        (b"\xff\xfe{}", -32700, None),
        (b'{"id": NaN}', -32700, None),
        (b"[" * 100_000, -32700, None),
        (b"9" * 10_000, -32700, None),
        (b"[]", -32600, None),
        (b"5", -32600, None),
        (b'{"id": 5}', -32600, 5),
        (b'{"id": 5, "method": 1}', -32600, 5),
        (b'{"id": 5, "method": ""}', -32600, 5),
        (b'{"id": 5, "method": "receipts.check", "params": []}', -32602, 5),
        (b'{"id": 5, "method": "receipts.check"}', -32602, 5),
        (b'{"id": 5, "method": "cards.create", "params": {}}', -32601, 5),
    ],
)
def test_what_is_no_request_is_refused_with_its_code(kassa: Kassa, body: bytes, code: int, request_id: object) -> None:
    assert error_of(kassa, body) == (code, request_id)


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_only_post_is_served(kassa: Kassa, method: str) -> None:
    answer = kassa.read("/api", method)

    assert answer["error"]["code"] == -32300


@pytest.mark.parametrize("path", ["/api", "/sandbox/codes"])
def test_a_body_over_a_mebibyte_is_not_read(kassa: Kassa, path: str) -> None:
    assert kassa.post(b" " * (1 << 20) + b"{}", path).status == 413


@pytest.mark.parametrize("path", ["/api", "/sandbox/codes"])
def test_a_kassa_that_leaves_in_the_middle_of_its_request_has_no_effect(
    kassa: Kassa, sandbox: Sandbox, path: str
) -> None:
    before = sandbox.requests
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=5) as half:
        half.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{{".encode())

    assert kassa.post(b"{}", "/sandbox/codes").status == 200
    assert sandbox.requests == before


def test_calls_share_a_connection(kassa: Kassa, sandbox: Sandbox) -> None:
    receipt_id = kassa.create()
    kassa.state(receipt_id)

    assert sandbox.requests[-1].connection == sandbox.requests[-2].connection


def test_the_wire_log_shows_what_came_but_no_code_phone_or_key(kassa: Kassa, sandbox: Sandbox) -> None:
    receipt_id, code = kassa.create(), sandbox.issue_code()
    kassa.call("receipts.pay", {"id": receipt_id, "token": code, "payer": {"phone": "998997654321"}}, request_id=9)

    line = sandbox.requests[-1]
    assert (line.method, line.request_id, line.authorised, line.fault) == ("receipts.pay", 9, True, None)
    assert line.params == {"id": receipt_id, "token": f"***{code[-4:]}", "payer": "***"}
    assert abs(line.at_ms - sandbox.now_ms()) < 60_000
    for secret in (code, "998997654321", sandbox.pos_key):
        assert secret not in repr(sandbox.requests)


def test_a_short_code_is_masked_whole(kassa: Kassa, sandbox: Sandbox) -> None:
    for token in ("1234", 12345678901234567890, None):
        kassa.call("receipts.pay", {"id": "f" * 24, "token": token})
        assert sandbox.requests[-1].params["token"] == "***"
