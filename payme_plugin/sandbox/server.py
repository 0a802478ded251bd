"""``Sandbox``: a local PaymeGO server over HTTP in this process, with a log of requests and injected faults."""

from __future__ import annotations

import hmac
import random
import ssl
import time
from collections import deque
from dataclasses import dataclass
from threading import Event, Lock
from typing import TYPE_CHECKING, final

from payme_plugin.sandbox.app import App
from payme_plugin.sandbox.bank import SANDBOX_POS_ID, Bank
from payme_plugin.sandbox.faults import FaultKind, FaultPlan, InjectedFault
from payme_plugin.sandbox.http_server import HttpServer
from payme_plugin.sandbox.jsonrpc import BankError, ErrorCode, error_answer, read_call, read_object, result_answer

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping

    from payme_plugin.sandbox.bank import CodeView
    from payme_plugin.sandbox.behaviour import Behaviour, CancelPlan
    from payme_plugin.sandbox.jsonrpc import Call, JsonObject
    from payme_plugin.sandbox.receipt import Buyer, ReceiptView

SANDBOX_POS_KEY = "no%secret#just&a?key@for=the;sandbox"
"""Not a secret: it opens only a sandbox. It has every character of real keys that is special in settings files."""

_HOST = "127.0.0.1"
_KEPT_REQUESTS = 10_000
_KEPT_BYTES = 8 << 20
_SHOWN_DIGITS = 4
_LONG_ENOUGH_TO_SHOW = 12


@dataclass(frozen=True)
class WireRequest:
    """A request that arrived.

    Attributes:
        at_ms: when, Unix milliseconds of the sandbox's clock.
        method: its method.
        params: its parameters; the buyer's code and phone are masked.
        request_id: its ``id``.
        connection: the till's port: equal for requests on one connection.
        authorised: whether ``X-Auth`` was right; a request with a wrong one has no effect.
        fault: the injected fault that was applied to it, or None.
    """

    at_ms: int
    method: str
    params: Mapping[str, object]
    request_id: object
    connection: int
    authorised: bool
    fault: FaultKind | None = None


class PortUnavailable(OSError):
    """The sandbox can't listen on the port asked for.

    Attributes:
        port: that port.
        reason: why, in the words of the system.
    """

    def __init__(self, port: int, reason: Exception) -> None:
        super().__init__(f"port {port} on {_HOST} can't be used ({reason}); choose another, or 0 for any free one")
        self.port = port
        self.reason = str(reason)


@final
class Sandbox:
    """A PaymeGO on loopback, from ``start`` (or ``with``) to ``stop``, for tests and demonstrations. No money moves.

    Its methods may be called from any thread.

    Args:
        port: where to listen; 0: any free port.
        pos_id: the merchant account's id that ``X-Auth`` must carry.
        pos_key: the key that ``X-Auth`` must carry.
        clock: returns Unix milliseconds; default: the machine's time at the start, then without jumps. Injected
            delays always use real time.
        cancel: how cancellations go; see ``CancelPlan``.
        buyer: whose phone and card paid receipts show.
        rng: where receipt ids and codes come from; default: the system's.
        certfile: a PEM file with a certificate: https is served.
        keyfile: a PEM file with its key, if ``certfile`` has none.

    Raises:
        ValueError: a ``keyfile`` without a ``certfile``.
    """

    def __init__(
        self,
        port: int = 0,
        *,
        pos_id: str = SANDBOX_POS_ID,
        pos_key: str = SANDBOX_POS_KEY,
        clock: Callable[[], int] | None = None,
        cancel: CancelPlan | None = None,
        buyer: Buyer | None = None,
        rng: random.Random | None = None,
        certfile: str | os.PathLike[str] | None = None,
        keyfile: str | os.PathLike[str] | None = None,
    ) -> None:
        if keyfile is not None and certfile is None:
            raise ValueError("keyfile needs certfile")
        self.bank = Bank(rng or random.SystemRandom(), cancel=cancel, buyer=buyer, pos_id=pos_id)
        self.now_ms = clock or _steady_clock()
        self.pos_id = pos_id
        self.pos_key = pos_key
        self._port = port
        self._certfile = certfile
        self._keyfile = keyfile
        self._server: HttpServer | None = None
        self._faults = FaultPlan()
        self._requests: deque[tuple[int, WireRequest]] = deque()
        self._kept_bytes = 0
        self._lock = Lock()

    def start(self) -> Sandbox:
        """Listen, and return itself. Once stopped it may be started again: it keeps its receipts and its port.

        Raises:
            PortUnavailable: the port is taken, not allowed, or out of range.
            OSError: the certificate or its key can't be used.
        """
        if self._server is None:
            tls = None
            if self._certfile is not None:
                tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
                tls.load_cert_chain(self._certfile, self._keyfile)
            stopping = Event()
            try:
                self._server = HttpServer(_HOST, self._port, App(self, stopping), stopping, tls)
            except (OSError, OverflowError) as error:
                raise PortUnavailable(self._port, error) from error
            self._port = self._server.port
        return self

    def stop(self) -> None:
        """Cut every connection and stop listening; nothing happens if it is not running."""
        server, self._server = self._server, None
        if server is not None:
            server.stop()

    def __enter__(self) -> Sandbox:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def port(self) -> int:
        """The port that it listens on. RuntimeError before the first start."""
        if not self._port:
            raise RuntimeError("the sandbox has not been started")
        return self._port

    @property
    def origin(self) -> str:
        """Scheme, address and port, without a path."""
        return f"{'https' if self._certfile else 'http'}://{_HOST}:{self.port}"

    @property
    def url(self) -> str:
        """The address for the setting ``url``."""
        return f"{self.origin}/api"

    @property
    def control_url(self) -> str:
        """The address of the control calls, e.g. ``/codes`` below it."""
        return f"{self.origin}/sandbox"

    @property
    def phone_url(self) -> str:
        """The page with the buyer's phone."""
        return f"{self.origin}/phone"

    def receive(self, body: bytes, x_auth: bytes, connection: int) -> tuple[Call, InjectedFault | None] | JsonObject:
        """Read and log a request and check its key; return the call and its fault, or the answer that refuses it."""
        request_id: object = None
        try:
            document = read_object(body)
            request_id = document.get("id")
            call = read_call(document)
        except BankError as error:
            return error_answer(request_id, error)
        authorised = hmac.compare_digest(x_auth, f"{self.pos_id}:{self.pos_key}".encode())
        with self._lock:
            fault = self._faults.take(call.method) if authorised else None
            logged = (self.now_ms(), call.method, _masked(call.params), request_id, connection, authorised)
            self._requests.append((len(body), WireRequest(*logged, fault.kind if fault else None)))
            self._kept_bytes += len(body)
            while len(self._requests) > _KEPT_REQUESTS or self._kept_bytes > _KEPT_BYTES:
                self._kept_bytes -= self._requests.popleft()[0]
        return (call, fault) if authorised else error_answer(request_id, BankError(ErrorCode.ACCESS_DENIED))

    def carry_out(self, call: Call) -> JsonObject:
        """Let the bank carry out a request, and return its answer."""
        try:
            with self._lock:
                result = self.bank.call(self.now_ms(), call.method, call.params)
        except BankError as error:
            return error_answer(call.request_id, error)
        return result_answer(call.request_id, result)

    def issue_code(self, behaviour: Behaviour | None = None) -> str:
        """Return a new code of the buyer's phone, which pays at once if no ``behaviour`` is given."""
        with self._lock:
            return self.bank.issue_code(self.now_ms(), behaviour)

    def buyer_answers(self, code: str, *, confirms: bool) -> bool:
        """Let the buyer confirm or decline by hand; return whether a payment waited for it."""
        with self._lock:
            return self.bank.buyer_answers(self.now_ms(), code, confirms=confirms)

    def plan_cancel(self, receipt_id: str, plan: CancelPlan) -> None:
        """Let the next cancellations of a receipt go by ``plan``. KeyError if there is no such receipt."""
        with self._lock:
            self.bank.plan_cancel(receipt_id, plan)

    def put_state(self, receipt_id: str, state: int) -> None:
        """Put a receipt into a state as Payme's staff might; see ``Bank.put_state``."""
        with self._lock:
            self.bank.put_state(self.now_ms(), receipt_id, state)

    def inject(self, fault: InjectedFault) -> None:
        """Add a fault to those still to happen."""
        with self._lock:
            self._faults.inject(fault)

    def clear_faults(self) -> None:
        """Forget every fault still to happen."""
        with self._lock:
            self._faults.clear()

    @property
    def faults(self) -> tuple[InjectedFault, ...]:
        """The faults still to happen."""
        return self._faults.live

    @property
    def requests(self) -> tuple[WireRequest, ...]:
        """The last requests, oldest first, codes masked: at most 10,000, with bodies of at most 8 MiB in all."""
        with self._lock:
            return tuple(request for _, request in self._requests)

    def receipts(self) -> tuple[ReceiptView, ...]:
        """Return all receipts as they are now, oldest first."""
        with self._lock:
            return self.bank.receipts(self.now_ms())

    def held(self, receipt_id: str | None = None) -> int:
        """Return the tiyin that Payme holds now, for one receipt or for all."""
        with self._lock:
            return self.bank.held(self.now_ms(), receipt_id)

    def pays(self, code: str) -> int:
        """Return how many ``receipts.pay`` with this code reached the bank."""
        return self.bank.pays(code)

    def code(self, code: str) -> tuple[CodeView, ReceiptView | None, int] | None:
        """Return a code, the receipt that it was used for, and the milliseconds left to it; ``None``: unknown."""
        with self._lock:
            now_ms = self.now_ms()
            known = self.bank.code(code)
            if known is None:
                return None
            receipt = self.bank.receipt(now_ms, known.used_by) if known.used_by else None
            return known, receipt, max(0, known.expires_ms - now_ms)


def _masked(params: JsonObject) -> dict[str, object]:
    """Return ``params`` with the buyer's code and phone masked; a long code keeps its last four characters."""
    token = params.get("token")
    end = token[-_SHOWN_DIGITS:] if isinstance(token, str) and len(token) >= _LONG_ENOUGH_TO_SHOW else ""
    masks = {"token": f"***{end}", "payer": "***"}
    return {name: masks.get(name, value) for name, value in params.items()}


def _steady_clock() -> Callable[[], int]:
    """Return a clock of Unix milliseconds that starts at the machine's time and then never jumps."""
    offset_ns = time.time_ns() - time.monotonic_ns()
    return lambda: (time.monotonic_ns() + offset_ns) // 1_000_000
