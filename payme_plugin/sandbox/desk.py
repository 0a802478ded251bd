"""The desk before the bank: checks the kassa's key, keeps the wire log, hands out faults. One lock guards it all.

It knows nothing of HTTP beyond the two values that it is handed, and nothing in it waits.
"""

from __future__ import annotations

import hmac
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from payme_plugin.sandbox import rpc
from payme_plugin.sandbox.errors import ACCESS_DENIED, BankError
from payme_plugin.sandbox.faults import Fault, FaultKind, FaultPlan

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payme_plugin.sandbox.bank import Bank, CodeView
    from payme_plugin.sandbox.behaviour import Behaviour, CancelPlan
    from payme_plugin.sandbox.receipt import ReceiptView
    from payme_plugin.sandbox.rpc import Call, Envelope

__all__ = ["Desk", "Rejected", "WireRequest"]

_KEPT_REQUESTS = 10_000


@dataclass(frozen=True)
class WireRequest:
    """A request that arrived and read as one.

    Attributes:
        at_ms: when, Unix milliseconds of the sandbox's clock.
        method: its method.
        params: its parameters, the buyer's code and phone masked.
        request_id: its ``id``.
        connection: the kassa's port: equal for requests on one connection.
        authorised: whether ``X-Auth`` was right; a request with a wrong one has no effect.
        fault: what befell it; ``None``: nothing.
    """

    at_ms: int
    method: str
    params: Mapping[str, object]
    request_id: object
    connection: int
    authorised: bool
    fault: FaultKind | None = None


class Rejected(Exception):
    """A request that never reaches the bank.

    Attributes:
        answer: what the kassa gets.
    """

    def __init__(self, answer: Envelope) -> None:
        super().__init__("rejected")
        self.answer = answer


@dataclass(frozen=True)
class Received:
    """A request on its way to the bank.

    Attributes:
        call: the request.
        fault: what befalls it.
    """

    call: Call
    fault: Fault | None = None


class Desk:
    """The bank with a lock, a key, a wire log and faults.

    Args:
        bank: the bank.
        clock: returns Unix milliseconds.
        x_auth: the header that a kassa must send: its id, a colon, its key.
    """

    def __init__(self, bank: Bank, clock: Callable[[], int], x_auth: str) -> None:
        self.bank = bank
        self._clock = clock
        self._x_auth = x_auth.encode()
        self._faults = FaultPlan()
        self._requests: deque[WireRequest] = deque(maxlen=_KEPT_REQUESTS)
        self._lock = Lock()

    def receive(self, body: bytes, x_auth: bytes, connection: int) -> Received:
        """Read a request, check its key, log it, and draw its fault.

        Raises:
            Rejected: it is no request, or its key is wrong.
        """
        request_id: object = None
        try:
            document = rpc.read_request(body)
            request_id = document.get("id")
            call = rpc.read_call(document)
        except BankError as error:
            raise Rejected(rpc.error_answer(request_id, error)) from None
        authorised = hmac.compare_digest(x_auth, self._x_auth)
        with self._lock:
            fault = self._faults.take(call.method) if authorised else None
            self._requests.append(
                WireRequest(
                    at_ms=self._clock(),
                    method=call.method,
                    params=rpc.masked(call.params),
                    request_id=call.request_id,
                    connection=connection,
                    authorised=authorised,
                    fault=fault.kind if fault else None,
                )
            )
        if not authorised:
            raise Rejected(rpc.error_answer(request_id, BankError(ACCESS_DENIED)))
        return Received(call, fault)

    def carry_out(self, call: Call) -> Envelope:
        """Let the bank carry out a request, and return its answer."""
        try:
            with self._lock:
                result = self.bank.call(self._clock(), call.method, call.params)
        except BankError as error:
            return rpc.error_answer(call.request_id, error)
        return rpc.result_answer(call.request_id, result)

    def issue_code(self, behaviour: Behaviour | None = None) -> str:
        """Return a new code of the buyer's phone; see ``Bank.issue_code``."""
        with self._lock:
            return self.bank.issue_code(self._clock(), behaviour)

    def buyer_answers(self, code: str, *, confirms: bool) -> bool:
        """Let the buyer answer by hand; see ``Bank.buyer_answers``."""
        with self._lock:
            return self.bank.buyer_answers(self._clock(), code, confirms=confirms)

    def plan_cancel(self, receipt_id: str, plan: CancelPlan) -> None:
        """Let cancellations of a receipt go by ``plan``; see ``Bank.plan_cancel``."""
        with self._lock:
            self.bank.plan_cancel(receipt_id, plan)

    def put_state(self, receipt_id: str, state: int) -> None:
        """Put a receipt into a state by hand; see ``Bank.put_state``."""
        with self._lock:
            self.bank.put_state(self._clock(), receipt_id, state)

    def inject(self, fault: Fault) -> None:
        """Add a fault."""
        with self._lock:
            self._faults.inject(fault)

    def clear_faults(self) -> None:
        """Forget every fault still to happen."""
        with self._lock:
            self._faults.clear()

    @property
    def faults(self) -> tuple[Fault, ...]:
        """The faults still to happen."""
        return self._faults.live

    @property
    def requests(self) -> tuple[WireRequest, ...]:
        """The last 10,000 requests, oldest first."""
        with self._lock:
            return tuple(self._requests)

    def receipts(self) -> tuple[ReceiptView, ...]:
        """Return all receipts as they are now, oldest first."""
        with self._lock:
            return self.bank.receipts(self._clock())

    def code(self, code: str) -> tuple[CodeView, ReceiptView | None, int] | None:
        """Return a code, the receipt that it was used for, and the milliseconds left to it; ``None``: unknown."""
        with self._lock:
            now_ms = self._clock()
            known = self.bank.code(code)
            if known is None:
                return None
            receipt = self.bank.receipt(now_ms, known.used_by) if known.used_by else None
            return known, receipt, max(0, known.expires_ms - now_ms)
