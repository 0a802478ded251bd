"""What can go wrong with a request, by what the caller must do about it.

    CallFailed
    ├── NotSent        nothing left the till: no money moved, the request may be made again
    ├── ServerError    the server answered with an error code: look it up in ``paymego.codes``
    └── Unclear        the request may have arrived: ask for the receipt's state

Whether a request was sent is recorded by the connection before its first byte; it is never inferred from an exception.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fault(Enum):
    """Why a request got no usable answer. The values are logged, and select the texts for cashiers."""

    NAME_NOT_FOUND = "name-not-found"
    NOT_CONNECTED = "not-connected"
    TLS = "tls"
    TIME_OVER = "time-over"
    CONNECTION_LOST = "connection-lost"
    HTTP_STATUS = "http-status"
    NOT_JSON = "not-json"
    WRONG_SHAPE = "wrong-shape"
    FOREIGN_ANSWER = "foreign-answer"
    TOO_LARGE = "too-large"
    STOPPED = "stopped"


class TransportError(Exception):
    """A connection got no usable answer; the call turns it into ``NotSent`` or ``Unclear``.

    Attributes:
        fault: why.
        explanation: the same in our own words.
    """

    def __init__(self, fault: Fault, explanation: str) -> None:
        super().__init__(explanation)
        self.fault = fault
        self.explanation = explanation


class ServerText(NamedTuple):
    """The server's own words on an error.

    Attributes:
        default: the text if the server sent one string; empty if it sent one text per language.
        by_language: language code to text if the server sent one text per language.
    """

    default: str = ""
    by_language: Mapping[str, str] = MappingProxyType({})

    def in_language(self, language: str) -> str:
        """Return the text in ``language``, else the default, else any; empty if the server sent none."""
        return self.by_language.get(language) or self.default or next(iter(self.by_language.values()), "")


class CallFailed(Exception):
    """A request to PaymeGO that brought no result.

    Attributes:
        method: the request's method, e.g. ``receipts.pay``.
        explanation: why, in words without secrets.
        sent: whether a byte of it may have left the till.
    """

    sent: bool = True

    def __init__(self, method: str, explanation: str) -> None:
        super().__init__(f"{method}: {explanation}")
        self.method = method
        self.explanation = explanation


class _NoAnswer(CallFailed):
    def __init__(self, method: str, fault: Fault, explanation: str) -> None:
        super().__init__(method, explanation)
        self.fault = fault


class NotSent(_NoAnswer):
    """Nothing of the request left the till, and nothing of it ever will.

    Attributes:
        fault: why.
    """

    sent = False


class Unclear(_NoAnswer):
    """The request may have arrived, and its effect is not known.

    Attributes:
        fault: why.
    """


class ServerError(CallFailed):
    """The server answered with an error code.

    Attributes:
        code: the code.
        text: the server's own words.
        bound: whether the answer repeats our request's id; without it the error may belong to another request.
    """

    def __init__(self, method: str, code: int, text: ServerText, *, bound: bool = True) -> None:
        super().__init__(method, f"error {code}")
        self.code = code
        self.text = text
        self.bound = bound
