"""A proxy on loopback between a till and a sandbox: real sockets, real TLS, and one fault that befalls one method.

    proxy = FaultProxy(sandbox.port, tls)
    proxy.befall("receipts.pay", cut_answer, Phase.AFTER)      from now on, every receipts.pay
    proxy.heal()                                               and no longer

A request that the fault does not befall passes to the sandbox, and its answer back, as they are.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from faults.proxy_line import PATIENCE_S, Line, Request

if TYPE_CHECKING:
    import ssl

MEANWHILE_S = 0.1
"""How long after the fault the effect comes that happens during it."""

_LATE_S = 0.1


class Phase(Enum):
    """When the sandbox carries out the request that a fault befalls."""

    BEFORE = "before"
    """Never: the fault comes before the effect. An answer that is shown all the same is a bait."""
    DURING = "during"
    """A moment after the fault: the effect is under way while the till already knows of the fault."""
    AFTER = "after"
    """First: the fault befalls the true answer."""
    LATE = "long after"
    """After the till has its verdict: a request that something on its way has held back."""


@dataclass(frozen=True)
class Arrival:
    """A request that arrived whole.

    Attributes:
        method: its method.
        at_s: when, on the monotonic clock.
        struck: the fault befell it.
    """

    method: str
    at_s: float
    struck: bool


Strike = Callable[[Line, bytes], "bool | None"]
"""What a fault does to a connection instead of sending the answer that it is handed; True: the connection goes on."""

Trigger = Callable[[str, bytes], bool]
"""Looks at a method and the answer that is about to go, and says whether that connection is to end with it."""


@dataclass(eq=False)
class FaultProxy:
    """A proxy in front of one sandbox, from its making to ``close``.

    Attributes:
        sandbox_port: where the sandbox listens, on plain http.
        tls: the proxy speaks https with it; None: plain http.
        arrivals: the requests that arrived whole.
        resets_unread: whatever comes is answered with an RST, unread.
        reset_unread: how often that was.
        trigger: sees every answer that is about to pass.
        arriving: called with every request that arrived, before anything becomes of it.
        answered_by: gives the body of an answer that passes, from the request's JSON and the true body.
        bait_state: the state in a bait that answers a question.
        greeting: called when a new connection's first bytes have come, before TLS.
        healed: set when the fault is over.
    """

    sandbox_port: int
    tls: ssl.SSLContext | None = None
    arrivals: list[Arrival] = field(default_factory=list)
    resets_unread: bool = False
    reset_unread: int = 0
    trigger: Trigger | None = None
    arriving: Callable[[Request], object] = lambda _: None
    answered_by: Callable[[dict[str, Any], bytes], bytes] = lambda _, truth: truth
    bait_state: int = 4
    greeting: Callable[[], object] = lambda: None
    healed: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self._over = threading.Event()
        self._plan: tuple[str, Strike, Phase, Callable[[Request], bool]] | None = None
        self._lines: list[Line] = []
        self._late: list[threading.Thread] = []
        self._serving: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._accepting = threading.Thread(target=self._accept, name="fault-proxy", daemon=True)
        self._accepting.start()

    def befall(
        self, method: str, strike: Strike, phase: Phase, which: Callable[[Request], bool] = lambda _: True
    ) -> None:
        """Let a fault befall every request of a method that ``which`` chooses, until ``heal``."""
        self.healed.clear()
        self._plan = (method, strike, phase, which)

    def heal(self) -> None:
        """End the fault; what it held back until after the verdict goes on now."""
        self._plan = None
        self.trigger = None
        self.resets_unread = False
        self.healed.set()

    def settle(self) -> None:
        """Wait for the effects that are still under way."""
        for thread in self._late:
            thread.join(PATIENCE_S)

    def cut(self) -> None:
        """End every connection that there is, in good order, as an idle one is ended."""
        lines, self._lines = self._lines, []
        for line in lines:
            line.shut()

    def close(self) -> None:
        """End every connection and listen no longer."""
        self.heal()
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._accepting.join(PATIENCE_S)
        self._listener.close()
        self.cut()
        for thread in self._serving:  # none of them asks whoever has the sandbox's port after it
            thread.join(PATIENCE_S)
        self.settle()  # after those that may begin such an effect

    def carry_out(self, request: Request) -> bytes:
        """Let the sandbox carry out a request; return the body of its answer."""
        headers = {"Content-Type": "application/json"}
        for one in request.head.split(b"\r\n"):
            if one.lower().startswith(b"x-auth:"):
                headers["X-Auth"] = one.partition(b":")[2].strip().decode("latin-1")
        upstream = http.client.HTTPConnection("127.0.0.1", self.sandbox_port, timeout=PATIENCE_S)
        with contextlib.closing(upstream):
            upstream.request("POST", "/api", request.body, headers)
            return upstream.getresponse().read()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            thread = threading.Thread(target=self._serve, args=(connection,), name="fault-proxy-line", daemon=True)
            self._serving.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.ExitStack() as undo:
            undo.enter_context(contextlib.suppress(OSError))
            undo.callback(connection.close)
            if self.tls is not None:
                select.select([connection], [], [], PATIENCE_S)
                self.greeting()
                connection = self.tls.wrap_socket(connection, server_side=True)
            line = Line(connection, self._over)
            undo.callback(line.close)
            self._lines.append(line)
            while self._goes_on(line):
                pass

    def _goes_on(self, line: Line) -> bool:
        if self.resets_unread:
            line.wait_unread()
            self.reset_unread += 1
            line.reset()
            return False
        request = line.hear()
        if request is None:
            return False
        self.arriving(request)
        plan = self._plan
        struck = plan is not None and plan[0] == request.method and plan[3](request)
        self.arrivals.append(Arrival(request.method, time.monotonic(), struck))
        if plan is not None and struck:
            return bool(plan[1](line, self._answer(request, plan[2])))
        return self._pass(line, request)

    def _pass(self, line: Line, request: Request) -> bool:
        answer = self.answered_by(request.document, self.carry_out(request))
        ends = self.trigger is not None and self.trigger(request.method, answer)
        line.reply(answer, headers="Connection: close\r\n" if ends else "")
        return not ends

    def _answer(self, request: Request, phase: Phase) -> bytes:
        """Return the true answer after the effect; else a bait, and see to the effect."""
        if phase is Phase.AFTER:
            return self.carry_out(request)
        if phase is not Phase.BEFORE:
            thread = threading.Thread(target=self._carry_out_late, args=(request, phase), daemon=True)
            thread.start()
            self._late.append(thread)
        return _bait(request, self.bait_state)

    def _carry_out_late(self, request: Request, phase: Phase) -> None:
        if phase is Phase.LATE:
            self.healed.wait(PATIENCE_S)
        self._over.wait(_LATE_S if phase is Phase.LATE else MEANWHILE_S)
        with contextlib.suppress(OSError):
            self.carry_out(request)


def _bait(request: Request, state: int) -> bytes:
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
