"""The setting ``codePattern``: no scanned text keeps the till busy, whatever a technician wrote."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payme_plugin.settings.code_pattern import MAX_CODE_CHARACTERS, code_pattern, written
from payme_plugin.settings.remarks import UnacceptableError


@pytest.mark.parametrize("code", ["123456", "08271612939", "50501010793410469483", "9" * 64])
def test_the_default_takes_codes_of_the_field(code: str) -> None:
    assert code_pattern("[0-9]{6,64}").fullmatch(code)


@pytest.mark.parametrize("code", ["", "1234", "9" * 65, "12345a", "１２３４５６", "кодкод", "123456\n", " 123456"])
def test_the_default_takes_nothing_else(code: str) -> None:
    assert not code_pattern("[0-9]{6,64}").fullmatch(code)


@pytest.mark.parametrize(
    "text",
    [r"\d+", "[0-9]{11}|[0-9]{17,20}", "(?!88)[0-9]+", "PAYME:?[0-9]{20}", r"[^\]x-]*", "[]a]+", "(?:a|b)c{3}", "^.$"],
)
def test_a_plain_pattern_is_allowed_and_shown_as_written(text: str) -> None:
    assert written(code_pattern(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *["", "(", ")", "[", "a{", "*", "a**", "[[a]]", "[a--b]", "[z-a]", "a{9,1}", r"\q", "a)(b", "x" * 201],
        *["(a+)+", "(a|a)*", "(?:a*)*b", r"(a)\1", "(?P<a>a)(?P=a)", "(?i)a", "(?<=a*)b"],
        *["a*a*a*a*", "a?" * 30, "(?:a|a)" * 25],
    ],
)
def test_what_could_keep_the_till_busy_is_not_allowed(text: str) -> None:
    with pytest.raises(UnacceptableError):
        code_pattern(text)


def test_digits_are_the_ascii_ones() -> None:
    assert not code_pattern(r"\d+").fullmatch("１２３")


@pytest.mark.parametrize("text", [".*", r"[\s\S]+", "(?:.*)", "a|.*"])
def test_no_endless_code_matches(text: str) -> None:
    pattern = code_pattern(text)
    assert pattern.fullmatch("a" * MAX_CODE_CHARACTERS)
    assert not pattern.fullmatch("a" * (MAX_CODE_CHARACTERS + 1))
    assert not pattern.fullmatch("a" * 1_000_000)


@pytest.mark.parametrize(
    "text", [".*.*a?a?a?b", "(?:a|a)(?:a|a)(?:a|a)a*a*b", "(?=.*.*b)(?:a|a|a)a?.", "a{0,99}" * 3 + "b"]
)
def test_the_slowest_allowed_patterns_are_quick_on_the_worst_code(text: str) -> None:
    pattern = code_pattern(text)
    began = time.process_time()
    assert not pattern.fullmatch("a" * MAX_CODE_CHARACTERS)
    assert time.process_time() - began < 0.5


@given(st.text(st.sampled_from("ab()[]{}|*+?\\.^$,-0123d:=!P<>"), max_size=40))
def test_any_text_is_a_quick_pattern_or_refused(text: str) -> None:
    try:
        pattern = code_pattern(text)
    except UnacceptableError:
        return
    began = time.process_time()
    pattern.fullmatch("a" * 128 + "b" * 127 + "!")
    assert time.process_time() - began < 0.5
