"""The envelope of a request and of its answer.

A request is ``{"id", "method", "params"}``; official samples carry no ``jsonrpc`` member. An answer holds ``result`` or
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
from payme_plugin.paymego.redaction import redact, redact_in_place
from payme_plugin.paymego.strict_json import parse_strict
from payme_plugin.secret import Secret, mask_digits

if TYPE_CHECKING:
    from collections.abc import Sequence

    from payme_plugin.paymego.protocols import Params

__all__ = ["Request", "display_text", "encode_request", "read_answer"]

_LIST_METHOD = "receipts.get_all"
_MAX_TEXT = 300
_MAX_READ = 4096
_GOES_ON = "0" * 9  # the fewest digits that are masked however they are grouped
_MAX_LANGUAGES = 8
_MAX_CODE = 99_999


@dataclass(frozen=True)
class Request:
    """A request, ready for the wire.

    Attributes:
        request_id: the id that its answer should repeat.
        method: its method.
        body: the JSON, UTF-8; absent from ``repr``, for it holds the buyer's code.
        secrets: the secrets in it, to be masked in whatever the server says.
    """

    request_id: int
    method: str
    body: bytes = field(repr=False)
    secrets: tuple[Secret, ...]


def encode_request(request_id: int, method: str, params: Params) -> Request:
    """Return the request as it goes out; this is where a ``Secret`` among ``params`` is revealed.

    Half characters (lone surrogates, from names of goods say) become question marks.

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

    text = json.dumps(
        {"id": request_id, "method": method, "params": dict(params)},
        default=form_of,
        ensure_ascii=False,
        allow_nan=False,
        separators=(",", ":"),
    )
    return Request(request_id, method, text.encode("utf-8", errors="replace"), tuple(secrets))


def read_answer(body: bytes, request: Request, secrets: Sequence[Secret] = ()) -> Answer:
    """Return what the server answered to ``request``; a secret that it repeats there is masked.

    Args:
        body: the whole body of an answer with HTTP status 200.
        request: what was asked.
        secrets: further secrets to be masked in the server's words, beside the request's own.

    Raises:
        ServerError: the server answered with an error code. Its words are masked, on one line, and at most 300 letters.
        Unclear: this is no answer (``NOT_JSON``, ``WRONG_SHAPE``), or not one to this request (``FOREIGN_ANSWER``).
    """
    method = request.method
    try:
        top = parse_strict(body)
    except ValueError as error:
        raise Unclear(method, Fault.NOT_JSON, f"the answer can't be read: {error}") from None
    if not isinstance(top, dict):
        raise Unclear(method, Fault.WRONG_SHAPE, "the answer is no JSON object")
    bound = _is_bound(top.get("id"), request)
    result, error_member = top.get("result"), top.get("error")
    if (result is None) == (error_member is None):
        raise Unclear(method, Fault.WRONG_SHAPE, "the answer holds neither a result nor an error, or both")
    if error_member is not None:
        raise _refusal(method, error_member, (*secrets, *request.secrets), bound=bound)
    if not isinstance(result, list if method == _LIST_METHOD else dict):
        raise Unclear(method, Fault.WRONG_SHAPE, f"the result is of the wrong kind ({type(result).__name__})")
    redact_in_place(result, (*secrets, *request.secrets), body)
    return Answer(method, result, bound)


def display_text(text: str, secrets: Sequence[Secret]) -> str:
    """Return a server's text fit to be shown: without secrets and long numbers, on one line, at most 300 letters."""
    for secret in secrets:
        text = redact(secret.scrub(text), secret)
    # Secrets are looked for in all of it, the rest only as far as it may be shown: masking megabytes takes hundreds.
    head = text[:_MAX_READ]
    # A number that the cut parts is masked as one that goes on.
    beyond = _GOES_ON if len(head) < len(text) else ""
    # First one line, then masked: a number that was broken over lines comes together before it is looked for.
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in head).split())
    masked = mask_digits(line + beyond)
    return masked[: len(masked) - len(beyond)][:_MAX_TEXT]


def _is_bound(answer_id: object, request: Request) -> bool:
    if answer_id is None:
        return False
    if type(answer_id) is int and answer_id == request.request_id:
        return True
    raise Unclear(request.method, Fault.FOREIGN_ANSWER, "the answer belongs to another request")


def _refusal(method: str, error: object, secrets: Sequence[Secret], *, bound: bool) -> ServerError:
    code = error.get("code") if isinstance(error, dict) else None
    if not isinstance(error, dict) or type(code) is not int or abs(code) > _MAX_CODE:
        raise Unclear(method, Fault.WRONG_SHAPE, "the error has no code")
    return ServerError(method, code, _server_text(error.get("message"), secrets), bound=bound)


def _server_text(message: object, secrets: Sequence[Secret]) -> ServerText:
    if isinstance(message, str):
        return ServerText(display_text(message, secrets))
    if isinstance(message, dict):
        texts = islice(((name, text) for name, text in message.items() if isinstance(text, str)), _MAX_LANGUAGES)
        return ServerText(by_language={language[:16]: display_text(text, secrets) for language, text in texts})
    return ServerText()
