"""PaymeGO on virtual time: the sandbox's bank behind a network whose latencies and faults a test chooses.

Requests and answers pass through the client's own envelope and strict JSON, so that only sockets and threads are
missing. Nothing here is random but receipt ids and codes, and those come from a seed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from payme_plugin.paymego.errors import CallFailed, NotSent, Unclear
from payme_plugin.paymego.errors import Fault as Why
from payme_plugin.paymego.jsonrpc import encode_request, read_answer
from payme_plugin.paymego.protocols import Answer
from payme_plugin.sandbox import Bank, BankError, Behaviour, BuyerAction, FaultKind, FaultPlan, InjectedFault, jsonrpc
from payme_plugin.sandbox.faults import altered, broken, facts_of
from payme_plugin.secret import Secret

if TYPE_CHECKING:
    from fakes.clock import VirtualClock
    from payme_plugin.paymego.jsonrpc import Request
    from payme_plugin.paymego.protocols import Params
    from payme_plugin.sandbox import Buyer, CancelPlan, ReceiptView

Envelope = Mapping[str, object]
Change = Callable[[Envelope], "Envelope | bytes"]

_AFTER_EFFECT_WHY = {
    FaultKind.HTTP_ERROR: Why.HTTP_STATUS,
    FaultKind.HTTP_ERROR_AFTER_EFFECT: Why.HTTP_STATUS,
    FaultKind.REQUEST_LOST: Why.CONNECTION_LOST,
    FaultKind.ANSWER_LOST: Why.CONNECTION_LOST,
    FaultKind.TRUNCATED: Why.CONNECTION_LOST,
}
_PAGES = frozenset({FaultKind.HTML, FaultKind.HTML_AFTER_EFFECT})
_SILENT = frozenset({FaultKind.SILENT, FaultKind.SILENT_AFTER_EFFECT})
_ERRORS = frozenset({FaultKind.ERROR, FaultKind.ERROR_AFTER_EFFECT})
_BROKEN = frozenset({FaultKind.MALFORMED, FaultKind.MALFORMED_AFTER_EFFECT})
_LATE_ANSWERS = frozenset({FaultKind.ANSWER_DELAYED, FaultKind.SLOW_ANSWER})
_PAGE = b"<!doctype html><title>Wi-Fi</title>"


@dataclass(frozen=True)
class Passage:
    """The latencies of one request.

    Attributes:
        connect_s: from ``begin`` until its first byte leaves.
        there_s: from there to the bank.
        back_s: from the bank to the till.
        connects: False: no connection can be made, and nothing leaves.
    """

    connect_s: float = 0.0
    there_s: float = 0.01
    back_s: float = 0.01
    connects: bool = True


@dataclass(frozen=True)
class Sent:
    """A request whose first byte left the till.

    Attributes:
        at_s: when, virtual seconds.
        method: its method.
        pos_id: the merchant account whose key it carried.
        receipt_id: the receipt that it is about, or None.
        code: the buyer's code in it, or None.
        params: all of its parameters.
        turn: its place among all that left and was heard.
    """

    at_s: float
    method: str
    pos_id: str
    receipt_id: str | None
    code: str | None = field(repr=False)
    params: Mapping[str, object] = field(repr=False)
    turn: int


@dataclass(frozen=True)
class Heard:
    """What the till got for a request.

    Attributes:
        at_s: when, virtual seconds.
        method: the request's method.
        receipt_id: the receipt that it was about, or None.
        outcome: an answer, or why there is none.
        turn: its place among all that left and was heard.
    """

    at_s: float
    method: str
    receipt_id: str | None
    outcome: Answer | CallFailed
    turn: int


@dataclass
class _Changing:
    method: str
    change: Change
    skip: int
    times: int


class VirtualPaymeGo:
    """The bank, the network before it, and the faults that a test injects.

    Attributes:
        bank: what Payme knows.
        faults: the faults of coming requests.
        passage: returns the latencies of a request by its method; a test may replace it.
        sent: every request that left a till, in order.
        heard: every outcome that a till got, in order.
    """

    def __init__(
        self, clock: VirtualClock, seed: int = 1, *, cancel: CancelPlan | None = None, buyer: Buyer | None = None
    ) -> None:
        self.clock = clock
        self.bank = Bank(Random(seed), cancel=cancel, buyer=buyer)  # noqa: S311 - a seed is to replay
        self.faults = FaultPlan(Random(seed))  # noqa: S311 - a seed is to replay
        self.passage: Callable[[str], Passage] = lambda _: Passage()
        self.sent: list[Sent] = []
        self.heard: list[Heard] = []
        self._changing: list[_Changing] = []

    def client(self, pos_id: str = "account-1", key: str = "key") -> VirtualClient:
        """Return a new client of a merchant account."""
        return VirtualClient(self, pos_id, Secret(key))

    def code(self, action: BuyerAction = BuyerAction.PAYS, **how: object) -> str:
        """Return a new code of the buyer's phone; ``how`` is the rest of its ``Behaviour``."""
        return self.bank.issue_code(self.now_ms, Behaviour(action, **how))  # type: ignore[arg-type]

    def inject_fault(self, kind: FaultKind, method: str | None = None, **how: object) -> None:
        """Inject a fault into coming requests; ``how`` is the rest of its ``InjectedFault``."""
        self.faults.inject(InjectedFault(kind, method, **how))  # type: ignore[arg-type]

    def change(self, method: str, change: Change, *, skip: int = 0, times: int = 1) -> None:
        """Let ``change`` rewrite answers to a method: into another envelope, or into the bytes of a body."""
        self._changing.append(_Changing(method, change, skip, times))

    @property
    def now_ms(self) -> int:
        """Payme's own time, which no till can set."""
        return self.clock.true_ms()

    def state(self, receipt_id: str) -> int:
        """Return the true state of a receipt."""
        return self.bank.receipt(self.now_ms, receipt_id).state

    def held(self, receipt_id: str | None = None) -> int:
        """Return the tiyin that Payme holds, for one receipt or for all."""
        return self.bank.held(self.now_ms, receipt_id)

    def times_of(self, method: str) -> list[float]:
        """Return when requests of a method left, in virtual seconds."""
        return [sent.at_s for sent in self.sent if sent.method == method]

    def count(self, method: str) -> int:
        """Return how many requests of a method left."""
        return len(self.times_of(method))

    @property
    def methods(self) -> list[str]:
        """The methods of all requests that left, in order, without ``receipts.``."""
        return [sent.method.partition(".")[2] for sent in self.sent]

    def next_turn(self) -> int:
        """Return the next place among all that leaves and is heard."""
        return len(self.sent) + len(self.heard)

    def carry_out(self, request: jsonrpc.Call, fault: InjectedFault | None) -> Envelope | bytes:
        """Let the bank carry out a request, as far as a fault lets it, and return the answer that it gives."""
        answer: Envelope | None = None
        if fault is None or fault.kind.effect:
            try:
                is_stuck = fault is not None and fault.kind is FaultKind.STUCK
                result = self.bank.call(self.now_ms, request.method, request.params, is_stuck=is_stuck)
                answer = jsonrpc.result_answer(request.request_id, result)
            except BankError as error:
                answer = jsonrpc.error_answer(request.request_id, error)
        if fault is not None and fault.kind in _ERRORS:
            return jsonrpc.error_answer(request.request_id, BankError(fault.error_code))
        if fault is not None and fault.kind in _BROKEN:
            return broken(answer or jsonrpc.result_answer(request.request_id, {}))
        if answer is None or (fault is not None and fault.kind in _PAGES):
            return _PAGE
        if fault is not None:
            answer = altered(answer, fault.kind)
        return self._changed(request.method, answer)

    def _changed(self, method: str, answer: Envelope) -> Envelope | bytes:
        for changing in self._changing:
            if changing.method == method and changing.times > 0:
                if changing.skip > 0:
                    changing.skip -= 1
                    return answer
                changing.times -= 1
                return changing.change(answer)
        return answer


class VirtualClient:
    """A ``payme_plugin.paymego.protocols.Client`` of one merchant account."""

    def __init__(self, paymego: VirtualPaymeGo, pos_id: str, key: Secret) -> None:
        self.pos_id = pos_id
        self.key = key
        self._paymego = paymego
        self._last_id = 1000
        self._closed = False

    def begin(self, method: str, params: Params, deadline: float) -> VirtualCall:
        """Start a request and return at once."""
        self._last_id += 7
        call = VirtualCall(self._paymego, self, encode_request(self._last_id, method, params), deadline)
        if self._closed:
            call.fail(Why.STOPPED, "the client was closed")
        else:
            call.begin()
        return call

    def close(self) -> None:
        """Let no further request leave."""
        self._closed = True


class VirtualCall:
    """A ``payme_plugin.paymego.protocols.Pending``: it leaves, arrives, is carried out and answered on virtual time."""

    def __init__(self, paymego: VirtualPaymeGo, client: VirtualClient, request: Request, deadline: float) -> None:
        self._paymego = paymego
        self._clock = paymego.clock
        self._client = client
        self._request = request
        self._read = jsonrpc.read_call(jsonrpc.read_object(request.body))
        self._deadline = deadline
        self._passage = paymego.passage(request.method)
        self._sent = False
        self._outcome: Answer | CallFailed | None = None

    def begin(self) -> None:
        """Schedule the departure and the deadline."""
        # First the deadline: what happens at that very moment comes too late.
        self._clock.at(self._deadline, lambda: self.fail(Why.TIME_OVER, "no answer in time"))
        self._clock.at(self._clock.monotonic() + self._passage.connect_s, self._leave)

    def wait(self, until: float) -> bool:
        """Let time pass until it is over, at most until ``until``; return whether it is over."""
        self._clock.pass_until(self._clock.monotonic())
        limit = min(until, self._deadline)
        while self._outcome is None and self._clock.monotonic() < limit:
            self._clock.pass_to_next(limit)
        self._clock.pass_until(self._clock.monotonic())
        return self._outcome is not None

    def answer(self) -> Answer:
        """Return the answer; wait for it, at most until the deadline."""
        while self._outcome is None:
            self.wait(self._deadline)
        if isinstance(self._outcome, Answer):
            return self._outcome
        raise self._outcome

    def abandon(self) -> None:
        """End it now; nothing where it is over."""
        self.fail(Why.STOPPED, "abandoned before an answer came")

    def fail(self, why: Why, explanation: str) -> None:
        """End it without an answer."""
        kind = Unclear if self._sent else NotSent
        self._settle(kind(self._request.method, why, explanation))

    def _settle(self, outcome: Answer | CallFailed) -> None:
        if self._outcome is None:
            self._outcome = outcome
            turn = self._paymego.next_turn()
            self._paymego.heard.append(
                Heard(self._clock.monotonic(), self._request.method, self._receipt_id, outcome, turn)
            )

    @property
    def _receipt_id(self) -> str | None:
        found = self._read.params.get("id")
        return found if isinstance(found, str) else None

    def _receipt(self) -> ReceiptView | None:
        try:
            return self._paymego.bank.receipt(self._paymego.now_ms, self._receipt_id or "")
        except KeyError:
            return None

    def _leave(self) -> None:
        if self._outcome is not None:
            return
        if not self._passage.connects:
            self.fail(Why.NOT_CONNECTED, "no connection")
            return
        self._sent = True
        code = self._read.params.get("token")
        self._paymego.sent.append(
            Sent(
                at_s=self._clock.monotonic(),
                method=self._request.method,
                pos_id=self._client.pos_id,
                receipt_id=self._receipt_id,
                code=code if isinstance(code, str) else None,
                params=self._read.params,
                turn=self._paymego.next_turn(),
            )
        )
        fault = self._paymego.faults.take(facts_of(self._read, self._client.pos_id, self._receipt()))
        late_s = fault.after_s if fault is not None and fault.kind is FaultKind.REQUEST_DELAYED else 0.0
        self._clock.at(self._clock.monotonic() + self._passage.there_s + late_s, lambda: self._arrive(fault))

    def _arrive(self, fault: InjectedFault | None) -> None:
        # It is carried out even where the till has hung up meanwhile: it had left.
        answer = self._paymego.carry_out(self._read, fault)
        if fault is not None and fault.kind in _SILENT:
            return
        late_s = fault.after_s if fault is not None and fault.kind in _LATE_ANSWERS else 0.0
        self._clock.at(self._clock.monotonic() + self._passage.back_s + late_s, lambda: self._come_back(answer, fault))

    def _come_back(self, answer: Envelope | bytes, fault: InjectedFault | None) -> None:
        why = _AFTER_EFFECT_WHY.get(fault.kind) if fault is not None else None
        if why is not None:
            self.fail(why, "the connection was lost")
            return
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        try:
            self._settle(read_answer(body, self._request, (self._client.key,)))
        except CallFailed as failure:
            self._settle(failure)
