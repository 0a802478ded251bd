"""The setting ``codePattern``: no pattern makes a check slow, whatever text is scanned."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from payme_plugin.conf_file import UnacceptableError
from payme_plugin.settings import foreign_character
from payme_plugin.settings.parsers import PATTERN, written_pattern

if TYPE_CHECKING:
    import re

LONGEST = 256


def code_pattern(text: str) -> re.Pattern[str]:
    return cast("re.Pattern[str]", PATTERN.parse(text))


@pytest.mark.parametrize(
    ("code", "is_taken"),
    [
        *[(code, True) for code in ("123456", "50501010793410469483", "9" * 64)],
        *[(code, False) for code in ("", "12345", "9" * 65, "12345a", "１２３４５６", "123456\n", " 123456")],
    ],
)
def test_the_default_takes_codes_of_6_to_64_ascii_digits(code: str, is_taken: bool) -> None:
    assert bool(code_pattern("[0-9]{6,64}").fullmatch(code)) is is_taken
    assert not code_pattern(r"\d+").fullmatch("１２３")


@pytest.mark.parametrize(
    "text",
    [r"\d+", "[0-9]{11}|[0-9]{17,20}", "(?!88)[0-9]+", "PAYME:?[0-9]{20}", r"[^\]x-]*", "[]a]+", "(?:a|b)c{3}", "^.$"],
)
def test_a_plain_pattern_is_allowed_and_shown_as_written(text: str) -> None:
    assert written_pattern(code_pattern(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        *["", "(", "[[a]]", "[a--b]", "[z-a]", "a{9,1}", r"\q", "a)(b", "x" * 201],
        *["(a+)+", "(a|a)*", "(?:a*)*b", "(a){9}", "(a)?", "(?i)a", "(?<=a*)b"],
        *["a*a*a*a*", "a{1,9}" * 4, "a?" * 30, "(?:a|a)" * 25],
    ],
)
def test_what_could_keep_the_till_busy_is_not_allowed(text: str) -> None:
    with pytest.raises(UnacceptableError):
        code_pattern(text)


@pytest.mark.parametrize("text", [".*", r"[\s\S]+", "a|.*"])
def test_no_endless_code_matches(text: str) -> None:
    matches = [bool(code_pattern(text).fullmatch("a" * length)) for length in (LONGEST, LONGEST + 1, 1_000_000)]
    assert matches == [True, False, False]


@given(st.text(st.sampled_from("ab()[]{}|*+?\\.^$,-0123d:=!P<>"), max_size=40))
@example(".*.*.*b")
@example("(?:a|a)" * 8 + "a*a*b")
@example("(?=.*.*b)(?:a|a|a)a?.")
@example("a{0,99}" * 3 + "b")
@example("a?" * 24 + "b")
def test_any_text_is_a_pattern_that_is_quick_on_the_worst_codes_or_is_refused(text: str) -> None:
    try:
        pattern = code_pattern(text)
    except UnacceptableError:
        return
    for code in ("a" * 128 + "b" * 127 + "!", "a" * LONGEST):
        began = time.process_time()
        pattern.fullmatch(code)
        assert time.process_time() - began < 0.5


@pytest.mark.parametrize(
    ("text", "scanned", "foreign"),
    [
        ("[0-9]{6,64}", "12345a7", "a"),
        ("[0-9]{6,64}", "12345", ""),
        (r"PAYME:\d{20}", "PAYME;1", ";"),
        ("(?:a|b)c{3}", "ac-", "-"),
    ],
)
def test_the_first_character_that_no_part_of_the_pattern_takes_is_known(text: str, scanned: str, foreign: str) -> None:
    assert foreign_character(code_pattern(text), scanned) == foreign
