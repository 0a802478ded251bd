"""The log of a till's requests, with their answers: secrets masked, memory bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from payme_plugin.sandbox.faults import FaultKind, InjectedFault
    from payme_plugin.sandbox.jsonrpc import Call, JsonObject

_KEPT_REQUESTS = 10_000
_KEPT_BYTES = 8 << 20
_LONGEST_ANSWER = 1 << 20
_SHOWN_DIGITS = 4
_LONG_ENOUGH_TO_SHOW = 12


@dataclass(frozen=True)
class WireRequest:
    """A request that arrived.

    Attributes:
        at_ms: when, Unix milliseconds of the sandbox's clock.
        method: its method; empty if the body is not a request of Payme.
        params: its parameters; the buyer's code and phone are masked.
        request_id: its ``id``.
        connection: the till's port: equal for requests on one connection.
        authorised: whether ``X-Auth`` was right; a request with a wrong one has no effect.
        fault: the injected fault that was applied to it, or None.
        number: its place in the log, from 1.
        pos_id: the merchant account that it named, or None if there is none with that id.
        took_ms: how long its answer took, in real time; None while it is not over.
        status: the HTTP status of its answer; None while it is not over, or if it got no answer.
        answer: its answer, the buyer's phone masked; None too if that is not JSON or over 1 MiB.
    """

    at_ms: int
    method: str
    params: Mapping[str, object]
    request_id: object
    connection: int
    authorised: bool
    fault: FaultKind | None = None
    number: int = 0
    pos_id: str | None = None
    took_ms: int | None = None
    status: int | None = None
    answer: object = field(default=None, repr=False)


@dataclass(frozen=True)
class Arrival:
    """A request of a till, on its way to the bank.

    Attributes:
        number: its place in the log.
        began_s: when it arrived, by ``time.monotonic``.
        call: what to carry out; ``None``: it is refused.
        fault: the fault that it gets, or ``None``.
        refusal: the answer without a ``call``.
    """

    number: int
    began_s: float
    call: Call | None
    fault: InjectedFault | None
    refusal: JsonObject | None


class RequestLog:
    """The last requests: at most 10,000, with bodies and answers of at most 8 MiB in all."""

    def __init__(self) -> None:
        self._requests: dict[int, tuple[int, WireRequest]] = {}
        self._last = 0
        self._bytes = 0

    def add(self, request: WireRequest, size: int) -> WireRequest:
        """Add a request with a body of ``size`` bytes, and return it with its number."""
        self._last += 1
        request = replace(request, number=self._last, params=_masked(request.params))
        self._keep(request, size)
        return request

    def finish(self, number: int, took_ms: int, status: int | None, answer: object, size: int) -> WireRequest | None:
        """Note how a request ended, with an answer of ``size`` bytes; return it, or ``None`` if it was dropped."""
        if number not in self._requests:
            return None
        bytes_before, request = self._requests[number]
        shown = _without_phone(answer) if size <= _LONGEST_ANSWER else None
        finished = replace(request, took_ms=took_ms, status=status, answer=shown)
        self._keep(finished, bytes_before + (size if shown is not None else 0))
        return finished

    def after(self, number: int = 0, limit: int | None = None) -> tuple[WireRequest, ...]:
        """Return the last ``limit`` requests with a higher number than ``number``, oldest first."""
        newest = (request for _, request in reversed(self._requests.values()) if request.number > number)
        return tuple(islice(newest, limit))[::-1]

    def clear(self) -> None:
        """Forget every request; numbers go on."""
        self._requests.clear()
        self._bytes = 0

    def _keep(self, request: WireRequest, size: int) -> None:
        bytes_before, _ = self._requests.get(request.number, (0, None))
        self._bytes += size - bytes_before
        self._requests[request.number] = (size, request)
        while len(self._requests) > _KEPT_REQUESTS or self._bytes > _KEPT_BYTES:
            dropped, _ = self._requests.pop(next(iter(self._requests)))
            self._bytes -= dropped


def _masked(params: JsonObject) -> dict[str, object]:
    """Return ``params`` with the buyer's code and phone masked; a long code keeps its last four characters."""
    token = params.get("token")
    end = token[-_SHOWN_DIGITS:] if isinstance(token, str) and len(token) >= _LONG_ENOUGH_TO_SHOW else ""
    masks = {"token": f"***{end}", "payer": "***"}
    return {name: masks.get(name, value) for name, value in params.items()}


def _without_phone(answer: object) -> object:
    """Return an answer with the phone of every receipt's payer masked."""
    if isinstance(answer, Mapping):
        return {name: "***" if name == "payer" else _without_phone(value) for name, value in answer.items()}
    return [_without_phone(each) for each in answer] if isinstance(answer, list) else answer
