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
from payme_plugin.paymego.jsonrpc import Request, encode_request, read_answer
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


def test_a_secret_is_revealed_in_the_body_alone() -> None:
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
    assert not read(document).bound


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
