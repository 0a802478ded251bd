"""Stands in for the plugin ``payme`` in the host's process and lets the kit decide what becomes of each hook.

The kit puts a distribution of the plugin's own name in front of ``sys.path``; its entry point ``payme`` is ``plugin``
of this module. Each hook sends a line to the kit on entry and on return and waits for the kit's decision, so the kit
can kill the process exactly there.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from hookspecs import HookFailed, PaymentResult, RefundViolation, ReversalResult, hookimpl
from hookspecs.structure import structure, unstructure
from payme_plugin.plugin import plugin as real
from payme_plugin.settings import load
from payme_plugin.testing.conformance.protocol import CLOCK, SOCKET

if TYPE_CHECKING:
    from collections.abc import Callable

    from hookspecs import (
        CancelRequest,
        Host,
        PaymentRecord,
        PaymentRequest,
        PaymentType,
        QueueMessage,
        QueueVerdict,
        Receipt,
        RefundRequest,
        Shift,
        Ui,
    )

_ANSWERS: dict[str, Any] = {
    "on_payment": PaymentResult,
    "on_cancel": ReversalResult,
    "on_full_refund": ReversalResult,
    "validate_refund": tuple[RefundViolation, ...],
}
"""The results that the kit may give in place of the plugin."""


class _Line:
    """The connection to the kit; one hook at a time speaks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.host: Host | None = None

    @cached_property
    def _stream(self) -> TextIO:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(os.environ[SOCKET])
        return connection.makefile("rw", encoding="utf-8")

    def decided(self, **event: object) -> Any:  # noqa: ANN401 - JSON
        """Send an event and return the kit's decision; ask the host what the kit wants to know before."""
        with self._lock:
            decision = self._exchange(event)
            while "ask" in decision:
                decision = self._exchange({"answers": [self._is_recorded(each) for each in decision["ask"]]})
            return decision

    def _exchange(self, document: object) -> Any:  # noqa: ANN401 - JSON
        print(json.dumps(document), file=self._stream, flush=True)
        line = self._stream.readline()
        if not line:
            os._exit(70)  # the kit has ended; a host without it must not go on
        return json.loads(line)

    def _is_recorded(self, payment_id: str) -> object:
        try:
            answer = None if self.host is None else self.host.is_recorded(payment_id)
        except Exception as error:  # noqa: BLE001 - whatever the host raises is its answer
            return f"raised {type(error).__name__}"
        given: object = answer  # a host may return anything
        return given if isinstance(given, bool) or given is None else f"a {type(given).__name__}"


class Probe:
    """The plugin with the kit around each of its hooks."""

    def __init__(self) -> None:
        self._line = _Line()

    def _call(self, hook: str, call: Callable[[], Any], *arguments: object) -> Any:  # noqa: ANN401 - any hook's result
        thread = threading.get_ident()
        shown = [unstructure(each) for each in arguments]
        decision = self._line.decided(hook=hook, moment="entry", thread=thread, arguments=shown, result=None)
        if decision["do"] == "fail":
            raise HookFailed("payme", hook, "was told to fail by the conformance kit")
        if decision["do"] == "answer":
            result: Any = structure(_ANSWERS[hook], decision["result"], "result")
            result = list(result) if isinstance(result, tuple) else result
        else:
            try:
                result = call()
            except Exception:
                self._line.decided(hook=hook, moment="raised", thread=thread, arguments=shown, result=None)
                raise
        told = unstructure(tuple(result) if isinstance(result, list) else result)
        decision = self._line.decided(hook=hook, moment="exit", thread=thread, arguments=shown, result=told)
        if decision["do"] == "fail":
            raise HookFailed("payme", hook, "was told to fail after its effect by the conformance kit")
        return result

    @hookimpl
    def on_start(self, host: Host) -> None:
        """Start the plugin."""
        self._line.host = host
        place = [_shown(lambda: host.identity), _shown(lambda: host.data_dir("payme"))]
        self._call("on_start", lambda: real.on_start(host), *place)

    @hookimpl
    def payment_types(self) -> list[PaymentType]:
        """Return the plugin's tenders."""
        return real.payment_types()

    @hookimpl
    def on_payment(self, request: PaymentRequest, ui: Ui) -> PaymentResult | None:
        """Take a payment."""
        result: PaymentResult | None = self._call("on_payment", lambda: real.on_payment(request, ui), request)
        return result

    @hookimpl
    def on_payment_recorded(self, record: PaymentRecord) -> None:
        """Acknowledge a payment."""
        self._call("on_payment_recorded", lambda: real.on_payment_recorded(record), record)

    @hookimpl
    def on_ready(self) -> None:
        """Decide about payments of earlier runs."""
        self._call("on_ready", real.on_ready)

    @hookimpl
    def on_cancel(self, request: CancelRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of an open sale."""
        result: ReversalResult | None = self._call("on_cancel", lambda: real.on_cancel(request, ui), request)
        return result

    @hookimpl
    def validate_refund(self, request: RefundRequest) -> list[RefundViolation]:
        """Return the rules that forbid a refund."""
        found: list[RefundViolation] = self._call("validate_refund", lambda: real.validate_refund(request), request)
        return found

    @hookimpl
    def on_full_refund(self, request: RefundRequest, ui: Ui) -> ReversalResult | None:
        """Return the payment of a closed sale."""
        result: ReversalResult | None = self._call("on_full_refund", lambda: real.on_full_refund(request, ui), request)
        return result

    @hookimpl
    def on_receipt_closed(self, receipt: Receipt) -> None:
        """Acknowledge the payments in a closed sale."""
        self._call("on_receipt_closed", lambda: real.on_receipt_closed(receipt), receipt)

    @hookimpl
    def on_shift_closed(self, shift: Shift) -> str | None:
        """Return the text for the shift report."""
        return real.on_shift_closed(shift)

    @hookimpl
    def on_queue_message(self, message: QueueMessage) -> QueueVerdict | None:
        """Handle a message of the host's queue."""
        return real.on_queue_message(message)

    @hookimpl
    def on_stop(self) -> None:
        """Stop the plugin."""
        self._call("on_stop", real.on_stop)


def _shown(ask: Callable[[], object]) -> str:
    """Return what the host answers, or that it raises."""
    try:
        return str(ask())
    except Exception as error:  # noqa: BLE001 - whatever the host raises is its answer
        return f"raised {type(error).__name__}"


def _shift_clock(seconds: float) -> None:
    """Let the wall clock of this process be wrong; monotonic clocks stay right, as when a machine's time is set."""
    now, now_ns = time.time, time.time_ns
    time.time = lambda: now() + seconds
    time.time_ns = lambda: now_ns() + int(seconds * 1_000_000_000)


load.SHORT_DURATION_MS = load.SHORT_FREQUENCY_MS = 0  # the kit's times are short on purpose; the host is not warned
if CLOCK in os.environ:
    _shift_clock(float(os.environ[CLOCK]))
plugin = Probe()
