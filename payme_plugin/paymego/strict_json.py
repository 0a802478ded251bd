"""JSON as it is written down, and no more: what a stranger's server sends is read without leniency."""

from __future__ import annotations

import json
import math
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["parse_strict"]

_MAX_DEPTH = 64
_MAX_INTEGER = 20  # the digits and the sign of -2**63
_INTEGER_BOUND = 2**63


def parse_strict(body: bytes) -> object:
    """Return the JSON value that ``body`` holds.

    Raises:
        ValueError: it is not UTF-8 (without a byte order mark), not JSON, names a member of an object twice, holds NaN,
            an infinity, an integer beyond 64 bits or a lone surrogate, or nests deeper than 64 levels. The message
            repeats nothing of the body.
    """
    try:
        value: object = _DECODER.decode(body.decode("utf-8"))
    except _Unstrict:
        raise
    except RecursionError:
        raise ValueError("it nests too deep") from None
    except UnicodeError:
        raise ValueError("it is not UTF-8") from None
    except ValueError:
        raise ValueError("it is not JSON") from None
    _check_tree(value, with_texts=b"\\u" in body)
    return value


class _Unstrict(ValueError):
    pass


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Unstrict("a member of an object comes twice")
    return made


def _integer(digits: str) -> int:
    if len(digits) <= _MAX_INTEGER:
        number = int(digits)
        if -_INTEGER_BOUND <= number < _INTEGER_BOUND:
            return number
    raise _Unstrict("an integer is beyond 64 bits")


def _fraction(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise _Unstrict("a number is beyond any measure")
    return number


def _constant(name: str) -> object:
    raise _Unstrict(f"it holds {name}, which is no JSON")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_integer, parse_float=_fraction, parse_constant=_constant
)


def _check_tree(value: object, *, with_texts: bool) -> None:
    # Down and up again, so that no more is remembered than the way to where it is.
    way: list[Iterator[object]] = [iter((value,))]
    while way:
        for item in way[-1]:
            if item and isinstance(item, (dict, list)):
                if len(way) == _MAX_DEPTH:
                    raise ValueError("it nests too deep")
                members = item.values() if isinstance(item, dict) else item
                way.append(chain(item, members) if with_texts and isinstance(item, dict) else iter(members))
                break
            if with_texts and isinstance(item, str) and not _is_sound(item):
                raise ValueError("it holds half a character (a lone surrogate)")
        else:
            way.pop()


def _is_sound(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
