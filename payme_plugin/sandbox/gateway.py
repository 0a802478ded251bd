"""The gateway before the bank: checks the till's key, logs requests, draws faults. One lock guards it all.

It is what a till talks to (``receive`` and ``carry_out``) and what a test steers. It knows no HTTP, and does not wait.
"""

from __future__ import annotations

import hmac
from collections import deque
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from payme_plugin.sandbox.faults import FaultKind, FaultPlan, InjectedFault
from payme_plugin.sandbox.jsonrpc import BankError, ErrorCode, error_answer, read_call, read_object, result_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from payme_plugin.sandbox.bank import Bank, CodeView
    from payme_plugin.sandbox.behaviour import Behaviour, CancelPlan
    from payme_plugin.sandbox.jsonrpc import Call, JsonObject
    from payme_plugin.sandbox.receipt import ReceiptView

_KEPT_REQUESTS = 10_000
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
        fault: what befell it; ``None``: nothing.
    """

    at_ms: int
    method: str
    params: Mapping[str, object]
    request_id: object
    connection: int
    authorised: bool
    fault: FaultKind | None = None


@dataclass(frozen=True)
class Received:
    """A request on its way to the bank.

    Attributes:
        call: the request.
        fault: what befalls it.
    """

    call: Call
    fault: InjectedFault | None


class Gateway:
    """The bank with a lock, a key, a log of requests, and faults. Its methods may be called from any thread.

    Args:
        bank: the bank.
        clock: returns Unix milliseconds.
        x_auth: the header that a till must send: posId, a colon, posKey.
    """

    def __init__(self, bank: Bank, clock: Callable[[], int], x_auth: str) -> None:
        self.bank = bank
        self.now_ms = clock
        self._x_auth = x_auth.encode()
        self._faults = FaultPlan()
        self._requests: deque[WireRequest] = deque(maxlen=_KEPT_REQUESTS)
        self._lock = Lock()

    def receive(self, body: bytes, x_auth: bytes, connection: int) -> Received | JsonObject:
        """Read a request, check its key, log it, and draw its fault; return the answer if it goes no further."""
        request_id: object = None
        try:
            document = read_object(body)
            request_id = document.get("id")
            call = read_call(document)
        except BankError as error:
            return error_answer(request_id, error)
        authorised = hmac.compare_digest(x_auth, self._x_auth)
        with self._lock:
            fault = self._faults.take(call.method) if authorised else None
            befallen_by = fault.kind if fault else None
            params = _masked(call.params)
            self._requests.append(
                WireRequest(self.now_ms(), call.method, params, request_id, connection, authorised, befallen_by)
            )
        if not authorised:
            return error_answer(request_id, BankError(ErrorCode.ACCESS_DENIED))
        return Received(call, fault)

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
        """Let a fault befall coming requests."""
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
        """The last 10,000 requests, oldest first, codes masked."""
        with self._lock:
            return tuple(self._requests)

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
