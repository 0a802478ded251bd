"""A proxy on loopback between a till and a sandbox: real sockets, real TLS, and a fault that hits chosen requests.

    proxy = FaultProxy(sandbox.port, tls)
    proxy.inject(cut_answer, Phase.AFTER, "receipts.pay")      from now on, every receipts.pay
    proxy.heal()                                               and no longer

A request that the fault does not hit passes to the sandbox, and its answer back, as they are.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from faults.server import PATIENCE_S, Connection, Peer, Request

if TYPE_CHECKING:
    import ssl

_MEANWHILE_S = 0.1


class Phase(Enum):
    """When the sandbox carries out the request that a fault hits."""

    BEFORE = "before"
    """Never: the fault comes before the effect. The answer that the fault gets is made up: what a till would like."""
    DURING = "during"
    """A moment after the fault: the effect is under way while the till already knows of the fault."""
    AFTER = "after"
    """First: the fault hits the true answer."""
    LATE = "long after"
    """After the till has its result: a request that something on its way has held back."""


@dataclass(frozen=True)
class Arrival:
    """A request that arrived whole: its method, when on the monotonic clock, and whether the fault hit it."""

    method: str
    at_s: float
    hit: bool


AnswerFault = Callable[[Connection, bytes], "bool | None"]
"""What a fault does to a connection instead of sending the answer that it is given; True: the connection goes on."""


@dataclass(frozen=True)
class _Plan:
    methods: tuple[str, ...]
    fault: AnswerFault
    phase: Phase
    from_nth: int


class FaultProxy(Peer):
    """A proxy in front of one sandbox.

    Attributes:
        arrivals: the requests that arrived whole.
        resets_unread: whatever comes is answered with an RST, unread.
        reset_unread: how often that was.
        trigger: gets every method and answer that is about to pass; True: the connection ends with it.
        arriving: called with every request that arrived, before anything becomes of it.
        untrue_state: the state in a made-up answer to a question.
        healed: set when the fault is over.
    """

    def __init__(self, sandbox_port: int, tls: ssl.SSLContext | None = None) -> None:
        self.arrivals: list[Arrival] = []
        self.resets_unread = False
        self.reset_unread = 0
        self.trigger: Callable[[str, bytes], bool] = lambda *_: False
        self.arriving: Callable[[Request], object] = lambda _: None
        self.untrue_state = 4
        self.healed = threading.Event()
        self._sandbox_port = sandbox_port
        self._plan: _Plan | None = None
        self._late: list[threading.Thread] = []
        super().__init__(self._serve, tls=tls)

    def inject(self, fault: AnswerFault, phase: Phase, *methods: str, from_nth: int = 1) -> None:
        """Let a fault hit the requests of some methods, on each connection from the n-th on, until ``heal``."""
        self.healed.clear()
        self._plan = _Plan(methods, fault, phase, from_nth)

    def heal(self) -> None:
        """End the fault; what it held back until after the result goes on now."""
        self._plan = None
        self.trigger = lambda *_: False
        self.resets_unread = False
        self.healed.set()

    def settle(self) -> None:
        """Wait for the effects that are still under way."""
        for thread in self._late:
            thread.join(PATIENCE_S)

    def close(self) -> None:
        """End every connection and listen no longer."""
        self.heal()
        super().close()
        self.settle()  # after those that may begin such an effect

    def _serve(self, connection: Connection) -> None:
        while self._goes_on(connection):
            pass

    def _goes_on(self, connection: Connection) -> bool:
        if self.resets_unread:
            select.select([connection.socket], [], [], PATIENCE_S)
            self.reset_unread += 1
            connection.reset()
            return False
        request = connection.read_request()
        if request is None:
            return False
        self.arriving(request)
        plan = self._plan
        hit = plan is not None and request.method in plan.methods and request.nth >= plan.from_nth
        self.arrivals.append(Arrival(request.method, time.monotonic(), hit))
        if plan is not None and hit:
            return bool(plan.fault(connection, self._answer(request, plan.phase)))
        answer = self._carry_out(request)
        ends = self.trigger(request.method, answer)
        connection.reply(answer, headers="Connection: close\r\n" if ends else "")
        return not ends

    def _answer(self, request: Request, phase: Phase) -> bytes:
        """Return the true answer after the effect; else a made-up one, and see to the effect."""
        if phase is Phase.AFTER:
            return self._carry_out(request)
        if phase is not Phase.BEFORE:
            thread = threading.Thread(target=self._carry_out_late, args=(request, phase), daemon=True)
            thread.start()
            self._late.append(thread)
        return _untrue_answer(request, self.untrue_state)

    def _carry_out(self, request: Request) -> bytes:
        """Let the sandbox carry out a request; return the body of its answer."""
        headers = {"Content-Type": "application/json", "X-Auth": request.headers["X-Auth"]}
        upstream = http.client.HTTPConnection("127.0.0.1", self._sandbox_port, timeout=PATIENCE_S)
        with contextlib.closing(upstream):
            upstream.request("POST", "/api", request.body, headers)
            return upstream.getresponse().read()

    def _carry_out_late(self, request: Request, phase: Phase) -> None:
        if phase is Phase.LATE:
            self.healed.wait(PATIENCE_S)
        self.stopping.wait(_MEANWHILE_S)
        with contextlib.suppress(OSError):
            self._carry_out(request)


def _untrue_answer(request: Request, state: int) -> bytes:
    """Return the answer that a till would like best, to a request that nobody has carried out."""
    params = request.document["params"]
    states = {"receipts.create": 0, "receipts.pay": 4, "receipts.cancel": 50}
    receipt = {"_id": params.get("id", "65f0a1b2c3d4e5f601234567"), "state": states.get(request.method, state)}
    if "amount" in params:
        receipt["amount"] = params["amount"]
    results: dict[str, object] = {
        "receipts.check": {"state": state},
        "receipts.get_all": [receipt],
        "receipts.set_fiscal_data": {"success": True},
    }
    result = results.get(request.method, {"receipt": receipt})
    return json.dumps({"jsonrpc": "2.0", "id": request.document["id"], "result": result}).encode()
