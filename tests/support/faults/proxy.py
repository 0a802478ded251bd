"""A proxy on loopback between a till and a sandbox: real sockets, real TLS, and a fault that hits chosen requests.

    proxy = FaultProxy(sandbox.port, tls)
    proxy.inject(cut_answer, Phase.AFTER, "receipts.pay")      every receipts.pay from now on
    proxy.heal()                                               no request any more

Other requests and their answers pass unchanged.
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
    """The sandbox never carries it out. The fault gets a made-up answer: success."""
    DURING = "during"
    """The sandbox carries it out a moment after the fault."""
    AFTER = "after"
    """The sandbox carries it out first: the fault hits the true answer."""
    LATE = "long after"
    """The sandbox carries it out after the till has its result: the network delayed the request."""


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
        resets_unread: reset every connection without reading the request.
        reset_count: how many connections were reset so.
        trigger: called with each method and answer that no fault hits; True closes the connection after it.
        arriving: called with every request that arrived, before it is answered.
        untrue_state: the state in a made-up answer to a query.
        healed: set when the fault is over.
    """

    def __init__(self, sandbox_port: int, tls: ssl.SSLContext | None = None) -> None:
        self.arrivals: list[Arrival] = []
        self.resets_unread = False
        self.reset_count = 0
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
        """End the fault; requests of ``Phase.LATE`` are carried out now."""
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
        self.settle()  # after the connections, because they start these threads

    def _serve(self, connection: Connection) -> None:
        while self._goes_on(connection):
            pass

    def _goes_on(self, connection: Connection) -> bool:
        if self.resets_unread:
            select.select([connection.socket], [], [], PATIENCE_S)
            self.reset_count += 1
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
        """Return the true answer, or a made-up one before the sandbox carries the request out."""
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
    """Return a successful answer to a request that nobody has carried out."""
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
