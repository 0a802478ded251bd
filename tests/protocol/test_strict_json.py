"""What counts as JSON when a stranger's server sends it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.paymego.jsonrpc import parse_strict

pytestmark = pytest.mark.floor

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
def test_what_is_no_strict_json_is_refused_with_the_reason(body: bytes, reason: str) -> None:
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
