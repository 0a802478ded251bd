"""JSON-RPC requests and the answers to them, in strict JSON.

A request is ``{"id", "method", "params"}``; official samples have no ``jsonrpc`` member. An answer holds ``result`` or
``error``, and an ``id`` that repeats the request's, is null, or is missing: the official samples show all three.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple

from payme_plugin.paymego.errors import Fault, ServerError, ServerText, Unclear
from payme_plugin.paymego.protocols import Answer
from payme_plugin.paymego.redaction import MAX_NUMBER, display_text, redact_in_place
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from payme_plugin.paymego.protocols import Params

_LIST_METHOD = "receipts.get_all"
_MAX_LANGUAGES = 8
_MAX_DEPTH = 64
_MAX_INTEGER = 20  # the digits and the sign of -2**63
_INTEGER_BOUND = 2**63
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Request(NamedTuple):
    """A request that is ready to be sent.

    Attributes:
        request_id: the id that its answer should repeat.
        method: its method.
        body: the JSON, UTF-8; absent from ``repr`` because it holds the buyer's code.
        secrets: the secrets in it, to be redacted in whatever the server says.
    """

    request_id: int
    method: str
    body: bytes
    secrets: tuple[Secret, ...]

    def __repr__(self) -> str:
        return f"Request({self.request_id}, {self.method!r})"


def encode_request(request_id: int, method: str, params: Params) -> Request:
    """Encode a request; a ``Secret`` among ``params`` is revealed in its body.

    Lone surrogates, e.g. in names of goods, become question marks.

    Raises:
        TypeError: a value of ``params`` has no form in JSON.
        ValueError: a number is NaN or infinite.
    """
    secrets: list[Secret] = []

    def form_of(value: object) -> object:
        if isinstance(value, Secret):
            secrets.append(value)
            return value.reveal()
        if isinstance(value, Mapping):
            return dict(value)
        raise TypeError(f"{method}: a {type(value).__name__} has no form in JSON")

    document = {"id": request_id, "method": method, "params": dict(params)}
    text = json.dumps(document, default=form_of, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Request(request_id, method, text.encode("utf-8", errors="replace"), tuple(secrets))


def read_answer(body: bytes, request: Request, secrets: Sequence[Secret] = ()) -> Answer:
    """Return what the server answered to ``request``; a secret that it repeats there is redacted.

    Args:
        body: the whole body of an answer with HTTP status 200.
        request: the request.
        secrets: further secrets to be redacted, beside the request's own.

    Raises:
        ServerError: the server answered with an error code. Its words are redacted: see ``display_text``.
        Unclear: this is not an answer (``NOT_JSON``, ``WRONG_SHAPE``) or answers another request (``FOREIGN_ANSWER``).
    """
    method, secrets = request.method, (*secrets, *request.secrets)
    try:
        top = parse_strict(body)
    except ValueError as error:
        raise Unclear(method, Fault.NOT_JSON, f"the answer can't be read: {error}") from None
    if not isinstance(top, dict):
        raise Unclear(method, Fault.WRONG_SHAPE, "the answer is not a JSON object")
    bound = _is_bound(top.get("id"), request)
    result, error_member = top.get("result"), top.get("error")
    if (result is None) == (error_member is None):
        raise Unclear(method, Fault.WRONG_SHAPE, "the answer holds neither a result nor an error, or both")
    if error_member is not None:
        raise _server_error(method, error_member, secrets, bound=bound)
    if not isinstance(result, list if method == _LIST_METHOD else dict):
        raise Unclear(method, Fault.WRONG_SHAPE, f"the result has the wrong type ({type(result).__name__})")
    redact_in_place(result, secrets, body)
    return Answer(method, result, bound)


def _is_bound(answer_id: object, request: Request) -> bool:
    if answer_id is None:
        return False
    if type(answer_id) is int and answer_id == request.request_id:
        return True
    raise Unclear(request.method, Fault.FOREIGN_ANSWER, "the answer belongs to another request")


def _server_error(method: str, error: object, secrets: Sequence[Secret], *, bound: bool) -> ServerError:
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(error, dict) or type(code) is not int or abs(code) > MAX_NUMBER:
        raise Unclear(method, Fault.WRONG_SHAPE, "the error has no code")
    return ServerError(method, code, _server_text(error.get("message"), secrets), bound=bound)


def _server_text(message: object, secrets: Sequence[Secret]) -> ServerText:
    if isinstance(message, str):
        return ServerText(display_text(message, secrets))
    if isinstance(message, dict):
        texts = islice(((name, text) for name, text in message.items() if isinstance(text, str)), _MAX_LANGUAGES)
        return ServerText(by_language={language[:16]: display_text(text, secrets) for language, text in texts})
    return ServerText()


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
