"""Strict JSON: what a server sends is read without the lenience of Python's ``json``."""

from __future__ import annotations

import json
import math
import re
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parse_strict"]

_MAX_DEPTH = 64
_MAX_INTEGER = 20  # the digits and the sign of -2**63
_INTEGER_BOUND = 2**63
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_strict(body: bytes) -> object:
    """Return the JSON value that ``body`` holds.

    Raises:
        ValueError: it is not UTF-8 (without a byte order mark), is not JSON, names a member of an object twice, holds
            NaN, an infinity, an integer beyond 64 bits or a lone surrogate, or is nested deeper than 64 levels. The
            message repeats nothing of the body.
    """
    try:
        value: object = _DECODER.decode(body.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    except UnicodeError:
        raise ValueError("it is not UTF-8") from None
    except json.JSONDecodeError:
        raise ValueError("it is not JSON") from None
    _check_tree(value, with_texts=b"\\u" in body)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member of an object comes twice")
    return members


def _integer(digits: str) -> int:
    number = int(digits) if len(digits) <= _MAX_INTEGER else _INTEGER_BOUND
    if not -_INTEGER_BOUND <= number < _INTEGER_BOUND:
        raise ValueError("an integer is beyond 64 bits")
    return number


def _fraction(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number


def _constant(name: str) -> object:
    raise ValueError(f"it holds {name}, which is not JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)


def _check_tree(value: object, *, with_texts: bool) -> None:
    # Depth first with iterators: only the path to the current value is kept in memory.
    path: list[Iterator[object]] = [iter((value,))]
    while path:
        for item in path[-1]:
            if item and isinstance(item, (dict, list)):
                if len(path) == _MAX_DEPTH:
                    raise ValueError("it is nested too deep")
                members = item.values() if isinstance(item, dict) else item
                path.append(chain(item, members) if with_texts and isinstance(item, dict) else iter(members))
                break
            if with_texts and isinstance(item, str) and _LONE_SURROGATE.search(item):
                raise ValueError("it holds a lone surrogate")
        else:
            path.pop()
