"""JSON-RPC: what a request looks like, and which answers are answers to it."""

from __future__ import annotations

import contextlib
import json
from types import MappingProxyType
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import Fault, ServerError, ServerText, Unclear
from payme_plugin.paymego.jsonrpc import Request, encode_request, parse_strict, read_answer
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from payme_plugin.paymego.protocols import Answer

pytestmark = pytest.mark.floor

REQUEST = encode_request(17, "receipts.check", {"id": "65f0a1b2c3d4e5f601234567"})
LIST_REQUEST = encode_request(17, "receipts.get_all", receipts.get_all(0, 1))

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": JSON,
        "id": st.just(17) | JSON,
        "result": st.fixed_dictionaries({}, optional={"state": JSON, "receipt": JSON}) | JSON,
        "error": st.fixed_dictionaries({}, optional={"code": st.integers() | JSON, "message": JSON}) | JSON,
    },
)


def read(document: object) -> Answer:
    return read_answer(json.dumps(document).encode(), REQUEST)


def fault_of(document: object) -> Fault:
    with pytest.raises(Unclear) as caught:
        read(document)
    return caught.value.fault


@given(ENVELOPES | JSON, st.sampled_from([REQUEST, LIST_REQUEST]))
def test_json_of_any_shape_is_an_answer_or_one_of_our_errors(document: object, asked: Request) -> None:
    try:
        answer = read_answer(json.dumps(document).encode(), asked)
    except (ServerError, Unclear):
        return
    assert answer.method == asked.method
    assert type(answer.result) is (list if asked is LIST_REQUEST else dict)
    for reading in (receipts.receipt_of, receipts.state_of, receipts.receipts_of):
        with contextlib.suppress(Unclear):
            reading(answer)


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_one_of_our_errors(body: bytes) -> None:
    with pytest.raises(Unclear):
        read_answer(body, REQUEST)


def test_a_request_has_an_id_a_method_and_parameters_and_no_more() -> None:
    assert json.loads(REQUEST.body) == {
        "id": 17,
        "method": "receipts.check",
        "params": {"id": "65f0a1b2c3d4e5f601234567"},
    }


def test_a_secret_is_revealed_only_in_the_body() -> None:
    request = encode_request(17, "receipts.pay", receipts.pay("r1", Secret("0027161293")))
    assert b'"token":"0027161293"' in request.body
    assert "0027161293" not in repr(request)


def test_texts_of_any_letters_go_out_as_utf_8() -> None:
    request = encode_request(1, "receipts.create", receipts.create(1, MappingProxyType({"имя": "Ўғлон \ud800"})))
    assert json.loads(request.body.decode("utf-8"))["params"]["account"] == {"имя": "Ўғлон ?"}


@pytest.mark.parametrize("value", [object(), b"bytes", {1, 2}])
def test_a_value_without_a_form_in_json_is_a_type_error(value: object) -> None:
    with pytest.raises(TypeError, match="no form in JSON"):
        encode_request(1, "receipts.create", {"amount": value})


@pytest.mark.parametrize("answer_id", [18, "17", 17.0, True, 0, "", [], {"id": 17}])
def test_an_answer_with_any_other_id_is_foreign(answer_id: object) -> None:
    assert fault_of({"id": answer_id, "result": {"state": 4}}) is Fault.FOREIGN_ANSWER
    assert fault_of({"id": answer_id, "error": {"code": -31400}}) is Fault.FOREIGN_ANSWER


def test_true_is_not_the_id_one() -> None:
    with pytest.raises(Unclear):
        read_answer(b'{"id": true, "result": {}}', encode_request(1, "receipts.check", {}))


@pytest.mark.parametrize("document", [{"id": None, "result": {"state": 4}}, {"result": {"state": 4}}])
def test_an_answer_without_an_id_is_taken_but_not_bound(document: object) -> None:
    assert read(document).bound is False


@pytest.mark.parametrize(
    "document",
    [
        [],
        17,
        "text",
        None,
        {},
        {"id": 17},
        {"id": 17, "result": None, "error": None},
        {"id": 17, "result": {}, "error": {"code": -1}},
        {"id": 17, "result": []},
        {"id": 17, "result": "paid"},
        {"id": 17, "result": 4},
        {"id": 17, "result": True},
        {"id": 17, "error": {}},
        {"id": 17, "error": "no"},
        {"id": 17, "error": {"code": "-31400"}},
        {"id": 17, "error": {"code": True}},
        {"id": 17, "error": {"code": -31400.0}},
    ],
)
def test_an_answer_of_the_wrong_shape_is_unclear(document: object) -> None:
    assert fault_of(document) is Fault.WRONG_SHAPE


def test_a_list_answers_get_all_and_nothing_else() -> None:
    assert read_answer(b'{"id": 17, "result": []}', LIST_REQUEST).result == []
    with pytest.raises(Unclear):
        read_answer(b'{"id": 17, "result": {}}', LIST_REQUEST)


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ("Карта не найдена", ServerText("Карта не найдена")),
        ({"ru": "нет", "uz": "yo'q"}, ServerText(by_language={"ru": "нет", "uz": "yo'q"})),
        ({"ru": "нет", "uz": None, "en": 5}, ServerText(by_language={"ru": "нет"})),
        ("two\nlines\t\x1b[31m", ServerText("two lines [31m")),
        ("x" * 1000, ServerText("x" * 300)),
        (None, ServerText()),
        (17, ServerText()),
        (["no"], ServerText()),
    ],
)
def test_the_servers_words_come_in_any_form(message: object, text: ServerText) -> None:
    with pytest.raises(ServerError) as caught:
        read({"id": 17, "error": {"code": -31400, "message": message}})
    assert (caught.value.code, caught.value.text) == (-31400, text)


def test_the_servers_words_show_no_secret_and_no_long_number() -> None:
    request = encode_request(17, "receipts.pay", receipts.pay("r1", Secret("CODE-0027")))
    body = json.dumps({"id": 17, "error": {"code": -1, "message": "CODE-0027 KEY 8600-1234-5678-9012, 1 500 000"}})
    with pytest.raises(ServerError) as caught:
        read_answer(body.encode(), request, (Secret("KEY"),))
    assert caught.value.text.default == "*** *** ************9012, 1 500 000"


# What counts as JSON if a stranger's server sends it

SOUND_TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | SOUND_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SOUND_TEXT, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_every_json_value_is_read_as_it_was_written(value: object, escaped: bool) -> None:
    assert parse_strict(json.dumps(value, ensure_ascii=escaped).encode()) == value


@given(st.binary() | st.text().map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_whatever_comes_is_read_or_refused_with_a_value_error(body: bytes) -> None:
    try:
        value = parse_strict(body)
    except ValueError:
        return
    assert value == json.loads(body)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{'a': 1}", "not JSON"),
        (b'{"a": 1} and more', "not JSON"),
        (b'{"a": 1,}', "not JSON"),
        (b"\xef\xbb\xbf{}", "not JSON"),
        ('{"a": 1}'.encode("utf-16-le"), "not JSON"),
        ('{"a": 1}'.encode("utf-16"), "not UTF-8"),
        (b'"\xff"', "not UTF-8"),
        (b'"\xed\xa0\x80"', "not UTF-8"),
        (b'{"a": 1, "a": 1}', "comes twice"),
        (b'{"a": {"b": 1, "\\u0062": 2}}', "comes twice"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e999}', "too large"),
        (b'{"a": 9223372036854775808}', "beyond 64 bits"),
        (b'{"a": -9223372036854775809}', "beyond 64 bits"),
        (b"1" * 1_000_000, "beyond 64 bits"),
        (b'{"a": "\\ud83d"}', "lone surrogate"),
        (b'{"\\udc00": 1}', "lone surrogate"),
        (b"[" * 65 + b"]" * 65, "too deep"),
        (b"[" * 1_000_000, "too deep"),
        (b'{"a":' * 100_000, "too deep"),
    ],
)
def test_a_body_that_is_not_strict_json_is_refused_with_the_reason(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_strict(body)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"9223372036854775807", 2**63 - 1),
        (b"-9223372036854775808", -(2**63)),
        (b'"\\ud83d\\ude00"', "\U0001f600"),
        (b' {"a": [1.5, true, null]}\r\n', {"a": [1.5, True, None]}),
        (b"[" * 64 + b"]" * 64, json.loads("[" * 64 + "]" * 64)),
    ],
)
def test_what_lies_just_inside_the_bounds_is_read(body: bytes, value: object) -> None:
    assert parse_strict(body) == value


def test_a_refusal_repeats_nothing_of_the_body() -> None:
    with pytest.raises(ValueError, match="not JSON") as caught:
        parse_strict(b'{"token": "0027161293" oops')
    assert "0027161293" not in repr(caught.value)
