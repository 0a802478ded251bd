"""``PaymeGo``, which the fixture ``paymego`` gives a test: a sandbox on time that the test moves, and its buyers."""

from __future__ import annotations

import json
import time
from math import inf
from threading import Lock
from typing import TYPE_CHECKING, final

from hookspecs.structure import structure
from payme_plugin.sandbox import Behaviour, FaultKind, InjectedFault, Sandbox

if TYPE_CHECKING:
    from collections.abc import Mapping

    from payme_plugin.sandbox import PhoneReceipt, ReceiptView, WireRequest

_PAYMENT_TYPE = "7"
_RICH = 10**12


@final
class BuyerPhone:
    """A buyer's phone with a wallet, from ``PaymeGo.buyer``. Its methods may be called from any thread."""

    def __init__(self, sandbox: Sandbox, behaviour: Behaviour, balance: int) -> None:
        self._sandbox = sandbox
        self._behaviour = behaviour
        self._phone_id = sandbox.add_phone(balance).phone_id
        self._code = ""

    def code(self) -> str:
        """Return a new code: the 20 digits that a scanner reads. It is valid for 30 seconds and works once."""
        self._code = self._sandbox.issue_code(self._behaviour, self._phone_id)
        return self._code

    def confirm(self) -> bool:
        """Confirm the payment with the newest code by hand; return whether it was waiting, in state 1."""
        return self._sandbox.buyer_answers(self._code, confirms=True)

    def decline(self) -> bool:
        """Decline the payment with the newest code by hand; return whether it was waiting, in state 1."""
        return self._sandbox.buyer_answers(self._code, confirms=False)

    @property
    def balance(self) -> int:
        """The tiyin in the wallet: those at the start less what Payme holds of this buyer."""
        return self._sandbox.phone(self._phone_id).balance

    @property
    def receipts(self) -> tuple[PhoneReceipt, ...]:
        """What the phone shows: the last 50 receipts that its codes were sent for, newest first."""
        return self._sandbox.phone(self._phone_id).receipts


@final
class PaymeGo:
    """A local PaymeGO server for one test. Time stands still until the test moves it.

    Attributes:
        sandbox: the server with everything it can do, e.g. ``put_state`` and ``stop``.
    """

    def __init__(self) -> None:
        self._now_ms = time.time_ns() // 1_000_000
        self._lock = Lock()
        self.sandbox = Sandbox(clock=lambda: self._now_ms)

    def __enter__(self) -> PaymeGo:
        self.sandbox.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.sandbox.stop()

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a till for this server: ``url``, ``posId``, ``posKey`` and ``paymentType``."""
        sandbox = self.sandbox
        return {
            "url": sandbox.url, "posId": sandbox.pos_id, "posKey": sandbox.pos_key, "paymentType": _PAYMENT_TYPE,
        }  # fmt: skip

    @property
    def now_ms(self) -> int:
        """The server's time, Unix milliseconds. It begins with the machine's."""
        return self._now_ms

    def advance(self, seconds: float) -> None:
        """Let time pass on the server: a code expires, a buyer confirms, a cancellation gets to its end.

        A client whose pauses can be replaced takes it in place of ``time.sleep``. The delays of faults are real time.

        Raises:
            ValueError: ``seconds`` is negative or infinite.
        """
        __tracebackhide__ = True  # pytest then shows the line of the test
        if not 0 <= seconds < inf:
            raise ValueError(f"seconds is {seconds!r}: a number of seconds from 0 is allowed")
        with self._lock:
            self._now_ms += round(seconds * 1000)

    def buyer(
        self,
        behaviour: str = "pays",
        *,
        after_s: float = 0.0,
        error_code: int | None = None,
        cancel: Mapping[str, float] | None = None,
        balance: int = _RICH,
    ) -> BuyerPhone:
        """Return a new buyer, who shows codes and does with each as said.

        Args:
            behaviour: ``pays`` at once, ``confirms`` or ``declines`` after ``after_s``, ``lacks-funds``,
                ``never-answers``, or ``fails`` with ``error_code``.
            after_s: seconds of the server's time.
            error_code: what ``receipts.pay`` answers to a buyer who ``fails``, e.g. -31400.
            cancel: how a cancellation goes, by the names of ``CancelPlan``, e.g. ``{"settle_s": 60}``.
            balance: tiyin in the wallet; a payment above it is refused with -31630.

        Raises:
            ValueError: the behaviour does not exist, or a value does not go with it.
        """
        __tracebackhide__ = True
        document = {"behaviour": behaviour, "after_s": after_s, "error_code": error_code, "cancel": cancel}
        try:
            return BuyerPhone(self.sandbox, structure(Behaviour, document, "buyer"), balance)
        except ValueError as error:
            raise error.with_traceback(None) from None

    def fail(self, kind: FaultKind | str, method: str | None = None, **rule: float | str | None) -> None:
        """Let requests fail from now on: by default the next one of ``method``, or of any.

        Args:
            kind: what goes wrong, e.g. ``answer-lost``.
            method: e.g. ``receipts.pay``.
            rule: further fields of ``InjectedFault`` by name, e.g. ``times=None`` for ever, ``skip=1``,
                ``code=`` one buyer's code.

        Raises:
            ValueError: a name or a value that is not allowed, with what is.
        """
        __tracebackhide__ = True
        document = {"kind": kind.value if isinstance(kind, FaultKind) else kind, "method": method, **rule}
        try:
            self.sandbox.inject(structure(InjectedFault, document, "fail"))
        except ValueError as error:
            raise error.with_traceback(None) from None

    @property
    def receipts(self) -> tuple[ReceiptView, ...]:
        """Every receipt as it is now, oldest first."""
        return self.sandbox.receipts()

    @property
    def requests(self) -> tuple[WireRequest, ...]:
        """The requests that arrived, oldest first; codes are masked."""
        return self.sandbox.requests

    @property
    def held(self) -> int:
        """The tiyin that Payme holds: what buyers were charged and did not get back."""
        return self.sandbox.held()

    def log(self) -> str:
        """Return a line for each request: its method and parameters, the receipt's state or the error, its fault."""
        return "\n".join(map(_line, self.requests)) or "none"


def _line(request: WireRequest) -> str:
    fault = f", fault {request.fault.value}" if request.fault else ""
    shown = json.dumps(request.params, ensure_ascii=False)
    return f"{request.method or 'not a request'} {shown}: {_ended(request)}{fault}"


def _ended(request: WireRequest) -> str:
    """Return the error or the receipt's state in an answer, or else what left the server."""
    if request.took_ms is None:
        return "not answered yet"
    if request.status is None:
        return "no answer"
    answer = request.answer
    if not isinstance(answer, dict):
        return f"HTTP {request.status}"
    if isinstance(answer.get("error"), dict):
        return f"error {answer['error'].get('code')}"
    result = answer.get("result")
    if isinstance(result, list):
        return f"receipts: {len(result)}"
    receipt = result.get("receipt", result) if isinstance(result, dict) else {}
    return f"state {receipt['state']}" if "state" in receipt else "ok"
