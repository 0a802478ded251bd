"""JSON-RPC requests, and the answers to them.

A request is ``{"id", "method", "params"}``; official samples have no ``jsonrpc`` member. An answer holds ``result`` or
``error``, and an ``id`` that repeats the request's, is null, or is missing: the official samples show all three.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import Fault, ServerError, ServerText, Unclear
from payme_plugin.paymego.protocols import Answer
from payme_plugin.paymego.redaction import MAX_NUMBER, display_text, redact_in_place
from payme_plugin.paymego.strict_json import parse_strict
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.paymego.protocols import Params

__all__ = ["Request", "encode_request", "read_answer"]

_LIST_METHOD = "receipts.get_all"
_MAX_LANGUAGES = 8


@dataclass(frozen=True)
class Request:
    """A request that is ready to be sent.

    Attributes:
        request_id: the id that its answer should repeat.
        method: its method.
        body: the JSON, UTF-8; absent from ``repr`` because it holds the buyer's code.
        secrets: the secrets in it, to be redacted in whatever the server says.
    """

    request_id: int
    method: str
    body: bytes = field(repr=False)
    secrets: tuple[Secret, ...]


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
