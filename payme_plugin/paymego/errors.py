"""What can go wrong with a request, by what the caller must do about it.

    CallFailed
    ├── NotSent        nothing left the till: no money moved, the request may be made again
    ├── ServerError    the server answered with an error code: look it up in ``paymego.codes``
    └── Unclear        the request may have arrived: ask for the receipt's state

Whether a request was sent is recorded by the connection before its first byte; no class here is a guess.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CallFailed", "Fault", "NotSent", "ServerError", "ServerText", "Unclear"]


class Fault(Enum):
    """Why a request brought no usable answer; the values go into logs, the texts for cashiers follow them."""

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


@dataclass(frozen=True)
class ServerText:
    """The server's own words on an error.

    Attributes:
        default: the text where the server sent one string; empty where it sent a language map.
        by_language: language code to text where it sent a map.
    """

    default: str = ""
    by_language: Mapping[str, str] = field(default_factory=dict)

    def in_language(self, language: str) -> str:
        """Return the text in ``language``, else the undivided one, else any; empty where the server sent none."""
        return self.by_language.get(language) or self.default or next(iter(self.by_language.values()), "")


class CallFailed(Exception):
    """A request to PaymeGO that did not bring a result.

    Attributes:
        method: the request's method, ``receipts.pay`` say.
        explanation: why, in words without secrets.
        sent: a byte of it may have left the till.
    """

    sent: bool = True

    def __init__(self, method: str, explanation: str) -> None:
        super().__init__(f"{method}: {explanation}")
        self.method = method
        self.explanation = explanation


class NotSent(CallFailed):
    """Nothing of the request left the till, and nothing of it ever will.

    Attributes:
        fault: why.
    """

    sent = False

    def __init__(self, method: str, fault: Fault, explanation: str) -> None:
        super().__init__(method, explanation)
        self.fault = fault


class Unclear(CallFailed):
    """The request may have arrived, and its effect is not known.

    Attributes:
        fault: why.
    """

    def __init__(self, method: str, fault: Fault, explanation: str) -> None:
        super().__init__(method, explanation)
        self.fault = fault


class ServerError(CallFailed):
    """The server answered with an error code.

    Attributes:
        code: its code.
        text: its own words.
        bound: the answer repeats our request's id; without one it may be another call's.
    """

    def __init__(self, method: str, code: int, text: ServerText, *, bound: bool = True) -> None:
        super().__init__(method, f"error {code}")
        self.code = code
        self.text = text
        self.bound = bound
