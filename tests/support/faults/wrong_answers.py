"""What a proxy that lies, a portal or a broken server answers: whole HTTP, and not what the till may take.

Each is made of the true answer after the effect, else of a made-up one; the connection goes on.
"""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from faults.proxy import AnswerFault
    from faults.server import Connection

ELSEWHERE = "elsewhere.payme.test"
"""Where redirects lead; nobody may ever look it up."""

ANOTHER_AMOUNT = "an amount that is not ours"
"""It contradicts an earlier answer that the payment is paid."""

_PORTAL = "<!doctype html><title>Wi-Fi</title><form method=post>Войдите в сеть</form>".encode()
_OTHER_ID = "0" * 23 + "1"

Document = dict[str, Any]


def _answered(status: str, headers: str, body: bytes | None, connection: Connection, answer: bytes) -> bool:
    connection.reply(answer if body is None else body, status=status, headers=headers)
    return True


def _status(status: str, headers: str = "", body: bytes | None = None) -> AnswerFault:
    return partial(_answered, status, headers, body)


def _replied(change: Callable[[bytes], bytes], connection: Connection, answer: bytes) -> bool:
    connection.reply(change(answer), headers="Content-Type: application/json\r\n")
    return True


def _text(change: Callable[[bytes], bytes]) -> AnswerFault:
    return partial(_replied, change)


def _shape(change: Callable[[Document], object]) -> AnswerFault:
    """Let ``change`` alter the document, or return another one."""

    def changed(answer: bytes) -> bytes:
        document = json.loads(answer)
        return json.dumps(change(document) or document).encode()

    return _text(changed)


def _extra(value: bytes) -> AnswerFault:
    """Put a member with that value first into the answer."""
    return _text(lambda answer: b'{"extra": ' + value + b", " + answer.lstrip()[1:])


def _receipt(**changes: object) -> AnswerFault:
    """Change what the answer says of the receipt; ``check`` says it without one."""

    def change(document: Document) -> None:
        result = document.get("result")
        if isinstance(result, dict):
            receipt = result.get("receipt", result)
            receipt.update({name: value(receipt) if callable(value) else value for name, value in changes.items()})

    return _shape(change)


def _state(change: Callable[[int], object]) -> AnswerFault:
    return _receipt(state=lambda receipt: change(receipt["state"]))


def _with_error(document: Document) -> None:
    document["error"] = {"code": -31630, "message": "no"}


STATUSES: dict[str, AnswerFault] = {
    "a portal's page with 200": _status("200 OK", "Content-Type: text/html\r\n", _PORTAL),
    "302 to another host": _status("302 Found", f"Location: https://{ELSEWHERE}/api\r\n"),
    "307 to another host": _status("307 Temporary Redirect", f"Location: https://{ELSEWHERE}/api\r\n"),
    "401": _status("401 Unauthorized", 'WWW-Authenticate: Basic realm="wifi"\r\n'),
    "404": _status("404 Not Found"),
    "407": _status("407 Proxy Authentication Required", 'Proxy-Authenticate: Basic realm="proxy"\r\n'),
    "429 with Retry-After": _status("429 Too Many Requests", "Retry-After: 3600\r\n"),
    "500": _status("500 Internal Server Error"),
    "502": _status("502 Bad Gateway", "Content-Type: text/html\r\n", b"<h1>502 Bad Gateway</h1>"),
    "201": _status("201 Created"),
    "empty body": _status("200 OK", "", b""),
    "compressed unasked": _status("200 OK", "Content-Encoding: br\r\n"),
}
"""Answers that are invalid HTTP, for any method."""

SHAPES: dict[str, AnswerFault] = {
    "not JSON": _text(lambda answer: answer[1:]),
    "an array": _text(lambda answer: b"[" + answer + b"]"),
    "a number": _text(lambda _: b"4"),
    "deep nesting": _extra(b"[" * 100 + b"]" * 100),
    "a member twice": _text(lambda answer: answer[:-1] + b", " + answer[1:]),
    "NaN": _extra(b"NaN"),
    "a number beyond 64 bits": _extra(b"18446744073709551616"),
    "half a character": _extra(b'"\\ud83d"'),
    "UTF-16": _text(lambda answer: answer.decode().encode("utf-16")),
    "a byte order mark": _text(lambda answer: b"\xef\xbb\xbf" + answer),
    "an earlier call's answer": _shape(lambda document: document.update(id=document["id"] - 1)),
    "the id as text": _shape(lambda document: document.update(id=str(document["id"]))),
    "result and error": _shape(_with_error),
    "neither result nor error": _shape(lambda document: document.pop("result", None) and None),
    "the result an array": _shape(lambda document: document.update(result=[document.get("result")])),
    "an error without a code": _shape(lambda document: {"id": document["id"], "error": {"message": "no"}}),
    "another receipt": _receipt(_id=_OTHER_ID),
    ANOTHER_AMOUNT: _receipt(amount=1),
    "the state as text": _state(str),
    "the state true": _state(lambda _: True),
    "the state 4.0": _state(float),
    "an unknown state": _state(lambda _: 77),
}
"""Answers that are wrong as JSON, or that say what can't be."""

SOUND_BUT_NOT_OURS = frozenset(
    {
        "another receipt",
        ANOTHER_AMOUNT,
        "the state as text",
        "the state true",
        "the state 4.0",
        "an unknown state",
    }
)
"""Shapes that a server has certainly given, and that say nothing of our receipt."""
