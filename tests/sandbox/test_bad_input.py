"""What is not a request is answered in Payme's own form, and the sandbox keeps working afterwards."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payme_plugin.sandbox.control import CALLS, PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from payme_plugin.sandbox import Sandbox
    from tests.sandbox.conftest import Client

LIMIT = 1 << 20
NOT_FOUND = -31602


def refuse_constant(name: str) -> None:
    raise AssertionError(f"{name} is not JSON")


@pytest.fixture(autouse=True)
def keeps_working(client: Client) -> Iterator[None]:
    yield
    receipt_id = client.create()
    for path in ("/sandbox/v1/receipts", "/sandbox/v1/requests"):
        answer = client.pool.urlopen("GET", path, retries=False)
        assert answer.status == 200
        assert receipt_id in repr(json.loads(answer.data, parse_constant=refuse_constant)) or path.endswith("requests")


def error_in(body: bytes) -> dict[str, Any]:
    document = json.loads(body, parse_constant=refuse_constant)
    assert set(document) == {"jsonrpc", "id", "error"}
    assert set(document["error"]) == {"code", "message", "data"}
    return {"id": document["id"], **document["error"]}


def code_and_id(client: Client, body: bytes, path: str = "/api") -> tuple[int, object]:
    answer = client.post(body, path)
    assert answer.status == (200 if path == "/api" else 400)
    assert answer.headers["content-type"] == "application/json"
    error = error_in(answer.data)
    return error["code"], error["id"]


def checking(value: str | bytes) -> bytes:
    """A request about a receipt that does not exist, with a member that holds ``value``."""
    text = value.encode() if isinstance(value, str) else value
    return b'{"id": 7, "method": "receipts.check", "params": {"id": "x", "more": ' + text + b"}}"


def nested(depth: int) -> str:
    return "[" * depth + "]" * depth


@pytest.mark.parametrize(
    "value",
    [
        "0", "-0", "0.1e-2", "1E+2", "123456789012345678901234567890", "true", "null", "[]", "{}",
        '""', '"\\u0000"', '"\\ud834\\udd1e"', '"\\ud834"', '"\\"\\\\\\/\\b\\f\\n\\r\\t"', '"\x7f"', '"ключ ✓"',
        " \t\r\n[ 1 ,\n2 ] ", '{"": 0, "a": {"a": 1}}', nested(62),
    ],
)  # fmt: skip
def test_what_rfc_8259_allows_is_read(client: Client, value: str) -> None:
    assert code_and_id(client, checking(value)) == (NOT_FOUND, 7)


@pytest.mark.parametrize(
    "value",
    [
        "", "01", ".5", "1e", "0x1", "NaN", "-Infinity", "nul", "'a'", '"a', '"\\x"', '"\\uD8"', '"\t"', '"\x00"',
        "[1,]", "[1 2]", "[1", '{"a"}', "{1:1}", "{}{}", "[] // comment", "\f1", "\ufeff1", b"\xff", b'"\xed\xa0\x80"',
        "1e999", "9" * 10_000, '{"a": 1, "\\u0061": 2}', nested(63), "[" * 100_000,
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_what_rfc_8259_forbids_or_leaves_open_is_not_read(client: Client, value: str | bytes) -> None:
    assert code_and_id(client, checking(value)) == (-32700, None)


@pytest.mark.parametrize(
    ("body", "code", "request_id"),
    [
        # The examples of the JSON-RPC 2.0 specification. Payme takes named parameters only, answers a request without
        # an id, and takes no batch.
        ('{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}', -32602, 1),
        ('{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}', -32601, 3),
        ('{"jsonrpc": "2.0", "method": "foobar"}', -32601, None),
        ('{"jsonrpc": "2.0", "method": "foobar", "id": "1"}', -32601, "1"),
        ('{"jsonrpc": "2.0", "method": 1, "params": "bar"}', -32600, None),
        ("[]", -32600, None),
        ('[{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"}]', -32600, None),
        # What the specification leaves to the server.
        ("5", -32600, None),
        ('{"id": 5}', -32600, 5),
        ('{"id": 5, "method": ""}', -32600, 5),
        ('{"id": 5, "method": "receipts.check", "params": "x"}', -32602, 5),
        ('{"id": 5, "method": "receipts.check"}', -32602, 5),
        ('{"id": 5, "method": "__init__", "params": {}}', -32601, 5),
    ],
)  # fmt: skip
def test_a_document_that_is_not_a_request_of_payme_is_refused(
    client: Client, body: str, code: int, request_id: object
) -> None:
    assert code_and_id(client, body.encode()) == (code, request_id)


@pytest.mark.parametrize("path", ["/sandbox/v1/codes", "/sandbox/v1/faults", "/sandbox/v1/phones"])
@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"a": 1e999}', b'{"a": 1, "a": 2}', nested(5_000).encode()])
def test_a_control_call_reads_json_just_as_strictly(client: Client, path: str, body: bytes) -> None:
    assert code_and_id(client, body, path) == (-32700, None)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("{'a': 1}", "Expecting property name enclosed in double quotes: line 1 column 2"),
        ('{"a": 1e999}', "a number is out of range"),
        ('{"a": 1, "a": 2}', "a member is given twice"),
        (nested(65), "the nesting is too deep"),
        ("[]", "the body must be one JSON object"),
    ],
)
@pytest.mark.parametrize("path", ["/api", "/sandbox/v1/codes"])
def test_a_body_that_is_not_read_is_refused_with_the_reason(client: Client, path: str, body: str, said: str) -> None:
    assert said in error_in(client.post(body.encode(), path).data)["data"]


@pytest.mark.parametrize("path", ["/api", "/sandbox/v1/codes", "/nowhere"])
def test_a_body_over_a_mebibyte_is_413(client: Client, path: str) -> None:
    answer = client.post(b" " * LIMIT + b"{}", path)

    assert client.post(b" " * (LIMIT - 2) + b"{}").status == 200
    assert answer.status == 413
    assert error_in(answer.data)["code"] == -32300


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/api", "POST"),
        ("BREW", "/api", "POST"),
        ("PUT", "/sandbox/v1/faults", "GET, POST, DELETE"),
        ("POST", "/sandbox/v1/receipts", "GET"),
    ],
)
def test_a_wrong_method_is_405_with_those_that_are_allowed(
    client: Client, method: str, path: str, allowed: str
) -> None:
    answer = client.pool.urlopen(method, path, retries=False)

    assert (answer.status, answer.headers["allow"]) == (405, allowed)
    assert error_in(answer.data)["code"] == -32300


@pytest.mark.parametrize(
    "path", ["/apis", "/api/more", "/sandbox", "/sandbox/codes", "/sandbox/v1/nothing", "/phone.html", "/%61pi"]
)
def test_a_path_that_does_not_exist_is_404(client: Client, path: str) -> None:
    answer = client.post(b"{}", path)

    assert answer.status == 404
    assert error_in(answer.data) == {"id": None, "code": -32300, "message": "Ошибка HTTP", "data": "no such path"}


def raw(sandbox: Sandbox, request: bytes) -> tuple[int, dict[str, Any]]:
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=10) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = HTTPResponse(connection)
        answer.begin()
        with answer:
            return answer.status, error_in(answer.read())


def test_a_client_that_sends_all_of_a_large_body_first_reads_its_answer(sandbox: Sandbox) -> None:
    size = 16 * LIMIT
    answered, error = raw(sandbox, b"POST /api HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size + b" " * size)

    assert (answered, error["code"]) == (413, -32300)


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"POST /api HTTP/x\r\n\r\n", 400),
        (b"POST http://[/api HTTP/1.1\r\n\r\n", 400),
        (b"POST /api HTTP/3.0\r\n\r\n", 505),
        (b"POST /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"POST /api HTTP/1.1\r\n" + b"A: b\r\n" * 200 + b"\r\n", 431),
        (b"POST /api HTTP/1.1\r\nContent-Length: many\r\n\r\n{}", 400),
        (b"POST /api HTTP/1.1\r\nContent-Length: -1\r\n\r\n{}", 400),
        (b"POST /api HTTP/1.1\r\nContent-Length: 1_0\r\n\r\n{}", 400),
        (b"POST /api HTTP/1.1\r\nContent-Length: 2\r\nContent-Length: 4\r\n\r\n{}", 400),
        (b"POST /api HTTP/1.1\r\nContent-Length: " + b"9" * 5_000 + b"\r\n\r\n{}", 413),
        (b"POST /api HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 411),
    ],
    ids=lambda value: value[:50] if isinstance(value, bytes) else None,
)
def test_a_head_that_can_not_be_read_is_answered_in_the_same_form(
    sandbox: Sandbox, request_head: bytes, status: int
) -> None:
    answered, error = raw(sandbox, request_head)

    assert (answered, error["id"]) == (status, None)
    assert error["data"]


@pytest.mark.parametrize(
    "sent", [b"", b'{"id": 1, "method": "receipts.create", "params": {"amount": 1, "account": {}}}']
)
def test_a_client_that_leaves_in_the_middle_of_its_request_has_no_effect(sandbox: Sandbox, sent: bytes) -> None:
    before = sandbox.requests
    with socket.create_connection(("127.0.0.1", sandbox.port), timeout=10) as half:
        x_auth = f"X-Auth: {sandbox.pos_id}:{sandbox.pos_key}"
        half.sendall(f"POST /api HTTP/1.1\r\n{x_auth}\r\nContent-Length: 200\r\n\r\n".encode() + sent)
        half.shutdown(socket.SHUT_WR)

        assert half.recv(1) == b""
    assert sandbox.requests == before


@pytest.mark.parametrize("x_auth", ["", "id", "id:key", "65aa00112233445566778899:", "ключ:ключ"])
def test_a_wrong_key_is_refused_and_has_no_effect(client: Client, sandbox: Sandbox, x_auth: str) -> None:
    before = len(sandbox.receipts())
    body = json.dumps({"id": 3, "method": "receipts.create", "params": {"amount": 1, "account": {}}}).encode()

    answer = client.post(body, x_auth=x_auth.encode().decode("latin-1"))

    assert (answer.status, error_in(answer.data)["code"], error_in(answer.data)["id"]) == (200, -32504, 3)
    assert len(sandbox.receipts()) == before
    assert not sandbox.requests[-1].authorised


def test_a_fault_of_the_sandboxs_own_is_told_in_the_same_form(
    client: Client, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(sandbox.bank, "call", None)
        body = b'{"id": 3, "method": "receipts.check", "params": {"id": "x"}}'

        assert code_and_id(client, body) == (-32400, None)
        broken.setattr(sandbox.bank, "issue_code", None)
        status, answer = client.control("/sandbox/v1/codes", {})

    assert (status, answer["error"]["code"]) == (500, -32400)
    assert "can't answer POST" in caplog.text


# ---------------------------------------------------------------------------------------------------------------------
# Any input at any route
# ---------------------------------------------------------------------------------------------------------------------

ROUTES = ["/api", "/", "/phone", "/static/x.js", *(f"{PREFIX}{path}".removesuffix("/") for path in CALLS)]
METHODS = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW"]
ERRORS = {400, 404, 405}
SEGMENTS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="?#/"), min_size=1, max_size=30
)
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=9)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)
NAMES = st.sampled_from(
    [
        "behaviour", "after_s", "error_code", "cancel", "kind", "method", "times", "pos_id", "pos_key", "name", "phone",
        "balance", "card", "do", "receipt_id", "confirms", "away", "id", "params", "amount", "account", "token",
    ]
)  # fmt: skip
TEXTS = st.sampled_from(
    ["pays", "confirms", "confirm", "pay", "cancel", "html", "receipts.create", "receipts.pay", "receipts.get_all", "x"]
)
DOCUMENTS = st.dictionaries(NAMES, VALUES | TEXTS, max_size=4)
FIELDS = st.dictionaries(st.sampled_from(["pos_id", "state", "limit", "after", "x"]), st.text(max_size=9), max_size=3)


@given(
    method=st.sampled_from(METHODS),
    route=st.sampled_from(ROUTES),
    name=SEGMENTS,
    query=FIELDS,
    body=DOCUMENTS.map(json.dumps).map(str.encode) | st.binary(max_size=40),
    is_known=st.booleans(),
)
@settings(max_examples=400)
def test_any_input_at_any_route_is_answered_or_refused_in_paymes_form(
    running: Sandbox, method: str, route: str, name: str, query: dict[str, str], body: bytes, is_known: bool
) -> None:
    path = "/".join(name if part in {"ID", "N"} else part for part in route.split("/"))
    x_auth = f"{running.pos_id}:{running.pos_key}" if is_known else name
    connection = HTTPConnection("127.0.0.1", running.port, timeout=10)
    with closing(connection):
        connection.request(method, f"{path}?{urlencode(query)}" if query else path, body, {"X-Auth": x_auth})
        answer = connection.getresponse()
        text = answer.read()
    running.clear_faults()
    running.set_away(False)

    assert answer.status in {200, *ERRORS}
    if answer.headers["content-type"] != "application/json" or method == "HEAD":
        assert answer.status == 200 or method == "HEAD"
    elif answer.status in ERRORS:
        error = error_in(text)
        assert error["data"]
    else:
        document = json.loads(text, parse_constant=refuse_constant)
        assert route != "/api" or set(document) in ({"jsonrpc", "id", "error"}, {"jsonrpc", "id", "result"})


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("receipts?limit=x", "limit is 'x': a number from 0"),
        ("receipts?limit=-1", "limit is '-1'"),
        ("receipts?state=٤", "state is '٤'"),
        ("receipts?state=" + "9" * 5_000, "state is '9999"),
        ("receipts?limit=1&limit=2", "query: has 'limit' more than once"),
        ("receipts?limits=1&limits=1", "query: has 'limits'; allowed are limit, pos_id, state"),
        ("requests?after=", "after is ''"),
        ("accounts?x", "query: has 'x'; allowed are none"),
        ("receipts?" + "&".join(map(str, range(500))), "Max number of fields exceeded"),
    ],
)
def test_a_query_that_can_not_be_used_says_why(client: Client, path: str, said: str) -> None:
    answer = client.pool.urlopen("GET", f"{PREFIX}/{path}", retries=False)

    assert answer.status == 400
    assert said in error_in(answer.data)["data"]
    assert ", once" not in error_in(answer.data)["data"]


@pytest.mark.parametrize("receipt_id", ["x", "%00", "..", "0" * 24])
def test_an_id_that_does_not_exist_is_404_and_named(client: Client, receipt_id: str) -> None:
    status, answer = client.control(f"{PREFIX}/receipts/{receipt_id}", {"do": "pay"})

    assert (status, answer["error"]["data"]) == (404, f"there is no {receipt_id!r}")
