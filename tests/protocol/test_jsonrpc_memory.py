"""A long answer, made to cost as much memory as it can, costs a small multiple of its length."""

from __future__ import annotations

import contextlib
import tracemalloc

import pytest

from payme_plugin.paymego import receipts
from payme_plugin.paymego.errors import CallFailed
from payme_plugin.paymego.jsonrpc import encode_request, read_answer
from payme_plugin.secret import Secret

LENGTH = 1024 * 1024
"""A quarter of the longest body that the client reads: what matters is memory per byte."""
CODE = "00271612930027161293"
PAY = encode_request(7, "receipts.pay", receipts.pay("65f0a1b2c3d4e5f601234567", Secret(CODE)))
KEY = Secret("canary-of-the-key")
SHORT = Secret("123456")


def _full_of(unit: str) -> str:
    return (unit * (LENGTH // len(unit) + 1))[:LENGTH]


ERRORS = {
    "digits": _full_of("7"),
    "digits in groups": _full_of("7777777 ."),
    "letters": _full_of("x"),
    "the code and digits": CODE + _full_of("7"),
}
TEXTS = {
    "the code": _full_of(CODE),
    "the code in single digits": _full_of(" ".join(CODE) + " "),
}
TREES = {
    "numbers": "[" + "1," * (LENGTH // 2) + "1]",
    "objects": "[" + '{"a":1},' * (LENGTH // 8) + "1]",
    "members": "{" + ",".join(f'"{index:x}":0' for index in range(LENGTH // 10)) + "}",
}


def _peak_per_byte(answer: str) -> float:
    body = answer.encode()
    tracemalloc.start()
    try:
        with contextlib.suppress(CallFailed):
            read_answer(body, PAY, (KEY, SHORT))
        return tracemalloc.get_traced_memory()[1] / len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("words", ERRORS.values(), ids=ERRORS)
def test_an_errors_words_cost_a_small_multiple_of_their_length(words: str) -> None:
    assert _peak_per_byte(f'{{"id":7,"error":{{"code":-31630,"message":"{words}"}}}}') < 12


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_a_secret_in_a_long_text_costs_a_small_multiple_of_its_length(text: str) -> None:
    assert _peak_per_byte(f'{{"id":7,"result":{{"receipt":{{"state":4,"x":"{text}"}}}}}}') < 12


@pytest.mark.parametrize("tree", TREES.values(), ids=TREES)
def test_many_small_values_cost_what_they_are_and_no_copy_of_them(tree: str) -> None:
    # The objects of the JSON themselves: the smallest take 25 times as much as they do in writing.
    assert _peak_per_byte(f'{{"id":7,"result":{{"receipt":{{"state":4}},"x":{tree}}}}}') < 30
