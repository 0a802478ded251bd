"""The wire of a simulation: requests of processes that may die, and a weather that decides what befalls each.

The weather never lies in a way that no till could see through: what it makes of an answer is visibly wrong, or another
call's, or an answer of the truth without its id.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.paymego import Passage, VirtualCall, VirtualPaymeGo
from payme_plugin.paymego import codes
from payme_plugin.paymego.errors import Fault as Why
from payme_plugin.paymego.jsonrpc import encode_request
from payme_plugin.sandbox import FaultKind, FaultPlan, InjectedFault, jsonrpc
from payme_plugin.secret import Secret
from simulator.answer_shapes import SHAPES

if TYPE_CHECKING:
    from random import Random

    from fakes.paymego import Envelope
    from payme_plugin.paymego.errors import CallFailed
    from payme_plugin.paymego.jsonrpc import Request
    from payme_plugin.paymego.protocols import Answer, Params
    from payme_plugin.sandbox import RequestFacts
    from simulator.invariants import GuaranteeChecks
    from simulator.stage import Actor, Life, Stage

_UNKNOWN_CODE = -31999
_ALL_CODES = (*(entry.code for entry in codes.CATALOGUE), _UNKNOWN_CODE)
_UNPROVEN_CODES = tuple(code for code in _ALL_CODES if not codes.proves_no_charge(code))
_CANCEL_CODES = (-31800, -31800, -31800, *_UNPROVEN_CODES)

_LATE_S = (0.05, 0.4, 1.5, 4.0, 9.0, 31.0, 120.0, 700.0)
_KINDS = (
    FaultKind.REQUEST_LOST,
    FaultKind.ANSWER_LOST,
    FaultKind.ANSWER_LOST,
    FaultKind.SILENT,
    FaultKind.SILENT_AFTER_EFFECT,
    FaultKind.REQUEST_DELAYED,
    FaultKind.ANSWER_DELAYED,
    FaultKind.ERROR,
    FaultKind.ERROR,
    FaultKind.ERROR_AFTER_EFFECT,
    FaultKind.WITHOUT_ID,
    FaultKind.WITHOUT_ID,
    FaultKind.FOREIGN_ID,
    FaultKind.FOREIGN_RECEIPT,
    FaultKind.HTTP_ERROR,
    FaultKind.HTTP_ERROR_AFTER_EFFECT,
    FaultKind.HTML_AFTER_EFFECT,
)
_STORM_KINDS = (FaultKind.REQUEST_LOST, FaultKind.SILENT, FaultKind.HTML)


class Weather(FaultPlan):
    """What befalls requests: first the faults that were injected, then whatever chance says.

    Attributes:
        level: the chance that something befalls a request; 0: calm.
        changes: the chance that an answer comes in a wrong shape, or is another call's.
        storm_until: until then nothing gets through, virtual seconds.
    """

    def __init__(self, rng: Random, stage: Stage) -> None:
        super().__init__(rng)
        self.level = 0.0
        self.changes = 0.0
        self.storm_until = 0.0
        self._rng = rng
        self._stage = stage
        self._former: dict[str, list[Envelope]] = {}

    def clear(self) -> None:
        """Let nothing go wrong from now on."""
        self.level = self.changes = self.storm_until = 0.0
        super().clear()

    def passage(self, method: str) -> Passage:
        """Return how a request travels."""
        rng = self._rng
        if self._storms:
            return Passage(connects=rng.random() < 0.5)
        if not self.level or rng.random() > self.level:
            return Passage(0.0, rng.uniform(0.005, 0.05), rng.uniform(0.005, 0.05))
        connect_s, there_s, back_s = (rng.choice((0.0, 0.01, 0.3, 2.0, 6.0)) for _ in range(3))
        return Passage(connect_s, there_s, back_s, connects=rng.random() < 0.9)

    def take(self, request: RequestFacts) -> InjectedFault | None:
        """Return the fault that befalls a request, or None."""
        rng, method = self._rng, request.method
        injected = super().take(request)
        if injected is not None:
            return injected
        if self._storms:
            return InjectedFault(rng.choice(_STORM_KINDS))
        if not self.level or rng.random() >= self.level:
            return None
        kind = rng.choice(_KINDS)
        if kind is FaultKind.FOREIGN_RECEIPT and method == "receipts.check":
            kind = FaultKind.ANSWER_LOST  # such an answer can't be told from a true one
        return InjectedFault(kind, after_s=rng.choice(_LATE_S), error_code=self._error_code(method, kind))

    def changed(self, method: str, answer: Envelope) -> Envelope | bytes:
        """Return an answer as it comes out of the wire: itself, in a wrong shape, or another call's."""
        former = self._former.setdefault(method, [])
        former.append(answer)
        if not self.changes or self._rng.random() >= self.changes:
            return answer
        others = [other for other in former[-6:] if _subject(other) != _subject(answer)]
        if others and self._rng.random() < 0.4:
            other = self._rng.choice(others)
            return {name: value for name, value in other.items() if name != "id"} if self._rng.random() < 0.7 else other
        return self._rng.choice(SHAPES)(answer)

    @property
    def _storms(self) -> bool:
        return self._stage.monotonic() < self.storm_until

    def _error_code(self, method: str, kind: FaultKind) -> int:
        if method == "receipts.cancel":
            return self._rng.choice(_CANCEL_CODES)
        # A server that charges and then swears that it did not would be beyond any till.
        charged = method == "receipts.pay" and kind is FaultKind.ERROR_AFTER_EFFECT
        return self._rng.choice(_UNPROVEN_CODES if charged else _ALL_CODES)


def _subject(answer: Envelope) -> object:
    result = answer.get("result")
    receipt = result.get("receipt") if isinstance(result, dict) else None
    return receipt.get("_id") if isinstance(receipt, dict) else answer.get("id")


class SimPaymeGo(VirtualPaymeGo):
    """PaymeGO behind the weather."""

    def __init__(self, stage: Stage, rng: Random) -> None:
        super().__init__(stage, rng.getrandbits(32))
        self.stage = stage
        self.rng = rng
        self.weather = Weather(rng, stage)
        self.passage = self.weather.passage
        self.faults = self.weather
        self.checks: GuaranteeChecks | None = None

    def carry_out(self, request: jsonrpc.Call, fault: InjectedFault | None) -> Envelope | bytes:
        """Let the bank carry out a request, and the weather change its answer."""
        answer = super().carry_out(request, fault)
        return answer if isinstance(answer, bytes) else self.weather.changed(request.method, answer)


class SimClient:
    """A ``payme_plugin.paymego.protocols.Client`` of one merchant account in one process.

    Attributes:
        pos_id: the merchant account.
        key: its key.
        life: the process.
        is_of_sales: hooks use it, and no worker does.
        is_central: a central worker of a chain uses it, beside the till.
    """

    is_central = False

    def __init__(self, paymego: SimPaymeGo, life: Life, pos_id: str, key: str, *, is_of_sales: bool = False) -> None:
        self.is_of_sales = is_of_sales
        self.pos_id = pos_id
        self.key = Secret(key)
        self.life = life
        self._paymego = paymego
        self._under_way: list[SimCall] = []
        life.at_end(self._drop)

    def begin(self, method: str, params: Params, deadline: float) -> SimCall:
        """Start a request and return at once."""
        self._paymego.stage.point()
        request = encode_request(self._paymego.rng.getrandbits(53), method, params)
        call = SimCall(self._paymego, self, request, deadline)
        self._under_way = [*(other for other in self._under_way if other._outcome is None), call]
        call.begin()
        return call

    def close(self) -> None:
        """Abandon what is under way."""
        for call in self._under_way:
            call.abandon()

    def _drop(self) -> None:
        for call in self._under_way:
            call.fail(Why.STOPPED, "its process is dead")


class SimCall(VirtualCall):
    """A request; whoever waits for it lets the others run."""

    def __init__(self, paymego: SimPaymeGo, client: SimClient, request: Request, deadline: float) -> None:
        super().__init__(paymego, client, request, deadline)  # type: ignore[arg-type] # it asks for key and pos_id alone
        self.client = client
        self._stage = paymego.stage
        self._sim = paymego
        self._waiter: Actor | None = None

    def wait(self, until: float) -> bool:
        """Wait until it is over, at most until ``until``; return whether it is over."""
        limit = min(until, self._deadline)
        self._waiter = self._stage.current
        while self._outcome is None:
            # Where the limit is over already, what is due by now still happens first.
            self._stage.block(max(limit, self._stage.monotonic()))
            if self._stage.monotonic() >= limit:
                break
        self._waiter = None
        return self._outcome is not None

    def answer(self) -> Answer:
        """Return the answer; wait for it, at most until the deadline."""
        try:
            return super().answer()
        finally:
            self._stage.point()

    def _leave(self) -> None:
        count = len(self._paymego.sent)
        super()._leave()
        if self._sim.checks is not None and len(self._paymego.sent) > count:
            self._sim.checks.saw_request(self.client, self._paymego.sent[-1])

    def _settle(self, outcome: Answer | CallFailed) -> None:
        count = len(self._paymego.heard)
        super()._settle(outcome)
        if len(self._paymego.heard) == count:
            return
        if self._sim.checks is not None and not self.client.life.is_dead:
            self._sim.checks.saw_outcome(self.client, self._paymego.heard[-1])
        if self._waiter is not None:
            self._stage.rouse(self._waiter)
